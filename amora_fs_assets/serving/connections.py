"""Connections that hang up on who keeps them waiting."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PatientConnection(HttpToolsProtocol):
    """Uvicorn's, closed where a request's head does not come, or an answer is not taken, within `seconds`.

    Uvicorn waits for both for ever, one open file each. It looks twice a connection, not at every request: one that
    is still at the same request, and still waits for its client, is given up, after `seconds` and twice that at most.
    A body that does not come is the application's to answer.
    """

    def __init__(self, *arguments: Any, seconds: float, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._seconds = seconds
        self._seen: object = None
        self._looking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As Uvicorn, and look after it."""
        super().connection_made(transport)
        self._looking = self.loop.call_later(self._seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """As Uvicorn."""
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        request: Any = self.scope  # none at first; a new one for each; it has a path once its head is complete
        waits = request is None or "path" not in request or self.transport.get_write_buffer_size() > 0
        if waits and request is self._seen:
            self.transport.abort()
        else:
            self._seen = request
            self._looking = self.loop.call_later(self._seconds, self._look)
