"""The rules of a view. The gate of a computation and the gate of a push run the same rules."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
from ibis.backends.sql.compilers import duckdb
from ibis.expr.types import BooleanValue, Table
from pandera.api.checks import Check

from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.names import unused
from amora_fs_assets.domain.rules.checks import form_of, is_builtin, keeps
from amora_fs_assets.domain.rules.gate import TABLE, Gate

if TYPE_CHECKING:
    from amora_fs_assets.domain.feature_view import FeatureView

_ANY = f"column {uuid.uuid4()}"
"""A placeholder column: a predicate is compiled once per type. No argument contains this name."""
_PREDICATES: dict[tuple[bytes | None, dt.DataType], str] = {}
"""SQL of Pandera's built-in checks (None: not null). Cached, since each takes milliseconds to compile."""


@dataclass(frozen=True)
class GateRule:
    """A rule: the name of its check, its own name, and its Pandera check of a column or of whole rows.

    `asks` is None for the rule that a column is not null.
    """

    check: str
    name: str
    column: str | None
    asks: Check | None

    def keeps(self, rows: Table) -> BooleanValue:
        """True for each row that keeps the rule, never null."""
        if self.asks is None:
            return rows[str(self.column)].notnull()
        return keeps(self.asks, rows, self.column)

    def sql(self, columns: Mapping[str, dt.DataType]) -> str:
        """The predicate `keeps` in DuckDB's SQL, over a table `t0` with these columns."""
        if self.column is None or (self.asks is not None and not is_builtin(self.asks)):
            rows = ibis.table(columns, name=TABLE)
            return _compiled(self.keeps(rows), rows)
        type_ = columns[self.column]
        key = (None if self.asks is None else form_of(self.asks, type_), type_)
        if key not in _PREDICATES:
            rows = ibis.table({_ANY: type_}, name=TABLE)
            _PREDICATES[key] = _compiled(replace(self, column=_ANY).keeps(rows), rows)
        return _PREDICATES[key].replace(_quoted(_ANY), _quoted(self.column))


def _compiled(kept: BooleanValue, rows: Table) -> str:
    """A predicate over the rows in DuckDB's SQL, where the table is called `t0`."""
    (selected,) = duckdb.compiler.to_sqlglot(rows.select(kept=kept)).expressions
    return str(selected.unalias().sql(dialect=duckdb.compiler.dialect))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def unique_key(view: FeatureView) -> str:
    """The name of the check that keys are unique: "unique_key", or with underscores if a column has this name."""
    return unused("unique_key", (column.name for column in view.row_columns))


def whole_rows(view: FeatureView) -> str:
    """The name of the check of whole rows: "rows", or with underscores if a column has this name."""
    return unused("rows", (column.name for column in view.row_columns))


def rules_of(view: FeatureView) -> Iterator[GateRule]:
    """All rules that check a single row: nulls, the columns' checks, the checks of whole rows."""
    schema = view.schema.to_schema() if view.schema is not None else None
    for column in view.row_columns:
        if not column.nullable:
            yield GateRule(column.name, "not null", column.name, None)
        declared = schema.columns[column.name].checks if schema and column.name in schema.columns else []
        for check, rule in zip(declared, column.rules, strict=True):
            yield GateRule(column.name, str(rule), column.name, check)
    for check in schema.checks if schema else []:
        yield GateRule(whole_rows(view), str(check.name), None, check)


def compiled(view: FeatureView) -> Gate:
    """The rules as one DuckDB query."""
    columns = {column.name: IBIS_TYPES[column.type] for column in view.row_columns}
    rules = list(rules_of(view))
    # Names by position cannot clash with column names.
    kept = ",\n  ".join(f'{rule.sql(columns)} AS "keeps_{place}"' for place, rule in enumerate(rules))
    return Gate(tuple((rule.check, rule.name) for rule in rules), f'SELECT\n  {kept}\nFROM "{TABLE}" AS "t0"')
