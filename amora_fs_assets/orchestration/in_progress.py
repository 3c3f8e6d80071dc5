"""Which assets runs are at work on, or will be: what automation leaves alone until they have ended."""

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
    """The assets of runs that have not ended, and of backfills that still launch runs.

    A run that began more than `longest` ago counts no more: its process may be gone without a word. If it is not, its
    computation and another one of the same interval are safe beside each other. A run that waits in the queue counts.
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
