"""Operations in threads of their own, of which one runs at a time: each stops before a call of a shared part."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

_PATIENCE = 60.0
"""An operation that neither stops nor ends for so long hangs [s]."""
_local = threading.local()


class Killed(BaseException):
    """The operation's process is gone: nothing that it still tries has an effect."""


class Operation:
    """A call that is run step by step. A step is a call of a shared part."""

    def __init__(self, name: str, call: Callable[[], Any]) -> None:
        self.name = name
        self.steps: list[str] = []  # those that were begun
        self.result: Any = None
        self.error: BaseException | None = None
        self.ended = False
        self._call = call
        self._stop_at: int | None = None
        self._killed = False
        self._held = 0
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def run(self, until: int | None = None) -> bool:
        """Go on until before step `until` (from 1), or to the end; whether the operation stopped there."""
        self._stop_at = until
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._go.release()
        assert self._stopped.acquire(timeout=_PATIENCE), f"{self.name} hangs after {self.steps[-3:]}"
        return not self.ended

    def kill(self) -> None:
        """Let the process end here."""
        self._killed = True
        self.run()

    @property
    def acknowledged(self) -> bool:
        """Whether the operation succeeded, as far as its caller knows."""
        return self.ended and self.error is None

    def _run(self) -> None:
        _local.operation = self
        try:
            self.result = self._call()
        except BaseException as error:  # noqa: BLE001  (looked at by whoever runs it)
            self.error = error
        self.ended = True
        self._stopped.release()

    def step(self, what: str) -> None:
        if self._killed:
            raise Killed
        self.steps.append(what)
        if self._stop_at == len(self.steps) and not self._held:
            self._stopped.release()
            self._go.acquire()
            if self._killed:
                raise Killed

    def hold(self, by: int) -> None:
        """The operation holds a lock that others wait for, and cannot be stopped meanwhile."""
        self._held += by


def current() -> Operation | None:
    """The operation of this thread."""
    return getattr(_local, "operation", None)


def step(what: str) -> None:
    """Called before each call of a shared part."""
    operation = current()
    if operation is not None:
        operation.step(what)
