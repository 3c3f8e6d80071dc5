"""`online/<view>`: loads the newest row of each entity into Redis after each publication.

One step loads a view. With the setting `online_shards`, several steps do: the first stages the rows, one step per shard
writes them, and the last makes them live. No `from __future__ import annotations` here, since Dagster reads the
annotations of contexts.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import dagster as dg

from amora_fs_assets.domain.applied import applied_definition
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import count_of_entities
from amora_fs_assets.domain.ports.online import ShardResult
from amora_fs_assets.domain.time import wall_clock
from amora_fs_assets.operations import runs
from amora_fs_assets.operations.online import sharded
from amora_fs_assets.operations.online.materialize import Materialized
from amora_fs_assets.operations.online.sharded import ShardedLoad
from amora_fs_assets.operations.records.recording import failure_recorded
from amora_fs_assets.orchestration.failures import said_in_dagster
from amora_fs_assets.orchestration.names import Names
from amora_fs_assets.orchestration.resources import Stores, several_machines, stores_of
from amora_fs_assets.orchestration.translator import asset_arguments
from amora_fs_assets.settings import Settings

_FULL = {"full": dg.Field(bool, default_value=False, description="Fill a new generation.")}
COUNTED = 10_000
"""The greatest number of online entities to count, since counting a large view reads all of Redis' keys."""
_TRIED_AGAIN = dg.RetryPolicy(max_retries=2, delay=2)


def online_asset(
    view: FeatureView,
    settings: Settings,
    spec: dg.AssetSpec,
    names: Names,
    retry_policy: dg.RetryPolicy | None = None,
) -> dg.AssetsDefinition:
    """The asset, with one step or with the settings' number of shards."""
    asset_of = _sharded if settings.online_shards > 1 else _with_one_step
    return asset_of(view, settings, spec, names, retry_policy)


