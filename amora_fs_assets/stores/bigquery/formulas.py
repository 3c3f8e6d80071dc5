"""The operations of request-time formulas in BigQuery. `SAFE` functions give null where BigQuery raises an error."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.types import Value

from amora_fs_assets.domain.ports.dialect import engine_function
from amora_fs_assets.domain.request_time.engine import NUMBER, SHARED, WHOLE


def _same(function: str, within: str | None = None) -> Callable[..., Any]:
    """A function whose result has the type of the first argument."""
    return lambda *values: engine_function(function, values[0].type(), *values, within=within)


def _to(function: str, type_: dt.DataType, within: str | None = None) -> Callable[..., Any]:
    """A function with a result of this type."""
    return lambda *values: engine_function(function, type_, *values, within=within)


def _matching(text: Value, pattern: str) -> Any:
    """The text, if it matches the pattern; else null."""
    return engine_function("REGEXP_EXTRACT", dt.string, text, ibis.literal(pattern))


def _to_float64(value: Any) -> Any:
    if value.type().is_string():
        value = _matching(value, NUMBER)
    return value.try_cast("float64")


def _to_int64(value: Any) -> Any:
    return (_matching(value, WHOLE) if value.type().is_string() else value).try_cast("int64")


def _to_boolean(value: Any) -> Any:
    return (_matching(value.lower(), "^(true|false)$") if value.type().is_string() else value).try_cast("boolean")


def _literal(value: Any, type_: dt.DataType) -> Any:
    if type_.is_floating() and value is not None and math.isfinite(value):
        return ibis.literal(repr(value)).cast(type_)
    return ibis.literal(value, type_)


OPERATIONS: Mapping[str, Callable[..., Any]] = {
    **SHARED,
    "literal": _literal,
    "add": _same("SAFE_ADD"),
    "subtract": _same("SAFE_SUBTRACT"),
    "multiply": _same("SAFE_MULTIPLY"),
    "divide": _same("SAFE_DIVIDE"),
    "negate": _same("SAFE_NEGATE"),
    "equal": lambda one, two: one == two,
    "not_equal": lambda one, two: one != two,
    "less": lambda one, two: one < two,
    "less_equal": lambda one, two: one <= two,
    "to_float64": _to_float64,
    "to_int64": _to_int64,
    "to_boolean": _to_boolean,
    "to_string": lambda value: value.cast("string"),
    "seconds_between": lambda one, two: one.delta(two, unit="second"),
}
