"""Tables of other DuckDB files, queries, and Parquet and CSV files: read where they are, never copied."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import duckdb
import ibis.expr.datatypes as dt
import sqlglot
from sqlglot import exp

from amora_fs_assets.domain.errors import OfflineStoreBusy, OfflineStoreError, TableNotFound
from amora_fs_assets.domain.places.external import Held, query_of
from amora_fs_assets.domain.places.place import DATABASES, Place
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.stores.duckdb.dialect import DUCKDB
from amora_fs_assets.stores.duckdb.tables import TYPES, column_name, columns_of, quoted, type_of

FORMATS = {".parquet": "read_parquet", ".csv": "read_csv", ".csv.gz": "read_csv"}
"""The table functions for the files of a folder, by the ends of their names."""
_SNIFFED = {DataType.TIMESTAMP, DataType.DATE}
"""Types of CSV columns that DuckDB reads from the text: their form, and whether times have a zone."""


def database_file(home: Path, catalog: str) -> Path:
    """The DuckDB file that a table's first of three names stands for."""
    return home / f"{catalog}.duckdb"


def catalogs_of(places: Iterable[Place]) -> set[str]:
    """The catalogs of tables with three names, also of the tables in a query."""
    found = set()
    for place in places:
        if place.table is not None and place.table.count(".") == 2:
            found.add(place.table.partition(".")[0])
        if place.where.query is not None:
            found |= _catalogs_in(place.where.query)
    return found


@lru_cache
def _catalogs_in(query: str) -> frozenset[str]:
    try:
        tables = sqlglot.parse_one(query, dialect="duckdb").find_all(exp.Table)
    except sqlglot.ParseError:  # DuckDB reports the error
        return frozenset()
    return frozenset(table.catalog for table in tables if table.catalog)


def attach(connection: duckdb.DuckDBPyConnection, home: Path, catalogs: Iterable[str]) -> None:
    """Attach the existing files of the catalogs, read-only."""
    for catalog in catalogs:
        file = database_file(home, catalog)
        if file.exists():
            try:
                connection.execute(f"ATTACH IF NOT EXISTS {_text(file)} AS {quoted(catalog)} (READ_ONLY)")
            except duckdb.IOException as error:
                raise OfflineStoreBusy(
                    f"{file} cannot be read now: {error}. Close the connection that holds it."
                ) from error


def file_of(place: Place, home: Path) -> str:
    """The file's address: absolute, or a URL. A relative path starts at the folder that contains the home."""
    path = str(place.where.path)
    return path if "://" in path else str(home.absolute().parent / path)


def held(connection: duckdb.DuckDBPyConnection, place: Place, home: Path) -> Held | None:
    """The columns of a query or file, and the SELECT that reads it; None for a missing file."""
    if place.where.query is not None:
        query = query_of(place, DUCKDB)
        return Held(_columns(connection, place, query), query)
    call = _call(place, file_of(place, home))
    if call is None:
        return None
    function, files, options = call
    sql = f"SELECT * FROM {function}({', '.join([_text(files), *options])})"
    stored = _columns(connection, place, sql)
    if function != "read_csv":
        return Held(stored, sql)
    # DuckDB guesses the types of a CSV file; the schema knows them, such as text in "007".
    names = {name.casefold(): name for name in stored}
    found = {names.get(place.stored_name(c.name).casefold()): c for c in place.columns if c.type.item not in _SNIFFED}
    types = ", ".join(
        f"{column_name(name)}: '{type_of(column)}'" for name, column in found.items() if name and column.type in TYPES
    )
    sql = f"SELECT * FROM {function}({', '.join([_text(files), *options, f'types={{{types}}}'])})"
    return Held(_columns(connection, place, sql), sql)


def _columns(connection: duckdb.DuckDBPyConnection, place: Place, sql: str) -> dict[str, dt.DataType]:
    try:
        return columns_of(connection, f"({sql}\n)")
    except duckdb.Error as error:
        missing = isinstance(error, duckdb.CatalogException) and "Table with name" in str(error)
        kind = TableNotFound if missing else OfflineStoreError
        raise kind(f"{place.owner}: {place} cannot be read: {error}") from error


def _call(place: Place, file: str) -> tuple[str, str, list[str]] | None:
    """The table function that reads the file, the files and its options; None for a missing file."""
    name, remote = file.rstrip("/").lower(), "://" in file
    path = Path(file)
    if not remote and not any(letter in file for letter in "*?[") and not path.exists():
        return None
    if name.endswith(DATABASES):
        schema, _, table = str(place.where.path_table).rpartition(".")
        return "read_duckdb", file, [f"schema_name={_text(schema)}", f"table_name={_text(table)}"]
    if name.endswith(".parquet"):
        return "read_parquet", file, []
    if name.endswith((".csv", ".csv.gz")):
        return "read_csv", file, []
    if not remote and any(path.glob("metadata/*.metadata.json")):
        raise OfflineStoreError(
            f"{place.owner}: {file} is an Iceberg table, which DuckDB reads only with its extension `iceberg`. Read it "
            "in a query: query=\"SELECT ... FROM iceberg_scan('...')\", on a machine that has the extension."
        )
    found = [".parquet"] if remote else _formats_in(path)
    if len(found) > 1:
        raise OfflineStoreError(
            f"{place.owner}: {file} has files of several formats: {', '.join(found)}. Name the files of one format: "
            f"path='{str(place.where.path).rstrip('/')}/**/*{found[0]}'."
        )
    return next(((FORMATS[each], f"{file.rstrip('/')}/**/*{each}", ["union_by_name=true"]) for each in found), None)


def _formats_in(folder: Path) -> list[str]:
    """The formats of the files in a folder, at any depth."""
    names = [each.name for each in folder.rglob("*")]
    return [each for each in FORMATS if any(name.endswith(each) for name in names)]


def _text(value: object) -> str:
    doubled = str(value).replace("'", "''")
    return f"'{doubled}'"
