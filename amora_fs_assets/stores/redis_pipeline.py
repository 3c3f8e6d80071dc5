"""One connection of an event loop, shared by all that read at the same time.

Commands go out as they come and answers are handed back in order, so that a hundred requests under way cost few writes
and reads of the socket. Connecting, authentication, TLS and parsing are redis-py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import redis
from redis.asyncio import ConnectionPool


class SharedConnection:
    """Belongs to the event loop on which it was opened."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._outgoing: list[bytes] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._reader = asyncio.create_task(self._read())

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
        return not self._reader.done()

    async def mget(self, keys: Sequence[bytes | str]) -> list[bytes | None]:
        """The values of the keys. Raises redis.RedisError."""
        return await self.asked(keys)

    def asked(self, keys: Sequence[bytes | str]) -> asyncio.Future[list[bytes | None]]:
        """The values of the keys, once they are there. Raises redis.ConnectionError where nothing was asked."""
        if not self.alive:
            raise redis.ConnectionError("the connection was lost")
        answer: asyncio.Future[list[bytes | None]] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        if not self._outgoing:  # what others ask for in this turn of the loop goes out with it
            asyncio.get_running_loop().call_soon(self._send)
        self._outgoing.extend(self._connection.pack_command("MGET", *keys))
        return answer

    async def close(self) -> None:
        """Disconnect; who still waits gets a ConnectionError."""
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        await self._connection.disconnect(nowait=True)

    def _send(self) -> None:
        """Write what was asked for, in the order of the answers awaited."""
        commands, self._outgoing = self._outgoing, []
        sending = asyncio.create_task(self._connection.send_packed_command(commands, check_health=False))
        self._sending.add(sending)
        sending.add_done_callback(self._sent)

    def _sent(self, sending: asyncio.Task[None]) -> None:
        self._sending.discard(sending)
        if not sending.cancelled() and sending.exception() is not None:
            self._reader.cancel()

    async def _read(self) -> None:
        lost: BaseException = redis.ConnectionError("the connection was closed")
        try:
            while True:
                try:
                    answer = await self._connection.read_response(timeout=math.inf)
                except redis.ResponseError as refused:
                    self._next().set_exception(refused)
                else:
                    self._next().set_result(answer)
        except redis.RedisError as error:
            lost = error
        finally:
            for each in self._waiting:
                if not each.done():
                    each.set_exception(lost)
            self._waiting.clear()

    def _next(self) -> asyncio.Future[Any]:
        answer = self._waiting.popleft()
        if answer.cancelled():  # nobody waits for it any more
            return asyncio.get_running_loop().create_future()
        return answer
