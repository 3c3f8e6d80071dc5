"""Checks of the arguments of public functions: each check returns the value, or raises InvalidRequest.

The message names the argument, the given value and the accepted values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from amora_fs_assets.domain.errors import InvalidRequest, shown
from amora_fs_assets.domain.time import Instant, Interval, utc

_LONGEST = 1_000_000
"""The longest timeout, eleven days [s]: connections do not support much longer timeouts."""


def refused(argument: str, value: object, expected: str) -> InvalidRequest:
    """The error for a value that the argument does not accept."""
    return InvalidRequest(f"{argument} is {shown(value)} ({type(value).__name__}); give {expected}.")


def interval(start: Instant, end: Instant) -> Interval:
    """The interval [start, end)."""
    first, last = utc(start, "start"), utc(end, "end")
    if last < first:
        raise InvalidRequest(f"The end, {last.isoformat()}, is before the start, {first.isoformat()}. Swap them.")
    return Interval(first, last)


def text(argument: str, value: object, expected: str = "a name") -> str:
    """A text that UTF-8 can encode."""
    if not isinstance(value, str):
        raise refused(argument, value, expected)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refused(argument, value, f"{expected} in Unicode, without lone surrogates") from None
    return value


def texts(argument: str, value: object) -> list[str] | None:
    """A list of names; None for None."""
    if value is None:
        return None
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise refused(argument, value, "a list of names")
    return [text(f"{argument}[{place}]", each) for place, each in enumerate(value)]


def chosen(argument: str, value: object, every: Iterable[str]) -> list[str]:
    """The names of a list, which may be empty; `every` name for None."""
    names = texts(argument, value)
    return list(every) if names is None else names


def flag(argument: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise refused(argument, value, "True or False")
    return value


def whole(argument: str, value: Any, *, least: int) -> int:
    """A whole number of at least `least` that fits into 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:
        raise refused(argument, value, f"a whole number from {least} on")
    return value


def seconds(argument: str, value: Any) -> float | None:
    """A number of seconds; None for no limit."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST:
        raise refused(argument, value, f"a number of seconds greater than 0, up to {_LONGEST:,}, or None")
    return value


def cadence(argument: str, value: Any) -> timedelta:
    """The time between two repetitions."""
    if not isinstance(value, timedelta) or not timedelta(seconds=1) <= value <= timedelta(days=1):
        raise refused(argument, value, "a timedelta from one second to one day")
    return value


def tags(argument: str, value: object) -> dict[str, str]:
    """Tags as texts by name; empty for None."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise refused(argument, value, "a dict of texts")
    return {text(f"{argument}: name", key): text(f"{argument}[{key!r}]", each) for key, each in value.items()}


def one_of(word: str, value: Any, other_word: str, other: Any) -> Any:
    """An argument that has two names: the value of the one that is given."""
    if (value is None) == (other is None):
        raise InvalidRequest(f"{word} is missing." if value is None else f"Give either {word} or {other_word}.")
    return other if value is None else value
