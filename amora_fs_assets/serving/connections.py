"""Connections with timeouts for slow clients."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PatientConnection(HttpToolsProtocol):
    """Uvicorn's connection, closed if the client does not send a request's head or receive an answer in time.

    Uvicorn itself would wait for ever, with one open file per connection. A timer checks the connection every `seconds`
    [s] rather than at every request: if it still waits for the client at the same request as at the check before, it is
    closed. So a connection is closed after one to two times `seconds`. The application handles a body that does not
    arrive.
    """

    def __init__(self, *arguments: Any, seconds: float, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._seconds = seconds
        self._seen: object = None
        self._looking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As in Uvicorn, and start the timer."""
        super().connection_made(transport)
        self._looking = self.loop.call_later(self._seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """As in Uvicorn, and stop the timer."""
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        request: Any = self.scope  # None before the first request; has a path once the request's head is complete
        waits = request is None or "path" not in request or self.transport.get_write_buffer_size() > 0
        if waits and request is self._seen:
            self.transport.abort()
        else:
            self._seen = request
            self._looking = self.loop.call_later(self._seconds, self._look)
