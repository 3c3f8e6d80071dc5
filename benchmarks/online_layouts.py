"""Layouts of online rows: what each costs in memory and in time, raw, on Valkey and on Debian's Redis.

python -m benchmarks.online_layouts
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import redis

from amora_fs_assets.stores.embedded.server import _server_program
from amora_fs_assets.stores.redis.row_codec import encode
from benchmarks.measure import median, report, table
from benchmarks.online_data import VIEWS, batch, server, used_memory, views

ENTITIES = 10_000
SIZES = (1, 10, 100, 1_000)
Read = Callable[[Sequence[int]], Any]
_pack = msgspec.msgpack.encode


def packed() -> list[list[bytes]]:
    """The rows of each view as the codec makes them."""
    found = []
    for number, view in enumerate(views()):
        parts = encode(view, batch(number, 0, ENTITIES), 1)
        found.append([row for part in parts for row in part.rows])
    return found


def strings(client: redis.Redis, prefix: str, *, expire: bool) -> Read:
    """One string per view and entity; one MGET."""
    expiry = int(time.time() * 1000) + 8 * 86_400_000
    for view, rows in enumerate(packed()):
        pipeline = client.pipeline(transaction=False)
        for entity, row in enumerate(rows):
            pipeline.set(f"{prefix}{view}:".encode() + _pack(entity), row, pxat=expiry if expire else None)
        pipeline.execute()
    starts = [f"{prefix}{view}:".encode() for view in range(VIEWS)]
    return lambda entities: client.mget([start + _pack(entity) for start in starts for entity in entities])


def hash_of_views(client: redis.Redis) -> Read:
    """One hash per entity, a field per view; one HMGET per entity."""
    views_ = packed()
    pipeline = client.pipeline(transaction=False)
    for entity in range(ENTITIES):
        pipeline.hset(b"h:" + _pack(entity), mapping={str(view): views_[view][entity] for view in range(VIEWS)})
        pipeline.expire(b"h:" + _pack(entity), 8 * 86_400)
    pipeline.execute()
    return lambda entities: hashes(client, entities, list(map(str, range(VIEWS))))


def small_hash_of_views(client: redis.Redis) -> Read:
    """The same on a server that keeps hashes of larger values compact than it does by default (64 bytes)."""
    client.config_set("hash-max-listpack-value", 512)
    return hash_of_views(client)


def hash_of_features(client: redis.Redis) -> Read:
    """One hash per entity, a field per feature, as Feast has it; one HMGET per entity."""
    columns = [batch(view, 0, ENTITIES).to_pydict() for view in range(VIEWS)]
    names = [name for view in columns for name in view if name.startswith("v")]
    pipeline = client.pipeline(transaction=False)
    for entity in range(ENTITIES):
        mapping: Any = {f"{i:04x}": _pack(columns[int(name[1])][name][entity]) for i, name in enumerate(names)}
        pipeline.hset(b"h:" + _pack(entity), mapping=mapping)
        pipeline.expire(b"h:" + _pack(entity), 8 * 86_400)
    pipeline.execute()
    return lambda entities: hashes(client, entities, [f"{i:04x}" for i in range(len(names))])


def hashes(client: redis.Redis, entities: Sequence[int], fields: list[str]) -> Any:
    """One pipeline of an HMGET per entity."""
    pipeline = client.pipeline(transaction=False)
    for entity in entities:
        pipeline.hmget(b"h:" + _pack(entity), fields)
    return pipeline.execute()


LAYOUTS: dict[str, Callable[[redis.Redis], Read]] = {
    "a string per view and entity, short prefix, no expiry": lambda client: strings(client, "f1", expire=False),
    "the same with an expiry: ours": lambda client: strings(client, "f1", expire=True),
    "the same, keys that say project and view": lambda client: strings(client, "amora_fs:view_name:1:", expire=True),
    "a hash per entity, a field per view": hash_of_views,
    "the same, `hash-max-listpack-value 512`": small_hash_of_views,
    "a hash per entity, a field per feature: Feast's": hash_of_features,
}


def main() -> None:
    """Print and keep the tables."""
    programs = {"Valkey, as bundled": _server_program()}
    if (debian := shutil.which("redis-server")) is not None:
        programs["Debian's redis-server 7"] = debian
    parts = []
    for name, program in programs.items():
        lines = []
        for layout, fill in LAYOUTS.items():
            with server(program=program) as url:
                client = redis.Redis.from_url(url)
                empty = used_memory(url)
                read = fill(client)
                line = [layout, f"{(used_memory(url) - empty) / ENTITIES:.0f}"]
                for size in SIZES:
                    times = []
                    until = time.perf_counter() + 0.7
                    while time.perf_counter() < until:
                        began = time.perf_counter()
                        read([number * 7 % ENTITIES for number in range(size)])
                        times.append(time.perf_counter() - began)
                    line.append(f"{median(times) * 1000:.3f}")
                lines.append(line)
                client.close()
        header = ["layout", "bytes per entity", *(f"{size:,} entities [ms]" for size in SIZES)]
        parts += [f"{name}:", table(header, lines)]
    report(
        "online_layouts",
        "Layouts of online rows: 30 features in 3 views",
        "python -m benchmarks.online_layouts",
        "Raw answers, nothing decoded; medians.",
        *parts,
    )


if __name__ == "__main__":
    main()
