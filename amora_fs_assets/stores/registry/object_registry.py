"""The registry: immutable snapshots under one head, run records and manifests, as objects in a folder or a bucket.

head.json                                    which snapshot counts; it alone changes, and registry.db after it
snapshots/<sha256>.json                      a catalogue, its parent, when it was applied
runs/<name>/<date>/<time>-<kind>-<status>-<run>-<sha256>.json
                                             what one run did
training_sets/<name>/<version>.json          what one version of a training set was made from
registry.db                                  the head's catalogue as Feast keeps it, where Feast is installed
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
    """The `Registry` over any `ObjectStore`: its guarantees are those of create-once and compare-and-swap."""

    def __init__(
        self,
        objects: ObjectStore,
        commit: Callable[[], str] = str,
        listener: Callable[[RunRecord, str], None] | None = None,
    ) -> None:
        """Keep everything in `objects`.

        `commit` says which one the feature code is at, for the records. `listener` hears of every record that was
        kept, with its object's name.
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
        """The snapshot that counts; None before the first apply. Raises RegistryError, RegistryCorrupt."""
        state = self._state()
        return state[0] if state else None

    def catalogue(self) -> Catalogue:
        """What was applied last; an empty catalogue before the first apply. Raises RegistryError, RegistryCorrupt.

        Reads one small object where the head did not move since the last call.
        """
        state = self._state()
        return state[1] if state else Catalogue()

    def apply(self, catalogue: Catalogue, *, parent: str | None, clock: datetime) -> Snapshot:
        """Make `catalogue` what counts, if the head is still the snapshot `parent`; the new head.

        A catalogue that is the head's already changes nothing, but for gates that the head's lacks. Raises
        RegistryConflict where another one was applied since `parent`; with nothing written, RegistryCorrupt where the
        head cannot be read, and DefinitionError where `catalogue` could not be read again.
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
        # A process that is killed before this line leaves a snapshot that nobody refers to, and the old head.
        if not self._objects.replace(_HEAD, head, generation=stored.generation if stored else None):
            raise self._conflict()
        return applied

    def history(self, at: datetime | None = None) -> Iterator[Snapshot]:
        """The snapshot that counted at `at` (now, if none is said), its parent, and so on to the first apply.

        Each is read when it is asked for; of n that came after `at`, about the logarithm of n. Raises RegistryError,
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
        """What a snapshot holds. Raises RegistryError, RegistryCorrupt."""
        newest = self._newest
        if newest is not None and newest[0].hash == snapshot.hash:
            return newest[1]
        return self._read(snapshot.hash, form.read_catalogue)

    def record(self, run: RunRecord) -> str:
        """Keep a run's record, for good; the name of its object. Recording the same again changes nothing."""
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

        Of one kind, status or run, started in [since, until), where that is said. Lists names at once and reads each
        record only when it is asked for. Raises RegistryError, RegistryCorrupt.
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
        """Whether a run recorded its publication after all, while another one completed it: its own says more."""
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
        if stored is None:  # expired by a rule of the bucket since it was listed
            return None
        with self._explained(name, "Restore it or delete it."):
            if not name.endswith(f"-{form.sha256(stored.data)[:12]}.json"):
                raise RegistryCorrupt("it was altered: its content does not match the hash in its name")
            return form.read_record(stored.data)

    def put_manifest(self, name: str, version: str, manifest: dict[str, Any]) -> str:
        """Keep what a version of a training set was made from, for good; the name of its object.

        Putting the same again changes nothing. Raises RegistryConflict where the version has another manifest.
        """
        object_name = _manifest_name(name, version)
        data = form.write_manifest(name, version, manifest)
        if not self._objects.create(object_name, data):
            stored = self._objects.read(object_name)
            if stored is None or stored.data != data:
                raise RegistryConflict(
                    f"Registry {self.url}: training set '{name}' has a version '{version}' with another manifest. "
                    "A version is written once: build a new one."
                )
        return object_name

    def manifest(self, name: str, version: str) -> dict[str, Any] | None:
        """The manifest of a version; None where there is none. Raises RegistryError, RegistryCorrupt."""
        object_name = _manifest_name(name, version)
        stored = self._objects.read(object_name)
        if stored is None:
            return None
        with self._explained(object_name, "Restore it."):
            return form.read_manifest(stored.data)

    def manifests(self, name: str) -> list[str]:
        """The versions of a training set in the order of their names, which begin with their time: newest last."""
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
            raise RegistryCorrupt(f"Registry {self.url}, {_HEAD}: {hash_!r} is no snapshot. Point it at one.")
        stored = self._objects.read(name)
        with self._explained(name, f"Restore it, or point {_HEAD} at another file of snapshots/."):
            if stored is None:
                raise RegistryCorrupt("it is referred to, but it is not there")
            return read(stored.data, hash_)

    @contextmanager
    def _explained(self, name: str, fix: str) -> Iterator[None]:
        try:
            yield
        except RegistryCorrupt as error:
            said = str(error).rstrip(".")
            hint = "" if "Upgrade" in said else f" {fix}"
            raise RegistryCorrupt(f"Registry {self.url}, {name}: {said}.{hint}") from error

    def _conflict(self) -> RegistryConflict:
        return RegistryConflict(
            f"Registry {self.url}: somebody applied meanwhile, so nothing was changed. Look at `amora-fs plan`, "
            "then run `amora-fs apply` again."
        )


class _RecordName(NamedTuple):
    """What the name of a run record's object says of it."""

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
    """As it stands in the names of records: their order is that of time."""
    return f"{instant.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"


def _short(run_id: str) -> str:
    """What of a run's id stands in the names of its records: the end, since the beginning may be a word."""
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
