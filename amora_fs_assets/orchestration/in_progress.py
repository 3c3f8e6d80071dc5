"""The assets of unfinished runs. Automation requests no runs for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def assets_in_progress(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, longest: timedelta
) -> frozenset[dg.AssetKey]:
    """The assets of unfinished runs, and of backfills that still launch runs.

    A run without an update for `longest` does not count, since its process may have died. If it is still alive, its
    computation and another one of the same interval do not harm each other. A queued run always counts.
    """
    oldest = _now() - longest
    found: set[dg.AssetKey] = set()
    for record in instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED)):
        run, changed = record.dagster_run, record.update_timestamp.replace(tzinfo=UTC)
        if run.status is dg.DagsterRunStatus.QUEUED or changed > oldest:
            found |= _assets_of(run, repository)
    for backfill in instance.get_backfills(BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])):
        found |= set(backfill.asset_selection or ())
    return frozenset(found)


def _now() -> datetime:
    return datetime.now(UTC)


def _assets_of(run: dg.DagsterRun, repository: dg.RepositoryDefinition) -> frozenset[dg.AssetKey]:
    if run.asset_selection is not None:
        return frozenset(run.asset_selection)
    if not repository.has_job(run.job_name):
        return frozenset()
    return frozenset(repository.get_job(run.job_name).asset_layer.executable_asset_keys)
