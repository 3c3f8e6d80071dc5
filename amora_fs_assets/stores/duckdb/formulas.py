"""The operations of request-time formulas in DuckDB, with BigQuery's meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.types import Value

from amora_fs_assets.domain.ports.dialect import engine_function
from amora_fs_assets.domain.request_time.engine import NUMBER, SHARED, WHOLE, is_float


def _try(value: Value) -> Any:
    """Null where the value is an error."""
    return engine_function("TRY", value.type(), value)


def _to(function: str, type_: dt.DataType) -> Callable[..., Any]:
    """A function with a result of this type."""
    return lambda *values: engine_function(function, type_, *values)


def _finite(result: Any, *arguments: Any) -> Any:
    """A float; null if it is infinite although the arguments are finite, for which BigQuery raises an error."""
    all_finite = [engine_function("isfinite", dt.boolean, each) for each in arguments]
    overflow = result.isinf()
    for each in all_finite:
        overflow &= each
    return overflow.ifelse(ibis.null(dt.float64), result)


def _arithmetic(compute: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def form(one: Any, two: Any) -> Any:
        result = compute(one, two)
        return _finite(result, one, two) if is_float(one) else _try(result)

    return form


def _compared(compute: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """A comparison that is false for NaN, which DuckDB compares as the greatest number, equal to itself."""

    def form(one: Any, two: Any) -> Any:
        found = compute(one, two)
        return two.isnan().ifelse(one != one, found) if is_float(one) else found

    return form


def _matching(text: Value, pattern: str) -> Any:
    """The text, if it matches the pattern; else an empty text."""
    return engine_function("regexp_extract", dt.string, text, ibis.literal(pattern))


def _to_float64(value: Any) -> Any:
    return (_matching(value, NUMBER) if value.type().is_string() else value).try_cast("float64")


def _to_int64(value: Any) -> Any:
    if is_float(value):
        value = engine_function("round", dt.float64, value)
    elif value.type().is_string():
        value = _matching(value, WHOLE)
    return value.try_cast("int64")


def _to_boolean(value: Any) -> Any:
    return (_matching(value.lower(), "^(true|false)$") if value.type().is_string() else value).try_cast("boolean")


def _literal(value: Any, type_: dt.DataType) -> Any:
    if value is not None and type_.is_numeric():
        return ibis.literal(str(value)).cast(type_)  # DuckDB gives a number the smallest type
    return ibis.literal(value, type_)


_equal = _compared(lambda one, two: one == two)
OPERATIONS: Mapping[str, Callable[..., Any]] = {
    **SHARED,
    "literal": _literal,
    "add": _arithmetic(lambda one, two: one + two),
    "subtract": _arithmetic(lambda one, two: one - two),
    "multiply": _arithmetic(lambda one, two: one * two),
    "divide": lambda one, two: _finite(one / two.nullif(ibis.literal(0.0)), one, two),
    "negate": lambda one: -one if is_float(one) else _try(-one),
    "equal": _equal,
    "not_equal": lambda one, two: ~_equal(one, two),
    "less": _compared(lambda one, two: one < two),
    "less_equal": _compared(lambda one, two: one <= two),
    "to_float64": _to_float64,
    "to_int64": _to_int64,
    "to_boolean": _to_boolean,
    "to_string": lambda value: value.cast("string"),
    "seconds_between": lambda one, two: engine_function("datesub", dt.int64, ibis.literal("second"), two, one),
}
