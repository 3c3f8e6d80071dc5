"""Tries whether the engines can run an expression, on empty tables, when a schema is read."""

from __future__ import annotations

from functools import cache
from typing import Any

import ibis
import ibis.expr.operations as ops
from ibis.expr.types import Table


@cache
def _engine() -> Any:
    return ibis.duckdb.connect()


def trial(query: Table) -> None:
    """Run a query over empty tables on DuckDB, and compile it for BigQuery. Raises their errors."""
    engine = _engine()
    for table in query.op().find(ops.UnboundTable):
        engine.create_table(table.name, schema=table.schema, temp=True, overwrite=True)
    engine.raw_sql(ibis.to_sql(query, dialect="duckdb")).fetchall()
    ibis.to_sql(query, dialect="bigquery")
