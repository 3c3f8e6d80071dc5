"""The registry and the object store below the registry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.records import RunRecord, Snapshot


@dataclass(frozen=True)
class StoredObject:
    """An object's bytes, and the `generation` that a replacement must give."""

    data: bytes
    generation: str


class ObjectStore(Protocol):
    """Named objects, created and replaced atomically. Raises RegistryError if the store cannot be reached."""

    @property
    def url(self) -> str:
        """The location of the objects."""

    def read(self, name: str) -> StoredObject | None:
        """The whole object; None if it does not exist."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a new object. False if an object of the name exists, which is not changed."""

    def replace(self, name: str, data: bytes, *, generation: str | None) -> bool:
        """Write an object if its generation is still `generation` (None: it does not exist). False otherwise."""

    def names(self, prefix: str) -> Iterator[str]:
        """The names that start with `prefix`, sorted."""


class Registry(Protocol):
    """The applied definitions and the records of runs."""

    @property
    def url(self) -> str:
        """The location of the registry."""

    def head(self) -> Snapshot | None:
        """The current snapshot; None before the first apply."""

    def catalogue(self) -> Catalogue:
        """The current catalogue; empty before the first apply."""

    def apply(self, catalogue: Catalogue, *, parent: str | None, clock: datetime) -> Snapshot:
        """Make `catalogue` the current one, if the head is still the snapshot `parent`. Raises RegistryConflict."""

    def history(self, at: datetime | None = None) -> Iterator[Snapshot]:
        """The snapshot that was current at the time `at` (default: now), its parent, and so on to the first apply.

        Snapshots are read lazily; only a few of the snapshots after `at` are read.
        """

    def catalogue_of(self, snapshot: Snapshot) -> Catalogue:
        """The catalogue of a snapshot."""

    def record(self, run: RunRecord) -> str:
        """Store a run's record and return its object name. Recording the same run again changes nothing."""

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
        """The records of one view, source or training set, or of all; newest first.

        Optionally only records of one kind, status or run, or records started in [since, until).
        """

    def put_manifest(self, name: str, version: str, manifest: dict[str, Any]) -> str:
        """Store the manifest of a training set's version and return its object name.

        Storing the same manifest again changes nothing. Raises RegistryConflict if the version has another manifest.
        """

    def manifest(self, name: str, version: str) -> dict[str, Any] | None:
        """The manifest of a version; None if there is none."""

    def manifests(self, name: str) -> list[str]:
        """The versions of a training set, oldest first."""
