"""The registry: immutable snapshots under one head, run records and manifests, as objects in a folder or a bucket.

head.json                                    the current snapshot; only head.json and registry.db ever change
snapshots/<sha256>.json                      a catalogue, its parent, and the time of its apply
runs/<name>/<date>/<time>-<kind>-<status>-<run>-<sha256>.json
                                             the record of a run
training_sets/<name>/<version>.json          the manifest of a training set's version
registry.db                                  the head's catalogue in Feast's form, if Feast is installed
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import InvalidRequest, RegistryConflict, RegistryCorrupt
from amora_fs_assets.domain.ports.registry import ObjectStore
from amora_fs_assets.domain.records import RunRecord, Snapshot
from amora_fs_assets.stores.registry import registry_json as form
from amora_fs_assets.stores.registry.object_names import is_object_name

_HEAD = "head.json"
_Read = TypeVar("_Read")


class ObjectRegistry:
    """The `Registry` over any `ObjectStore`, based on create-once and compare-and-swap."""

    def __init__(
        self,
        objects: ObjectStore,
        commit: Callable[[], str] = str,
        listener: Callable[[RunRecord, str], None] | None = None,
    ) -> None:
        """Store everything in `objects`.

        `commit` returns the commit of the feature code, for the records. `listener` is called with every stored record
        and the name of its object.
        """
        self._objects = objects
        self._commit = commit
        self._listener = listener
        self._newest: tuple[Snapshot, Catalogue] | None = None  # immutable, so never stale

    @property
    def url(self) -> str:
        """The folder, or `gs://bucket/prefix`."""
        return self._objects.url

    def head(self) -> Snapshot | None:
        """The current snapshot; None before the first apply. Raises RegistryError, RegistryCorrupt."""
        state = self._state()
        return state[0] if state else None

    def catalogue(self) -> Catalogue:
        """The current catalogue; empty before the first apply. Raises RegistryError, RegistryCorrupt.

        Reads only one small object if the head has not moved since the last call.
        """
        state = self._state()
        return state[1] if state else Catalogue()

    def apply(self, catalogue: Catalogue, *, parent: str | None, clock: datetime) -> Snapshot:
        """Make `catalogue` the current one, if the head is still the snapshot `parent`; return the new head.

        Applying the head's own catalogue changes nothing, unless the head lacks gates. Raises RegistryConflict if
        another catalogue was applied since `parent`. Raises RegistryCorrupt if the head cannot be read, and
        DefinitionError if `catalogue` could not be read again; nothing is written then.
        """
        stored = self._objects.read(_HEAD)
        state = self._state_of(stored.data) if stored else None
        if state and state[0].catalogue_hash == catalogue.hash and state[1].without_gate <= catalogue.without_gate:
            return state[0]
        if (state[0].hash if state else None) != parent:
            raise self._conflict()
        data = form.write_snapshot(catalogue, parent=state[0] if state else None, applied_at=clock)
        form.refuse_unreadable(data, catalogue)
        hash_ = form.sha256(data)
        self._objects.create(f"snapshots/{hash_}.json", data)
        applied = self._read(hash_, form.read_snapshot)
        head = form.write_head(form.Head(snapshot=hash_, applied_at=applied.applied_at))
        # A process that is killed before this line leaves an unused snapshot and the old head.
        if not self._objects.replace(_HEAD, head, generation=stored.generation if stored else None):
            raise self._conflict()
        return applied

    def history(self, at: datetime | None = None) -> Iterator[Snapshot]:
        """The snapshot that was current at the time `at` (default: now), its parent, and so on to the first apply.

        Snapshots are read lazily; of n snapshots after `at`, about log n are read. Raises RegistryError,
        RegistryCorrupt.
        """
        snapshot = self.head()
        while snapshot is not None:
            before = snapshot.parent
            if at is None or snapshot.applied_at <= at:
                yield snapshot
            else:
                before = next((each.hash for each in snapshot.ancestors if each.applied_at > at), before)
            snapshot = None if before is None else self._read(before, form.read_snapshot)

    def catalogue_of(self, snapshot: Snapshot) -> Catalogue:
        """The catalogue of a snapshot. Raises RegistryError, RegistryCorrupt."""
        newest = self._newest
        if newest is not None and newest[0].hash == snapshot.hash:
            return newest[1]
        return self._read(snapshot.hash, form.read_catalogue)

    def record(self, run: RunRecord) -> str:
        """Store a run's record and return its object name. Recording the same run again changes nothing."""
        folder = _folder("runs", run.name)
        if not (run.commit or run.completed):
            run = replace(run, commit=self._commit())
        data = form.write_record(run)
        started = run.started_at.astimezone(UTC)
        words = (_time(started), run.kind, run.status, _short(run.run_id), form.sha256(data)[:12])
        name = f"{folder}{started:%Y-%m-%d}/{'-'.join(words)}.json"
        if self._objects.create(name, data) and self._listener is not None:
            self._listener(run, name)
        return name

    def records(
        self,
        name: str | None = None,
        *,
        kind: str | None = None,
        status: str | None = None,
        run_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[RunRecord]:
        """The records of one view, source or training set, or of all; newest first, by `started_at`.

        Optionally only records of one kind, status or run, or records started in [since, until). Names are listed at
        once; records are read lazily. Raises RegistryError, RegistryCorrupt.
        """
        names = [
            _RecordName.of(each) for each in self._objects.names("runs/" if name is None else _folder("runs", name))
        ]
        wanted = [
            each
            for each in names
            if (kind is None or each.kind == kind)
            and (status is None or each.status == status)
            and (run_id is None or each.run == _short(run_id))
            and (since is None or each.time >= _time(since))
            and (until is None or each.time < _time(until))
        ]
        found = (self._record(each.object) for each in sorted(wanted, key=lambda each: each.time, reverse=True))
        exact = (each for each in found if each is not None and (run_id is None or each.run_id == run_id))
        return islice((each for each in exact if not self._superseded(each, names)), limit)

    def _superseded(self, completed: RunRecord, names: list[_RecordName]) -> bool:
        """Whether a completed record has a counterpart that the run wrote itself, which has more information."""
        if not completed.completed:
            return False
        folder, run = _folder("runs", completed.name), _short(completed.run_id)
        others = (self._record(each.object) for each in names if each.run == run and each.object.startswith(folder))
        return any(
            each is not None and not each.completed
            and (each.kind, each.run_id, each.sequence) == (completed.kind, completed.run_id, completed.sequence)
            for each in others
        )  # fmt: skip

    def _record(self, name: str) -> RunRecord | None:
        stored = self._objects.read(name)
        if stored is None:  # deleted by the bucket's lifecycle rule since the listing
            return None
        with self._explained(name, "Restore it or delete it."):
            if not name.endswith(f"-{form.sha256(stored.data)[:12]}.json"):
                raise RegistryCorrupt("it was changed: its content does not match the hash in its name")
            return form.read_record(stored.data)

    def put_manifest(self, name: str, version: str, manifest: dict[str, Any]) -> str:
        """Store the manifest of a training set's version and return its object name.

        Storing the same manifest again changes nothing. Raises RegistryConflict if the version has another manifest.
        """
        object_name = _manifest_name(name, version)
        data = form.write_manifest(name, version, manifest)
        if not self._objects.create(object_name, data):
            stored = self._objects.read(object_name)
            if stored is None or stored.data != data:
                raise RegistryConflict(
                    f"Registry {self.url}: training set '{name}' has a version '{version}' with another manifest. "
                    "A version cannot be changed. Build a new version."
                )
        return object_name

    def manifest(self, name: str, version: str) -> dict[str, Any] | None:
        """The manifest of a version; None if there is none. Raises RegistryError, RegistryCorrupt."""
        object_name = _manifest_name(name, version)
        stored = self._objects.read(object_name)
        if stored is None:
            return None
        with self._explained(object_name, "Restore it."):
            return form.read_manifest(stored.data)

    def manifests(self, name: str) -> list[str]:
        """The versions of a training set, oldest first."""
        folder = _folder("training_sets", name)
        return [each.removeprefix(folder).removesuffix(".json") for each in self._objects.names(folder)]

    def _state(self) -> tuple[Snapshot, Catalogue] | None:
        stored = self._objects.read(_HEAD)
        return self._state_of(stored.data) if stored else None

    def _state_of(self, head: bytes) -> tuple[Snapshot, Catalogue]:
        with self._explained(_HEAD, "Point it at a file of snapshots/."):
            hash_ = form.read_head(head).snapshot
        newest = self._newest
        if newest is None or newest[0].hash != hash_:
            self._newest = newest = self._read(hash_, _both)
        return newest

    def _read(self, hash_: str, read: Callable[[bytes, str], _Read]) -> _Read:
        name = f"snapshots/{hash_}.json"
        if not re.fullmatch(r"[0-9a-f]{64}", hash_):
            raise RegistryCorrupt(
                f"Registry {self.url}, {_HEAD}: {hash_!r} is not a snapshot. Point {_HEAD} at a file of snapshots/."
            )
        stored = self._objects.read(name)
        with self._explained(name, f"Restore it, or point {_HEAD} at another file of snapshots/."):
            if stored is None:
                raise RegistryCorrupt("it is referenced, but does not exist")
            return read(stored.data, hash_)

    @contextmanager
    def _explained(self, name: str, fix: str) -> Iterator[None]:
        try:
            yield
        except RegistryCorrupt as error:
            reason = str(error).rstrip(".")
            hint = "" if "Upgrade" in reason else f" {fix}"
            raise RegistryCorrupt(f"Registry {self.url}, {name}: {reason}.{hint}") from error

    def _conflict(self) -> RegistryConflict:
        return RegistryConflict(
            f"Registry {self.url}: another apply came first, so nothing was changed. Check `amora-fs plan`, "
            "then run `amora-fs apply` again."
        )


class _RecordName(NamedTuple):
    """The parts of the name of a run record's object."""

    time: str
    kind: str
    status: str
    run: str
    object: str

    @classmethod
    def of(cls, name: str) -> _RecordName:
        time, kind, status, run, *_ = (*name.rpartition("/")[2].split("-"), "", "", "")
        return cls(time, kind, status, run, name)


def _time(instant: datetime) -> str:
    """The instant in the names of records, which sort by time."""
    return f"{instant.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"


def _short(run_id: str) -> str:
    """The end of a run's id, for the names of its records. The beginning may be the same for many runs."""
    return re.sub(r"[^A-Za-z0-9]", "", run_id)[-8:] or "none"


def _both(data: bytes, hash_: str) -> tuple[Snapshot, Catalogue]:
    return form.read_snapshot(data, hash_), form.read_catalogue(data, hash_)


def _folder(kind: str, name: str) -> str:
    if "/" in name or not is_object_name(name):
        raise InvalidRequest(f"{name!r} is not the name of a view, source or training set.")
    return f"{kind}/{name}/"


def _manifest_name(name: str, version: str) -> str:
    if "/" in version or not is_object_name(version):
        raise InvalidRequest(f"{version!r} is not a version of training set '{name}'.")
    return f"{_folder('training_sets', name)}{version}.json"