def _with_one_step(
    view: FeatureView, settings: Settings, spec: dg.AssetSpec, names: Names, retry_policy: dg.RetryPolicy | None
) -> dg.AssetsDefinition:
    def load(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        stores = stores_of(context.resources, names)
        with _failing(view, stores, context.run.run_id) as served:
            loaded = runs.materialize(
                served,
                store=stores.offline,
                online=stores.online,
                registry=stores.registry,
                run_id=context.run.run_id,
                clock=stores.settings.clock(),
                full=bool(context.op_execution_context.op_config["full"]),
                expire=stores.settings.now is None,
            )
        context.log.info("%s: %s written", spec.key.to_user_string(), count_of_entities(loaded.rows))
        return dg.MaterializeResult(metadata=_metadata(served, loaded, stores))

    asset: dg.AssetsDefinition = dg.asset(
        **asset_arguments(spec),
        deps=[dg.AssetDep(names.key("feature_view", view.name))],
        freshness_policy=_freshness(view, settings),
        retry_policy=retry_policy,
        required_resource_keys={names.store},
        config_schema=_FULL,
    )(load)
    return asset


def _sharded(
    view: FeatureView, settings: Settings, spec: dg.AssetSpec, names: Names, retry_policy: dg.RetryPolicy | None
) -> dg.AssetsDefinition:
    # The names of steps must differ from the names of views' assets, which begin with `online__`.
    parts_needed: dict[str, Any] = {"required_resource_keys": {names.store}}
    kept = names.step_outputs if several_machines(settings) else None

    @dg.op(
        name=names.step("online", view.name, "begin"),
        ins={"published": dg.In(dg.Nothing)},
        out={"load": dg.Out(dg.Any, io_manager_key=kept), "shards": dg.DynamicOut(int, io_manager_key=kept)},
        config_schema=_FULL,
        retry_policy=retry_policy,
        **parts_needed,
    )
    def begin(context: dg.OpExecutionContext) -> Iterator[Any]:
        stores = stores_of(context.resources, names)
        with _failing(view, stores, context.run.run_id, recorded=True) as served:
            load = sharded.begin(
                served,
                store=stores.offline,
                online=stores.online,
                clock=stores.settings.clock(),
                shards=settings.online_shards,
                run_id=context.run.run_id,
                now=wall_clock(),
                full=bool(context.op_config["full"]),
                expire=stores.settings.now is None,
            )
        yield dg.Output(load, output_name="load")
        for shard in range(settings.online_shards if load.load else 0):
            yield dg.DynamicOutput(shard, output_name="shards", mapping_key=f"shard_{shard}")

    @dg.op(
        name=names.step("online", view.name, "shard"),
        out=dg.Out(dg.Any, io_manager_key=kept),
        retry_policy=retry_policy or _TRIED_AGAIN,
        **parts_needed,
    )
    def write(context: dg.OpExecutionContext, load: Any, shard: int) -> Any:
        assert isinstance(load, ShardedLoad), "the output of the first step"
        stores = stores_of(context.resources, names)
        with _failing(view, stores, context.run.run_id, recorded=True) as served:
            written = sharded.write(
                served, load, shard, store=stores.offline, online=stores.online, expire=stores.settings.now is None
            )
        context.log.info(
            "%s: %s written by shard %s", spec.key.to_user_string(), count_of_entities(written.rows), shard
        )
        return written

    @dg.op(
        name=names.step("online", view.name, "finish"),
        out=dg.Out(dg.Nothing),
        retry_policy=retry_policy,
        **parts_needed,
    )
    def finish(context: dg.OpExecutionContext, load: Any, written: list[Any]) -> Iterator[Any]:
        assert isinstance(load, ShardedLoad), "the output of the first step"
        assert all(isinstance(each, ShardResult) for each in written), "the outputs of the shards' steps"
        stores = stores_of(context.resources, names)
        with _failing(view, stores, context.run.run_id) as served:
            loaded = runs.recorded_load(
                served,
                lambda: sharded.finish(
                    served,
                    load,
                    written,
                    store=stores.offline,
                    online=stores.online,
                    expire=stores.settings.now is None,
                ),
                store=stores.offline,
                online=stores.online,
                registry=stores.registry,
                run_id=context.run.run_id,
                clock=load.load.clock if load.load else stores.settings.clock(),
                began=load.began,
            )
        yield dg.Output(None, metadata=_metadata(served, loaded, stores))

    def steps(published: Any) -> Any:
        load, shards = begin(published)
        return finish(load, shards.map(lambda shard: write(load, shard)).collect())

    asset: dg.AssetsDefinition = dg.graph_asset(
        **asset_arguments(spec),
        ins={"published": dg.AssetIn(names.key("feature_view", view.name), dagster_type=dg.Nothing)},
        config=dg.ConfigMapping(
            config_fn=lambda config: {names.step("online", view.name, "begin"): {"config": config}},
            config_schema=_FULL,
        ),
    )(steps)
    policy = _freshness(view, settings)
    if policy is None:
        return asset
    return asset.map_asset_specs(lambda spec: dg.apply_freshness_policy(spec, policy))


@contextmanager
def _failing(view: FeatureView, stores: Stores, run_id: str, *, recorded: bool = False) -> Iterator[FeatureView]:
    """Yield the applied view, which is loaded rather than the code's view; raise errors as Dagster failures.

    With `recorded`, a failure of the block is recorded here; otherwise the step records it.
    """
    with said_in_dagster():
        with failure_recorded("materialize", view.name, run_id=run_id, registry=stores.registry):
            served = applied_definition(view, stores.applied)
        if recorded:
            with failure_recorded("materialize", view.name, run_id=run_id, registry=stores.registry):
                yield served
        else:
            yield served


def _metadata(view: FeatureView, loaded: Materialized, stores: Stores) -> dict[str, Any]:
    """Metadata about the online rows now, and the rows that this load wrote."""
    now, clock = stores.online.generation(view), stores.settings.clock()
    online_count = stores.online.count(view, COUNTED)
    if online_count is None and loaded.new_generation:
        online_count = loaded.rows
    newest = now.newest_event if now is not None else None
    return {
        "dagster/column_lineage": dg.TableColumnLineage(
            {
                column.name: [dg.TableColumnDep(stores.names.key("feature_view", view.name), column.name)]
                for column in view.row_columns
            }
        ),
        **({"dagster/row_count": online_count} if online_count is not None else {}),
        "entities online": f"{online_count:,}" if online_count is not None else f"more than {COUNTED:,}",
        "rows written": loaded.rows,
        "generation": now.number if now is not None else 0,
        "new generation": loaded.new_generation,
        **({"because": loaded.because} if loaded.because else {}),
        "publication": loaded.published_through,
        "newest event": newest.isoformat() if newest is not None else "none: there are no rows",
        **({"lag [s]": (clock - newest).total_seconds()} if newest is not None else {}),
    }


def _freshness(view: FeatureView, settings: Settings) -> dg.FreshnessPolicy | None:
    """A load must happen at least once per ttl, since reads withhold older values."""
    if view.ttl is None or view.ttl < timedelta(minutes=1) or settings.now is not None:
        return None
    return dg.FreshnessPolicy.time_window(fail_window=view.ttl)
