"""The place of rows that other systems fill: a table, a query or a file, and how its columns become the schema's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from amora_fs_assets.domain import arguments
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import DefinitionError, shown
from amora_fs_assets.domain.names import check_table

UTC_ZONE = "UTC"
DATABASES = (".duckdb", ".db")
"""The suffixes of DuckDB files, in which `table` names one table."""
_FILES = (".parquet", ".csv", ".csv.gz", *DATABASES)
_QUERY = re.compile(r"(\s|--[^\n]*\n|/\*.*?\*/|\()*(select|with|from)\b", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Where:
    """The arguments of a definition that say where its rows are."""

    table: str | None
    """`dataset.table` or `project.dataset.table`; for a query or a file a text in records and messages."""
    query: str | None = None
    path: str | None = None
    path_table: str | None = None  # the table in a DuckDB file
    field_mapping: Mapping[str, str] = field(default_factory=dict)
    timezone: str = UTC_ZONE

    @classmethod
    def of(
        cls, owner: str, name: str, *, table: Any, query: Any, path: Any, field_mapping: Any, timezone: Any
    ) -> Where:
        """Check the arguments. Raises DefinitionError, which names the owner, the argument and the fix."""
        if query is not None and (table is not None or path is not None):
            raise DefinitionError(f"{owner}: query= replaces table= and path=. Give one of them.")
        mapping = _mapping(owner, field_mapping)
        zone = UTC_ZONE if timezone == UTC_ZONE else _timezone(owner, timezone)
        if query is not None:
            return cls(f"(query).{name}", _query(owner, query), field_mapping=mapping, timezone=zone)
        if path is not None:
            return cls(f"(file).{name}", None, _path(owner, path, table), table, mapping, zone)
        if table is not None:
            check_table(owner, table, projects=True)
        return cls(table, field_mapping=mapping, timezone=zone)


@dataclass(frozen=True)
class Place:
    """Where the rows of one source or external view are, with the columns that the schema declares."""

    owner: str  # in messages: "Source 'orders'"
    where: Where = field(hash=False)
    columns: tuple[Column, ...] = field(hash=False)
    names: Mapping[str, str] = field(hash=False)  # the stored name of a declared column, where it differs

    @property
    def table(self) -> str | None:
        """The table; None for a query or a file."""
        return None if self.where.query or self.where.path else self.where.table

    @property
    def reference(self) -> str:
        """The name in records: a table, or `(query).<name>` or `(file).<name>`, which no table can have."""
        assert self.where.table is not None, "a place has a table or a substitute for its name"
        return self.where.table

    def stored_name(self, column: str) -> str:
        """The name in the table of a declared column."""
        return self.names.get(column, column)

    def __str__(self) -> str:
        """The place in messages."""
        if self.where.query:
            return "its query"
        if self.where.path:
            return f"file {self.where.path}" + (f", table {self.where.path_table}" if self.where.path_table else "")
        return f"table {self.where.table}"


def to_plain(where: Where) -> dict[str, Any]:
    """The fields of the catalogue's JSON beside `table`. Defaults are left out, so that hashes stay as they were."""
    found = {
        "query": where.query,
        "path": where.path,
        "path_table": where.path_table,
        "field_mapping": dict(where.field_mapping),
        "timezone": "" if where.timezone == UTC_ZONE else where.timezone,
    }
    return {name: value for name, value in found.items() if value}


def of_plain(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a definition, from its JSON."""
    elsewhere = plain.get("query") or plain.get("path")
    return {
        "table": plain.get("path_table") if elsewhere else plain["table"],
        "query": plain.get("query"),
        "path": plain.get("path"),
        "field_mapping": plain.get("field_mapping"),
        "timezone": plain.get("timezone", UTC_ZONE),
    }


def _query(owner: str, value: object) -> str:
    text = arguments.text(owner, "query", value).strip().rstrip(";").rstrip()
    if not _QUERY.match(text):
        raise DefinitionError(
            f"{owner}: query={shown(value)} is not a SELECT. Write the engine's SQL: query='SELECT ... FROM ...'."
        )
    return text


def _path(owner: str, value: object, table: object) -> str:
    path = arguments.text(owner, "path", str(value) if hasattr(value, "__fspath__") else value)
    if not path.strip("/. "):
        raise DefinitionError(f"{owner}: path={shown(value)} names no file. Write path='data/orders.parquet'.")
    database = path.lower().endswith(DATABASES)
    if database and table is None:
        raise DefinitionError(f"{owner}: {path} is a DuckDB file. Name the table in the file: table='main.orders'.")
    if table is not None:
        if not database:
            raise DefinitionError(
                f"{owner}: table= with path= names the table of a DuckDB file, and {path} does not end in "
                f"{' or '.join(DATABASES)}. Give one of the two."
            )
        check_table(owner, table)
    last = path.rstrip("/").rpartition("/")[2].lower()
    if "." in last.strip(".") and not last.endswith(_FILES):
        raise DefinitionError(
            f"{owner}: path={shown(path)}: the file's name ends in none of {', '.join(_FILES)}. Name such a file, a "
            "folder of Parquet or CSV files, or read the file with query=."
        )
    return path


def _mapping(owner: str, value: object) -> dict[str, str]:
    if value is None:
        return {}
    fix = "Give a dict, such as field_mapping={'column in the table': 'name in the schema'}."
    if not isinstance(value, Mapping):
        raise arguments.wrong(owner, "field_mapping", value, fix)
    found: dict[str, str] = {}
    for stored, name in value.items():
        if not isinstance(stored, str) or not isinstance(name, str) or not stored:
            raise DefinitionError(f"{owner}: field_mapping: {shown(stored)}: {shown(name)} are not two names. {fix}")
        found[arguments.text(owner, "field_mapping", stored)] = arguments.text(owner, "field_mapping", name)
    if len(set(found.values())) < len(found):
        raise DefinitionError(f"{owner}: field_mapping gives two columns the same name: {found}. Map one of them.")
    return found


def check_mapping(owner: str, mapping: Mapping[str, str], known: set[str]) -> None:
    """Refuse a mapping to a name that the schema lacks. Raises DefinitionError."""
    for stored, name in mapping.items():
        if name not in known:
            raise DefinitionError(
                f"{owner}: field_mapping maps '{stored}' to '{name}', which is no column of the schema "
                f"({', '.join(sorted(known))}). The mapping is {{'column in the table': 'name in the schema'}}."
            )


def _timezone(owner: str, value: object) -> str:
    from zoneinfo import ZoneInfo

    name = arguments.text(owner, "timezone", value)
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, LookupError):
        raise DefinitionError(
            f"{owner}: timezone={shown(value)} is not a time zone. Give a name of the IANA database, such as "
            "'Europe/Berlin'."
        ) from None
