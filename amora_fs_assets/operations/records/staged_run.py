"""A run that stages rows and publishes the staged rows: the same code inside and outside Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.records import Output, Publication, RunKind
from amora_fs_assets.domain.time import Clock, wall_clock
from amora_fs_assets.operations.records.killed_runs import record_killed_runs
from amora_fs_assets.operations.records.recording import Recording


class StagedRun:
    """Stage, publish, record. An error leaves a record and no staged rows.

    A caller may stage in one function and publish in another one, as Dagster's steps and IO managers do.
    """

    def __init__(
        self,
        kind: RunKind,
        name: str,
        *,
        store: OfflineStore,
        registry: Registry,
        run_id: str,
        now: Clock = wall_clock,
        **known: Any,
    ) -> None:
        """Begin the run. `known` are fields of the record that are known already; `now` is the wall clock."""
        self.store = store
        self.registry = registry
        self.run_id = run_id
        self.now = now
        self.recording = Recording(kind, name, run_id=run_id, registry=registry, now=now, **known)
        self.staged_table = ""
        self._kind, self._name = kind, name

    def record_killed_runs(self) -> None:
        """Record earlier publications of the same kind whose process was killed before the record."""
        record_killed_runs(self._kind, self._name, store=self.store, registry=self.registry)

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Record an error in the block as a failed run, drop the staged rows, and raise the error again."""
        try:
            with self.recording.meter:
                yield
        except BaseException as error:
            try:
                self.recording.keep(error)
            finally:
                if self.staged_table:
                    self.store.discard(self.staged_table)
            raise

    def published(self, publication: Publication) -> None:
        """Add the publication to the record."""
        output = Output(name=publication.name, table=publication.table, sequence=publication.sequence)
        self.recording.fields.update(
            rows=publication.rows, sequence=publication.sequence, outputs=(output,)
        )  # fmt: skip
