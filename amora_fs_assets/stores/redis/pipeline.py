"""One connection of an event loop, shared by all concurrent reads.

Commands are sent in order and answers are returned in order, so that a hundred concurrent requests need few reads and
writes of the socket. redis-py and hiredis do the connecting, authentication, TLS and parsing. redis-py's task and two
streams per command would take longer than the round trip and are not used.
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
    """A connection that belongs to the event loop on which it was opened."""

    def __init__(self, connection: Any) -> None:
        """Take over a redis-py connection after its handshake."""
        self._loop = asyncio.get_running_loop()
        self._connection = connection  # kept, since it closes its transport when it is garbage-collected
        self._transport: asyncio.Transport = connection._writer.transport  # noqa: SLF001  (not public in redis-py)
        self._reader = hiredis.Reader(protocolError=redis.InvalidResponse, replyError=DefaultParser.parse_error)
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._outgoing: list[bytes] = []
        self._closed = self._loop.create_future()
        self._transport.set_protocol(self)
        self._transport.resume_reading()

    @classmethod
    async def open(cls, url: str, *, connect_timeout: float, **options: Any) -> SharedConnection:
        """Connect. Raises redis-py's errors."""
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
        """A future of the values of the keys. Raises redis.ConnectionError if the connection was lost before."""
        if not self.alive:
            raise redis.ConnectionError("the connection was lost")
        answer: asyncio.Future[list[bytes | None]] = self._loop.create_future()
        self._waiting.append(answer)
        if not self._outgoing:  # all commands of this turn of the event loop are sent together
            self._loop.call_soon(self._send)
        command: tuple[Any, ...] = ("MGET", *keys)
        self._outgoing.append(hiredis.pack_command(command))
        return answer

    async def close(self) -> None:
        """Disconnect. Waiting requests get a ConnectionError."""
        self._transport.close()
        await self._closed

    def _send(self) -> None:
        """Send the commands, in the order of the awaited answers."""
        commands, self._outgoing = self._outgoing, []
        self._transport.write(b"".join(commands))

    def data_received(self, data: bytes) -> None:
        """Pass complete answers to their requests."""
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not False:
                if not isinstance(answer, hiredis.PushNotification):  # not the answer of a request
                    self._hand_out(answer)
        except redis.InvalidResponse as error:
            self._lose(error)

    def _hand_out(self, answer: Any) -> None:
        waiting = self._waiting.popleft()
        if waiting.done():  # the request was cancelled
            return
        if isinstance(answer, redis.RedisError):
            waiting.set_exception(answer)
        else:
            waiting.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        """Pass the error to all waiting requests."""
        self._lose(redis.ConnectionError(f"the connection was closed{f': {error}' if error else ''}"))

    def _lose(self, error: redis.RedisError) -> None:
        self._transport.abort()
        if self.alive:
            self._closed.set_result(None)
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(error)
