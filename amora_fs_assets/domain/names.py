"""What things may be called."""

from __future__ import annotations

import re
from collections.abc import Iterable

from amora_fs_assets.domain.errors import DefinitionError, shown

EVENT_TIMESTAMP = "event_timestamp"
CREATED_TIMESTAMP = "created_timestamp"
RESERVED_COLUMNS = frozenset({EVENT_TIMESTAMP, CREATED_TIMESTAMP})

_NAME = re.compile(r"[a-z][a-z0-9_]{0,127}")
_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,1023}\.[A-Za-z_][A-Za-z0-9_]{0,1023}")  # as long as BigQuery takes


def check_name(kind: str, name: object) -> None:
    """Refuse a name that is not lower-case snake case, as asset keys, tables and Redis keys are made of it."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DefinitionError(
            f"{kind} {shown(name)}: a name starts with a lower-case letter and has lower-case letters, digits and "
            "underscores, at most 128 of them."
        )


def check_column(owner: str, name: object) -> None:
    """Refuse a column name that an engine would need to rewrite."""
    if not isinstance(name, str) or not _COLUMN.fullmatch(name):
        raise DefinitionError(
            f"{owner}: column {shown(name)} starts with a letter and has letters, digits and underscores, at most 128."
        )


def check_table(owner: str, table: object) -> None:
    """Refuse a table that is not written `dataset.table`."""
    if not isinstance(table, str) or not _TABLE.fullmatch(table):
        raise DefinitionError(
            f"{owner}: table={shown(table)} is not written as 'dataset.table', each of letters, digits and "
            "underscores. Write it so, such as table='raw.orders'."
        )


def unused(name: str, taken: Iterable[str]) -> str:
    """The name, with as many underscores before it as make it differ from the `taken` names.

    Engines do not tell the cases of letters apart, so `Rank` takes `rank` too.
    """
    folded = {each.casefold() for each in taken}
    while name.casefold() in folded:
        name = f"_{name}"
    return name


def unused_prefix(taken: Iterable[str]) -> str:
    """Underscores with which none of the `taken` names begins: one, where no name begins with an underscore."""
    longest = max((len(name) - len(name.lstrip("_")) for name in taken), default=0)
    return "_" * (longest + 1)


def dropped_sequence(keys: Iterable[str]) -> str:
    """The column of `_dropped_<view>` that says which publication dropped a key."""
    return unused("sequence", keys)


def count_of_entities(count: int) -> str:
    """`3 entities`: a count for messages."""
    return f"{count:,} {'entity' if count == 1 else 'entities'}"
