"""The job over all assets, which may have different partitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.assets.job.asset_job import build_asset_job, get_asset_graph_for_job
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from amora_fs_assets.orchestration.names import NAMES

JOB = NAMES.job


def everything(
    name: str, keys: Iterable[dg.AssetKey], *, without: Sequence[dg.AssetChecksDefinition] = ()
) -> UnresolvedAssetJobDefinition:
    """The job over all executable assets of the feature store and their checks, without some of the checks."""
    return _Everything(
        name=name,
        selection=dg.AssetSelection.assets(*keys) - dg.AssetSelection.checks(*without),
        description="All sources, views, online loads and training sets. Without a partition each view computes "
        "its intervals that are not current, up to the clock.",
    )


class _Everything(UnresolvedAssetJobDefinition):
    """A job over assets with different partitions, like Dagster's own job over all assets.

    A job of `define_asset_job` must have one partitions definition.
    """

    def resolve(
        self,
        asset_graph: AssetGraph,
        default_executor_def: dg.ExecutorDefinition | None = None,
        resource_defs: Mapping[str, dg.ResourceDefinition] | None = None,
    ) -> dg.JobDefinition:
        """The job over the assets of the graph."""
        executable = get_asset_graph_for_job(asset_graph, self.selection, allow_different_partitions_defs=True)
        return build_asset_job(
            self.name,
            asset_graph=executable,
            description=self.description,
            executor_def=default_executor_def,
            resource_defs=resource_defs,
            allow_different_partitions_defs=True,
        )
