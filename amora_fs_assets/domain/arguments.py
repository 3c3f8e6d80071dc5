"""The arguments of definitions: their types and ranges, checked where they enter.

Each function returns the argument in its stored form, or raises DefinitionError, which names the definition
(`owner`, such as "Feature view 'spending'"), the argument and the fix.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from amora_fs_assets.domain.errors import DefinitionError, shown
from amora_fs_assets.domain.time import Period, utc

LONGEST = timedelta(days=365_250)
"""The longest duration that a definition takes: 1,000 years. An instant of the years 1001 to 8999 plus or minus such a
duration stays within the years 1 to 9999, the range of Python and BigQuery."""

# The owners and tags that Dagster takes. A test holds these rules equal to Dagster's own.
_EMAIL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._%+-]*@[A-Za-z0-9.-]+\.[A-Za-z|]{1,6}[A-Za-z]")
_TEAM = re.compile(r"team:.+", re.DOTALL)
_TAG_NAME = re.compile(r"([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}")
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.-]{0,63}")
_DAGSTERS_OWN = "dagster/"


def wrong(owner: str, argument: str, value: object, fix: str) -> DefinitionError:
    """The error for an argument of a wrong type or value."""
    return DefinitionError(f"{owner}: {argument}={shown(value)} is of type {type(value).__name__}. {fix}")


def text(owner: str, argument: str, value: object) -> str:
    """A text that JSON and every database can hold."""
    if not isinstance(value, str):
        raise wrong(owner, argument, value, "Give a text.")
    plain = str.__str__(value)
    if "\0" in plain or any("\ud800" <= letter <= "\udfff" for letter in plain):
        raise DefinitionError(
            f"{owner}: {argument}={ascii(plain)[:60]} has a character that cannot be stored: a NUL or half a "
            "surrogate pair. Remove the character."
        )
    return plain


def flag(owner: str, argument: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise wrong(owner, argument, value, "Give True or False.")
    return value


def items(owner: str, argument: str, value: object, kinds: tuple[type, ...], fix: str) -> tuple[Any, ...]:
    """A list or tuple whose items are of one of the types."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise wrong(owner, argument, value, fix)
    for each in value:
        if not isinstance(each, kinds):
            raise DefinitionError(
                f"{owner}: {argument} holds {shown(each)}, which is of type {type(each).__name__}. {fix}"
            )
    return tuple(value)


def duration(owner: str, argument: str, value: object, *, none: str = "") -> timedelta:
    """A duration from zero to 1,000 years. `none` is the meaning of None, for an argument that takes None."""
    fix = f"Give a timedelta, such as timedelta(days=7){f', or None for {none}' if none else ''}."
    if not isinstance(value, timedelta):
        raise wrong(owner, argument, value, fix)
    try:
        # pandas' subclass may hold longer durations. Nanoseconds are cut off.
        plain = timedelta(value.days, value.seconds, value.microseconds)
    except (OverflowError, TypeError, ValueError):
        plain = timedelta.max
    if not timedelta(0) <= plain <= LONGEST:
        raise DefinitionError(
            f"{owner}: {argument} is {value}. Give a duration from zero to 1,000 years ({LONGEST.days:,} days)"
            f"{f', or None for {none}' if none else ''}."
        )
    if timedelta(seconds=plain.total_seconds()) != plain:
        raise DefinitionError(
            f"{owner}: {argument} is {plain}, which is too long to be kept to the microsecond. Give whole seconds."
        )
    return plain


def instant(owner: str, argument: str, value: Any) -> datetime:
    """An instant of the years 1 to 9999, in UTC."""
    try:
        return utc(value, argument)
    except ValueError as error:
        raise DefinitionError(f"{owner}: {error}") from None


def owner_of(owner: str, value: object) -> str:
    """The owner of a definition: an e-mail address or `team:<name>`, as in Dagster; the empty text for no owner."""
    who = text(owner, "owner", value)
    if who and not _EMAIL.fullmatch(who) and not _TEAM.fullmatch(who):
        raise DefinitionError(
            f"{owner}: owner={shown(who)} is neither an e-mail address nor a team. Write owner='name@example.com' or "
            "owner='team:name'."
        )
    return who


def period(owner: str, argument: str, value: object, known: Sequence[str], *, or_none: bool = False) -> Period:
    """A calendar period, one of `known`. `or_none`: the message names None too."""
    if not isinstance(value, str) or value not in known:
        none = " or None" if or_none else ""
        raise DefinitionError(
            f"{owner}: {argument}={shown(value)} is not one of {', '.join(known)}{none}. Give one of these."
        )
    return Period(value)


def tags_of(owner: str, value: object, *, check: bool = True) -> dict[str, str]:
    """The tags, by Dagster's rules. `check` is False for an applied definition that is read from a registry."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise wrong(owner, "tags", value, "Give a dict, such as tags={'domain': 'sales'}.")
    found: dict[str, str] = {}
    for name, value_text in value.items():
        if not isinstance(name, str) or not isinstance(value_text, str):
            raise DefinitionError(
                f"{owner}: tags: {shown(name)}: {shown(value_text)}: the name and the value must be texts. "
                "Write both in quotes, such as tags={'tier': '1'}."
            )
        if check:
            _check_tag(owner, name, value_text)
        found[str.__str__(name)] = str.__str__(value_text)
    return found


def _check_tag(owner: str, name: str, value_text: str) -> None:
    if not _TAG_NAME.fullmatch(name):
        raise DefinitionError(
            f"{owner}: tags: Dagster does not accept the name {shown(name)}. A name has at most 63 letters, digits, "
            "'_', '-' and '.', optionally after a namespace of the same characters and '/'. Rename the tag."
        )
    if name.startswith(_DAGSTERS_OWN):
        raise DefinitionError(f"{owner}: tags: the name {shown(name)} is reserved for Dagster. Rename the tag.")
    if not _TAG_VALUE.fullmatch(value_text):
        raise DefinitionError(
            f"{owner}: tags: Dagster does not accept the value {shown(value_text)} of '{name}'. A value has at most 63 "
            "letters, digits, '_', '-' and '.'. Change the value, or move it to description=."
        )


def asset_key(owner: str, value: object) -> tuple[str, ...]:
    """The key of a Dagster asset: `["staging", "orders"]`, or `"staging/orders"` as Dagster's UI writes keys."""
    parts = value.split("/") if isinstance(value, str) else value
    if isinstance(parts, list | tuple) and parts and all(isinstance(part, str) for part in parts):
        found = tuple(text(owner, "asset", part) for part in parts)
        if all(part and part == part.strip() and "/" not in part for part in found):
            return found
    raise DefinitionError(
        f"{owner}: asset={shown(value)} is no key of an asset. Give its parts, such as asset=['staging', 'orders']."
    )


def schema(owner: str, value: object) -> Any:
    """A class of columns: a FeatureSchema or a SourceSchema."""
    if isinstance(value, type) and callable(getattr(value, "columns_of", None)):
        return value
    raise wrong(owner, "schema", value, "Give a class of columns: `class Orders(SourceSchema): ...`.")


def function(owner: str, argument: str, value: object) -> Callable[..., Any]:
    """A function, or another callable."""
    if not callable(value):
        raise wrong(owner, argument, value, "Give a function.")
    return value
