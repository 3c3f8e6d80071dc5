"""The online store: one string per view and entity, in Redis or Valkey.

<project>:<view>:live                  the Generation that readers see, as JSON
<project>:<view>:<generation>:<key>    a row; see row_codec
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from amora_fs_assets.domain.errors import OnlineStoreError, OnlineStoreUnavailable, SettingsError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports import Generation, OnlineRow
from amora_fs_assets.settings import Settings
from amora_fs_assets.stores import row_codec
from amora_fs_assets.stores.embedded_server import EmbeddedServer

if TYPE_CHECKING:
    import pyarrow as pa

_POINTER_TRUSTED = 1.0  # seconds
_RETIRED_FOR = 60_000  # milliseconds for which readers of a retired generation find it
_DAY = 86_400_000  # milliseconds
_BATCH = 1_000
_Result = TypeVar("_Result")

# ARGV: for each key its row and its expiry [ms since 1970; 0: none]. Only a stored row of a greater sequence stays.
_WRITE = """
for i, key in ipairs(KEYS) do
  local row, expiry = ARGV[2 * i - 1], ARGV[2 * i]
  local stored = redis.call('GETRANGE', key, 0, 7)
  if #stored < 8 or stored <= string.sub(row, 1, 8) then
    if expiry == '0' then redis.call('SET', key, row) else redis.call('SET', key, row, 'PXAT', expiry) end
  end
