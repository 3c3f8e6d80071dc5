"""The operations that are run beside each other, each by a process of its own."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from amora_fs_assets import FeatureStore
from amora_fs_assets.domain.ports.online import NEVER, OnlineRequest
from amora_fs_assets.operations import runs
from amora_fs_assets.operations.online import sharded
from amora_fs_assets.operations.registry.apply import apply_anew
from amora_fs_assets_tests.protocol.definitions import CLOCK, DAY_TWO, KEYS, START, VIEW
from amora_fs_assets_tests.protocol.scheduler import step
from amora_fs_assets_tests.protocol.world import World

Call = Callable[[World, FeatureStore], Any]
_numbers = itertools.count(1)


def row(shop: int, moment: datetime, *, wide: bool = False) -> dict[str, Any]:
    """A row to push; each has another value."""
    total = 100_000.0 + next(_numbers)
    made = {"shop": shop, "event_timestamp": moment, "created_timestamp": None, "total": total}
    return made | ({"double": 2 * total} if wide else {})


def warm(store: FeatureStore) -> None:
    """The process has read the catalogue, and has served the view."""
    store.get_online_features([f"{VIEW}:total"], {"shop": [KEYS[0]]})


def compute(world: World, store: FeatureStore) -> Any:
    return store.compute(START, CLOCK, [VIEW])


def compute_a_day(world: World, store: FeatureStore) -> Any:
    return store.compute(DAY_TWO, DAY_TWO + timedelta(days=1), [VIEW])


def correct_and_compute(world: World, store: FeatureStore) -> Any:
    world.put_source(world.version + 1)
    return store.compute(START, CLOCK, [VIEW])


def pushes(shop: int, moment: datetime, *, to_offline: bool = True) -> Call:
    def push(world: World, store: FeatureStore) -> Any:
        wide = len(store.served_view(VIEW).features) > 1
        pushed = row(shop, moment, wide=wide)
        if not to_offline:
            world.events.online_only.append(pushed)
        store.push(VIEW, [pushed], to_offline=to_offline)
        return pushed

    return push


def load(world: World, store: FeatureStore) -> Any:
    return store.materialize_incremental(feature_views=[VIEW])


def load_all(world: World, store: FeatureStore) -> Any:
    return store.materialize_incremental(feature_views=[VIEW], full=True)


def load_a_window(world: World, store: FeatureStore) -> Any:
    return store.materialize(DAY_TWO, CLOCK, [VIEW])


def load_in_shards(world: World, store: FeatureStore) -> Any:
    view = store.registry.catalogue().feature_view(VIEW)
    parts: dict[str, Any] = {"store": store.offline, "online": store.online}

    def loading() -> Any:
        begun = sharded.begin(view, clock=CLOCK, shards=2, run_id=uuid.uuid4().hex, now=datetime.now(UTC), full=True,
                              expire=False, **parts)  # fmt: skip
        written = [] if begun.load is None else [
            sharded.write(view, begun, shard, expire=False, **parts) for shard in range(2)
        ]  # fmt: skip
        return sharded.finish(view, begun, written, expire=False, **parts)

    return runs.recorded_load(view, loading, registry=store.registry, run_id=f"sharded-{uuid.uuid4()}", clock=CLOCK,
                              began=datetime.now(UTC), **parts)  # fmt: skip


def rollback(world: World, store: FeatureStore) -> Any:
    return store.rollback(VIEW)


def unpin(world: World, store: FeatureStore) -> Any:
    return store.unpin(VIEW)


def apply(world: World, store: FeatureStore, *, prune: bool = False) -> Any:
    """As FeatureStore.apply, but for Feast's file."""
    snapshot = apply_anew(
        lambda: store._planned(prune=prune), store.registry, clock=lambda: datetime.now(UTC), allow_breaking=True
    )
    store._served.refresh()
    catalogue = store._served.catalogue
    store._sync_applied()
    world.note_head(catalogue)
    return snapshot


def prune(world: World, store: FeatureStore) -> Any:
    return apply(world, store, prune=True)


def apply_and_compute(world: World, store: FeatureStore) -> Any:
    apply(world, store)
    return store.compute(START, CLOCK, [VIEW])


def prune_and_add(world: World, store: FeatureStore) -> Any:
    """A new life of the view, of which nothing is computed."""
    apply(world, world.process("without"), prune=True)
    return apply(world, store)


