"""Pandera's checks as Ibis expressions: what a row must keep, decided by the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pandera.backends.ibis.builtin_checks  # noqa: F401  (fills the dispatch table of Pandera's own checks)
from pandera.api.checks import Check
from pandera.api.ibis.types import IbisData


def keeps(check: Check, table: ir.Table, column: str | None) -> ir.BooleanValue:
    """For each row of `table` whether it keeps `check`, never null; a null keeps it, where the check ignores nulls.

    A NaN is not null: of all comparisons it keeps `!=` alone, as in IEEE 754, whatever the engine makes of it.

    `column` is None for a check of whole rows. Raises whatever the check's function raises on an Ibis table that
    cannot be executed, and TypeError where it returns no truth value per row: such a check cannot be pushed down.
    """
    result = check._check_fn(IbisData(table, column), **check._check_kwargs)
    if isinstance(result, ir.Table):  # Pandera's own checks return a projection of truth values
        kept = ibis.and_(*(cast("ir.BooleanValue", value.to_expr()) for value in result.op().values.values()))
    elif isinstance(result, bool):
        raise TypeError("it returned True or False rather than an expression over the rows")
    else:
        kept = result
    if not isinstance(kept, ir.BooleanColumn):
        raise TypeError(f"it returned {type(kept).__name__} rather than a truth value per row")
    kept = _decided(kept)
    if check.ignore_na and column is not None:
        kept = kept | table[column].isnull()
    # Whether a null ignores a check of whole rows is decided by what the check makes of it.
    return cast("ir.BooleanValue", kept.fill_null(bool(check.ignore_na)))


def _decided(kept: ir.BooleanValue) -> ir.BooleanValue:
    """The expression with what each comparison makes of NaN spelled out: DuckDB takes it for the greatest number."""
    return cast("ir.BooleanValue", kept.op().replace(_without_nan, filter=ops.Value).to_expr())


def _without_nan(node: ops.Value, children: Mapping[str, Any] | None) -> ops.Value:
    compared = cast("ops.Value", node.__recreate__(children) if children else node)
    if not isinstance(compared, ops.Comparison | ops.Between) or isinstance(compared, ops.IdenticalTo):
        return compared
    for side in compared.args:
        if side.dtype.is_floating() and not isinstance(side, ops.Literal):
            nan = ops.IsNan(side)
            different = isinstance(node, ops.NotEquals)
            compared = ops.Or(compared, nan) if different else ops.And(compared, ops.Not(nan))
    return compared
