"""Checks that a view's transform gives the same rows in DuckDB and BigQuery, for a test's source rows."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
from ibis.expr.operations import UnboundTable
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.external import as_declared
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.schema import IBIS_TYPES
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.expressions.tables import all_columns
from amora_fs_assets.operations.offline.transform import query_of
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.testing.reference_store import ReferenceStore
from amora_fs_assets.testing.witness import RefusedByGoogleSQL, Witness

_DATASET = "feature_store"
_SHOWN = 5
_RELATIVE = 1e-9  # the order of summation differs between engines
Rows: TypeAlias = pa.Table | list[dict[str, Any]]
_shared: dict[Path | None, Witness] = {}


def assert_same_on(
    view: FeatureView,
    rows: Mapping[str, Rows],
    *,
    start: datetime,
    end: datetime,
    witness: Witness | None = None,
    python: Path | None = None,
) -> pa.Table:
    """Assert that the view has the same rows of [start, end) in DuckDB and BigQuery; return the rows.

    `rows` are the rows of each source, by name, with the names of its table; other sources are empty. GoogleSQL's
    reference implementation runs the SQL. Floats may differ by a relative 1e-9; a null list equals an empty list.
    Raises AssertionError with the first rows and columns that differ, or with BigQuery's error; InvalidRequest for rows
    of an unknown source; WitnessUnavailable without the package zetasql. `python` may be another Python that has it.
    """
    sources = {source.name: source for source in view.sources}
    if unknown := sorted(set(rows) - set(sources)):
        raise InvalidRequest(f"{view} has no source {unknown}. Its sources: {sorted(sources)}.")
    tables = {}
    for name, source in sources.items():
        schema = pa.schema([(column.name, IBIS_TYPES[column.type].to_pyarrow()) for column in all_columns(source)])
        given = rows.get(name, [])
        held = given.select(schema.names).cast(schema) if isinstance(given, pa.Table) else _table(given, schema)
        tables[table_name(source, _DATASET)] = held
    query = as_declared(query_of(view, Interval(start, end), _DATASET))
    witness = witness or shared(python)
    with tempfile.TemporaryDirectory() as home:
        embedded = _rows_in(query, DuckDBOfflineStore(Path(home)), tables)
    try:
        cloud = _rows_in(query, ReferenceStore(witness), tables)
    except RefusedByGoogleSQL as error:
        raise AssertionError(f"{view}: BigQuery refuses its SQL: {error}") from error
    if text := difference(embedded, cloud, ("DuckDB", "BigQuery")):
        raise AssertionError(f"{view} gives other rows in BigQuery: {text}")
    return embedded


def shared(python: Path | None) -> Witness:
    """The witness that all tests of this process share."""
    if python not in _shared:
        _shared[python] = Witness(python)
    return _shared[python]


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema)


def _rows_in(query: Table, store: OfflineStore, tables: Mapping[str, pa.Table]) -> pa.Table:
    """The query's rows, with its tables given as frames."""
    frames = {name.replace(".", "__"): rows for name, rows in tables.items()}
    renamed = {
        node: UnboundTable(name="__".join(filter(None, _names(node))), schema=node.schema)
        for node in query.op().find(UnboundTable)
    }
    with store.read(query.op().replace(renamed).to_expr(), frames) as batches:
        return batches.read_all()


def _names(table: UnboundTable) -> tuple[str | None, ...]:
    return (table.namespace.catalog, table.namespace.database, table.name)


def difference(left: pa.Table, right: pa.Table, names: tuple[str, str]) -> str:
    """The first rows and columns in which two tables differ, ignoring the order of rows; empty for equal tables."""
    if left.num_rows != right.num_rows:
        return f"{left.num_rows} rows in {names[0]}, {right.num_rows} in {names[1]}"
    rows = []
    for one, other in zip(_sorted(left), _sorted(right), strict=True):
        columns = [name for name in left.column_names if not _same(one[name], other[name])]
        if columns:
            where = {name: value for name, value in one.items() if name not in columns}
            pairs = ", ".join(f"{name}: {names[0]} {one[name]!r}, {names[1]} {other[name]!r}" for name in columns)
            rows.append(f"{pairs} (row {where})")
    more = f"\nand {len(rows) - _SHOWN} rows more" if len(rows) > _SHOWN else ""
    return "\n" + "\n".join(rows[:_SHOWN]) + more if rows else ""


def _sorted(table: pa.Table) -> list[dict[str, Any]]:
    """The rows, sorted by exact columns, then by rounded floats, so that rounding errors do not change the order."""
    exact = [f.name for f in table.schema if not pa.types.is_floating(f.type)]
    others = [name for name in table.column_names if name not in exact]

    def place(row: dict[str, Any]) -> tuple[Any, ...]:
        texts = [repr(row[name] or []) if isinstance(row[name], list | None) else repr(row[name]) for name in exact]
        return (texts, [f"{row[name]:.6e}" if row[name] is not None else "" for name in others])

    return sorted(table.to_pylist(), key=place)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) or isinstance(other, list):
        one, other = one or [], other or []
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, float) and isinstance(other, float):
        return (one != one and other != other) or math.isclose(one, other, rel_tol=_RELATIVE)
    return bool(one == other)
