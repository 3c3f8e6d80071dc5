"""A server process over a small feature store."""

from __future__ import annotations

import asyncio
import json
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from amora_fs_assets import Entity, FeatureSchema, FeatureService, FeatureStore, FeatureView, Field, Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.serving.app import create_app
from amora_fs_assets_tests.emulators.process import free_ports
from amora_fs_assets_tests.servers import RedisServer, bundled_valkey, redis_server
from amora_fs_assets_tests.stores.online_rows import batch


class Spending(FeatureSchema):
    """What a customer spends."""

    customer: int
    amount: float = Field(ge=0, nullable=True)
    note: str = Field(nullable=True)


class Whole(FeatureSchema):
    total: int


class Unloaded(FeatureSchema):
    customer: int
    other: int


BUYER = Entity("buyer", ["customer"])


def view(name: str, schema: type[FeatureSchema], entities: Sequence[Entity] = (BUYER,), **more: Any) -> FeatureView:
    return FeatureView(name, schema, entities, transform=lambda: None, start="2020-01-01", **more)


VIEW = view("spending", Spending, ttl=timedelta(days=1))
WHOLE = view("whole", Whole, [])
UNLOADED = view("unloaded", Unloaded)
NOW = datetime.now(UTC).replace(microsecond=0)

ROWS = [
    (1, NOW, 1.5, "a"),
    (2, NOW, None, None),
    (3, NOW - timedelta(days=1, hours=12), 3.0, "older than its ttl, and not collected yet"),
    (4, NOW, math.nan, ""),
]


@dataclass
class Serving:
    """A running server: a client of it, and what is behind it."""

    client: httpx.Client
    process: subprocess.Popen[bytes]
    store: FeatureStore
    redis: RedisServer

    def features(self, json: Any, **more: Any) -> httpx.Response:
        return self.client.post("/get-online-features", json=json, **more)


def views() -> list[FeatureView]:
    return [VIEW, WHOLE, UNLOADED]


@contextmanager
def serving(home: Path, *options: str, **environment: str) -> Iterator[Serving]:
    """`amora-fs serve` in a process of its own, over a Redis of its own."""
    (port,) = free_ports(1)
    with redis_server(bundled_valkey(), home) as redis:
        store = FeatureStore(Settings(home=home, online_store_url=redis.url))
        service = FeatureService("spender", [VIEW["amount"], WHOLE], owner="shop@example.com")
        store.registry.apply(Catalogue.of([*views(), service]), parent=None, clock=NOW)
        store.online.load(VIEW, [batch(VIEW, *ROWS)], published_through=1, clock=NOW, new_generation=True)
        store.online.load(WHOLE, [batch(WHOLE, (NOW, 7))], published_through=1, clock=NOW, new_generation=True)
        command = [str(Path(sys.executable).with_name("amora-fs")), "serve", "--port", str(port), *options]
        behind = {"AMORA_FS_HOME": str(home), "AMORA_FS_ONLINE_STORE_URL": redis.url}
        with (home / "server.log").open("wb") as log:
            process = subprocess.Popen(command, env={**os.environ, **behind, **environment}, stdout=log, stderr=log)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
                wait_until_ready(client, process, home / "server.log")
                yield Serving(client, process, store, redis)
        finally:
            store.close()
            process.terminate()
            process.wait(timeout=30)


@contextmanager
def application(store: FeatureStore, token: str = "") -> Iterator[Callable[[str, Any], httpx.Response]]:
    """The application over a store in this process: (path, body) -> the answer."""
    app: Any = create_app(store)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with asyncio.Runner() as loop:

        async def answer(path: str, body: Any) -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://store", headers=headers) as client:
                return await client.post(path, content=body if isinstance(body, bytes) else json.dumps(body))

        yield lambda path, body: loop.run(answer(path, body))
        loop.run(store.close_async())


def wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if client.get("/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("home")) as running:
        yield running


def connected(server: Serving, clients: Sequence[socket.socket]) -> int:
    """How many of the clients the server has not given up."""
    ports = {each.getsockname()[1] for each in clients}
    held = psutil.Process(server.process.pid).net_connections()
    return sum(bool(each.raddr) and each.raddr.port in ports for each in held)
