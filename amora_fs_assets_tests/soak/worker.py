"""A process of its own that does what it is told to a feature store, so that it can be killed while it is at it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


class WorkerDiedError(Exception):
    """The process is gone: killed, or by a fault of its own, which its log tells."""


class Worker:
    """The driver's end of a worker."""

    def __init__(self, home: Path, name: str, environment: Mapping[str, str]) -> None:
        self.name, self._home, self._environment = name, home, environment
        self.log = home / f"{name}.log"
        self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs, self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-B", "-m", __name__, str(self._home), str(theirs.fileno())],
                env={**own_environment(), **self._environment}, pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._connection = Connection(ours.detach())

    def ask(self, command: str, *, kill_after: float | None = None, **arguments: Any) -> tuple[str, Any]:
        """("done", the answer) or ("refused", the error). Raises WorkerDiedError.

        After `kill_after` [s] of real time the process is killed, unless it has answered.
        """
        try:
            self._connection.send((command, arguments))
            if kill_after is not None and not self._connection.poll(kill_after):
                self.kill()
            answer: tuple[str, Any] = self._connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerDiedError(f"{self.name} died in {command}; see {self.log}") from error
        return answer

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """The same worker anew, with nothing in its memory."""
        self.stop()
        self._start()

    def stop(self) -> None:
        """Let it end by itself, and wait for that."""
        self._connection.close()
        deadline = time.monotonic() + 30
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        self.kill()


def own_environment() -> dict[str, str]:
    """This process' environment, without the settings of a feature store."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AMORA_FS_", "DAGSTER"))}


def main() -> None:
    """Serve operations until the driver hangs up."""
    from amora_fs_assets_tests.soak.executor import Executor, answered

    home, number = sys.argv[1:]
    connection = Connection(int(number))
    executor = Executor(Path(home))
    while True:
        try:
            command, arguments = connection.recv()
        except EOFError:
            executor.close()
            return
        connection.send(answered(executor, command, arguments))


if __name__ == "__main__":
    main()