end
"""


def connect(settings: Settings) -> RedisOnlineStore:
    """The online store that the settings name; the embedded server where they name none. Connects when first used.

    Raises SettingsError for a URL that is none.
    """
    url = settings.online_store_url
    if not url:
        return RedisOnlineStore(project=settings.project, server=EmbeddedServer(settings.home))
    if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
        raise SettingsError(
            f"AMORA_FS_ONLINE_STORE_URL begins with {urlsplit(url).scheme}://; it takes redis://, rediss:// or unix://."
        )
    return RedisOnlineStore(project=settings.project, url=url)


class RedisOnlineStore:
    """OnlineStore over redis-py. One pool of connections, shared by threads."""

    def __init__(self, *, project: str, url: str = "", server: EmbeddedServer | None = None) -> None:
        self._project = project
        self._server = server
        self._url = url
        self._client: redis.Redis | None = None
        self._pointers: dict[str, tuple[float, Generation | None]] = {}

    def generation(self, view: FeatureView) -> Generation | None:
        """The generation that readers see; None where the view was never loaded."""
        found = self._run(lambda client: client.get(self._pointer(view)))
        return None if found is None else msgspec.json.decode(found, type=Generation)

    def load(
        self,
        view: FeatureView,
        batches: Iterable[pa.RecordBatch],
        *,
        cursor: int,
        clock: datetime,
        new_generation: bool,
        expire: bool = True,
    ) -> int:
        """Write rows and return how many were sent; see OnlineStore."""
        live = self.generation(view)
        fresh = new_generation or live is None
        number = (live.number if live else 0) + fresh
        if fresh:  # what an earlier load that was killed may have left there
            self._remove(view, number)
        prefix = self._prefix(view, number)
        ttl = None if view.ttl is None or not expire else int(view.ttl.total_seconds() * 1000) + _DAY
        sent = 0
        for rows in _chunks(self._rows(view, batches, cursor, prefix, ttl, fresh=fresh), _BATCH):
            keys = [key for key, _, _ in rows]
            arguments = [part for _, row, expiry in rows for part in (row, expiry)]
            self._run(partial(_write, keys=keys, arguments=arguments))
            sent += len(rows)
        now = Generation(
            number=number,
            schema_hash=view.schema_hash,
            cursor=cursor,
            clock=clock,
            loaded_at=datetime.fromtimestamp(time.time(), tz=clock.tzinfo),
        )
        self._run(lambda client: client.set(self._pointer(view), msgspec.json.encode(now)))
        self._pointers.pop(view.name, None)
        if fresh and live is not None:
            self._remove(view, number - 2)
        return sent

    def _rows(
        self,
        view: FeatureView,
        batches: Iterable[pa.RecordBatch],
        cursor: int,
        prefix: bytes,
        ttl: int | None,
        *,
        fresh: bool,
    ) -> Iterator[tuple[bytes, bytes, int]]:
        for batch in batches:
            for key, row, moment in row_codec.encode(view, batch, cursor):
                if moment is None:
                    if not fresh:
                        yield prefix + key, row, int(time.time() * 1000) + _DAY
                else:
                    yield prefix + key, row, 0 if ttl is None else max(1, moment // 1000 + ttl)

    def read(
        self, requests: Sequence[tuple[FeatureView, Sequence[tuple[Any, ...] | None]]]
    ) -> list[list[OnlineRow | None]]:
        """For each view and each tuple of join key values its row, all in one round trip; None where there is none."""
        live = self._live([view for view, _ in requests])
        wanted: list[bytes] = []
        places: list[list[int | None]] = []
        for view, keys in requests:
            generation = live[view.name]
            prefix = b"" if generation is None else self._prefix(view, generation.number)
            row: list[int | None] = []
            for key in keys:
                if key is None or generation is None:
                    row.append(None)
                else:
                    row.append(len(wanted))
                    wanted.append(prefix + row_codec.encode_key(key))
            places.append(row)
        found: Any = self._run(lambda client: client.mget(wanted)) if wanted else []
        return [
            [None if place is None or found[place] is None else row_codec.decode(view, found[place]) for place in row]
            for (view, _), row in zip(requests, places, strict=True)
        ]

    def close(self) -> None:
        """Give connections back, and the lease on the embedded server."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._server is not None:
            self._server.release()

    def _live(self, views: Sequence[FeatureView]) -> dict[str, Generation | None]:
        now = time.monotonic()
        stale = [v for v in views if self._pointers.get(v.name, (-_POINTER_TRUSTED, None))[0] <= now - _POINTER_TRUSTED]
        if stale:
            found: Any = self._run(lambda client: client.mget([self._pointer(view) for view in stale]))
            for view, data in zip(stale, found, strict=True):
                self._pointers[view.name] = (now, data and msgspec.json.decode(data, type=Generation))
        return {view.name: self._pointers[view.name][1] for view in views}

    def _remove(self, view: FeatureView, number: int) -> None:
        """Drop a generation that nobody reads any more."""

        def remove(client: redis.Redis) -> None:
            pattern = self._prefix(view, number).decode()
            for keys in _chunks(client.scan_iter(match=f"{pattern}*", count=5_000), 5_000):
                client.unlink(*keys)

        if number > 0:
            self._run(remove)

    def _pointer(self, view: FeatureView) -> str:
        return f"{self._project}:{view.name}:live"

    def _prefix(self, view: FeatureView, number: int) -> bytes:
        return f"{self._project}:{view.name}:{number}:".encode()

    def _run(self, command: Callable[[redis.Redis], _Result]) -> _Result:
        """Run a command; an embedded server that died meanwhile is started again, with its data, once."""
        try:
            with self._explained():
                return command(self._connected())
        except OnlineStoreUnavailable:
            if self._server is None or self._client is None:
                raise
            self._client.close()
            self._client = None
        with self._explained():
            return command(self._connected())

    def _connected(self) -> redis.Redis:
        if self._client is None:
            url = f"unix://{self._server.acquire()}" if self._server else self._url
            self._client = redis.Redis.from_url(
                url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=2.0, socket_timeout=10.0
            )
        return self._client

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise OnlineStoreUnavailable(
                f"Redis at {self._where} cannot be reached: {error}. Start it, or set AMORA_FS_ONLINE_STORE_URL."
            ) from error
        except redis.RedisError as error:
            raise OnlineStoreError(f"Redis at {self._where} refused: {error}.") from error

    @property
    def _where(self) -> str:
        """Its address, without the password."""
        if self._server is not None:
            return "the embedded server's socket"
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.hostname or parts.path}" + (f":{parts.port}" if parts.port else "")


def _write(client: redis.Redis, *, keys: list[bytes], arguments: list[Any]) -> None:
    client.register_script(_WRITE)(keys=keys, args=arguments)


def _chunks(items: Iterable[_Result], size: int) -> Iterator[list[_Result]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
