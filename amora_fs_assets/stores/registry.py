"""The registry: immutable snapshots under one head, run records and manifests, as objects in a folder or a bucket.

head.json                                              which snapshot counts; the only object that ever changes
snapshots/<sha256>.json                                a catalogue, its parent, when it was applied
runs/<name>/<date>/<time>-<kind>-<run>-<sha256>.json   what one run did
training_sets/<name>/<version>.json                    what one version of a training set was made from
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import InvalidRequest, RegistryConflict, RegistryCorrupt, SettingsError
from amora_fs_assets.domain.ports import ObjectStore
from amora_fs_assets.domain.records import RunRecord, Snapshot
from amora_fs_assets.settings import Settings
from amora_fs_assets.stores import registry_form as form
from amora_fs_assets.stores.object_names import is_object_name

if TYPE_CHECKING:
    from google.cloud.storage import Client

_HEAD = "head.json"


class ObjectRegistry:
    """The `Registry` over any `ObjectStore`: its guarantees are those of create-once and compare-and-swap."""

    def __init__(self, objects: ObjectStore) -> None:
        """Keep everything in `objects`."""
        self._objects = objects
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

        A catalogue that is the head's already changes nothing. Raises RegistryConflict where another one was applied
        since `parent`, and RegistryCorrupt, with nothing written, where the head cannot be read.
        """
        stored = self._objects.read(_HEAD)
        state = self._state_of(stored.data) if stored else None
        if state and state[0].catalogue_hash == catalogue.hash:
            return state[0]
        if (state[0].hash if state else None) != parent:
            raise self._conflict()
        data = form.write_snapshot(catalogue, parent=parent, applied_at=clock)
        hash_ = form.sha256(data)
        self._objects.create(f"snapshots/{hash_}.json", data)
        applied = self._snapshot(hash_)
        head = form.write_head(form.Head(snapshot=hash_, applied_at=applied[0].applied_at))
        # A process that is killed before this line leaves a snapshot that nobody refers to, and the old head.
        if not self._objects.replace(_HEAD, head, generation=stored.generation if stored else None):
            raise self._conflict()
        return applied[0]

    def record(self, run: RunRecord) -> str:
        """Keep a run's record, for good; the name of its object. Recording the same again changes nothing."""
        folder = _folder("runs", run.name)
        data = form.write_record(run)
        started = run.started_at.astimezone(UTC)
        run_id = re.sub(r"[^A-Za-z0-9]", "", run.run_id)[:8] or "none"
        name = (
            f"{folder}{started:%Y-%m-%d}/{started:%Y%m%dT%H%M%S.%fZ}-{run.kind}-{run_id}-{form.sha256(data)[:12]}.json"
        )
        self._objects.create(name, data)
        return name

    def records(self, name: str | None = None, *, limit: int | None = None) -> Iterator[RunRecord]:
        """The records of one view, source or training set, or of all; newest first, by `started_at`.

        Lists names at once and reads each record only when it is asked for. Raises RegistryError, RegistryCorrupt.
        """
        names = self._objects.names("runs/" if name is None else _folder("runs", name))
        for each in sorted(names, key=_when, reverse=True)[:limit]:
            stored = self._objects.read(each)
            if stored is None:  # expired by a rule of the bucket since it was listed
                continue
            with self._explained(each, "Restore it or delete it."):
                record = form.read_record(stored.data)
                if not each.endswith(f"-{form.sha256(stored.data)[:12]}.json"):
                    raise RegistryCorrupt("it was altered: its content does not match the hash in its name")
            yield record

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
            self._newest = newest = self._snapshot(hash_)
        return newest

    def _snapshot(self, hash_: str) -> tuple[Snapshot, Catalogue]:
        name = f"snapshots/{hash_}.json"
        if not re.fullmatch(r"[0-9a-f]{64}", hash_):
            raise RegistryCorrupt(f"Registry {self.url}, {_HEAD}: {hash_!r} is no snapshot. Point it at one.")
        stored = self._objects.read(name)
        with self._explained(name, f"Restore it, or point {_HEAD} at another file of snapshots/."):
            if stored is None:
                raise RegistryCorrupt(f"{_HEAD} points at it, but it is not there")
            return form.read_snapshot(stored.data, hash_)

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


def open_registry(settings: Settings, storage_client: Client | None = None) -> ObjectRegistry:
    """The registry that `settings.registry` names. Raises SettingsError for neither a folder nor `gs://`.

    `storage_client` serves a `gs://` registry; without it one is made from the settings.
    """
    where = settings.registry
    if "://" not in where:
        from amora_fs_assets.stores.folder import FolderObjectStore

        return ObjectRegistry(FolderObjectStore(Path(where)))
    parts = urlsplit(where)
    if parts.scheme != "gs" or not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            f"AMORA_FS_REGISTRY takes a folder or gs://bucket/prefix; it begins with {parts.scheme}://"
            f"{parts.hostname or ''}."
        )
    from amora_fs_assets.stores.gcs import GcsObjectStore

    if storage_client is None:
        from amora_fs_assets.stores.google_clients import storage_client as make_client

        storage_client = make_client(settings)
    return ObjectRegistry(GcsObjectStore(storage_client, parts.netloc, parts.path))


def _when(name: str) -> str:
    """What run records sort by over all things: date and time, which come after `runs/<name>/`."""
    return name.split("/", 2)[-1]


def _folder(kind: str, name: str) -> str:
    if "/" in name or not is_object_name(name):
        raise InvalidRequest(f"{name!r} is not the name of a view, source or training set.")
    return f"{kind}/{name}/"


def _manifest_name(name: str, version: str) -> str:
    if "/" in version or not is_object_name(version):
        raise InvalidRequest(f"{version!r} is not a version of training set '{name}'.")
    return f"{_folder('training_sets', name)}{version}.json"
