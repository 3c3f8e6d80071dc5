"""One computation of a feature view, from its start to its record."""

from __future__ import annotations

from typing import Any

from amora_fs_assets.domain.applied import check_applied
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.definition import code_version
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.records import Publication, RunRecord
from amora_fs_assets.domain.time import Clock, Interval, wall_clock
from amora_fs_assets.operations.offline import compute
from amora_fs_assets.operations.offline.compute import StagedRows
from amora_fs_assets.operations.records.staged_run import StagedRun


class Computation(StagedRun):
    """Stage and check an interval of a view, then publish the rows and record the run.

    ```
    computation = Computation(view, store=store, registry=registry, run_id=run_id)
    with computation.failing():
        computation.stage(interval, applied)
        computation.require_passed()
    record = computation.publish()
    ```
    """

    def __init__(
        self, view: FeatureView, *, store: OfflineStore, registry: Registry, run_id: str, now: Clock = wall_clock
    ) -> None:
        """Begin the computation."""
        super().__init__(
            "compute" if view.table is None else "check", view.name, store=store, registry=registry, run_id=run_id,
            now=now, code_version=code_version(view), schema_hash=view.schema_hash,
        )  # fmt: skip
        self.view = view
        self.interval: Interval | None = None
        self.publication: Publication | None = None
        self._staged: StagedRows | None = None

    @property
    def staged(self) -> StagedRows:
        """The staged rows, after `stage`."""
        assert self._staged is not None, "stage() comes first"
        return self._staged

    def stage(self, interval: Interval | None, applied: Catalogue) -> StagedRows:
        """Compute the rows of the interval, stage the rows, and check the rows.

        `applied` is the registry's catalogue. Raises DefinitionNotApplied, TableNotFound, SourceMismatch,
        TransformError and OfflineStoreError; call within `failing`.
        """
        definition_hash = check_applied(self.view, applied)
        self.record_killed_runs()
        self.interval = interval
        if interval is not None:
            self.recording.fields.update(interval_start=interval.start, interval_end=interval.end)
        self._staged = compute.stage(
            self.view, interval, store=self.store, run_id=self.run_id, definition_hash=definition_hash, applied=applied,
        )  # fmt: skip
        self.staged_table = self._staged.staged
        self.recording.fields.update(_record_fields(self._staged))
        return self._staged

    def require_passed(self) -> None:
        """Raise ChecksFailed if the staged rows failed a check."""
        if not self.staged.checked.passed:
            raise compute.refusal(self.staged)

    def publish(self) -> RunRecord:
        """Publish the staged rows, so that readers see them, and record the run.

        Raises DefinitionNotApplied, PublicationRefused, OfflineStoreError and RegistryError.
        """
        with self.failing():
            self.publication = compute.publish(self.staged, store=self.store, now=self.now())
        if self.publication is not None:
            self.published(self.publication)
        return self.recording.keep()


def _record_fields(staged: StagedRows) -> dict[str, Any]:
    """The record's fields that come from the staged rows."""
    late = {
        each.source: {
            "rows": each.rows,
            "since": each.since.isoformat(),
            "lateness_seconds": each.lateness.total_seconds(),
        }
        for each in staged.overdue
    }
    details = ({"later_than_max_lateness": late} if late else {}) | (
        {"warning": staged.warning} if staged.warning else {}
    )
    return {
        "rows": staged.checked.rows,
        "clipped_rows": staged.checked.clipped_rows,
        "definition_hash": staged.definition_hash,
        "sql_hash": staged.sql_hash,
        "inputs": staged.inputs,
        "checks": staged.checked.results,
        "column_lineage": staged.lineage,
        "details": details,
    }
