"""Checks that a view's transform gives the same rows in DuckDB and BigQuery, for a test's source rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.expressions.tables import within
from amora_fs_assets.operations.offline.transform import query_of
from amora_fs_assets.testing.computed import Rows, given_rows, tables_of
from amora_fs_assets.testing.golden import ENGINES
from amora_fs_assets.testing.reference_store import ReferenceStore
from amora_fs_assets.testing.witness import RefusedByGoogleSQL, Witness

_NAMES = {"duckdb": "DuckDB", "bigquery": "BigQuery"}
_SHOWN = 5
_RELATIVE = 1e-9  # the order of summation differs between engines
_shared: dict[Path | None, Witness] = {}


def assert_same_on(
    view: FeatureView,
    interval: Interval,
    *,
    engines: Sequence[str] = ENGINES,
    witness: Witness | None = None,
    python: Path | None = None,
    **rows: Rows,
) -> pa.Table:
    """Assert that the view has the same rows of the interval in all engines, "duckdb" and "bigquery"; return the rows.

    `rows` are as in `compute`. GoogleSQL's reference implementation runs BigQuery's SQL. Floats may differ by a
    relative 1e-9; a null list equals an empty list. Raises AssertionError with the first rows and columns that differ,
    or with BigQuery's error; InvalidRequest for rows of an unknown source, or another engine; WitnessUnavailable
    without the package zetasql. `python` may be another Python that has it.
    """
    if not engines or not set(engines) <= set(ENGINES):
        raise InvalidRequest(f"engines is {list(engines)}. Give names of {', '.join(ENGINES)}.")
    found: dict[str, pa.Table] = {}
    with given_rows(view, rows) as (plain, embedded):
        query = query_of(plain, interval, embedded.dataset)
        query = query.filter(within(query[EVENT_TIMESTAMP], interval))
        for engine in engines:
            store: OfflineStore = embedded
            if engine == "bigquery":
                tables = tables_of(plain, rows, embedded.dataset)
                store = ReferenceStore(witness or shared(python), tables, dataset=embedded.dataset)
            try:
                with store.read(query) as batches:
                    found[engine] = batches.read_all()
            except RefusedByGoogleSQL as error:
                raise AssertionError(f"{view}: BigQuery refuses its SQL: {error}") from error
    first, *others = found
    for engine in others:
        if text := difference(found[first], found[engine], (_NAMES[first], _NAMES[engine])):
            raise AssertionError(f"{view} gives other rows in {_NAMES[engine]}: {text}")
    return found[first]


def shared(python: Path | None) -> Witness:
    """The witness that all tests of this process share."""
    if python not in _shared:
        _shared[python] = Witness(python)
    return _shared[python]


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
