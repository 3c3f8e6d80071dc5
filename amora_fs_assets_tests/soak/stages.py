"""Where random histories are played: in this process under a fixed clock, or in another under a running one."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from amora_fs_assets_tests.soak.clock import RunningClock
from amora_fs_assets_tests.soak.executor import Executor, answered
from amora_fs_assets_tests.soak.worker import Worker
from amora_fs_assets_tests.soak.world import START


class Here:
    """The executor of this process, under a fixed clock that is set forward, with a Redis that all histories share."""

    offset, collects = timedelta(0), False

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        self._executor: Executor | None = None

    def begin(self, home: Path) -> Here:
        """In an empty home."""
        self._executor = Executor(home, START, online_store_url=self._url, project=home.name)
        return self

    def set(self, now: datetime) -> None:
        """Let it be `now`."""
        self._running.set_clock(now)

    def end(self) -> None:
        """The history is over."""
        if self._executor is not None:
            self._executor.close()

    def ask(self, command: str, *, kill_after: float | None = None, **arguments: Any) -> tuple[str, Any]:
        """What came of an operation."""
        assert kill_after is None, "this process is not killed"
        return answered(self._running, command, arguments)

    def restart(self) -> None:
        """Not here."""
        raise AssertionError("this process is not killed")

    @property
    def _running(self) -> Executor:
        assert self._executor is not None, "it has begun"
        return self._executor


class Elsewhere:
    """A worker under a running clock, with the embedded server of each history's home."""

    offset, collects = timedelta(seconds=15), True

    def __init__(self, folder: Path) -> None:
        self._clock = RunningClock(folder, START)
        self._worker = Worker(folder, "histories", self._clock.environment)

    def begin(self, home: Path) -> Worker:
        """In an empty home."""
        self._worker.ask("move", home=home)
        return self._worker

    def set(self, now: datetime) -> None:
        """Let it be `now`, and go on."""
        self._clock.set(now)

    def end(self) -> None:
        """The history is over; its server ends with it."""
        self._worker.ask("close")

    def close(self) -> None:
        """End the worker."""
        self._worker.stop()
