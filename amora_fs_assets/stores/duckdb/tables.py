"""Tables in DuckDB: names, types, columns, and the incarnation in a table's comment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.ibis_types import IBIS_TYPES, nullable
from amora_fs_assets.domain.places.external import NANOSECONDS
from amora_fs_assets.domain.ports.offline import StoredTable
from amora_fs_assets.domain.types import DataType

TYPES = {
    DataType.INT64: "BIGINT",
    DataType.FLOAT64: "DOUBLE",
    DataType.STRING: "VARCHAR",
    DataType.BOOLEAN: "BOOLEAN",
    DataType.BYTES: "BLOB",
    DataType.DATE: "DATE",
    DataType.TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
    DataType.DECIMAL: "DECIMAL(38,9)",
    DataType.TIME: "TIME",
    DataType.UUID: "VARCHAR",
    DataType.JSON: "VARCHAR",
}
_TOLD = {"UUID": dt.uuid, "JSON": dt.json, "TIME_NS": NANOSECONDS}
"""Types that Arrow or Ibis does not tell from text and from TIME."""
_INCARNATION = "amora_fs incarnation "
"""The prefix of a table's comment with an incarnation."""


def type_of(column: Column) -> str:
    """The column's type in DuckDB."""
    return _type(column.type)


def _type(type_: DataType) -> str:
    if type_.is_list:
        return f"{_type(type_.item)}[]"
    if type_.is_map:
        return f"STRUCT(key VARCHAR, value {_type(type_.fields['value'])})[]"
    if type_.is_struct:
        return f"STRUCT({', '.join(f'{column_name(name)} {_type(field)}' for name, field in type_.fields.items())})"
    return TYPES[type_]


def column_name(name: str) -> str:
    """A column's name, quoted; any characters are allowed."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def quoted(name: str) -> str:
    """A table's name of one or more parts, quoted: `feature_store.flights` is `"feature_store"."flights"`."""
    return ".".join(f'"{part}"' for part in name.split("."))


def declared(columns: Sequence[Column]) -> str:
    """The columns with their types, for CREATE TABLE."""
    return ", ".join(f"{column_name(column.name)} {type_of(column)}" for column in columns)


def one_row(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any] | None = None
) -> tuple[Any, ...]:
    """The only row of a query."""
    row = connection.execute(sql, parameters or None).fetchone()
    assert row is not None, "an aggregate has one row"
    return row


def stored_table(connection: duckdb.DuckDBPyConnection, table: str) -> StoredTable | None:
    """The table's present state; None for a missing table."""
    (found,) = stored_tables(connection, [table])
    return found


def stored_tables(connection: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> list[StoredTable | None]:
    """As `stored_table`, for several tables in one query, since DuckDB scans all tables to find one comment."""
    wanted = [table.lower() for table in tables]
    found = connection.execute(
        "SELECT if(database_name = current_database(), '', lower(database_name) || '.') || name, comment FROM ("
        "SELECT database_name, lower(schema_name || '.' || table_name) AS name, comment FROM duckdb_tables() UNION ALL "
        "SELECT database_name, lower(schema_name || '.' || view_name), NULL FROM duckdb_views() WHERE NOT internal) "
        "WHERE list_contains($wanted, if(database_name = current_database(), '', lower(database_name) || '.') || name)",
        {"wanted": wanted},
    ).fetchall()
    comments = {name: comment or "" for name, comment in found}
    return [_stored(connection, each, comments[each.lower()]) if each.lower() in comments else None for each in tables]


def _stored(connection: duckdb.DuckDBPyConnection, table: str, comment: str) -> StoredTable:
    incarnation = comment.removeprefix(_INCARNATION) if comment.startswith(_INCARNATION) else ""
    return StoredTable(columns_of(connection, quoted(table)), incarnation)


def columns_of(connection: duckdb.DuckDBPyConnection, rows: str) -> dict[str, dt.DataType]:
    """The columns of a quoted table or of a SELECT in parentheses."""
    found = connection.execute(f"SELECT * FROM {rows} LIMIT 0")
    told = {name: _TOLD[str(kind)] for name, kind, *_ in found.description or () if str(kind) in _TOLD}
    return {field.name: _ibis_type(field.type) for field in found.to_arrow_table().schema} | told


def _ibis_type(type_: pa.DataType) -> dt.DataType:
    """The Ibis type of a column; Unknown for a type that Ibis lacks, such as an interval."""
    try:
        return nullable(ibis.Schema.from_pyarrow(pa.schema([("column", type_)]))["column"])
    except (ValueError, KeyError, NotImplementedError):
        return dt.Unknown(raw_type=str(type_))


def make(connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Column], incarnation: str) -> None:
    """Create the table, or replace the existing one."""
    connection.execute(f"CREATE OR REPLACE TABLE {quoted(table)} ({declared(columns)})")
    connection.execute(f"COMMENT ON TABLE {quoted(table)} IS '{_INCARNATION}{incarnation}'")


def same_types(connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Column]) -> bool:
    """Whether the existing columns have these types; missing columns are ignored."""
    types = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE {quoted(table)}").fetchall()}
    stored = columns_of(connection, quoted(table)) if any(column.type.is_nested for column in columns) else {}
    return all(
        stored.get(column.name, IBIS_TYPES[column.type]) == IBIS_TYPES[column.type]
        if column.type.is_nested  # DuckDB writes a field's name in quotes only where it must
        else types.get(column.name, type_of(column)) == type_of(column)
        for column in columns
    )


def holds(connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Column]) -> bool:
    """Whether the table has exactly these columns with these types."""
    stored = stored_table(connection, table)
    return (
        stored is not None
        and set(stored.columns) == {column.name for column in columns}
        and same_types(connection, table, columns)
    )


def ensure(connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Column], *, anew: bool = False) -> None:
    """Create the table if it is missing or has other columns; recreate it with `anew`."""
    if anew or not holds(connection, table, columns):
        connection.execute(f"CREATE OR REPLACE TABLE {quoted(table)} ({declared(columns)})")


def add_columns(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Column], existing: Mapping[str, Any]
) -> None:
    """Add the columns that the table lacks."""
    for column in columns:
        if column.name not in existing:
            connection.execute(
                f"ALTER TABLE {quoted(table)} ADD COLUMN IF NOT EXISTS {column_name(column.name)} {type_of(column)}"
            )
