"""The job that computes intervals again whose source rows changed since: `amora-fs compute --late`.

No `from __future__ import annotations` here, since Dagster reads the annotations of contexts.
"""

from collections.abc import Sequence

import dagster as dg

from amora_fs_assets.domain.applied import check_applied
from amora_fs_assets.domain.errors import DefinitionNotApplied
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.operations import runs
from amora_fs_assets.orchestration.failures import said_in_dagster
from amora_fs_assets.orchestration.names import NAMES, Names
from amora_fs_assets.orchestration.report_run import events
from amora_fs_assets.orchestration.resources import Stores, stores_of

LATE = NAMES.late


def late_job(
    views: Sequence[FeatureView], retry_policy: dg.RetryPolicy | None = None, names: Names = NAMES
) -> dg.JobDefinition:
    """`feature_store_late`: one step over the views, in order of dependency."""

    @dg.op(name=f"compute_{names.late}", retry_policy=retry_policy, required_resource_keys={names.store})
    def compute_late(context: dg.OpExecutionContext) -> None:
        parts = stores_of(context.resources, names)
        with said_in_dagster():
            for publication in runs.compute_late(
                _applied(context, parts, views),
                store=parts.offline,
                registry=parts.registry,
                run_id=context.run_id,
                clock=parts.settings.clock(),
            ):
                context.log.info(
                    "%s [%s, %s): %s rows",
                    publication.name,
                    publication.start,
                    publication.end,
                    f"{publication.rows:,}",
                )
                record = next(r for r in parts.registry.records(publication.name) if r.sequence == publication.sequence)
                settings = parts.settings
                for event in events(
                    record, parts.registry.url, parts.applied, parts.offline, settings.now, settings.clock(), names
                ):
                    if not isinstance(event, dg.AssetCheckEvaluation):
                        context.log_event(event)

    @dg.job(name=names.late, description="Computes intervals again whose source rows changed since they were read.")
    def job() -> None:
        compute_late()

    return job


def _applied(context: dg.OpExecutionContext, parts: Stores, views: Sequence[FeatureView]) -> list[FeatureView]:
    found = []
    for view in views:
        try:
            check_applied(view, parts.applied)
        except DefinitionNotApplied as error:
            context.log.warning(str(error))
        else:
            found.append(view)
    return found
