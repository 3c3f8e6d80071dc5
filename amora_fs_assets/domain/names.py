"""Rules for names."""

from __future__ import annotations

import re
from collections.abc import Iterable

from amora_fs_assets.domain.errors import DefinitionError, shown

EVENT_TIMESTAMP = "event_timestamp"
CREATED_TIMESTAMP = "created_timestamp"
VALID_TO = "valid_to"
"""The column of a view with valid_to_field: the instant at which the values of a row end."""
PUSHED = "_pushed"
"""A column of expressions: 1 for rows that were pushed to an external view, 0 for the rows of its table."""
RESERVED_COLUMNS = frozenset({EVENT_TIMESTAMP, CREATED_TIMESTAMP})
PUSH_SOURCE = "push_source"
"""The tag of a feature view with the name of the Feast push source that feeds it."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,127}")
_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,1023}\.[A-Za-z_][A-Za-z0-9_]{0,1023}")  # BigQuery's limit
_PROJECT = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")


def check_name(kind: str, name: object) -> None:
    """Refuse a name that is not lower-case snake case, since asset keys, tables and Redis keys contain names."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DefinitionError(
            f"{kind} {shown(name)}: a name starts with a lower-case letter and has lower-case letters, digits and "
            "underscores, at most 128 of them."
        )


def check_column(owner: str, name: object) -> None:
    """Refuse a column name that an engine cannot take unchanged."""
    if not isinstance(name, str) or not _COLUMN.fullmatch(name):
        raise DefinitionError(
            f"{owner}: column {shown(name)} starts with a letter and has letters, digits and underscores, at most 128."
        )


def check_table(owner: str, table: object, *, projects: bool = False) -> None:
    """Refuse a table that is not written `dataset.table` or, with `projects`, `project.dataset.table`."""
    project, name = "", table
    if projects and isinstance(table, str) and table.count(".") == 2:
        project, _, name = table.partition(".")
    if isinstance(name, str) and _TABLE.fullmatch(name) and (not project or _PROJECT.fullmatch(project)):
        return
    form = " or 'project.dataset.table'" if projects else ""
    raise DefinitionError(
        f"{owner}: table={shown(table)} is not written as 'dataset.table'{form}, each of letters, digits and "
        "underscores. Write it like this: table='raw.orders'."
    )


def unused(name: str, taken: Iterable[str]) -> str:
    """The name with as many leading underscores as needed to differ from the `taken` names.

    Case is ignored, as engines do.
    """
    folded = {each.casefold() for each in taken}
    while name.casefold() in folded:
        name = f"_{name}"
    return name


def unused_prefix(taken: Iterable[str]) -> str:
    """The shortest prefix of underscores with which none of the `taken` names begins."""
    longest = max((len(name) - len(name.lstrip("_")) for name in taken), default=0)
    return "_" * (longest + 1)


def dropped_sequence(keys: Iterable[str]) -> str:
    """The column of `_dropped_<view>` with the sequence of the publication that dropped a key."""
    return unused("sequence", keys)


def count_of_entities(count: int) -> str:
    """`3 entities`: a count for messages."""
    return f"{count:,} {'entity' if count == 1 else 'entities'}"
