"""What the verbs' tests share: an online store per test, on one embedded server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from amora_fs_assets.stores.duckdb import DuckDBOfflineStore
from amora_fs_assets.stores.embedded_server import EmbeddedServer
from amora_fs_assets.stores.redis import RedisOnlineStore


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a server for the whole module."""
    server = EmbeddedServer(tmp_path_factory.mktemp("home"))
    yield server.acquire()
    server.release()


@pytest.fixture
def online(embedded: Path) -> Iterator[RedisOnlineStore]:
    """An empty online store."""
    redis.Redis(unix_socket_path=str(embedded)).flushall()
    store = RedisOnlineStore(project="tests", url=f"unix://{embedded}")
    yield store
    store.close()


@pytest.fixture
def offline(tmp_path: Path) -> DuckDBOfflineStore:
    """An empty offline store."""
    return DuckDBOfflineStore(tmp_path)
