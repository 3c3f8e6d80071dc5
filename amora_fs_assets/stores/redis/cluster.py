"""Connections to a Redis cluster: one MGET per slot, sent in parallel, with one round trip per node.

redis-py's cluster client knows which node holds which slot. Reads that a node refuses or does not answer are repeated
through this client, which follows redirections and looks up the nodes again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import parse_url
from redis.exceptions import AskError, MovedError, RedisClusterException, TryAgainError
from redis.retry import Retry

from amora_fs_assets.domain.errors import SettingsError
from amora_fs_assets.stores.redis.connection import CONNECT_TIMEOUT, LOADING_TIMEOUT, TIMEOUT, Connection, left
from amora_fs_assets.stores.redis.keys import by_slot
from amora_fs_assets.stores.redis.scripts import Call

_RETRIES = 4
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Part:
    """The keys of one slot, and their positions in the request."""

    slot: int
    places: list[int]
    keys: list[bytes]


_Failed = list[tuple[_Part, Exception]]
_Answer = list[bytes | None] | redis.RedisError
_NO_NODE = redis.ConnectionError("no node holds the slot")


class ClusterConnection(Connection):
    """A connection to a cluster, by the URL of some nodes: `redis+cluster://user:password@host:port,host:port`."""

    tagged = True

    def __init__(self, *, url: str, ca: str = "") -> None:
        """Raise SettingsError for a URL without a node."""
        super().__init__(url=url, ca=ca)
        scheme, _, rest = url.partition("+cluster://")
        self._scheme = scheme
        where, mark, options = rest.partition("?")
        self._user, at, hosts = where.rstrip("/").rpartition("@")
        self._user += at
        self._query = mark + options
        self._nodes = [node for node in hosts.split(",") if node]
        if not self._nodes or "/" in hosts:
            raise SettingsError(
                "AMORA_FS_ONLINE_STORE_URL of a cluster lists some of its nodes: redis+cluster://host:port,host:port"
            )

    @property
    def where(self) -> str:
        """The nodes of the URL, without a password."""
        return f"{self._scheme}+cluster://{','.join(self._nodes)}"

    def run(self, command: Callable[[Any], _Result]) -> _Result:
        """The result of `command`. The cluster's client retries."""
        try:
            cluster = self._connected()
            try:
                return command(cluster)
            except redis.ConnectionError:
                self._drop(cluster)  # all nodes that the client knows may be gone
                raise
        except (redis.RedisError, RedisClusterException) as error:
            raise self._explained(_cause(error)) from error

    def mget(self, keys: Sequence[bytes | str], until: float | None = None) -> list[bytes | None]:
        """The values of the keys, in one round trip per node. Times out at `until` [time.monotonic()]."""
        return self.run(lambda cluster: self._read(cluster, _parts(keys), until))

    async def mget_async(self, keys: Sequence[bytes | str], until: float | None = None) -> list[bytes | None]:
        """As `mget`, on the running event loop."""
        try:
            async with asyncio.timeout(TIMEOUT if until is None else left(until)):
                cluster: Any = self._client
                if cluster is None or self._process != os.getpid():
                    cluster = await asyncio.to_thread(self._connected)
                return await self._read_async(cluster, _parts(keys))
        except TimeoutError as error:
            raise self._explained(redis.TimeoutError("it did not answer in time")) from error
        except (redis.RedisError, RedisClusterException) as error:
            raise self._explained(_cause(error)) from error

    def run_script(self, client: Any, script: str, calls: Sequence[Call]) -> int:
        """Run the script for each call, in one batch per node; return the sum of the results."""
        run = client.register_script(script)
        total = 0
        for node, some in self._by_node(client, calls, lambda call: by_slot(call.keys[:1]).popitem()[0]).items():
            results: list[Any]
            if node is None:
                results = [_NO_NODE] * len(some)
            else:
                pipeline: Any = node.pipeline(transaction=False)
                for call in some:
                    pipeline.evalsha(run.sha, len(call.keys), *call.keys, *call.arguments)
                try:
                    results = pipeline.execute(raise_on_error=False)
                except redis.ConnectionError as lost:
                    results = [lost] * len(some)
            for call, result in zip(some, results, strict=True):
                if isinstance(result, AskError | TryAgainError) and not isinstance(result, MovedError):
                    total += sum(int(run(keys=each.keys, args=each.arguments)) for each in call.one_by_one())
                elif isinstance(result, Exception):  # the node lacks the script, the slot has moved, or Redis refused
                    total += int(run(keys=call.keys, args=call.arguments))
                else:
                    total += int(result)
        return total

    def remove(self, client: Any, prefix: str) -> None:
        """Remove all keys with the prefix, node by node."""
        for each in client.get_primaries():
            node = client.get_redis_connection(each)
            cursor = -1
            while cursor:
                cursor, names = node.scan(max(cursor, 0), match=f"{prefix}*", count=5_000)
                pipeline: Any = node.pipeline(transaction=False)
                for places in by_slot(names).values():
                    pipeline.unlink(*(names[place] for place in places))
                pipeline.execute()

    def names_under(self, client: Any, prefix: str, count: int | None) -> list[bytes]:
        """Up to `count` of the keys with the prefix, node by node; all keys for None."""
        nodes = map(client.get_redis_connection, client.get_primaries())
        return list(islice((name for node in nodes for name in node.scan_iter(match=f"{prefix}*", count=5_000)), count))

    def names(self) -> set[str]:
        """The names of all connections to all nodes."""
        listed = self.run(lambda cluster: cluster.client_list(target_nodes=RedisCluster.PRIMARIES))
        return {str(each.get("name")) for clients in listed.values() for each in clients}

    @contextmanager
    def named(self, name: str) -> Iterator[Any]:
        """A separate client, which every node lists under `name` for as long as this process lives."""
        try:
            with self._opened(client_name=name, socket_timeout=LOADING_TIMEOUT) as client:
                client.ping(target_nodes=RedisCluster.PRIMARIES)
                yield client
        except (redis.RedisError, RedisClusterException) as error:
            raise self._explained(_cause(error)) from error

    def _opened(self, **options: Any) -> Any:
        parsed: Any = parse_url  # untyped in redis-py
        node: Any = ClusterNode
        start = parsed(self._url_of(self._nodes[0]))
        start = {name: value for name, value in start.items() if name not in {"host", "port", "db", "connection_class"}}
        nodes = [urlsplit(self._url_of(each)) for each in self._nodes]
        return RedisCluster(
            startup_nodes=[node(each.hostname, each.port or 6379) for each in nodes],
            ssl=self._scheme == "rediss", retry=Retry(ExponentialBackoff(cap=0.5, base=0.02), _RETRIES),
            require_full_coverage=False, socket_connect_timeout=CONNECT_TIMEOUT, **start, **self._options, **options,
        )  # fmt: skip

    def _url_of(self, node: str) -> str:
        return f"{self._scheme}://{self._user}{node}{self._query}"

    def _by_node(self, cluster: Any, items: Sequence[Any], slot: Callable[[Any], int]) -> dict[Any, list[Any]]:
        """The items by the client of the node that holds their slot; None for a slot without a node."""
        slots = cluster.nodes_manager.slots_cache
        nodes: dict[Any, list[Any]] = {}
        for item in items:
            holders = slots.get(slot(item))
            nodes.setdefault(cluster.get_redis_connection(holders[0]) if holders else None, []).append(item)
        return nodes

    def _read(self, cluster: Any, parts: list[_Part], until: float | None) -> list[bytes | None]:
        found: dict[int, bytes | None] = {}
        failed: _Failed = []
        nodes = self._by_node(cluster, parts, lambda part: part.slot)
        try:
            sent = [(some, self._send_reads(node, some, until)) for node, some in nodes.items()]
            for some, receive in sent:
                for part in some:
                    answer = receive() if callable(receive) else receive
                    if isinstance(answer, list):
                        found.update(zip(part.places, answer, strict=True))
                    else:
                        failed.append((part, answer))
        except BaseException:
            for node in nodes:  # answers may still arrive on these connections
                self._forget(node)
            raise
        if failed:
            if until is not None:
                left(until)
            self._ask_again(cluster, failed, found)
        return [found[place] for place in range(len(found))]

    def _send_reads(
        self, node: Any, parts: list[_Part], until: float | None
    ) -> Callable[[], _Answer] | redis.RedisError:
        """Send reads to a node. Returns a function that returns one answer per call, or the error of the send."""
        if node is None:
            return _NO_NODE
        try:
            connection, limit = self._of_this_thread(node, until)
            connection.send_packed_command(connection.pack_commands([("MGET", *part.keys) for part in parts]))
        except redis.AuthenticationError:
            raise
        except redis.ConnectionError as lost:
            self._forget(node)
            return lost

        def receive() -> _Answer:
            try:
                here = limit if until is None else {"timeout": left(until)}
                answer: list[bytes | None] = connection.read_response(**here)
            except redis.ResponseError as refused:
                return refused
            except redis.ConnectionError as lost:
                self._forget(node)
                return lost
            return answer

        return receive

    async def _read_async(self, cluster: Any, parts: list[_Part]) -> list[bytes | None]:
        found: dict[int, bytes | None] = {}
        failed: _Failed = []
        pending: list[tuple[_Part, asyncio.Future[list[bytes | None]]]] = []
        for node, some in self._by_node(cluster, parts, lambda part: part.slot).items():
            try:
                if node is None:
                    raise _NO_NODE
                where = node.connection_pool.connection_kwargs
                shared = await self._shared(self._url_of(f"{where['host']}:{where['port']}"))
                pending += [(part, shared.asked(part.keys)) for part in some]
            except redis.AuthenticationError:
                raise
            except redis.ConnectionError as lost:
                failed += [(part, lost) for part in some]
        answers = await asyncio.gather(*(answer for _, answer in pending), return_exceptions=True)
        for (part, _), answer in zip(pending, answers, strict=True):
            if isinstance(answer, list):
                found.update(zip(part.places, answer, strict=True))
            elif isinstance(answer, Exception):
                failed.append((part, answer))
            else:
                raise answer
        if failed:
            await asyncio.to_thread(self._ask_again, cluster, failed, found)
        return [found[place] for place in range(len(found))]

    def _ask_again(self, cluster: Any, failed: _Failed, found: dict[int, bytes | None]) -> None:
        """Repeat reads that a node refused or lost. Raises redis-py's errors."""
        if any(not isinstance(error, redis.ResponseError) or isinstance(error, MovedError) for _, error in failed):
            cluster.nodes_manager.initialize()
        for part, error in failed:
            if isinstance(error, AskError | TryAgainError) and not isinstance(error, MovedError):
                # The slot is moving to another node, so each of its keys may be on either node.
                values = [cluster.get(key) for key in part.keys]
            else:
                values = cluster.execute_command("MGET", *part.keys)
            found.update(zip(part.places, values, strict=True))

    def _forget(self, node: Any) -> None:
        """Close this thread's connection to the node, so that the next read makes a new one."""
        connection, _ = getattr(self._local, "mine", {}).pop(node, (None, None))
        if connection is not None:
            connection.disconnect()


def _parts(keys: Sequence[bytes | str]) -> list[_Part]:
    names = [key.encode() if isinstance(key, str) else key for key in keys]
    return [_Part(slot, places, [names[place] for place in places]) for slot, places in by_slot(names).items()]


def _cause(error: Exception) -> redis.RedisError:
    """The redis-py error behind an error of the cluster client; otherwise a ConnectionError with its text."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, redis.RedisError):
            return behind
        if "Cluster mode is not enabled" in str(behind):
            return redis.ConnectionError("it is not a cluster; for a single server use redis://host:port")
        behind = behind.__cause__
    return redis.ConnectionError(str(error))
