"""As much of ASGI as the server needs: a request's parts, an answer in one piece, and routes by their exact path.

A framework's routing, middleware and request objects cost more time than an answer of one entity does.
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
    """A request that is answered with an error of this status."""

    def __init__(self, status: int, kind: str, message: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(message)
        self.status, self.kind, self.headers = status, kind, headers

    def reply(self) -> Reply:
        """The answer."""
        return Reply(
            msgspec.json.encode(ErrorResponse(Problem(self.kind, str(self)))), self.status, headers=self.headers
        )


class Request:
    """What a client asks."""

    __slots__ = ("_receive", "_scope", "path")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self.path: str = scope["path"]

    def header(self, name: bytes) -> str:
        """The header's value; empty where there is none."""
        return next((value.decode("latin-1") for each, value in self._scope["headers"] if each == name), "")

    def query(self, name: str, default: str) -> str:
        """The query parameter's last value. Raises UnicodeError."""
        text: bytes = self._scope["query_string"]
        return parse_qs(text.decode(), keep_blank_values=True).get(name, [default])[-1] if text else default

    async def body(self, *, limit: int, seconds: float) -> bytes:
        """All of it. Raises Refused where it has more than `limit` bytes or takes more than `seconds` to come."""
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
    """Answers by method and path; what goes wrong is an answer too, and all are counted."""

    routes: Mapping[str, tuple[str, Endpoint]]
    """Of each path its method and who answers. Whoever may GET may ask for the HEAD too."""
    explained: Callable[[Exception], Refused | None]
    """An error as it is told to the client; None for one that nobody foresaw."""
    stopped: Callable[[], Awaitable[None]]
    """Called at the end."""
    metrics: Metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the whole life of the server (`lifespan`)."""
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
        except Exception as error:  # noqa: BLE001  (whatever it is: the client gets an answer, the log the rest)
            refusal = self.explained(error)
            if refusal is None:
                _log.exception("%s %s failed", scope["method"], scope["path"])
                refusal = Refused(500, "InternalError", "Something went wrong; the server's log says what.")
            return refusal.reply()

    def _endpoint(self, scope: Scope) -> Endpoint:
        method, path = scope["method"], scope["path"]
        expected, endpoint = self.routes.get(path, ("", None))
        if endpoint is not None and (method == expected or (method == "HEAD" and expected == "GET")):
            return endpoint
        said = f"{method} {path} is not served here. See /docs."
        if endpoint is None:
            raise Refused(404, "UnknownRoute", said)
        raise Refused(405, "UnknownRoute", said, (b"allow", expected.encode()))

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            phase = (await receive())["type"]
            if phase == "lifespan.shutdown":
                await self.stopped()
            await send({"type": f"{phase}.complete"})
            if phase == "lifespan.shutdown":
                return
