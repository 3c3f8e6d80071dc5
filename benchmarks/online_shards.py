"""The online load in shards: one process against two, 1M entities x 10 floats, and what the limit is.

    python -m benchmarks.online_shards

Each process is what a Dagster step is: it reads its share of the staged rows and writes it. Beside the whole, on one
Valkey and on a cluster of three, stands what the processes do by themselves, reading and packing, with no server.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis

from amora_fs_assets.operations.online import sharded
from amora_fs_assets.operations.online.materialize import streamed
from amora_fs_assets.operations.online.sharded import ShardedLoad
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.stores.redis.online_store import RedisOnlineStore
from amora_fs_assets.stores.redis.scripts import BATCH
from amora_fs_assets.stores.redis.writing import Expiry, Rows
from amora_fs_assets_tests.servers import bundled_valkey, redis_cluster
from benchmarks.measure import median, report, table
from benchmarks.online_data import NOW, server
from benchmarks.online_load import ROWS, VIEW, publish, rows

ROUNDS = 3
_SPAWN = multiprocessing.get_context("spawn")
Server = tuple[str, list[str]]
"""Its URL, and those of its nodes."""


@contextmanager
def valkey() -> Iterator[Server]:
    """One server."""
    with server() as url:
        yield url, [url]


@contextmanager
def cluster() -> Iterator[Server]:
    """Three nodes."""
    with tempfile.TemporaryDirectory() as folder, redis_cluster(bundled_valkey(), Path(folder)) as running:
        yield running.url, [each.url for each in running.servers]


def cpu(nodes: list[str]) -> float:
    """Seconds that the servers have worked."""
    found: list[Any] = [redis.Redis.from_url(node).info("cpu") for node in nodes]
    return sum(float(each["used_cpu_user"]) + float(each["used_cpu_sys"]) for each in found)


def write(home: Path, url: str, load: ShardedLoad, shard: int) -> int:
    """What a step does."""
    online = RedisOnlineStore(project="bench", url=url)
    written = sharded.write(VIEW, load, shard, store=DuckDBOfflineStore(home), online=online, expire=True)
    online.close()
    return written.rows


def pack(home: Path, url: str, load: ShardedLoad, shard: int) -> int:  # noqa: ARG001
    """The same without a server: rows read, packed, ready to go."""
    assert load.load is not None
    expiry = Expiry.of_view(VIEW, expire=True)
    packed = Rows(view=VIEW, prefix=load.load.location, sequence=1, mode=BATCH, expiry=expiry)
    store = DuckDBOfflineStore(home)
    return sum(part.rows for part in packed.calls(streamed(sharded.shard_of(VIEW, load, shard), store)))


def at_once(work: Callable[..., int], home: Path, url: str, load: ShardedLoad, shards: int) -> tuple[float, float]:
    """Seconds until all shards are done, each in a process that was there before, and the processes' CPU seconds."""
    barrier, results = _SPAWN.Barrier(shards + 1), _SPAWN.Queue()
    processes = [
        _SPAWN.Process(target=_one, args=(barrier, results, work, home, url, load, shard)) for shard in range(shards)
    ]
    for each in processes:
        each.start()
    barrier.wait(120)
    began = time.perf_counter()
    done = [results.get(timeout=300) for _ in processes]
    seconds = time.perf_counter() - began
    for each in processes:
        each.join()
    assert sum(count for count, _ in done) == ROWS, "every row once"
    return seconds, sum(used for _, used in done)


def _one(
    barrier: Any, results: Any, work: Callable[..., int], home: Path, url: str, load: ShardedLoad, shard: int
) -> None:
    next(streamed(sharded.shard_of(VIEW, load, shard), DuckDBOfflineStore(home)))  # what is loaded once a process
    barrier.wait(120)
    began = time.process_time()
    count = work(home, url, load, shard)
    results.put((count, time.process_time() - began))


def measured(home: Path, where: Callable[[], Any], work: Callable[..., int]) -> list[str]:
    """A line of the table: one process and two, alternating."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    used: dict[int, list[float]] = {1: [], 2: []}
    of_servers = []
    store = DuckDBOfflineStore(home)
    for _ in range(ROUNDS):
        for shards in (1, 2):
            with where() as (url, nodes):
                online = RedisOnlineStore(project="bench", url=url)
                load = sharded.begin(
                    VIEW,
                    store=store,
                    online=online,
                    clock=NOW,
                    shards=shards,
                    run_id=str(shards),
                    now=datetime.now(UTC),
                )
                before = cpu(nodes)
                took, cpu_seconds = at_once(work, home, url, load, shards)
                of_servers.append(cpu(nodes) - before)
                online.close()
                store.discard(load.staged)
            seconds[shards].append(took)
            used[shards].append(cpu_seconds)
    one, two = median(seconds[1]), median(seconds[2])
    return [
        f"{one:.2f}", f"{two:.2f}", f"{one / two:.2f}", f"{median(used[1]):.2f} / {median(used[2]):.2f}",
        f"{median(of_servers):.2f}" if work is write else "",
    ]  # fmt: skip


def main() -> None:
    """Print and keep the table."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        publish(DuckDBOfflineStore(home), rows(ROWS, ROWS))
        lines = [
            ["reading and packing, no server", *measured(home, valkey, pack)],
            ["one Valkey", *measured(home, valkey, write)],
            ["a cluster of three", *measured(home, cluster, write)],
        ]
    header = ["", "1 shard [s]", "2 shards [s]", "1 : 2", "CPU of the shards, 1 / 2 [s]", "CPU of the servers [s]"]
    report(
        "online_shards",
        "The online load in shards: 1M entities x 10 floats",
        "make bench-online",
        table(header, lines),
        "Each shard is a process that was there before and had read a batch; medians of three. Staging, and what ends "
        "a load, is left out: the engine does the one, the other takes milliseconds.",
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
