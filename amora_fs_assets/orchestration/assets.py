"""The factory: sources, feature views and training sets as Dagster assets.

Dagster reads the annotations of its contexts, so that they are no strings here.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg

from amora_fs_assets.domain.catalogue import Catalogue, code_version
from amora_fs_assets.domain.errors import FeatureStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.training_set import TrainingSet
from amora_fs_assets.operations.offline import load_source
from amora_fs_assets.operations.offline.computation import Computation
from amora_fs_assets.operations.offline.compute import interval_of
from amora_fs_assets.operations.offline.coverage import publications_for
from amora_fs_assets.operations.offline.gate import check_names
from amora_fs_assets.operations.offline.period_rows import rows_by_period
from amora_fs_assets.operations.training.build import TrainingSetBuild
from amora_fs_assets.orchestration.failures import failure, said_in_dagster
from amora_fs_assets.orchestration.io_manager import IO_MANAGER, Staged
from amora_fs_assets.orchestration.metadata import check_result, column_schema, owners_of, tags_of, words_of
from amora_fs_assets.orchestration.pages import (
    code_metadata,
    group_of,
    table_metadata,
    training_set_words,
    view_words,
)
from amora_fs_assets.orchestration.partitions import (
    STRETCH,
    asked_for,
    dependency,
    missing,
    partitions_of,
    periods_of,
    stretch,
)
from amora_fs_assets.orchestration.resources import STORES, stores_of
from amora_fs_assets.settings import Settings


def source_asset(
    source: Source,
    settings: Settings,
    retry_policy: dg.RetryPolicy | None = None,
    group: str = "",
    *,
    external: bool = False,
) -> dg.AssetsDefinition | dg.AssetSpec:
    """The asset `raw/<source>`: loaded by the project, or external if another system or package fills the table."""
    spec: dict[str, Any] = {
        "key": ["raw", source.name],
        "group_name": group_of(source, group, "raw"),
        "kinds": {settings.offline_store, "table" if source.loader is None else "python"},
        "description": source.description or None,
        "owners": owners_of(source.owner),
        "metadata": {
            "dagster/column_schema": column_schema(source.columns),
            **table_metadata(source.table, settings),
            **code_metadata(source),
        },
    }
    if external or source.loader is None:
        return dg.AssetSpec(**spec)

    def load(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        stores = stores_of(context)
        with said_in_dagster():
            publication = load_source.load(
                source, run_id=context.run.run_id, store=stores.offline, registry=stores.registry
            )
        context.log.info("raw/%s: %s rows loaded", source.name, f"{publication.rows:,}")
        return dg.MaterializeResult(
            metadata={"dagster/row_count": publication.rows, "publication": publication.sequence}
        )

    spec |= {"io_manager_key": IO_MANAGER, "required_resource_keys": {STORES}}
    asset: dg.AssetsDefinition = dg.asset(**spec, retry_policy=retry_policy)(load)
    return asset


def external_view(view: FeatureView, code: Catalogue, settings: Settings, group: str = "") -> dg.AssetSpec:
    """The view of another package as an external asset: the other package's code location computes the view."""
    table = table_name(view, settings.dataset)
    return dg.AssetSpec(
        ["feature_view", view.name],
        group_name=group_of(view, group, "feature_views"),
        description=view_words(view, code),
        owners=owners_of(view.owner),
        tags=tags_of(view.tags),
        kinds={settings.offline_store, "ibis"},
        partitions_def=partitions_of(view, settings.now),
        metadata={
            "dagster/column_schema": column_schema(view.row_columns),
            **table_metadata(table, settings),
            **code_metadata(view),
        },
    )


