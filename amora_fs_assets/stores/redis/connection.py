"""Connections to Redis: made at the first use, shared by threads, made again after a fork or a loss."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary, WeakSet

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from amora_fs_assets.domain.errors import OnlineStoreError, OnlineStoreUnavailable
from amora_fs_assets.stores.embedded.server import EmbeddedServer
from amora_fs_assets.stores.redis.scripts import Call

if TYPE_CHECKING:
    from amora_fs_assets.stores.redis.pipeline import SharedConnection

CONNECT_TIMEOUT = 2.0  # [s]
TIMEOUT = 10.0  # of a command [s]
LOADING_TIMEOUT = 60.0  # of a command of a load [s]
_REMOVED_AT_A_TIME = 5_000
_Result = TypeVar("_Result")


def left(until: float) -> float:
    """The time until `until` [s]. Raises redis.TimeoutError if it has passed."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise redis.TimeoutError("it did not answer in time")
    return seconds


class Connection:
    """A pool of connections to the server of a URL, or to the embedded server."""

    tagged = False
    """Whether keys have tags, so that rows with the same tag are on the same node."""

    def __init__(self, *, url: str = "", server: EmbeddedServer | None = None, ca: str = "") -> None:
        """`ca` is a file with the certificates of the server's authority; the system's certificates by default."""
        self._url = url
        self._server = server
        self._options: dict[str, Any] = {"ssl_ca_certs": ca} if ca else {}
        self._client: redis.Redis | None = None
        self._async: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, SharedConnection]] = WeakKeyDictionary()
        self._opening: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
        self._process = os.getpid()
        self._connecting = threading.Lock()
        self._local = threading.local()
        self._connections: WeakSet[Any] = WeakSet()  # of reading threads

    def run(self, command: Callable[[redis.Redis], _Result]) -> _Result:
        """The result of `command`. Tried once more if the connection was lost or the embedded server had ended.

        Raises OnlineStoreUnavailable, and OnlineStoreError if Redis refuses the command.
        """
        try:
            client = self._connected()
            try:
                return command(client)
            except (redis.AuthenticationError, redis.TimeoutError):
                raise
            except redis.ConnectionError:
                self._drop(client)
            return command(self._connected())
        except redis.RedisError as error:
            raise self._explained(error) from error

    def mget(self, keys: Sequence[bytes | str], until: float | None = None) -> list[bytes | None]:
        """The values of the keys, in one round trip. Times out at `until` [time.monotonic()]."""

        def mget(client: redis.Redis) -> list[bytes | None]:
            connection, limit = self._of_this_thread(client, until)
            connection.send_command("MGET", *keys)
            found: list[bytes | None] = connection.read_response(**limit)
            return found

        return self.run(mget)

    def run_script(self, client: Any, script: str, calls: Sequence[Call]) -> int:
        """Run the script for each call; return the sum of the results."""
        run = client.register_script(script)
        return sum(int(run(keys=call.keys, args=call.arguments)) for call in calls)

    def remove(self, client: Any, prefix: str) -> None:
        """Remove all keys with the prefix. The server scans all its keys, a few thousand at a time."""
        names = client.scan_iter(match=f"{prefix}*", count=_REMOVED_AT_A_TIME)
        while some := list(islice(names, _REMOVED_AT_A_TIME)):
            client.unlink(*some)

    def names_under(self, client: Any, prefix: str, count: int | None) -> list[bytes]:
        """Up to `count` of the keys with the prefix; all keys for None."""
        return list(islice(client.scan_iter(match=f"{prefix}*", count=_REMOVED_AT_A_TIME), count))

    def names(self) -> set[str]:
        """The names of all connections to the server."""
        return {str(each.get("name")) for each in self.run(lambda client: client.client_list())}

    def _of_this_thread(self, client: redis.Redis, until: float | None) -> tuple[Any, dict[str, float]]:
        """This thread's own connection. A pool would check each connection for leftover data, with a system call.

        The connection ends with its client or its thread.
        """
        mine: WeakKeyDictionary[redis.Redis, tuple[Any, dict[str, float]]]
        try:
            mine = self._local.mine
        except AttributeError:
            mine = self._local.mine = WeakKeyDictionary()
        found = mine.get(client)
        if found is None:
            connection: Any = client.connection_pool.make_connection()
            if until is not None:  # a hanging server does not answer the handshake either
                connection.socket_timeout = left(until)
                connection.socket_connect_timeout = min(CONNECT_TIMEOUT, left(until))
            with self._connecting:
                self._connections.add(connection)
            connection.connect()
            found = mine[client] = (connection, {} if until is None else {"timeout": TIMEOUT})
        return found if until is None else (found[0], {"timeout": left(until)})

    async def mget_async(self, keys: Sequence[bytes | str], until: float | None = None) -> list[bytes | None]:
        """As `mget`, on the running event loop."""
        try:
            async with asyncio.timeout(TIMEOUT if until is None else left(until)):
                try:
                    return await (await self._shared()).mget(keys)
                except (redis.AuthenticationError, redis.TimeoutError):
                    raise
                except redis.ConnectionError:
                    return await (await self._shared()).mget(keys)
        except TimeoutError as error:
            raise self._explained(redis.TimeoutError("it did not answer in time")) from error
        except redis.RedisError as error:
            raise self._explained(error) from error

    @contextmanager
    def named(self, name: str) -> Iterator[Any]:
        """A separate client, which the server lists under `name` for as long as this process lives."""
        try:
            with self._opened(client_name=name, socket_timeout=LOADING_TIMEOUT) as client:
                client.ping()
                yield client
        except redis.RedisError as error:
            raise self._explained(error) from error

    def close(self) -> None:
        """Close the connections, and release the lease on the embedded server. The next command connects again."""
        if self._client is not None:
            self._drop(self._client)
        self._async.clear()  # each connection belongs to its event loop, which closes it
        if self._server is not None:
            self._server.release()

    async def close_async(self) -> None:
        """Close the connections of the running event loop."""
        for shared in self._async.pop(asyncio.get_running_loop(), {}).values():
            await shared.close()

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
            self._after_fork()
            if self._client is None:
                self._client = self._opened(socket_timeout=TIMEOUT)
            return self._client

    def _opened(self, **options: Any) -> redis.Redis:
        return redis.Redis.from_url(
            self._where_to(), retry=Retry(NoBackoff(), 0), socket_connect_timeout=CONNECT_TIMEOUT, **self._options,
            **options,
        )  # fmt: skip

    async def _shared(self, url: str = "") -> SharedConnection:
        """The running event loop's connection to the URL; by default to the store's own server."""
        from amora_fs_assets.stores.redis.pipeline import SharedConnection

        loop = asyncio.get_running_loop()
        shared = self._async.get(loop, {}).get(url)
        if shared is None or not shared.alive or self._process != os.getpid():
            async with self._opening.setdefault(loop, asyncio.Lock()):
                shared = self._async.get(loop, {}).get(url)
                if shared is None or not shared.alive or self._process != os.getpid():
                    self._after_fork()
                    where = url or await asyncio.to_thread(self._where_to)
                    shared = await SharedConnection.open(where, connect_timeout=CONNECT_TIMEOUT, **self._options)
                    self._async.setdefault(loop, {})[url] = shared
        return shared

    def _after_fork(self) -> None:
        """In a forked child, drop the parent's sockets."""
        if self._process != os.getpid():
            self._process, self._client, self._connections = os.getpid(), None, WeakSet()
            self._async.clear()

    def _drop(self, client: redis.Redis) -> None:
        with self._connecting:
            if self._client is client:
                self._client = None
            connections, self._connections = self._connections, WeakSet()
        for connection in connections:
            connection.disconnect()
        client.close()

    def _where_to(self) -> str:
        return f"unix://{self._server.acquire()}" if self._server is not None else self._url

    def _explained(self, error: redis.RedisError) -> OnlineStoreError:
        if isinstance(error, redis.AuthenticationError):
            return OnlineStoreUnavailable(
                f"Redis at {self.where} refuses the login: {error}. Correct the password in AMORA_FS_ONLINE_STORE_URL."
            )
        if "SSL" in str(error):
            return OnlineStoreUnavailable(
                f"The TLS connection to Redis at {self.where} failed: {error}. Set AMORA_FS_ONLINE_STORE_CA to a file "
                "with the certificates of the server's authority. rediss:// in AMORA_FS_ONLINE_STORE_URL selects TLS."
            )
        if isinstance(error, redis.ConnectionError | redis.TimeoutError):
            return OnlineStoreUnavailable(
                f"Redis at {self.where} cannot be reached: {error}. Start it, or set AMORA_FS_ONLINE_STORE_URL."
            )
        return OnlineStoreError(f"Redis at {self.where} refused: {error}.")
