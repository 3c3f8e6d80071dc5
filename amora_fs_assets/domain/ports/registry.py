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
    """An object's bytes, and the token that a replacement must name."""

    data: bytes
    generation: str


class ObjectStore(Protocol):
    """Named objects, with the two guarantees that a registry needs. Raises RegistryError where it cannot be reached."""

    @property
    def url(self) -> str:
        """Where the objects are, as people write it."""

    def read(self, name: str) -> StoredObject | None:
        """The object; None where there is none. Never a torn one."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a new object. False where one of the name exists, which stays as it is."""

    def replace(self, name: str, data: bytes, *, generation: str | None) -> bool:
        """Write an object if it is still at `generation` (None: not there). False where somebody was quicker."""

    def names(self, prefix: str) -> Iterator[str]:
        """The names that start with `prefix`, sorted."""


class Registry(Protocol):
    """Definitions as applied, and what runs did."""

    @property
    def url(self) -> str:
        """Where it is."""

    def head(self) -> Snapshot | None:
        """The snapshot that counts; None before the first apply."""

    def catalogue(self) -> Catalogue:
        """What was applied last; an empty catalogue before the first apply."""

    def apply(self, catalogue: Catalogue, *, parent: str | None, clock: datetime) -> Snapshot:
        """Make `catalogue` what counts, if the head is still the snapshot `parent`. Raises RegistryConflict."""

    def history(self, at: datetime | None = None) -> Iterator[Snapshot]:
        """The snapshot that counted at that time (now, if none is said), its parent, and so on to the first apply.

        Each is read when it is asked for; of those after `at` only a few are.
        """

    def catalogue_of(self, snapshot: Snapshot) -> Catalogue:
        """What a snapshot holds."""

    def record(self, run: RunRecord) -> str:
        """Keep a run's record, for good; the name of its object. Recording the same again changes nothing."""

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

        Of one kind, status or run, started in [since, until), where that is said.
        """

    def put_manifest(self, name: str, version: str, manifest: dict[str, Any]) -> str:
        """Keep what a version of a training set was made from, for good; the name of its object.

        Putting the same again changes nothing. Raises RegistryConflict where the version has another manifest.
        """

    def manifest(self, name: str, version: str) -> dict[str, Any] | None:
        """The manifest of that version; None where there is none."""

    def manifests(self, name: str) -> list[str]:
        """The versions of a training set in the order of their names, which begin with their time: newest last."""
