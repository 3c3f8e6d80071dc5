"""A minimal ASGI application: requests, answers in one piece, and routes by exact path.

A web framework's routing, middleware and request objects would take longer than the answer for one entity.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import msgspec

from amora_fs_assets.serving.messages import ErrorResponse, Problem
from amora_fs_assets.serving.metrics import Metrics

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Reply:
    """An answer in one piece."""

    body: bytes
    status: int = 200
    media_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refused(Exception):
    """An error that is answered with this HTTP status."""

    def __init__(self, status: int, kind: str, message: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(message)
        self.status, self.kind, self.headers = status, kind, headers

    def reply(self) -> Reply:
        """The HTTP answer."""
        return Reply(
            msgspec.json.encode(ErrorResponse(Problem(self.kind, str(self)))), self.status, headers=self.headers
        )


class Request:
    """An HTTP request."""

    __slots__ = ("_receive", "_scope", "path")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self.path: str = scope["path"]

    def header(self, name: bytes) -> str:
        """The header's value; empty without the header."""
        return next((value.decode("latin-1") for each, value in self._scope["headers"] if each == name), "")

    def query(self, name: str, default: str) -> str:
        """The query parameter's last value. Raises UnicodeError."""
        text: bytes = self._scope["query_string"]
        return parse_qs(text.decode(), keep_blank_values=True).get(name, [default])[-1] if text else default

    async def body(self, *, limit: int, seconds: float) -> bytes:
        """The whole body. Raises Refused for more than `limit` bytes or more than `seconds` [s]."""
        try:
            declared = int(self.header(b"content-length") or 0)
        except ValueError:
            raise Refused(400, "MalformedRequest", "Content-Length is not a number.") from None
        if declared > limit:
            raise _too_large(limit)
        parts, size = [], 0
        try:
            async with asyncio.timeout(seconds):
                more = True
                while more:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "MalformedRequest", "The client went away.")
                    parts.append(part := message.get("body", b""))
                    size += len(part)
                    if size > limit:
                        raise _too_large(limit)
                    more = message.get("more_body", False)
        except TimeoutError:
            raise Refused(408, "SlowRequest", f"The body took more than {seconds:g} s.") from None
        return b"".join(parts)


def _too_large(limit: int) -> Refused:
    return Refused(413, "BodyTooLarge", f"The body is larger than {limit:,} bytes.")


Endpoint = Callable[[Request], Awaitable[Reply]]


@dataclass
class Application:
    """Answers requests by method and path, converts errors to answers, and counts all answers."""

    routes: Mapping[str, tuple[str, Endpoint]]
    """The method and endpoint by path. A GET route also answers HEAD."""
    explained: Callable[[Exception], Refused | None]
    """Gives the client's answer for an error; None for an unexpected error."""
    stopped: Callable[[], Awaitable[None]]
    """Called when the server stops."""
    metrics: Metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or the server's start and stop (`lifespan`)."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        began = time.perf_counter()
        path = scope["path"]
        reply = await self._reply(scope, receive)
        headers = [(b"content-type", reply.media_type), (b"content-length", b"%d" % len(reply.body)), *reply.headers]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})
        self.metrics.request(path if path in self.routes else "unknown", reply.status, time.perf_counter() - began)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        try:
            return await self._endpoint(scope)(Request(scope, receive))
        except Refused as refused:
            return refused.reply()
        except Exception as error:  # noqa: BLE001  (the client gets an answer, the log gets the error)
            refusal = self.explained(error)
            if refusal is None:
                _log.exception("%s %s failed", scope["method"], scope["path"])
                refusal = Refused(500, "InternalError", "An unexpected error occurred. See the server's log.")
            return refusal.reply()

    def _endpoint(self, scope: Scope) -> Endpoint:
        method, path = scope["method"], scope["path"]
        expected, endpoint = self.routes.get(path, ("", None))
        if endpoint is not None and (method == expected or (method == "HEAD" and expected == "GET")):
            return endpoint
        message = f"There is no route {method} {path}. See /docs."
        if endpoint is None:
            raise Refused(404, "UnknownRoute", message)
        raise Refused(405, "UnknownRoute", message, (b"allow", expected.encode()))

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            phase = (await receive())["type"]
            if phase == "lifespan.shutdown":
                await self.stopped()
            await send({"type": f"{phase}.complete"})
            if phase == "lifespan.shutdown":
                return
