"""Names of rows in Redis: the prefix of their generation, and the packed join keys.

    %1:<key>         on one server
    %1{<tag>}<key>   on a cluster, where the tag decides which slot, and so which node, holds the row

No name of a project begins with a percent sign, so that no row has the name of a view's state (`<project>:<view>`).
The rows of a generation that an earlier release filled begin with `f`: the state of the generation says its prefix.

A tag is one byte, chosen by the join keys alone: rows of one entity are together whatever the view, and a batch of rows
goes out in TAGS parts at most, as does a read. Each of the bytes from 128 on lies in another 128th of the slots (see
test_redis_cluster), so that nodes with equal shares of the slots have equal shares of the rows.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Callable, Iterable
from functools import lru_cache
from zlib import crc32

PREFIXES = "amora_fs:prefixes"
"""Counts the prefixes of rows, over all projects of the server."""
TAGS = 128
SLOTS = 16_384


def prefix_of(number: int, *, tagged: bool) -> str:
    """The prefix of the rows of a generation: short, since every row has it."""
    return f"%{_base36(number)}{'{' if tagged else ':'}"


def state_name(project: str, view: str) -> str:
    """The name of a view's state. No view's name begins with an underscore."""
    name = f"{project}:{view}"
    return f"{project}:_{view}" if name == PREFIXES else name


def written_name(project: str, view: str) -> str:
    """The name of the ids of publications that were written for the view. No view's name begins with an underscore."""
    return f"{project}:{view}:_written"


@lru_cache(maxsize=10_000)
def namer(prefix: str) -> Callable[[Iterable[bytes]], list[bytes]]:
    """What makes names of packed join keys, for rows under the prefix."""
    start = prefix.encode()
    if not prefix.endswith("{"):
        return lambda keys: [start + key for key in keys]
    starts = [start + bytes([TAGS + tag]) + b"}" for tag in range(TAGS)]
    return lambda keys: [starts[crc32(key) % TAGS] + key for key in keys]


def key_of(name: bytes, prefix: str) -> bytes:
    """The packed join keys in a name under the prefix: what `namer` made the name of."""
    return name[len(prefix.encode()) + (2 if prefix.endswith("{") else 0) :]


def slot_of(name: bytes) -> int:
    """The slot that holds a name: that of what stands between the first braces, if there is such a thing."""
    begin = name.find(b"{") + 1
    end = name.find(b"}", begin) if begin else -1
    return _slot(name[begin:end] if end > begin else name)


def by_slot(names: Iterable[bytes]) -> dict[int, list[int]]:
    """The places of names in one slot, by slot."""
    places: dict[int, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(slot_of(name), []).append(place)
    return places


@lru_cache(maxsize=1_000)
def _slot(hashed: bytes) -> int:
    return crc_hqx(hashed, 0) % SLOTS


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits
