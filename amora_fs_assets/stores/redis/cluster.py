"""Connections to a Redis cluster: an MGET for each slot, all on their way at once, one round trip to each node.

Who holds which slot, and what to do when that changes, is redis-py's: whatever a node refuses or does not answer is
asked for again through its cluster client, which follows redirections and looks up the nodes anew.
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
    """The keys of one slot, and their places in what was asked for."""

    slot: int
    places: list[int]
    keys: list[bytes]


_Failed = list[tuple[_Part, Exception]]
_Answer = list[bytes | None] | redis.RedisError
_NOBODY = redis.ConnectionError("no node holds the slot")


class ClusterConnection(Connection):
    """To the cluster of which a URL names some nodes: `redis+cluster://user:password@host:port,host:port`."""

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
                "AMORA_FS_ONLINE_STORE_URL names a cluster by some of its nodes: redis+cluster://host:port,host:port"
            )

    @property
    def where(self) -> str:
        """The nodes of the URL, without a password."""
        return f"{self._scheme}+cluster://{','.join(self._nodes)}"

    def run(self, command: Callable[[Any], _Result]) -> _Result:
        """What `command` gives; the cluster's client does the trying again."""
        try:
            cluster = self._connected()
            try:
                return command(cluster)
            except redis.ConnectionError:
                self._drop(cluster)  # the nodes that it knows may all be gone
                raise
        except (redis.RedisError, RedisClusterException) as error:
            raise self._explained(_cause(error)) from error

    def mget(self, keys: Sequence[bytes | str], until: float | None = None) -> list[bytes | None]:
        """The values of the keys, in one round trip to each node, that ends at `until` [time.monotonic()]."""
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
        """Run the script for each of the calls, all that a node gets at once; the sum of what it returns."""
        run = client.register_script(script)
        total = 0
        for node, some in self._by_node(client, calls, lambda call: by_slot(call.keys[:1]).popitem()[0]).items():
            results: list[Any]
            if node is None:
                results = [_NOBODY] * len(some)
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
                    total += sum(int(run(keys=each.keys, args=each.arguments)) for each in call.apart())
                elif isinstance(result, Exception):  # nobody has the script yet, the slot has moved, or it is refused
                    total += int(run(keys=call.keys, args=call.arguments))
                else:
                    total += int(result)
        return total

    def remove(self, client: Any, prefix: str) -> None:
        """Remove all names with the prefix, node by node."""
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
        """Up to `count` of the names with the prefix, node by node; all of them with None."""
        nodes = map(client.get_redis_connection, client.get_primaries())
        return list(islice((name for node in nodes for name in node.scan_iter(match=f"{prefix}*", count=5_000)), count))

    def names(self) -> set[str]:
        """The names of all that are connected to any node."""
        listed = self.run(lambda cluster: cluster.client_list(target_nodes=RedisCluster.PRIMARIES))
        return {str(each.get("name")) for clients in listed.values() for each in clients}

    @contextmanager
    def named(self, name: str) -> Iterator[Any]:
        """A client of its own, which every node lists under `name` for as long as this process lives."""
        try:
            with self._opened(client_name=name, socket_timeout=LOADING_TIMEOUT) as client:
                client.ping(target_nodes=RedisCluster.PRIMARIES)
                yield client
        except (redis.RedisError, RedisClusterException) as error:
            raise self._explained(_cause(error)) from error

    def _opened(self, **options: Any) -> Any:
        parsed: Any = parse_url  # redis-py types half of what it has
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
        """The items by the client of the node that holds their slot; None for a slot that nobody holds."""
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
            sent = [(some, self._sent(node, some, until)) for node, some in nodes.items()]
            for some, receive in sent:
                for part in some:
                    answer = receive() if callable(receive) else receive
                    if isinstance(answer, list):
                        found.update(zip(part.places, answer, strict=True))
                    else:
                        failed.append((part, answer))
        except BaseException:
            for node in nodes:  # answers may still be on their way
                self._forget(node)
            raise
        if failed:
            if until is not None:
                left(until)
            self._ask_again(cluster, failed, found)
        return [found[place] for place in range(len(found))]

    def _sent(self, node: Any, parts: list[_Part], until: float | None) -> Callable[[], _Answer] | redis.RedisError:
        """Ask a node; what gives one answer after the other, or why it could not be asked."""
        if node is None:
            return _NOBODY
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
        asked: list[tuple[_Part, asyncio.Future[list[bytes | None]]]] = []
        for node, some in self._by_node(cluster, parts, lambda part: part.slot).items():
            try:
                if node is None:
                    raise _NOBODY
                where = node.connection_pool.connection_kwargs
                shared = await self._shared(self._url_of(f"{where['host']}:{where['port']}"))
                asked += [(part, shared.asked(part.keys)) for part in some]
            except redis.AuthenticationError:
                raise
            except redis.ConnectionError as lost:
                failed += [(part, lost) for part in some]
        answers = await asyncio.gather(*(answer for _, answer in asked), return_exceptions=True)
        for (part, _), answer in zip(asked, answers, strict=True):
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
        """Ask for parts that a node refused or lost. Raises what redis-py raises."""
        if any(not isinstance(error, redis.ResponseError) or isinstance(error, MovedError) for _, error in failed):
            cluster.nodes_manager.initialize()
        for part, error in failed:
            if isinstance(error, AskError | TryAgainError) and not isinstance(error, MovedError):
                # The slot is on its way to another node, and each of its keys is here or there.
                values = [cluster.get(key) for key in part.keys]
            else:
                values = cluster.execute_command("MGET", *part.keys)
            found.update(zip(part.places, values, strict=True))

    def _forget(self, node: Any) -> None:
        """Let this thread connect to the node anew."""
        connection, _ = getattr(self._local, "mine", {}).pop(node, (None, None))
        if connection is not None:
            connection.disconnect()


def _parts(keys: Sequence[bytes | str]) -> list[_Part]:
    names = [key.encode() if isinstance(key, str) else key for key in keys]
    return [_Part(slot, places, [names[place] for place in places]) for slot, places in by_slot(names).items()]


def _cause(error: Exception) -> redis.RedisError:
    """What lies behind an error of the cluster's client; not to be had is all that its own errors say."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, redis.RedisError):
            return behind
        if "Cluster mode is not enabled" in str(behind):
            return redis.ConnectionError("it is no cluster; AMORA_FS_ONLINE_STORE_URL for one server is redis://")
        behind = behind.__cause__
    return redis.ConnectionError(str(error))