def feature_view_asset(
    view: FeatureView,
    code: Catalogue,
    settings: Settings,
    retry_policy: dg.RetryPolicy | None = None,
    group: str = "",
) -> dg.AssetsDefinition:
    """`feature_view/<view>`: computed and staged, gated by a check per column and one for the key, then published."""
    key = dg.AssetKey(["feature_view", view.name])
    table = table_name(view, settings.dataset)

    @dg.multi_asset(
        name=f"feature_view__{view.name}",
        outs={
            "rows": dg.AssetOut(
                key=key,
                io_manager_key=IO_MANAGER,
                dagster_type=dg.Any,
                group_name=group_of(view, group, "feature_views"),
                description=view_words(view, code),
                owners=owners_of(view.owner),
                tags=tags_of(view.tags),
                kinds={settings.offline_store, "ibis"},
                code_version=code_version(view),
                metadata={
                    "dagster/column_schema": column_schema(view.row_columns),
                    **table_metadata(table, settings),
                    **code_metadata(view),
                    "entities": ", ".join(entity.name for entity in view.entities) or "none: features of the whole",
                    "ttl": str(view.ttl) if view.ttl else "none: values stay good",
                    "lookback": str(view.lookback),
                },
            )
        },
        deps=[*(dependency(view, source) for source in view.sources), *_loaders(view, code)],
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, blocking=True, description=text)
            for name, text in check_names(view).items()
        ],
        partitions_def=partitions_of(view, settings.now),
        retry_policy=retry_policy,
        required_resource_keys={STORES},
        config_schema=STRETCH if view.partitions else None,
    )
    def asset(context: dg.AssetExecutionContext) -> Iterator[Any]:
        stores = stores_of(context)
        clock = stores.settings.clock()
        computation = Computation(view, store=stores.offline, registry=stores.registry, run_id=context.run.run_id)
        try:
            with computation.failing():
                asked = asked_for(context, view)
                start, end = _stretch_of(context, view, asked, clock)
                interval = interval_of(view, start, end, clock)
                staged = computation.stage(interval, stores.applied)
                yield from (check_result(result, key, words_of(view)) for result in staged.checked.results)
                computation.require_passed()
                rows = rows_by_period(staged, stores.offline)
        except FeatureStoreError as error:  # Dagster does not call handle_output then
            raise failure(error, **{"registry record": computation.recording.url}) from error
        if asked and interval is not None:
            by_partition = {name: rows[each.start] for name, each in periods_of(view, interval, stores.settings.now)}
            for partition in context.partition_keys:
                context.add_asset_metadata({"dagster/row_count": by_partition.get(partition, 0)}, key, partition)
        yield dg.Output(Staged(run=computation, rows={} if asked else rows), output_name="rows")

    return asset


def _stretch_of(
    context: dg.AssetExecutionContext, view: FeatureView, asked: tuple[datetime, datetime] | None, clock: datetime
) -> tuple[datetime, datetime]:
    """What the run is to compute: its partitions or its config; without both, everything that is missing."""
    stores, config = stores_of(context), context.op_execution_context.op_config or {}
    if asked or any(config.values()):
        return stretch(config, *(asked or (view.start or clock, clock)))
    return missing(view, publications_for(view, stores.offline), clock, stores.offline.dataset)


def training_set_asset(
    training_set: TrainingSet, settings: Settings, retry_policy: dg.RetryPolicy | None = None, group: str = ""
) -> dg.AssetsDefinition:
    """`training_set/<name>`: spine and features, joined point in time; each materialization is a version."""
    views = {p.view.name: p.view for p in training_set.service.projections}
    read = {source.name: source for source in (*training_set.sources, *views.values())}

    @dg.asset(
        key=["training_set", training_set.name],
        deps=[["feature_view" if isinstance(s, FeatureView) else "raw", s.name] for s in read.values()],
        io_manager_key=IO_MANAGER,
        dagster_type=dg.Any,
        group_name=group_of(training_set, group, "training_sets"),
        kinds={settings.offline_store, "table"},
        metadata=code_metadata(training_set),
        description=training_set_words(training_set),
        owners=owners_of(training_set.owner),
        tags=tags_of(training_set.tags),
        code_version=code_version(training_set) or None,
        retry_policy=retry_policy,
        required_resource_keys={STORES},
    )
    def build(context: dg.AssetExecutionContext) -> Any:
        stores = stores_of(context)
        run = TrainingSetBuild(training_set, store=stores.offline, registry=stores.registry, run_id=context.run.run_id)
        with said_in_dagster():
            run.stage(stores.applied)
        return Staged(run=run)

    return build


def _loaders(view: FeatureView, code: Catalogue) -> list[dg.AssetDep]:
    """The sources that fill the table which a view without a transform stands for."""
    return [
        dg.AssetDep(["raw", source.name])
        for source in code.sources.values()
        if view.table and source.table == view.table
    ]