def prune_add_and_fill(world: World, store: FeatureStore) -> Any:
    prune_and_add(world, store)
    store.compute(START, CLOCK, [VIEW])
    return store.materialize_incremental(feature_views=[VIEW])


def correct_and_load(world: World, store: FeatureStore) -> Any:
    correct_and_compute(world, store)
    return store.materialize_incremental(feature_views=[VIEW])


def apply_compute_and_load(world: World, store: FeatureStore) -> Any:
    apply_and_compute(world, store)
    return store.materialize_incremental(feature_views=[VIEW])


def empty_redis(world: World, store: FeatureStore) -> Any:
    """Redis loses everything, between two commands of the others."""
    step("redis FLUSHALL")
    world.redis.flushall()
    world.events.went_live.clear()


def restore_and_correct(world: World, store: FeatureStore) -> Any:
    """The offline store is restored from a backup, and another publication gets a sequence that Redis knows."""
    step("offline restore")
    world.restore_backup()
    return correct_and_compute(world, store)


def restore_and_load(world: World, store: FeatureStore) -> Any:
    """The offline store is restored from a backup that has the publication which was loaded last."""
    step("offline restore")
    world.restore_backup(world.latest)
    return store.materialize_incremental(feature_views=[VIEW])


def drop_and_correct(world: World, store: FeatureStore) -> Any:
    """The table is dropped by hand, and computed again: it does not say which keys are gone."""
    step("offline drop")
    world.drop_table()
    return correct_and_compute(world, store)


def read(world: World, store: FeatureStore) -> Any:
    """What is served of each key: (event_timestamp, values) or None."""
    return served(store)


def served(store: FeatureStore) -> dict[int, tuple[int, dict[str, Any]] | None]:
    view = store.served_view(VIEW)
    (rows,) = store.online.read([OnlineRequest(view, [list(KEYS)], len(KEYS))])
    return {
        key: None if time == NEVER else (time, {name: rows.columns[name][place] for name in rows.columns})
        for place, (key, time) in enumerate(zip(KEYS, rows.event_timestamps, strict=True))
    }


def train(world: World, store: FeatureStore) -> Any:
    """The point-in-time join at the clock: total of each key."""
    spine = [{"shop": key, "event_timestamp": CLOCK} for key in KEYS]
    rows = store.get_historical_features([f"{VIEW}:total"], _frame(spine)).to_arrow().to_pylist()
    return {each["shop"]: each["total"] for each in rows}


def _frame(rows: list[dict[str, Any]]) -> Any:
    import pandas as pd

    return pd.DataFrame(rows)


LATE, EARLY = CLOCK - timedelta(hours=12), START + timedelta(days=1, hours=6)
KNOWN = datetime(2020, 1, 3, 6, tzinfo=UTC)  # the source has a row of that time, known three hours later
OPERATIONS: dict[str, tuple[str, Call]] = {
    # name: the code of its process, what it does
    "compute": ("plain", compute),
    "compute a day": ("plain", compute_a_day),
    "correct": ("plain", correct_and_compute),
    "correct and load": ("plain", correct_and_load),
    "push": ("plain", pushes(1, LATE)),
    "push over a row": ("plain", pushes(2, EARLY)),
    "push a new key": ("plain", pushes(4, EARLY)),
    "push at a known time": ("plain", pushes(2, KNOWN)),
    "push online": ("plain", pushes(2, LATE, to_offline=False)),
    "load": ("plain", load),
    "load all": ("plain", load_all),
    "load a window": ("plain", load_a_window),
    "load in shards": ("plain", load_in_shards),
    "rollback": ("plain", rollback),
    "unpin": ("plain", unpin),
    "apply a feature": ("wide", apply),
    "apply a feature and compute": ("wide", apply_and_compute),
    "apply another transform": ("shifted", apply),
    "apply another transform and compute": ("shifted", apply_and_compute),
    "apply a feature, compute and load": ("wide", apply_compute_and_load),
    "prune": ("without", prune),
    "prune and add": ("plain", prune_and_add),
    "prune, add and fill": ("plain", prune_add_and_fill),
    "empty Redis": ("plain", empty_redis),
    "restore and correct": ("plain", restore_and_correct),
    "restore and load": ("plain", restore_and_load),
    "drop the table and correct": ("plain", drop_and_correct),
    "read": ("plain", read),
    "train": ("plain", train),
}
