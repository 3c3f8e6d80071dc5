"""The one list of a view's rules, which the gate of a computation and the gate of a push both run."""

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

from amora_fs_assets.domain.gate import TABLE, Gate
from amora_fs_assets.domain.names import unused
from amora_fs_assets.domain.rules import form_of, is_builtin, keeps
from amora_fs_assets.domain.schema import IBIS_TYPES

if TYPE_CHECKING:
    from amora_fs_assets.domain.feature_view import FeatureView

_ANY = f"column {uuid.uuid4()}"
"""The column that a predicate is compiled for, in place of each column of its type. No argument contains this name."""
_PREDICATES: dict[tuple[bytes | None, dt.DataType], str] = {}
"""SQL of Pandera's own checks (None: not null): one takes milliseconds to compile, and a project has thousands."""


@dataclass(frozen=True)
class GateRule:
    """A rule: the check that it belongs to, its name, and what it asks of a column, or of whole rows.

    `asks` is None where it asks that the column is not null.
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
        """The same in DuckDB's SQL, over a table `t0` of these columns."""
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
    """A truth value of the rows in DuckDB's SQL, where the rows are called `t0`."""
    (selected,) = duckdb.compiler.to_sqlglot(rows.select(kept=kept)).expressions
    return str(selected.unalias().sql(dialect=duckdb.compiler.dialect))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def unique_key(view: FeatureView) -> str:
    """The name of the check that keys are unique. A column that is called so keeps the name for its own check."""
    return unused("unique_key", (column.name for column in view.row_columns))


def whole_rows(view: FeatureView) -> str:
    """The name of the check of whole rows. A column that is called so keeps the name for its own check."""
    return unused("rows", (column.name for column in view.row_columns))


def rules_of(view: FeatureView) -> Iterator[GateRule]:
    """All rules that judge a row by itself: nulls, the columns' checks, the checks of whole rows."""
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
    """The rules as one query of DuckDB's."""
    columns = {column.name: IBIS_TYPES[column.type] for column in view.row_columns}
    rules = list(rules_of(view))
    # Positions as names: nothing that a column is called stands in their way.
    kept = ",\n  ".join(f'{rule.sql(columns)} AS "keeps_{place}"' for place, rule in enumerate(rules))
    return Gate(tuple((rule.check, rule.name) for rule in rules), f'SELECT\n  {kept}\nFROM "{TABLE}" AS "t0"')
