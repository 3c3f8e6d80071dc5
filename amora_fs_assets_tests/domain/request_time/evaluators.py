"""The evaluators of formulas: engines and Python, on the same rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb
import ibis
import pyarrow as pa

from amora_fs_assets.domain.arrow import arrow_type
from amora_fs_assets.domain.ports.dialect import Dialect
from amora_fs_assets.domain.request_time.by_columns import by_columns
from amora_fs_assets.domain.request_time.by_rows import Compute, by_rows
from amora_fs_assets.domain.request_time.formula import Formula, joined
from amora_fs_assets.domain.request_time.to_ibis import computed
from amora_fs_assets.domain.time import EPOCH, MICROSECOND
from amora_fs_assets.stores.bigquery.dialect import BIGQUERY
from amora_fs_assets.stores.duckdb.dialect import DUCKDB
from amora_fs_assets.testing import Witness
from amora_fs_assets_tests.domain.request_time.formulas import REQUEST_TIME

Values = dict[str, list[Any]]


def in_duckdb(formulas: Mapping[str, Formula], rows: pa.Table) -> Values:
    """The values in DuckDB."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("given", _with_time(rows))
        found = connection.sql(_sql(formulas, rows, DUCKDB)).to_arrow_table()
    for name, formula in formulas.items():
        assert found.schema.field(name).type == arrow_type(formula.type), formula
    return _values(found)


def in_bigquery(formulas: Mapping[str, Formula], rows: pa.Table, witness: Witness) -> Values:
    """The values by GoogleSQL's reference implementation."""
    return _values(witness.execute(_sql(formulas, rows, BIGQUERY), {"given": _with_time(rows)}))


def in_python(formulas: Mapping[str, Formula], rows: pa.Table) -> Values:
    """The values online, for few rows."""
    return _online(formulas, rows, by_rows)


def in_columns(formulas: Mapping[str, Formula], rows: pa.Table) -> Values:
    """The values online, for many rows."""
    return _online(formulas, rows, by_columns)


def _online(formulas: Mapping[str, Formula], rows: pa.Table, compiled: Callable[..., Compute]) -> Values:
    steps, results = joined(formulas)
    now = (REQUEST_TIME - EPOCH) // MICROSECOND
    found = compiled(steps, list(results.values()))(rows.to_pydict(), now, rows.num_rows)
    for values, complete in found:
        assert complete == (None not in values)
    return {name: values for name, (values, _) in zip(results, found, strict=True)}


def _with_time(rows: pa.Table) -> pa.Table:
    now = pa.array([REQUEST_TIME] * rows.num_rows, pa.timestamp("us", "UTC"))
    return rows.append_column("now", now).append_column("place", pa.array(range(rows.num_rows)))


def _sql(formulas: Mapping[str, Formula], rows: pa.Table, dialect: Dialect) -> str:
    given = _with_time(rows)
    table = ibis.table(ibis.Schema.from_pyarrow(given.schema), name="given")
    inputs = {name: name for name in rows.column_names}
    query = computed(table, formulas, inputs, "now", dialect).select("place", *formulas)
    return str(ibis.to_sql(query, dialect=dialect.name))


def _values(table: pa.Table) -> Values:
    found: Values = table.sort_by("place").drop(["place"]).to_pydict()
    return found


def same(one: Any, other: Any, *, exact: bool = True) -> bool:
    """Whether two values are the same to the last bit, with their types; inexact floats to their last digits."""
    if isinstance(one, datetime | Decimal) and isinstance(other, datetime | Decimal):
        return one == other
    if not exact and isinstance(one, float) and isinstance(other, float) and math.isclose(one, other, rel_tol=1e-14):
        return True
    return repr(one) == repr(other)
