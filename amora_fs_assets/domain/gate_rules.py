"""The one list of a view's rules, which the gate of a computation and the gate of a push both run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
from ibis.expr.types import BooleanValue, Table

from amora_fs_assets.domain.gate import TABLE, Gate
from amora_fs_assets.domain.names import unused
from amora_fs_assets.domain.rules import keeps
from amora_fs_assets.domain.schema import IBIS_TYPES

if TYPE_CHECKING:
    from amora_fs_assets.domain.feature_view import FeatureView


@dataclass(frozen=True)
class GateRule:
    """A rule as an expression over rows: true for each row that keeps the rule, never null."""

    check: str
    name: str
    keeps: BooleanValue


def unique_key(view: FeatureView) -> str:
    """The name of the check that keys are unique. A column that is called so keeps the name for its own check."""
    return unused("unique_key", (column.name for column in view.row_columns))


def whole_rows(view: FeatureView) -> str:
    """The name of the check of whole rows. A column that is called so keeps the name for its own check."""
    return unused("rows", (column.name for column in view.row_columns))


def rules_of(view: FeatureView, rows: Table) -> Iterator[GateRule]:
    """All rules that judge a row by itself: nulls, the columns' checks, the checks of whole rows."""
    schema = view.schema.to_schema() if view.schema is not None else None
    for column in view.row_columns:
        if not column.nullable:
            yield GateRule(column.name, "not null", rows[column.name].notnull())
        declared = schema.columns[column.name].checks if schema and column.name in schema.columns else []
        for check, rule in zip(declared, column.rules, strict=True):
            yield GateRule(column.name, str(rule), keeps(check, rows, column.name))
    for check in schema.checks if schema else []:
        yield GateRule(whole_rows(view), str(check.name), keeps(check, rows, None))


def compiled(view: FeatureView) -> Gate:
    """The rules as one query of DuckDB's."""
    rows = ibis.table({column.name: IBIS_TYPES[column.type] for column in view.row_columns}, name=TABLE)
    rules = list(rules_of(view, rows))
    # Positions as names: nothing that a column is called stands in their way.
    query = rows.select(**{f"keeps_{place}": rule.keeps for place, rule in enumerate(rules)})
    return Gate(tuple((rule.check, rule.name) for rule in rules), str(ibis.to_sql(query, dialect="duckdb")))
