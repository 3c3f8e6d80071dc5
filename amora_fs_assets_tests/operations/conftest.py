"""What the tests of operations share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
import redis
from ibis.expr.types import Table

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.operations.offline.load_source import load as load_source
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.stores.embedded.server import EmbeddedServer
from amora_fs_assets.stores.redis.online_store import RedisOnlineStore
from amora_fs_assets_tests import small
from amora_fs_assets_tests.operations.spending import Opened

Compared = list[str]
_COMPARED: Compared = []

pytest.register_assert_rewrite("amora_fs_assets_tests.operations.cases")


class CountingStore(DuckDBOfflineStore):
    """The embedded store, which remembers the queries that it read."""

    queries: list[str]

    @contextmanager
    def read(self, query: Table, frames: Mapping[str, pa.Table] | None = None) -> Iterator[pa.RecordBatchReader]:
        self.queries.append(self.sql(query))
        with super().read(query, frames) as batches:
            yield batches


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    store = CountingStore(tmp_path / "home")
    store.queries = []
    return store


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


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Feature stores of one home, as processes with their own code have them."""
    stores: list[FeatureStore] = []

    def open_(code: Catalogue | None = None, *, now: str | None = small.CLOCK, breaking: bool = True) -> FeatureStore:
        store = FeatureStore(Settings(home=tmp_path, now=now))  # type: ignore[arg-type]
        if code is not None:
            store.code = code
            store.apply(allow_breaking=breaking)
            for source in code.sources.values():
                load_source(source, run_id=f"load-{len(stores)}", store=store.offline, registry=store.registry)
        stores.append(store)
        return store

    yield open_
    for store in stores:
        store.close()


@pytest.fixture
def compared() -> Compared:
    """What the oracle was compared with, for the end of pytest's report."""
    return _COMPARED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _COMPARED:
        terminalreporter.section("point-in-time joins against brute force")
        for line in _COMPARED:
            terminalreporter.write_line(line)
