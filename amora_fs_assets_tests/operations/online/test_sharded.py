"""A load in shards comes to what one load comes to."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from amora_fs_assets import FeatureView
from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import Load, OnlineStore, ShardResult
from amora_fs_assets.operations.online import sharded
from amora_fs_assets.operations.online.materialize import Materialized
from amora_fs_assets.operations.online.sharded import ShardedLoad
from amora_fs_assets_tests.operations.online.test_materialize import END, VIEW, load, publish, served
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.stores.offline_store_contract import FEBRUARY

KEYS = range(50)


def begin(offline: OfflineStore, online: OnlineStore, shards: int = 3, **more: Any) -> ShardedLoad:
    return sharded.begin(
        VIEW, store=offline, online=online, clock=END, shards=shards, run_id="r", now=datetime.now(UTC), **more
    )


def write(offline: OfflineStore, online: OnlineStore, begun: ShardedLoad, shard: int) -> ShardResult:
    return sharded.write(VIEW, begun, shard, store=offline, online=online, expire=False)


def finish(offline: OfflineStore, online: OnlineStore, begun: ShardedLoad, written: list[ShardResult]) -> Materialized:
    return sharded.finish(VIEW, begun, written, store=offline, online=online, expire=False)


def whole(offline: OfflineStore, online: OnlineStore, shards: int = 3, **more: Any) -> Materialized:
    """A load in shards from begin to end."""
    begun = begin(offline, online, shards, **more)
    written = [write(offline, online, begun, shard) for shard in range(shards if begun.load else 0)]
    return finish(offline, online, begun, written)


@pytest.fixture
def published(offline: OfflineStore) -> OfflineStore:
    publish(offline, *((key, at(1 + key % 20), float(key)) for key in KEYS))
    return offline


@pytest.mark.parametrize("shards", [1, 2, 8])
def test_shards_bring_what_one_load_brings(published: OfflineStore, online: OnlineStore, shards: int) -> None:
    assert whole(published, online, shards) == Materialized(rows=len(KEYS), new_generation=True, published_through=1)
    sharded_rows, state = served(online, *KEYS), online.state(VIEW.name)
    assert load(published, online, full=True).rows == len(KEYS)
    assert served(online, *KEYS) == sharded_rows
    assert state.live is not None
    assert state.live.newest_event == at(20)
    assert state.filling == ()


def test_changes_and_tombstones_go_out_in_shards_too(published: OfflineStore, online: OnlineStore) -> None:
    load(published, online)
    publish(published, *((key, at(1), -1.0) for key in range(10)))  # of January, where all others are gone now
    assert whole(published, online) == Materialized(rows=len(KEYS), new_generation=False, published_through=2)
    assert served(online, *KEYS) == [(at(1), -1.0) if key < 10 else None for key in KEYS]
    assert whole(published, online) == Materialized(rows=0, new_generation=False, published_through=2)


def test_readers_see_nothing_of_a_new_generation_before_all_shards_are_written(
    published: OfflineStore, online: OnlineStore
) -> None:
    begun = begin(published, online)
    written = [write(published, online, begun, shard) for shard in range(3)]
    assert served(online, *KEYS) == [None] * len(KEYS)
    finish(published, online, begun, written)
    assert None not in served(online, *KEYS)


def test_a_shard_killed_in_its_middle_and_written_again_comes_to_the_same(
    published: OfflineStore, online: OnlineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin(published, online)
    whole_write = online.write

    def dying(view: FeatureView, load: Load, batches: Iterable[pa.RecordBatch], **more: Any) -> ShardResult:
        def some() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                yield batch.slice(0, batch.num_rows // 2)
                os.kill(os.getpid(), signal.SIGKILL)

        return whole_write(view, load, some(), **more)

    for shard in range(3):
        child = os.fork()
        if child == 0:
            monkeypatch.setattr(online, "write", dying)
            write(published, online, begun, shard)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    written = [write(published, online, begun, shard) for shard in (2, 0, 1, 1)]
    assert finish(published, online, begun, written[:3]).rows == len(KEYS)
    assert served(online, *KEYS) == [(at(1 + key % 20), float(key)) for key in KEYS]


def test_a_load_beside_it_leaves_the_shards_alone_and_one_after_its_time_removes_them(
    published: OfflineStore, online: OnlineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin(published, online)
    write(published, online, begun, 0)
    load(published, online, full=True)
    assert len(online.state(VIEW.name).filling) == 1
    assert finish(published, online, begun, [write(published, online, begun, shard) for shard in range(3)]).rows

    monkeypatch.setattr(sharded, "LASTING", timedelta(0))
    begun = begin(published, online, full=True)
    load(published, online, full=True)
    assert online.state(VIEW.name).filling == ()
    with pytest.raises(OnlineStoreError, match="counted as dead.*again"):
        write(published, online, begun, 0)


def test_a_publication_meanwhile_is_the_next_loads(published: OfflineStore, online: OnlineStore) -> None:
    begun = begin(published, online)
    publish(published, (1, at(2, month=2), 99.0), interval=FEBRUARY)
    finish(published, online, begun, [write(published, online, begun, shard) for shard in range(3)])
    assert served(online, 1) == [(at(2), 1.0)]
    assert whole(published, online).rows == 1
    assert served(online, 1) == [(at(2, month=2), 99.0)]
