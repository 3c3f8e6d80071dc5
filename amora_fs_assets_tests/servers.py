"""Real Redis servers, each a process of its own on a unix socket or loopback, stopped by its id."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from amora_fs_assets.stores.embedded.server import _server_program
from amora_fs_assets_tests.emulators.process import free_ports


@dataclass
class RedisServer:
    """A server with nothing persistent: `kill` loses all."""

    program: str
    folder: Path
    port: int
    options: tuple[str, ...] = ()
    tls: bool = False  # on its port, instead of plain connections
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, *(("--port", "0", "--tls-port") if self.tls else ("--port",)), str(self.port),
                 "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(self.folder), *self.options],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        raise AssertionError((self.folder / "redis.log").read_text())

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def debian_redis() -> str | None:
    """Path of Debian's redis-server, where it is installed."""
    return shutil.which("redis-server")


def bundled_valkey() -> str:
    """Path of the Valkey that the package brings."""
    return _server_program()


@contextmanager
def redis_server(program: str, folder: Path, *options: str, tls: bool = False) -> Iterator[RedisServer]:
    """A running server on a free loopback port."""
    (port,) = free_ports(1)
    server = RedisServer(program, folder, port, options, tls)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@dataclass
class RedisCluster:
    """Primaries with equal shares of the slots, the first three of `servers`; then a replica of the first, if any."""

    servers: list[RedisServer]
    options: dict[str, str]  # of clients

    @property
    def url(self) -> str:
        """Of the first two nodes, without a password."""
        scheme = "rediss" if self.servers[0].tls else "redis"
        return f"{scheme}+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:2])

    def client(self, number: int) -> Any:  # redis-py types half of it
        """A client of one node."""
        return redis.Redis.from_url(self.servers[number].url, **self.options)

    def flush(self) -> None:
        for number in range(PRIMARIES):
            self.client(number).flushall()

    def names(self) -> list[set[bytes]]:
        """What each primary holds."""
        return [set(self.client(number).scan_iter(count=1_000)) for number in range(PRIMARIES)]


PRIMARIES = 3


@contextmanager
def redis_cluster(
    program: str, folder: Path, *options: str, replica: bool = False, password: str = "", ca: Path | None = None
) -> Iterator[RedisCluster]:
    """A running cluster of three nodes on free loopback ports, and a replica of the first; with TLS where `ca` is."""
    ports = [port for port in free_ports(20) if port < 55_000][: PRIMARIES + replica]  # their buses' are 10,000 above
    servers = []
    for port in ports:
        own = folder / str(port)
        own.mkdir()
        usual = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-announce-ip", "127.0.0.1",
                 "--repl-diskless-sync-delay", "0")  # fmt: skip
        servers.append(RedisServer(program, own, port, (*usual, *options), tls=ca is not None))
    secrets = {"password": password} if password else {}
    cluster = RedisCluster(servers, secrets | ({"ssl_ca_certs": str(ca)} if ca else {}))
    try:
        for server in servers:
            server.start()
        _join(cluster, replica=replica)
        yield cluster
    finally:
        for server in servers:
            server.kill()


def _join(cluster: RedisCluster, *, replica: bool) -> None:
    clients = [cluster.client(number) for number in range(len(cluster.servers))]
    bounds = [place * 16_384 // PRIMARIES for place in range(PRIMARIES + 1)]
    for client, begin, end in zip(clients, bounds, bounds[1:], strict=False):
        client.execute_command("CLUSTER ADDSLOTSRANGE", begin, end - 1)
    for number, client in enumerate(clients):
        client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
    for server in cluster.servers[1:]:
        clients[0].execute_command("CLUSTER MEET", "127.0.0.1", server.port)
    eventually(lambda: all(client.cluster("info")["cluster_known_nodes"] == str(len(clients)) for client in clients))
    if replica:
        first = clients[0].execute_command("CLUSTER MYID")
        clients[-1].execute_command("CLUSTER REPLICATE", first)
        eventually(lambda: clients[-1].info("replication").get("master_link_status") == "up")
    eventually(lambda: all(client.cluster("info")["cluster_state"] == "ok" for client in clients))


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)
