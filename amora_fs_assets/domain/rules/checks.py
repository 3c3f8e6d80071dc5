"""Pandera's checks as Ibis expressions, which the engine evaluates."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pandera.backends.ibis.builtin_checks  # noqa: F401  (fills the dispatch table of Pandera's own checks)
from pandera.api.checks import Check
from pandera.api.function_dispatch import Dispatcher
from pandera.api.ibis.types import IbisData

from amora_fs_assets.domain.rules.arguments import arguments_of
from amora_fs_assets.domain.time import utc

_OTHER_ROWS = ops.Reduction | ops.Analytic | ops.WindowFunction | ops.Subquery


def keeps(check: Check, table: ir.Table, column: str | None) -> ir.BooleanValue:
    """Whether each row of `table` passes `check`, never null. A null passes a check that ignores nulls.

    A NaN is not null: it passes `!=` and fails every other comparison, as in IEEE 754, on both engines. Regular
    expressions are RE2's; `str_matches` matches at the start of the text.

    `column` is None for a check of whole rows. Raises any error of the check's function, which receives a table that
    cannot be executed. Raises TypeError if the function does not return a boolean per row, if the check reads other
    rows, which a push does not have, or if the two engines would disagree.
    """
    if check.element_wise:
        raise TypeError("it is element-wise Python")
    if check.groupby is not None:
        raise TypeError("it groups rows, but a push checks each row alone")
    if column is not None and is_builtin(check):
        result = _builtin(check, table, column)
    else:
        result = check._check_fn(IbisData(table, column), **check._check_kwargs)
    if isinstance(result, ir.Table):  # Pandera's built-in checks return a projection of booleans
        kept = ibis.and_(*(cast("ir.BooleanValue", value.to_expr()) for value in result.op().values.values()))
    elif isinstance(result, bool):
        raise TypeError("it returned True or False rather than an expression over the rows")
    else:
        kept = result
    if not isinstance(kept, ir.BooleanColumn):
        raise TypeError(f"it returned {type(kept).__name__} rather than a boolean per row")
    _refuse_other_rows(kept, table)
    kept = _portable(kept)
    if check.ignore_na and column is not None:
        kept = kept | table[column].isnull()
    # A check of whole rows decides about nulls itself: a null result passes if the check ignores nulls.
    return cast("ir.BooleanValue", kept.fill_null(bool(check.ignore_na)))


def is_builtin(check: Check) -> bool:
    """Whether the check is Pandera's built-in. A user's check may have the same name."""
    return isinstance(check._check_fn, Dispatcher) and Check.is_builtin_check(str(check.name))


def form_of(check: Check, type_: dt.DataType) -> bytes:
    """A key of a built-in check on a column type: equal only for equal checks with equal arguments.

    Bytes, since the arguments 1, 1.0 and True are equal in Python.
    """
    arguments = arguments_of(str(check.name), check._check_kwargs, type_)
    return pickle.dumps((check.name, check.ignore_na, arguments))


def _builtin(check: Check, table: ir.Table, column: str) -> Any:
    """The result of Pandera's built-in check, with arguments of the column's type."""
    values = table[column]
    arguments = arguments_of(str(check.name), check._check_kwargs, values.type())
    match check.name:
        case "str_matches":
            # In a group, since Pandera's `^a|b` would match a `b` anywhere.
            return values.re_search(f"^(?:{arguments['pattern']})")
        case "str_contains":
            return values.re_search(arguments["pattern"])
        case "isin" if not arguments["allowed_values"]:
            raise TypeError("it allows no value that the column can have")
        case "notin" if not arguments["forbidden_values"]:
            raise TypeError("it forbids no value that the column can have")
    return check._check_fn(IbisData(table, column), **arguments)


def _refuse_other_rows(kept: ir.BooleanValue, table: ir.Table) -> None:
    rows = table.op()  # the table's own expression is not searched: it may read other rows
    for node in kept.op().find((ops.Value, ops.Relation), filter=lambda node: node != rows):
        if isinstance(node, ops.Relation | _OTHER_ROWS):
            raise TypeError("it reads other rows, but a push checks each row alone")
        if isinstance(node, ops.Impure):
            raise TypeError("it returns a different result on each call")


def _portable(kept: ir.BooleanValue) -> ir.BooleanValue:
    """The expression with explicit rules for NaN, bytes and time zones, so that both engines agree."""
    return cast("ir.BooleanValue", kept.op().replace(_portable_node, filter=ops.Value).to_expr())


def _portable_node(node: ops.Value, children: Mapping[str, Any] | None) -> ops.Value:
    compared = cast("ops.Value", node.__recreate__(children) if children else node)
    if isinstance(compared, ops.Literal):
        return _bytes(compared) if isinstance(compared.value, bytes) else _moment(compared)
    if not isinstance(compared, ops.Comparison | ops.Between | ops.InValues):
        return compared
    sides = [each for side in compared.args for each in (side if isinstance(side, tuple) else (side,))]
    _refuse_types({type(side.dtype): side.dtype for side in sides})
    if isinstance(compared, ops.IdenticalTo | ops.InValues):
        return compared
    for side in sides:  # DuckDB compares NaN as the greatest number
        if side.dtype.is_floating() and not isinstance(side, ops.Literal):
            nan = ops.IsNan(side)
            different = isinstance(node, ops.NotEquals)
            compared = ops.Or(compared, nan) if different else ops.And(compared, ops.Not(nan))
    return compared


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def from_hex(text: str) -> bytes:  # type: ignore[empty-body]
    """Bytes from hex digits, on both engines. Ibis would write a cast with a format for BigQuery."""


def _bytes(literal: ops.Literal) -> ops.Value:
    return cast("ops.Value", from_hex(literal.value.hex()).op())


def _moment(literal: ops.Literal) -> ops.Literal:
    """A timestamp literal without a zone becomes UTC, since BigQuery does not compare it with a TIMESTAMP."""
    if not isinstance(literal.dtype, dt.Timestamp) or literal.dtype.timezone or not isinstance(literal.value, datetime):
        return literal
    return ops.Literal(utc(literal.value), dt.Timestamp("UTC", 6))


def _refuse_types(found: Mapping[type[dt.DataType], dt.DataType]) -> None:
    """Refuse comparisons that DuckDB supports and BigQuery does not."""
    types = list(found.values())
    if any(each.is_nested() for each in types):
        raise TypeError("it compares lists, which BigQuery does not support. Compare their lengths or items")
    if dt.Date in found and dt.Timestamp in found:
        raise TypeError("it compares a date with a timestamp, which BigQuery does not support. Cast one of them")
