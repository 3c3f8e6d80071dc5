"""The online store on a cluster: the contract, and what only a cluster does to it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from amora_fs_assets.domain.errors import OnlineStoreError, OnlineStoreUnavailable, SettingsError
from amora_fs_assets.domain.ports.online import NEVER
from amora_fs_assets.stores.redis import cleaning as redis_cleaning
from amora_fs_assets.stores.redis.keys import SLOTS, TAGS, namer, slot_of
from amora_fs_assets.stores.redis.online_store import RedisOnlineStore
from amora_fs_assets_tests.conftest import missing
from amora_fs_assets_tests.servers import (
    PRIMARIES,
    RedisCluster,
    bundled_valkey,
    debian_redis,
    eventually,
    redis_cluster,
    redis_server,
)
from amora_fs_assets_tests.stores.online_rows import AMOUNT, batch, hour, load_amount, request, view_of
from amora_fs_assets_tests.stores.online_store_contract import OnlineStoreContract

VIEW = view_of(AMOUNT)
MANY = range(2_000)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """A cluster that tests leave as it is, but for its rows."""
    with redis_cluster(bundled_valkey(), tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def cluster(shared: RedisCluster) -> RedisCluster:
    shared.flush()
    return shared


@pytest.fixture
def store(cluster: RedisCluster) -> Iterator[RedisOnlineStore]:
    store = RedisOnlineStore(project="tests", url=cluster.url)
    yield store
    store.close()


class TestOnACluster(OnlineStoreContract):
    """With the fixture `store` above."""


load = partial(load_amount, MANY)


def served(store: RedisOnlineStore) -> set[float | None]:
    return set(store.read([request(VIEW, MANY)])[0].columns["amount"])


def test_tags_are_spread_evenly_over_the_slots() -> None:
    slots = [slot_of(b"f1{" + bytes([TAGS + tag]) + b"}") for tag in range(TAGS)]
    assert sorted(slot * TAGS // SLOTS for slot in slots) == list(range(TAGS))


@pytest.mark.parametrize("name", [b"abc", b"f1{x}key", b"a{}b", b"a{b", b"{a}{b}", b"a}{b}c", bytes(range(256))])
def test_slots_are_those_of_redis(cluster: RedisCluster, name: bytes) -> None:
    assert slot_of(name) == cluster.client(0).execute_command("CLUSTER KEYSLOT", name)


def test_rows_of_one_entity_are_together_whatever_the_view() -> None:
    assert {slot_of(namer(prefix)([b"key"])[0]) for prefix in ("f1{", "f2{")} == {slot_of(namer("f3{")([b"key"])[0])}


def test_rows_lie_on_all_nodes_in_equal_shares(cluster: RedisCluster, store: RedisOnlineStore) -> None:
    load(store, 1.0)
    counts = [sum(name.startswith(b"%") for name in names) for names in cluster.names()]
    assert sum(counts) == len(MANY)
    assert max(counts) < 1.2 * min(counts)


def test_old_generations_are_removed_from_every_node(
    cluster: RedisCluster, store: RedisOnlineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_cleaning, "RETIRED_FOR", redis_cleaning.RETIRED_FOR * 0)
    for number in range(4):
        load(store, float(number), published_through=number)
    assert [each.number for each in store.state(VIEW.name).generations] == [3, 4]
    assert sum(name.startswith(b"%") for names in cluster.names() for name in names) == 2 * len(MANY)


def test_what_a_killed_load_left_is_removed_and_what_a_living_one_writes_is_not(
    cluster: RedisCluster, store: RedisOnlineStore
) -> None:
    def fill(number: int) -> None:
        """Begin a load that writes rows and does not end."""

        def batches() -> Iterator[pa.RecordBatch]:
            yield batch(VIEW, *((key, hour(1), float(number)) for key in MANY))
            (folder / "written").touch()
            time.sleep(60)

        RedisOnlineStore(project="tests", url=cluster.url).load(
            VIEW,
            batches(),
            published_through=1,
            clock=hour(1),
            new_generation=True,
        )

    folder = cluster.servers[0].folder
    (folder / "written").unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        fill(1)
        os._exit(0)
    eventually(lambda: (folder / "written").exists())
    load(store, 2.0)
    assert len(store.state(VIEW.name).filling) == 1
    os.kill(child, 9)
    os.waitpid(child, 0)
    load(store, 3.0, published_through=2)
    assert store.state(VIEW.name).filling == ()
    assert served(store) == {3.0}
    assert sum(name.startswith(b"%") for names in cluster.names() for name in names) == 2 * len(MANY)


def test_threads_and_forked_children_read_over_connections_of_their_own(store: RedisOnlineStore) -> None:
    load(store, 1.0)
    assert served(store) == {1.0}
    wrong: list[object] = []

    def read() -> None:
        wrong.extend(found for _ in range(20) if (found := served(store)) != {1.0})

    threads = [threading.Thread(target=read) for _ in range(4)]
    for each in threads:
        each.start()
    child = os.fork()
    if child == 0:
        os._exit(0 if all(served(store) == {1.0} for _ in range(20)) else 1)
    for each in threads:
        each.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert wrong == []


def test_a_slot_that_moves_is_read_and_written_while_it_does_and_afterwards(
    cluster: RedisCluster, store: RedisOnlineStore
) -> None:
    """Half of its keys are here and half are there: no MGET of them, and no script over them, is answered."""
    load(store, 1.0)
    assert served(store) == {1.0}
    name = next(name for name in cluster.names()[0] if name.startswith(b"%"))
    slot = slot_of(name)
    source, target = cluster.client(0), cluster.client(1)
    here, there = (client.execute_command("CLUSTER MYID").decode() for client in (source, target))

    def move(every: int) -> None:
        names = [name for name in source.scan_iter(count=1_000) if slot_of(name) == slot][::every]
        source.execute_command("MIGRATE", "127.0.0.1", cluster.servers[1].port, "", 0, 5_000, "KEYS", *names)

    target.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", here)
    source.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", there)
    move(2)
    assert served(store) == {1.0}
    load(store, 2.0, published_through=2, new_generation=False)
    assert served(store) == {2.0}
    assert asyncio.run(store.read_async([request(VIEW, MANY)]))[0].columns["amount"] == [2.0] * len(MANY)
    move(1)
    for client in (target, source, cluster.client(2)):
        client.execute_command("CLUSTER SETSLOT", slot, "NODE", there)
    assert served(store) == {2.0}  # MOVED
    assert asyncio.run(store.read_async([request(VIEW, MANY)]))[0].columns["amount"] == [2.0] * len(MANY)
    load(store, 3.0, published_through=3, new_generation=False)
    assert served(store) == {3.0}


@pytest.mark.parametrize(
    "program",
    [pytest.param(bundled_valkey(), id="valkey"), pytest.param(debian_redis(), id="debian", marks=pytest.mark.slow)],
)
def test_a_primary_that_dies_is_followed_by_its_replica(
    tmp_path: Path, program: str | None, pytestconfig: pytest.Config
) -> None:
    if program is None:
        missing(pytestconfig, "There is no redis-server: apt-get install redis-server.")
    with redis_cluster(program, tmp_path, replica=True) as cluster:
        store = RedisOnlineStore(project="tests", url=cluster.url)
        load(store, 1.0)
        assert served(store) == {1.0}
        eventually(lambda: cluster.client(PRIMARIES).dbsize() == cluster.client(0).dbsize())
        cluster.servers[0].kill()
        with pytest.raises(OnlineStoreUnavailable):
            served(store)

        def back() -> bool:
            try:
                return served(store) == {1.0}
            except OnlineStoreError:
                return False

        eventually(back)
        load(store, 2.0, published_through=2, new_generation=False)
        load(store, 3.0, published_through=3)
        assert served(store) == {3.0}
        # Of the URL's nodes one is dead.
        assert served(RedisOnlineStore(project="tests", url=cluster.url)) == {3.0}


def test_a_node_that_starts_again_is_found_again(tmp_path: Path) -> None:
    """Emptied, since it keeps nothing on disk: rows that it had are not found, those of others are."""
    with redis_cluster(bundled_valkey(), tmp_path) as cluster:
        store = RedisOnlineStore(project="tests", url=cluster.url)
        load(store, 1.0)
        held = [name for name in cluster.names()[2] if name.startswith(b"tests:")]
        number = 0 if held else 2  # not the one that holds the view's state
        cluster.servers[number].kill()
        with pytest.raises(OnlineStoreUnavailable):
            served(store)
        cluster.servers[number].start()
        eventually(lambda: cluster.client(number).cluster("info")["cluster_state"] == "ok")
        assert served(store) == {1.0, None}
        (found,) = asyncio.run(store.read_async([request(VIEW, MANY)]))
        assert NEVER in found.event_timestamps
        load(store, 2.0, published_through=2)
        assert served(store) == {2.0}


def test_a_server_that_is_no_cluster_is_said(tmp_path: Path) -> None:
    with redis_server(bundled_valkey(), tmp_path) as server:
        store = RedisOnlineStore(project="tests", url=server.url.replace("redis://", "redis+cluster://:hush@"))
        with pytest.raises(OnlineStoreUnavailable, match=r"redis\+cluster://127\.0\.0\.1.*AMORA_FS_ONLINE") as caught:
            served(store)
        assert "hush" not in str(caught.value)
        with pytest.raises(OnlineStoreUnavailable, match="is not a cluster.*redis://"):
            served(RedisOnlineStore(project="tests", url=server.url.replace("redis://", "redis+cluster://")))


def test_a_cluster_that_is_down_is_named() -> None:
    store = RedisOnlineStore(project="tests", url="redis+cluster://127.0.0.1:1,127.0.0.1:2")
    with pytest.raises(OnlineStoreUnavailable, match=r"cluster://127\.0\.0\.1:1,127\.0\.0\.1:2 cannot be reached"):
        served(store)
    with pytest.raises(OnlineStoreUnavailable):
        asyncio.run(store.read_async([request(VIEW, [1])]))


def test_a_url_without_nodes_is_refused() -> None:
    with pytest.raises(SettingsError, match="redis\\+cluster://host:port,host:port"):
        RedisOnlineStore(project="tests", url="redis+cluster://")
