"""Real Redis servers, each a process of its own on a unix socket or loopback, stopped by its id."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from amora_fs_assets.stores.embedded_server import _server_program
from amora_fs_assets_tests.emulators.process import free_ports


@dataclass
class RedisServer:
    """A server with nothing persistent: `kill` loses all."""

    program: str
    folder: Path
    port: int
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                 "--dir", str(self.folder), *self.options],
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
def redis_server(program: str, folder: Path, *options: str) -> Iterator[RedisServer]:
    """A running server on a free loopback port."""
    (port,) = free_ports(1)
    server = RedisServer(program, folder, port, options)
    server.start()
    try:
        yield server
    finally:
        server.kill()
