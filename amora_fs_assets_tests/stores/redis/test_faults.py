"""Faults of Redis and of loaders: nothing that is served is ever wrong, and the next load completes."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
import redis

from amora_fs_assets.domain.errors import OnlineStoreError, OnlineStoreUnavailable
from amora_fs_assets.domain.ports.online import NEVER
from amora_fs_assets.stores.redis import cleaning as redis_cleaning
from amora_fs_assets.stores.redis import connection, online_store
from amora_fs_assets.stores.redis.online_store import RedisOnlineStore
from amora_fs_assets_tests.servers import RedisServer, bundled_valkey, eventually, redis_server
from amora_fs_assets_tests.stores.at_once import killed_at
from amora_fs_assets_tests.stores.online_rows import AMOUNT, batch, hour, load_amount, request, view_of

VIEW = view_of(AMOUNT)
LOADER = [
    "domain/generations.py",
    *(f"stores/redis/{name}.py" for name in ("generations", "cleaning", "state", "writing")),
]
HOUR = 3_600.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(bundled_valkey(), tmp_path) as running:
        yield running


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisOnlineStore]:
    store = RedisOnlineStore(project="tests", url=server.url)
    yield store
    store.close()


load = partial(load_amount, range(4))


def served(store: RedisOnlineStore) -> list[float | None]:
    return list(store.read([request(VIEW, range(4))])[0].columns["amount"])


def keys_of(server: RedisServer) -> set[bytes]:
    return {key for key in redis.Redis.from_url(server.url).scan_iter() if key.startswith(b"%")}


def work_of(server: RedisServer, amount: float, published_through: int, *, new_generation: bool) -> None:
    load(
        RedisOnlineStore(project="tests", url=server.url),
        amount,
        published_through=published_through,
        new_generation=new_generation,
    )


@pytest.mark.parametrize("every", [67, pytest.param(7, marks=pytest.mark.slow)])
@pytest.mark.parametrize("new_generation", [True, False])
def test_a_loader_killed_at_any_line_leaves_the_old_rows_or_the_new_and_the_next_load_completes(
    server: RedisServer, store: RedisOnlineStore, monkeypatch: pytest.MonkeyPatch, new_generation: bool, every: int
) -> None:
    """Killed by SIGKILL before every seventh line of the loader, one process each; in the quick suite before fewer."""
    monkeypatch.setattr(redis_cleaning, "RETIRED_FOR", redis_cleaning.RETIRED_FOR * 0)
    load(store, 0.0)
    published_through, line, kills, killed = 2, 1, 0, True
    while killed:
        before = served(store)

        def work(amount: float = float(published_through), published_through: int = published_through) -> None:
            work_of(server, amount, published_through, new_generation=new_generation)

        killed = killed_at(line, work, LOADER)
        kills += killed
        after = served(RedisOnlineStore(project="tests", url=server.url))
        assert after in (before, [float(published_through)] * 4)
        line += every
        published_through += 1
        load(store, float(published_through), published_through=published_through, new_generation=new_generation)
        assert served(store) == [float(published_through)] * 4
        published_through += 1
    assert kills > 500 / every, f"{kills} kills: the loader's lines are in other files than {LOADER}"
    state = store.state(VIEW.name)
    assert state.filling == ()
    prefixes = {each.location.encode() for each in state.generations}
    assert {key[: key.index(b":") + 1] for key in keys_of(server)} <= prefixes  # nothing is left of killed loads


def test_redis_that_is_down_at_the_start_is_named_and_found_once_it_is_up(server: RedisServer) -> None:
    server.kill()
    store = RedisOnlineStore(project="tests", url=server.url)
    for attempt in (lambda: served(store), lambda: load(store, 1.0), lambda: store.state(VIEW.name)):
        with pytest.raises(OnlineStoreUnavailable, match="127.0.0.1"):
            attempt()
    server.start()
    load(store, 1.0)
    assert served(store) == [1.0] * 4


def test_redis_that_is_killed_in_the_middle_of_a_load_fails_it_and_the_next_completes(
    server: RedisServer, store: RedisOnlineStore
) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield batch(VIEW, *((key, hour(1), 1.0) for key in range(2_000)))
        server.kill()
        yield batch(VIEW, *((key, hour(1), 1.0) for key in range(2_000, 4_000)))

    with pytest.raises(OnlineStoreUnavailable):
        store.load(VIEW, batches(), published_through=1, clock=hour(1), new_generation=True)
    server.start()
    assert store.read([request(VIEW, [1])])[0].event_timestamps == [NEVER]
    load(store, 2.0)
    assert served(store) == [2.0] * 4


def test_a_slow_redis_is_given_up_after_the_timeout(
    server: RedisServer, store: RedisOnlineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not after the timeout of commands, which is longer than this test may take."""
    monkeypatch.setattr(connection, "TIMEOUT", HOUR)
    load(store, 1.0)
    with stopped(server), pytest.raises(OnlineStoreUnavailable, match=r"127\.0\.0\.1"):
        store.read([request(VIEW, [1])], timeout=0.3)
    assert served(store) == [1.0] * 4


