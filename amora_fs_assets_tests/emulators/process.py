"""An emulator's process: started on free loopback ports, waited for, stopped by its id."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_TRIES = 3
_NOTHING: Mapping[str, str] = {}


class EmulatorUnavailableError(Exception):
    """What the emulator needs is not installed on this machine."""


class EmulatorFailedError(Exception):
    """The emulator ended, or did not answer in time; the message ends with its log's last lines."""


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listened on a moment ago."""
    with contextlib.ExitStack() as sockets:
        held = [sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) for _ in range(count)]
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in held]


@contextlib.contextmanager
def running(
    command: Callable[[Sequence[int]], Sequence[str | Path]],
    *,
    ports: int,
    health_path: str,
    log: Path,
    environment: Mapping[str, str] = _NOTHING,
    deadline: float = 60.0,
) -> Iterator[list[int]]:
    """Run `command(ports)` until the block ends; gives the ports once `health_path` answers on the first.

    Another process can take a port between the search for a free port and its use: an emulator that ends at its start
    is tried again on other ports. Raises EmulatorFailedError.
    """
    for remaining in reversed(range(_TRIES)):
        chosen = free_ports(ports)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(word) for word in command(chosen)],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                start_new_session=True,
            )
        try:
            _wait(process, chosen, health_path, log, deadline)
        except EmulatorFailedError:
            ended_by_itself = process.poll() is not None
            _stop(process)
            if remaining and ended_by_itself:
                continue
            raise
        except BaseException:
            _stop(process)
            raise
        try:
            yield chosen
        finally:
            _stop(process)
        return


def _wait(process: subprocess.Popen[Any], ports: Sequence[int], path: str, log: Path, deadline: float) -> None:
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if process.poll() is not None:
            raise EmulatorFailedError(f"The emulator ended with {process.returncode}. Its log ends:\n{_tail(log)}")
        if _answers(f"http://127.0.0.1:{ports[0]}{path}") and all(_listens(port) for port in ports[1:]):
            return
        time.sleep(0.02)
    raise EmulatorFailedError(f"The emulator did not answer within {deadline:.0f} s. Its log ends:\n{_tail(log)}")


def _answers(url: str) -> bool:
    try:
        # No proxy stands between a test and its own machine.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def _stop(process: subprocess.Popen[Any]) -> None:
    """End the process and what it started: the group that it leads."""
    for how, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=patience)
            break
    # The leader is gone; a child that ignored the first signal is not left behind.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
