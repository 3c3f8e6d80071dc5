"""Keys of rows in Redis: the prefix of the generation, and the packed join keys.

    %1:<key>         on one server
    %1{<tag>}<key>   on a cluster, where the tag determines the slot, and so the node, of the row

A project's name does not begin with a percent sign, so that no row has the key of a view's state (`<project>:<view>`).
The keys of a generation that an earlier release filled begin with `f`; the state of the generation has its prefix.

A tag is one byte, chosen by the join keys alone: rows of one entity are on the same node for all views, and a write or
read has at most TAGS parts. Each byte from 128 on lies in another 128th of the slots (see the tests of the cluster), so
that nodes with equal numbers of slots have equal numbers of rows.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Callable, Iterable
from functools import lru_cache
from zlib import crc32

PREFIXES = "amora_fs:prefixes"
"""The key of the counter of prefixes, shared by all projects of the server."""
TAGS = 128
SLOTS = 16_384


def prefix_of(number: int, *, tagged: bool) -> str:
    """The prefix of a generation's rows. Short, since every key contains it."""
    return f"%{_base36(number)}{'{' if tagged else ':'}"


def state_name(project: str, view: str) -> str:
    """The key of a view's state. No view's name begins with an underscore."""
    name = f"{project}:{view}"
    return f"{project}:_{view}" if name == PREFIXES else name


def written_name(project: str, view: str) -> str:
    """The key of the ids of publications that were written for the view. No view's name begins with an underscore."""
    return f"{project}:{view}:_written"


@lru_cache(maxsize=10_000)
def namer(prefix: str) -> Callable[[Iterable[bytes]], list[bytes]]:
    """A function from packed join keys to Redis keys with the prefix."""
    start = prefix.encode()
    if not prefix.endswith("{"):
        return lambda keys: [start + key for key in keys]
    starts = [start + bytes([TAGS + tag]) + b"}" for tag in range(TAGS)]
    return lambda keys: [starts[crc32(key) % TAGS] + key for key in keys]


def key_of(name: bytes, prefix: str) -> bytes:
    """The packed join keys in a Redis key that `namer` made."""
    return name[len(prefix.encode()) + (2 if prefix.endswith("{") else 0) :]


def slot_of(name: bytes) -> int:
    """The slot of a Redis key: the hash of the text in the first braces, or of the whole key without braces."""
    begin = name.find(b"{") + 1
    end = name.find(b"}", begin) if begin else -1
    return _slot(name[begin:end] if end > begin else name)


def by_slot(names: Iterable[bytes]) -> dict[int, list[int]]:
    """The positions of the keys by slot."""
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