@contextmanager
def stopped(server: RedisServer) -> Iterator[None]:
    """The server neither answers nor ends."""
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_timeout_is_of_the_whole_read_and_the_next_read_gets_its_own_answer(
    server: RedisServer, store: RedisOnlineStore, monkeypatch: pytest.MonkeyPatch, asynchronous: bool
) -> None:
    """The first command takes an hour but for a moment. A second hour would be longer than this test may take."""
    load(store, 1.0)
    loop, late, note = asyncio.new_event_loop(), [0.0], store._note
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + late[0])
    for module in (online_store, connection):
        monkeypatch.setattr(module, "time", clock)

    def read(key: int, timeout: float | None) -> list[int]:
        asked = [request(VIEW, [key])]
        if asynchronous:
            (rows,) = loop.run_until_complete(store.read_async(asked, timeout=timeout))
        else:
            (rows,) = store.read(asked, timeout=timeout)
        return list(rows.event_timestamps)

    (there,), (absent,) = read(1, None), read(99, None)
    assert (there != NEVER, absent) == (True, NEVER)
    for _ in range(3):
        store._pointers.clear()  # so that there are two commands
        with ExitStack() as stack, monkeypatch.context() as patched:

            def slow(name: str, data: bytes | None, stack: ExitStack = stack) -> None:
                note(name, data)
                late[0] += HOUR - 0.1
                stack.enter_context(stopped(server))

            patched.setattr(store, "_note", slow)
            with pytest.raises(OnlineStoreUnavailable):
                read(99, HOUR)
        assert read(1, None) == [there], "not what the one before had asked for"
    loop.run_until_complete(store.close_async())
    loop.close()


def test_a_full_redis_refuses_the_load_and_goes_on_serving(tmp_path: Path) -> None:
    with redis_server(bundled_valkey(), tmp_path, "--maxmemory", "8mb") as server:
        store = RedisOnlineStore(project="tests", url=server.url)
        load(store, 1.0)
        many = (batch(VIEW, *((key, hour(2), 2.0) for key in range(n, n + 10_000))) for n in range(0, 10**6, 10_000))
        with pytest.raises(OnlineStoreError, match="maxmemory"):
            store.load(VIEW, many, published_through=2, clock=hour(2), new_generation=True)
        assert served(store) == [1.0] * 4
        assert store.state(VIEW.name).filling == ()
        load(store, 3.0, published_through=3)
        assert served(store) == [3.0] * 4


def test_a_replica_serves_and_refuses_loads(server: RedisServer, store: RedisOnlineStore) -> None:
    load(store, 1.0)
    redis.Redis.from_url(server.url).replicaof("127.0.0.1", "1")
    with pytest.raises(OnlineStoreError, match="(?i)replica"):
        load(store, 2.0, published_through=2)
    assert served(store) == [1.0] * 4


def test_a_wrong_password_is_said(tmp_path: Path) -> None:
    with redis_server(bundled_valkey(), tmp_path, "--requirepass", "right") as server:
        wrong = RedisOnlineStore(project="tests", url=server.url.replace("//", "//:wrong@"))
        with pytest.raises(OnlineStoreUnavailable, match="password in AMORA_FS_ONLINE_STORE_URL") as caught:
            served(wrong)
        assert "wrong@" not in str(caught.value)
        right = RedisOnlineStore(project="tests", url=server.url.replace("//", "//:right@"))
        load(right, 1.0)
        assert served(right) == [1.0] * 4


