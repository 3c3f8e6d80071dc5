"""What queries scan, counted beside them: the store says it, who asked for the work adds it up."""

from __future__ import annotations

from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self

_running: ContextVar[tuple[Meter, ...]] = ContextVar("running", default=())


class Meter:
    """Adds up the bytes that are scanned inside `with meter:`, which may be entered several times."""

    def __init__(self) -> None:
        self.bytes: int | None = None
        """None until an engine said something; DuckDB says nothing."""
        self._token: Token[tuple[Meter, ...]] | None = None

    def __enter__(self) -> Self:
        self._token = _running.set((*_running.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._token is not None, "left after it was entered"
        _running.reset(self._token)


def scanned(amount: int | None) -> None:
    """Tell all meters around that a query scanned so many bytes; None: it does not say."""
    for meter in _running.get() if amount is not None else ():
        meter.bytes = (meter.bytes or 0) + (amount or 0)
