"""A load in shards, which several processes may write: begin once, write each shard at least once, finish once.

The engine computes the rows once, into a staged table with the shard of each row. So a repeated write of a shard sends
the same rows, and all shards contain the same publications.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import ibis
from ibis.expr.types import Table

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import Load, OnlineStore, ShardResult
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.tables import unbound
from amora_fs_assets.operations.online.materialize import Materialized, rows_until, streamed, wanted
from amora_fs_assets.operations.online.sample_check import check_sample

LASTING = timedelta(hours=1)
"""The longest time without a write before the load counts as dead."""
_SHARD = Column("_shard", DataType.INT64)


@dataclass(frozen=True, kw_only=True)
class ShardedLoad:
    """The state that the shards of a load share: plain data, passed between processes."""

    load: Load | None  # None: there is nothing to write
    staged: str
    published_through: int
    new_generation: bool
    began: datetime
    because: str = ""  # as in Materialized


def begin(
    view: FeatureView,
    *,
    store: OfflineStore,
    online: OnlineStore,
    clock: datetime,
    shards: int,
    run_id: str,
    now: datetime,
    full: bool = False,
    expire: bool = True,
) -> ShardedLoad:
    """Stage the rows that `materialize` would send, in `shards` shards of about equal size."""
    load_plan = wanted(view, store=store, online=online, clock=clock, full=full, expire=expire)
    nothing = ShardedLoad(
        load=None,
        staged="",
        published_through=load_plan.published_through,
        new_generation=load_plan.new_generation,
        began=now,
    )
    if load_plan.query is None:
        return nothing
    shard = (ibis.random() * shards).floor().cast("int64")
    query = load_plan.query.mutate(**{_SHARD.name: shard})
    staged = store.stage(query, name=view.name, run_id=f"online:{run_id}", clustered_by=_SHARD.name)
    load = online.begin(
        view,
        published_through=load_plan.published_through,
        clock=clock,
        new_generation=load_plan.new_generation,
        lasting=LASTING,
        expire=expire,
        origin=load_plan.origin,
    )
    if load is None:
        store.discard(staged)
        return nothing
    return ShardedLoad(
        load=load,
        staged=staged,
        published_through=load_plan.published_through,
        new_generation=load.new_generation,
        began=now,
        because=load_plan.because,
    )


def write(
    view: FeatureView, sharded: ShardedLoad, shard: int, *, store: OfflineStore, online: OnlineStore, expire: bool
) -> ShardResult:
    """Write one shard. Writing a shard again gives the same result."""
    assert sharded.load is not None, "there is something to write"
    batches = streamed(shard_of(view, sharded, shard), store)
    return online.write(view, sharded.load, batches, lasting=LASTING, expire=expire)


def shard_of(view: FeatureView, sharded: ShardedLoad, shard: int) -> Table:
    """The staged rows of a shard."""
    rows = unbound((*view.row_columns, _SHARD), sharded.staged)
    return rows.filter(rows[_SHARD.name] == shard).select([column.name for column in view.row_columns])


def finish(
    view: FeatureView,
    sharded: ShardedLoad,
    written: Sequence[ShardResult],
    *,
    store: OfflineStore,
    online: OnlineStore,
    expire: bool,
) -> Materialized:
    """End a load once all shards are written, as `materialize` does. Raises OnlineStoreError."""
    sent = 0
    if sharded.load is not None:
        rows = rows_until(view, sharded.load.clock, store)
        check = partial(
            check_sample, view, rows, store=store, published_through=sharded.published_through, expire=expire
        )
        sent = online.finish(view, sharded.load, written, check=check)
        store.discard(sharded.staged)
    return Materialized(
        rows=sent,
        new_generation=sharded.new_generation,
        published_through=sharded.published_through,
        because=sharded.because,
    )
