"""One connection of an event loop, shared by all that read at the same time.

Commands go out as they come and answers are handed back in order, so that a hundred requests under way cost few writes
and reads of the socket. Connecting, authentication, TLS and parsing are redis-py's and hiredis'; what is between, a
task and two streams a command in redis-py, costs more than the round trip and is left out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import hiredis
import redis
from redis.asyncio import ConnectionPool
from redis.connection import DefaultParser


class SharedConnection(asyncio.Protocol):
    """Belongs to the event loop on which it was opened."""

    def __init__(self, connection: Any) -> None:
        """Take over a connection of redis-py's that has said hello."""
        self._loop = asyncio.get_running_loop()
        self._connection = connection  # kept: it closes its transport once it is collected
        self._transport: asyncio.Transport = connection._writer.transport  # noqa: SLF001  (it hands it out nowhere)
        self._reader = hiredis.Reader(protocolError=redis.InvalidResponse, replyError=DefaultParser.parse_error)
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._outgoing: list[bytes] = []
        self._closed = self._loop.create_future()
        self._transport.set_protocol(self)
        self._transport.resume_reading()

    @classmethod
    async def open(cls, url: str, *, connect_timeout: float, **options: Any) -> SharedConnection:
        """Connect. Raises what redis-py raises."""
        pool: Any = ConnectionPool.from_url(url, socket_connect_timeout=connect_timeout, socket_timeout=None, **options)
        connection = pool.make_connection()
        async with asyncio.timeout(connect_timeout):
            await connection.connect()
        return cls(connection)

    @property
    def alive(self) -> bool:
        """Whether commands can still be sent."""
        return not self._closed.done()

    async def mget(self, keys: Sequence[bytes | str]) -> list[bytes | None]:
        """The values of the keys. Raises redis.RedisError."""
        return await self.asked(keys)

    def asked(self, keys: Sequence[bytes | str]) -> asyncio.Future[list[bytes | None]]:
        """The values of the keys, once they are there. Raises redis.ConnectionError where nothing was asked."""
        if not self.alive:
            raise redis.ConnectionError("the connection was lost")
        answer: asyncio.Future[list[bytes | None]] = self._loop.create_future()
        self._waiting.append(answer)
        if not self._outgoing:  # what others ask for in this turn of the loop goes out with it
            self._loop.call_soon(self._send)
        command: tuple[Any, ...] = ("MGET", *keys)
        self._outgoing.append(hiredis.pack_command(command))
        return answer

    async def close(self) -> None:
        """Disconnect; who still waits gets a ConnectionError."""
        self._transport.close()
        await self._closed

    def _send(self) -> None:
        """Write what was asked for, in the order of the answers awaited."""
        commands, self._outgoing = self._outgoing, []
        self._transport.write(b"".join(commands))

    def data_received(self, data: bytes) -> None:
        """Hand out the answers that are complete."""
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not False:
                if not isinstance(answer, hiredis.PushNotification):  # which answers nobody
                    self._hand_out(answer)
        except redis.InvalidResponse as error:
            self._lose(error)

    def _hand_out(self, answer: Any) -> None:
        waiting = self._waiting.popleft()
        if waiting.done():  # nobody waits for it any more
            return
        if isinstance(answer, redis.RedisError):
            waiting.set_exception(answer)
        else:
            waiting.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell all who wait."""
        self._lose(redis.ConnectionError(f"the connection was closed{f': {error}' if error else ''}"))

    def _lose(self, error: redis.RedisError) -> None:
        self._transport.abort()
        if self.alive:
            self._closed.set_result(None)
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(error)
