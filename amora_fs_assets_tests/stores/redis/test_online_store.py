"""The online store: the contract on each server, and what Redis does to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis

from amora_fs_assets import Settings
from amora_fs_assets.domain.errors import OnlineStoreUnavailable, SettingsError
from amora_fs_assets.domain.ports.online import NEVER
from amora_fs_assets.stores.embedded.server import EmbeddedServer
from amora_fs_assets.stores.open import open_online_store as connect
from amora_fs_assets.stores.redis import online_store
from amora_fs_assets.stores.redis.online_store import RedisOnlineStore
from amora_fs_assets_tests.conftest import missing
from amora_fs_assets_tests.servers import RedisServer, bundled_valkey, debian_redis, redis_server
from amora_fs_assets_tests.stores.online_rows import AMOUNT, batch, hour, request, view_of
from amora_fs_assets_tests.stores.online_store_contract import OnlineStoreContract


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path_factory.mktemp("home"))
    yield server
    server.release()


@pytest.fixture(scope="module")
def debian(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    program = debian_redis()
    if program is None:
        missing(request.config, "There is no redis-server: apt-get install redis-server.")
    with redis_server(program, tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(bundled_valkey(), tmp_path) as running:
        yield running


class TestOnEmbeddedValkey(OnlineStoreContract):
    @pytest.fixture
    def store(self, embedded: EmbeddedServer) -> Iterator[RedisOnlineStore]:
        socket = embedded.acquire()
        redis.Redis(unix_socket_path=str(socket)).flushall()
        store = RedisOnlineStore(project="tests", url=f"unix://{socket}")
        yield store
        store.close()


class TestOnDebiansRedis(OnlineStoreContract):
    @pytest.fixture
    def store(self, debian: RedisServer) -> Iterator[RedisOnlineStore]:
        redis.Redis.from_url(debian.url).flushall()
        store = RedisOnlineStore(project="tests", url=debian.url)
        yield store
        store.close()


def test_a_reader_looks_after_half_a_second_which_generation_is_live(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, view = [1_000.0], view_of(AMOUNT)
    monkeypatch.setattr(online_store, "time", SimpleNamespace(monotonic=lambda: now[0]))
    reader, writer = (RedisOnlineStore(project="tests", url=server.url) for _ in range(2))

    def read_after(seconds: float) -> list[float]:
        now[0] += seconds
        return list(reader.read([request(view, [1])])[0].columns["amount"])

    def load(amount: float) -> None:
        rows = [batch(view, (1, hour(1), amount))]
        writer.load(view, rows, published_through=1, clock=hour(1), new_generation=True)

    load(1.0)
    assert read_after(0) == [1.0]
    load(2.0)
    assert read_after(online_store.POINTER_TRUSTED - 0.01) == [1.0]
    assert read_after(0.02) == [2.0]


def kill(socket: Path) -> None:
    """End the embedded server as a fault would, with SIGKILL."""
    os.kill(int((socket.parent / "server.lock").read_text()), signal.SIGKILL)


def test_projects_share_a_server_and_nothing_else(server: RedisServer) -> None:
    view = view_of(AMOUNT)
    one, other = (RedisOnlineStore(project=name, url=server.url) for name in ("one", "other"))
    one.load(view, [batch(view, (1, hour(0), 1.0))], published_through=1, clock=hour(1), new_generation=True)
    assert other.generation(view) is None
    assert other.read([request(view, [1])])[0].event_timestamps == [NEVER]


def test_a_server_out_of_reach_is_named_without_its_password() -> None:
    store = RedisOnlineStore(project="tests", url="redis://:secret@127.0.0.1:1")
    with pytest.raises(OnlineStoreUnavailable, match=r"redis://127\.0\.0\.1:1 .*AMORA_FS_ONLINE_STORE_URL") as caught:
        store.read([request(view_of(), [1])])
    assert "secret" not in str(caught.value)


def test_a_server_that_comes_back_is_found_again(server: RedisServer) -> None:
    view = view_of(AMOUNT)
    store = RedisOnlineStore(project="tests", url=server.url)
    store.load(view, [batch(view, (1, hour(0), 1.0))], published_through=1, clock=hour(1), new_generation=True)
    server.kill()
    with pytest.raises(OnlineStoreUnavailable):
        store.read([request(view, [1])])
    server.start()
    assert store.generation(view) is None  # it kept nothing, and says so
    assert store.read([request(view, [1])])[0].event_timestamps == [NEVER]


def test_the_embedded_server_starts_again_with_its_data_when_it_was_killed(tmp_path: Path) -> None:
    view = view_of(AMOUNT)
    server = EmbeddedServer(tmp_path)
    store = connect(Settings(home=tmp_path))
    try:
        store.load(view, [batch(view, (1, hour(0), 1.0))], published_through=1, clock=hour(1), new_generation=True)
        kill(server.acquire())
        (found,) = store.read([request(view, [1])])
        assert found.columns == {"amount": [1.0]}
    finally:
        store.close()
        server.release()


def test_rows_are_collected_a_day_after_their_ttl_unless_the_clock_is_fixed(server: RedisServer) -> None:
    now = datetime.now(UTC)
    client = redis.Redis.from_url(server.url)
    store = RedisOnlineStore(project="tests", url=server.url)
    lasting = view_of(AMOUNT, ttl=timedelta(days=2))
    for expire, expected in ((True, True), (False, False)):
        client.flushall()
        store.load(
            lasting, [batch(lasting, (1, now, 1.0))], published_through=1, clock=now, new_generation=True, expire=expire
        )  # fmt: skip
        left = [client.pttl(key) for key in client.scan_iter() if client.type(key) == b"string"]
        expiries = [each for each in left if each > 0]
        assert bool(expiries) is expected
        assert all(2.9 * 86_400_000 < each < 3.1 * 86_400_000 for each in expiries)


def test_a_scheme_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="http://"):
        connect(Settings(online_store_url="http://localhost"))
