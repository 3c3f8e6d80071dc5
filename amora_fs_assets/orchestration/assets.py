"""The factory: sources, feature views and training sets as Dagster assets.

No `from __future__ import annotations` here, since Dagster reads the annotations of contexts.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import FeatureStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.training_set import TrainingSet
from amora_fs_assets.operations.offline import load_source
from amora_fs_assets.operations.offline.computation import Computation
from amora_fs_assets.operations.offline.compute import interval_of
from amora_fs_assets.operations.offline.coverage import publications_for
from amora_fs_assets.operations.offline.gate import check_names
from amora_fs_assets.operations.offline.period_rows import rows_by_period
from amora_fs_assets.operations.training.build import TrainingSetBuild
from amora_fs_assets.orchestration.failures import failure, said_in_dagster
from amora_fs_assets.orchestration.io_manager import Staged
from amora_fs_assets.orchestration.metadata import check_result, words_of
from amora_fs_assets.orchestration.names import Names
from amora_fs_assets.orchestration.partitions import (
    STRETCH,
    asked_for,
    dependency,
    missing,
    partitions_of,
    periods_of,
    stretch,
)
from amora_fs_assets.orchestration.resources import Stores, stores_of
from amora_fs_assets.orchestration.translator import asset_arguments
from amora_fs_assets.settings import Settings


def source_asset(
    source: Source, spec: dg.AssetSpec, names: Names, retry_policy: dg.RetryPolicy | None = None
) -> dg.AssetsDefinition:
    """The asset of a source with a loader."""

    def load(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        stores = stores_of(context.resources, names)
        with said_in_dagster():
            publication = load_source.load(
                source, run_id=context.run.run_id, store=stores.offline, registry=stores.registry
            )
        context.log.info("%s: %s rows loaded", spec.key.to_user_string(), f"{publication.rows:,}")
        return dg.MaterializeResult(
            metadata={"dagster/row_count": publication.rows, "publication": publication.sequence}
        )

    asset: dg.AssetsDefinition = dg.asset(
        **asset_arguments(spec),
        io_manager_key=names.io_manager,
        required_resource_keys={names.store},
        retry_policy=retry_policy,
    )(load)
    return asset


def external_view(view: FeatureView, spec: dg.AssetSpec, settings: Settings) -> dg.AssetSpec:
    """The view of another package as an external asset: the other package's code location computes the view."""
    return spec.replace_attributes(partitions_def=partitions_of(view, settings.now), code_version=None)


def on_demand_asset(view: OnDemandFeatureView, spec: dg.AssetSpec, names: Names) -> dg.AssetSpec:
    """An on-demand view as an external asset, since nothing is stored: lineage leads through it."""
    inputs = {part.view.name for part in view.inputs}
    deps_by_column = {
        name: [
            dg.TableColumnDep(asset_key=names.key("feature_view", each[0].view.name), column_name=each[1])
            for column in sorted(formula.inputs)
            if isinstance(each := view.columns[column], tuple)
        ]
        for name, formula in view.formulas.items()
    }
    return spec.replace_attributes(
        deps=[names.key("feature_view", name) for name in sorted(inputs)],
        metadata={**spec.metadata, "dagster/column_lineage": dg.TableColumnLineage(deps_by_column=deps_by_column)},
    )


def feature_view_asset(
    view: FeatureView,
    code: Catalogue,
    settings: Settings,
    spec: dg.AssetSpec,
    names: Names,
    retry_policy: dg.RetryPolicy | None = None,
) -> dg.AssetsDefinition:
    """The asset of a view: stages the rows, runs a check per column and one for the key, then publishes the rows."""
    key = spec.key

    @dg.multi_asset(
        name=names.step("feature_view", view.name),
        outs={"rows": dg.AssetOut.from_spec(spec, io_manager_key=names.io_manager, dagster_type=dg.Any)},
        deps=[*(dependency(view, source, names) for source in view.sources), *_loaders(view, code, names)],
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, blocking=True, description=text)
            for name, text in check_names(view).items()
        ],
        partitions_def=partitions_of(view, settings.now),
        retry_policy=retry_policy,
        required_resource_keys={names.store},
        config_schema=STRETCH if view.partitions else None,
    )
    def asset(context: dg.AssetExecutionContext) -> Iterator[Any]:
        stores = stores_of(context.resources, names)
        clock = stores.settings.clock()
        computation = Computation(view, store=stores.offline, registry=stores.registry, run_id=context.run.run_id)
        try:
            with computation.failing():
                partition_times = asked_for(context, view)
                start, end = _stretch_of(context, stores, view, partition_times, clock)
                interval = interval_of(view, start, end, clock)
                staged = computation.stage(interval, stores.applied)
                yield from (check_result(result, key, words_of(view)) for result in staged.checked.results)
                computation.require_passed()
                rows = rows_by_period(staged, stores.offline)
        except FeatureStoreError as error:  # on an error Dagster does not call handle_output
            raise failure(error, **{"registry record": computation.recording.url}) from error
        if partition_times and interval is not None:
            by_partition = {name: rows[each.start] for name, each in periods_of(view, interval, stores.settings.now)}
            for partition in context.partition_keys:
                context.add_asset_metadata({"dagster/row_count": by_partition.get(partition, 0)}, key, partition)
        yield dg.Output(Staged(run=computation, rows={} if partition_times else rows), output_name="rows")

    return asset


def _stretch_of(
    context: dg.AssetExecutionContext,
    stores: Stores,
    view: FeatureView,
    partition_times: tuple[datetime, datetime] | None,
    clock: datetime,
) -> tuple[datetime, datetime]:
    """The interval to compute: the run's partitions or its config; without both, everything that is not current."""
    config = context.op_execution_context.op_config or {}
    if partition_times or any(config.values()):
        return stretch(config, *(partition_times or (view.start or clock, clock)))
    return missing(view, publications_for(view, stores.offline), clock, stores.offline.dataset)


def training_set_asset(
    training_set: TrainingSet, spec: dg.AssetSpec, names: Names, retry_policy: dg.RetryPolicy | None = None
) -> dg.AssetsDefinition:
    """The asset of a training set: the point-in-time join of spine and features. A materialization is a version."""
    read = {source.name: source for source in (*training_set.sources, *training_set.service.views.values())}

    def build(context: dg.AssetExecutionContext) -> Any:
        stores = stores_of(context.resources, names)
        run = TrainingSetBuild(training_set, store=stores.offline, registry=stores.registry, run_id=context.run.run_id)
        with said_in_dagster():
            run.stage(stores.applied)
        return Staged(run=run)

    asset: dg.AssetsDefinition = dg.asset(
        **asset_arguments(spec),
        deps={
            *(names.key("feature_view" if isinstance(s, FeatureView) else "raw", s.name) for s in read.values()),
            *(names.key("on_demand", part.name) for part in training_set.service.on_demand),
        },
        io_manager_key=names.io_manager,
        dagster_type=dg.Any,
        retry_policy=retry_policy,
        required_resource_keys={names.store},
    )(build)
    return asset


def _loaders(view: FeatureView, code: Catalogue, names: Names) -> list[dg.AssetDep]:
    """The assets that fill the external table of a view: the view's `asset`, and the sources of that table."""
    if not view.table:
        return []
    keys = {names.key("raw", source.name) for source in code.sources.values() if source.table == view.table}
    return [dg.AssetDep(key) for key in sorted(keys | ({dg.AssetKey(view.asset)} if view.asset else set()))]