def test_a_redis_that_was_emptied_says_that_nothing_was_loaded(server: RedisServer, store: RedisOnlineStore) -> None:
    load(store, 1.0)
    redis.Redis.from_url(server.url).flushall()
    assert store.generation(VIEW) is None
    eventually(lambda: store.read([request(VIEW, [1])])[0].event_timestamps == [NEVER])
    load(store, 2.0)
    assert served(store) == [2.0] * 4


def test_a_pointer_to_a_generation_that_is_gone_is_said(server: RedisServer, store: RedisOnlineStore) -> None:
    load(store, 1.0)
    redis.Redis.from_url(server.url).set("tests:spending", b'{"live":7,"generations":[]}')
    with pytest.raises(OnlineStoreError, match="spending.*generation 7, which is missing.*materialize"):
        served(RedisOnlineStore(project="tests", url=server.url))
    load(store, 2.0)
    assert served(store) == [2.0] * 4


def test_two_full_loads_at_once_both_end_well_and_one_of_them_is_served(
    server: RedisServer, store: RedisOnlineStore
) -> None:
    both = threading.Barrier(2)

    def one(amount: float) -> None:
        def batches() -> Iterator[pa.RecordBatch]:
            both.wait(10)
            for key in range(4):
                yield batch(VIEW, (key, hour(1), amount))

        RedisOnlineStore(project="tests", url=server.url).load(
            VIEW, batches(), published_through=1, clock=hour(1), new_generation=True, expire=False
        )

    threads = [threading.Thread(target=one, args=(amount,)) for amount in (1.0, 2.0)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert served(store) in ([1.0] * 4, [2.0] * 4)
    assert store.state(VIEW.name).filling == ()


def test_readers_never_see_a_mix_while_generations_follow_each_other(
    server: RedisServer, store: RedisOnlineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online_store, "POINTER_TRUSTED", 0.01)
    load(store, 0.0)
    seen: list[list[list[float | None]]] = [[], []]
    stop = threading.Event()

    def read(mine: list[list[float | None]]) -> None:
        reader = RedisOnlineStore(project="tests", url=server.url)
        while not stop.is_set():
            mine.append(served(reader))
        reader.close()

    readers = [threading.Thread(target=read, args=(mine,)) for mine in seen]
    for each in readers:
        each.start()
    try:
        for number in range(1, 12):
            load(store, float(number), published_through=number)
            if number % 4 == 0:  # and some generations are over before anybody has seen them
                eventually(lambda number=number: all(mine and mine[-1][0] == number for mine in seen))  # type: ignore[misc]
    finally:
        stop.set()
        for each in readers:
            each.join()
    rows = [row for mine in seen for row in mine]
    assert all(len(set(row)) == 1 and None not in row for row in rows)
    assert {row[0] for row in rows} >= {4.0, 8.0}


def test_a_generation_that_readers_left_a_moment_ago_is_kept(server: RedisServer, store: RedisOnlineStore) -> None:
    for number in range(4):
        load(store, float(number), published_through=number)
    assert len(store.state(VIEW.name).generations) == 4


def test_old_generations_are_removed_but_for_the_one_before(
    server: RedisServer, store: RedisOnlineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_cleaning, "RETIRED_FOR", redis_cleaning.RETIRED_FOR * 0)
    for number in range(4):
        load(store, float(number), published_through=number)
    assert [each.number for each in store.state(VIEW.name).generations] == [3, 4]
    assert len(keys_of(server)) == 8


def test_a_forked_child_reads_over_a_connection_of_its_own(store: RedisOnlineStore) -> None:
    load(store, 1.0)
    assert served(store) == [1.0] * 4
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            good = all(served(store) == [1.0] * 4 for _ in range(200))
            os._exit(0 if good else 1)
        children.append(child)
    assert all(served(store) == [1.0] * 4 for _ in range(200))
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4


def test_threads_read_at_once(store: RedisOnlineStore) -> None:
    load(store, 1.0)
    wrong: list[object] = []

    def read() -> None:
        for _ in range(200):
            if (found := served(store)) != [1.0] * 4:
                wrong.append(found)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []


def test_a_closed_store_connects_again_when_asked(store: RedisOnlineStore) -> None:
    load(store, 1.0)
    store.close()
    assert served(store) == [1.0] * 4
