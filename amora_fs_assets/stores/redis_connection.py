"""Connections to Redis: made when first used, shared by threads, made anew after a fork and after a loss."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from amora_fs_assets.domain.errors import OnlineStoreError, OnlineStoreUnavailable
from amora_fs_assets.stores.embedded_server import EmbeddedServer

if TYPE_CHECKING:
    from redis.asyncio import Redis as AsyncRedis

CONNECT_TIMEOUT = 2.0  # seconds
TIMEOUT = 10.0  # seconds, of a command
_Result = TypeVar("_Result")


class Connection:
    """One pool of connections to the server of a URL, or to the embedded one."""

    def __init__(self, *, url: str = "", server: EmbeddedServer | None = None) -> None:
        self._url = url
        self._server = server
        self._client: redis.Redis | None = None
        self._async: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncRedis] = WeakKeyDictionary()
        self._process = os.getpid()
        self._connecting = threading.Lock()

    def run(self, command: Callable[[redis.Redis], _Result]) -> _Result:
        """What `command` gives; tried once more where the connection was lost, or the embedded server had ended.

        Raises OnlineStoreUnavailable, and OnlineStoreError for what Redis refuses.
        """
        with self._explained():
            client = self._connected()
            try:
                return command(client)
            except (redis.AuthenticationError, redis.TimeoutError):
                raise
            except redis.ConnectionError:
                self._drop(client)
            return command(self._connected())

    def mget(self, keys: Sequence[bytes | str], timeout: float | None = None) -> list[bytes | None]:
        """The values of the keys, in one round trip of at most `timeout` [s]."""
        wait = TIMEOUT if timeout is None else timeout

        def mget(client: redis.Redis) -> list[bytes | None]:
            pool = client.connection_pool
            connection: Any = pool.get_connection()
            try:
                connection.send_command("MGET", *keys)
                found: list[bytes | None] = connection.read_response(timeout=wait)
            finally:
                pool.release(connection)
            return found

        return self.run(mget)

    async def mget_async(self, keys: Sequence[bytes | str], timeout: float | None = None) -> list[bytes | None]:
        """As `mget`, on the running event loop."""
        with self._explained():
            client = await self._connected_async()
            try:
                async with asyncio.timeout(TIMEOUT if timeout is None else timeout):
                    try:
                        return await _found(client, keys)
                    except (redis.AuthenticationError, redis.TimeoutError):
                        raise
                    except redis.ConnectionError:
                        await self._drop_async(client)
                    return await _found(await self._connected_async(), keys)
            except TimeoutError as error:
                raise redis.TimeoutError("it did not answer in time") from error

    @contextmanager
    def named(self, name: str) -> Iterator[redis.Redis]:
        """A client of its own, which the server lists under `name` for as long as this process lives."""
        with self._explained(), redis.Redis.from_url(
            self._where_to(), client_name=name, retry=Retry(NoBackoff(), 0), socket_connect_timeout=CONNECT_TIMEOUT,
            socket_timeout=60.0,
        ) as client:  # fmt: skip
            client.ping()
            yield client

    def close(self) -> None:
        """Give connections back, and the lease on the embedded server. The next command makes new ones."""
        if self._client is not None:
            self._drop(self._client)
        self._async.clear()  # each belongs to its loop, which closes what is left
        if self._server is not None:
            self._server.release()

    async def close_async(self) -> None:
        """Give the running event loop's connections back."""
        client = self._async.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    @property
    def where(self) -> str:
        """The server's address, without a password."""
        if self._server is not None:
            return "the embedded server's socket"
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.hostname or parts.path}" + (f":{parts.port}" if parts.port else "")

    def _connected(self) -> redis.Redis:
        client = self._client
        if client is not None and self._process == os.getpid():
            return client
        with self._connecting:
            if self._process != os.getpid():  # the parent's sockets and lease are not ours
                self._process, self._client = os.getpid(), None
                self._async.clear()
            if self._client is None:
                self._client = redis.Redis.from_url(
                    self._where_to(), retry=Retry(NoBackoff(), 0), socket_connect_timeout=CONNECT_TIMEOUT,
                    socket_timeout=TIMEOUT,
                )  # fmt: skip
            return self._client

    async def _connected_async(self) -> AsyncRedis:
        from redis.asyncio import Redis as AsyncRedis

        loop = asyncio.get_running_loop()
        if self._process != os.getpid():
            self._process, self._client = os.getpid(), None
            self._async.clear()
        if loop not in self._async:
            url = await asyncio.to_thread(self._where_to)
            self._async[loop] = AsyncRedis.from_url(url, socket_connect_timeout=CONNECT_TIMEOUT, socket_timeout=TIMEOUT)
        return self._async[loop]

    async def _drop_async(self, client: AsyncRedis) -> None:
        self._async.pop(asyncio.get_running_loop(), None)
        await client.aclose()

    def _drop(self, client: redis.Redis) -> None:
        with self._connecting:
            if self._client is client:
                self._client = None
        client.close()

    def _where_to(self) -> str:
        return f"unix://{self._server.acquire()}" if self._server is not None else self._url

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except redis.AuthenticationError as error:
            raise OnlineStoreUnavailable(
                f"Redis at {self.where} does not let us in: {error}. Mend the password in AMORA_FS_ONLINE_STORE_URL."
            ) from error
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise OnlineStoreUnavailable(
                f"Redis at {self.where} cannot be reached: {error}. Start it, or set AMORA_FS_ONLINE_STORE_URL."
            ) from error
        except redis.RedisError as error:
            raise OnlineStoreError(f"Redis at {self.where} refused: {error}.") from error


async def _found(client: AsyncRedis, keys: Sequence[bytes | str]) -> list[bytes | None]:
    found: list[Any] = list(await client.mget(keys))
    return found
