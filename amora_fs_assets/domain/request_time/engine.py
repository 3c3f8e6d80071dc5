"""The forms of operations that are the same in every engine."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.operations import Equals, NotEquals
from ibis.expr.types import Value

from amora_fs_assets.domain.ports.dialect import engine_function

NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$|^(?i:[+-]?inf|[+-]?infinity|nan)$"
WHOLE = "^[+-]?[0-9]+$"
TRUTH = "^(true|false)$"
DATE = "^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$"
INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
    r"(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])?$"
)
"""The texts that casts read, in RE2's syntax."""
SMALL, LARGE = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LONGEST = 2**31 - 1
"""More characters than a text has."""
UTC = dt.Timestamp("UTC", 6)


def is_float(value: Value) -> bool:
    """Whether the value is a float."""
    return bool(value.type().is_floating())


def equal(one: Any, two: Any) -> Any:
    """Equality, null for a null. The operator of Ibis means IS NULL where one side is a null literal."""
    return Equals(one, two).to_expr()


def not_equal(one: Any, two: Any) -> Any:
    """The opposite of `equal`."""
    return NotEquals(one, two).to_expr()


def whole(value: int) -> Any:
    """A literal of 64 bits."""
    return ibis.literal(value, "int64")


def function(name: str, type_: Any = None, within: str | None = None) -> Callable[..., Any]:
    """An engine's function with a result of this type; None: the type of the first argument."""
    return lambda *values: engine_function(name, type_ or values[0].type(), *values, within=within)


def greater_of(isnan: Callable[[Any], Any], compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The first of two values if the comparison holds, else the second; null if one is null, NaN if one is NaN."""

    def form(one: Any, two: Any) -> Any:
        missing = (one.isnull() | two.isnull(), ibis.null(one.type()))
        if is_float(one):
            return ibis.cases(missing, (isnan(one), one), (isnan(two), two), (compare(one, two), one), else_=two)
        return ibis.cases(missing, (compare(one, two), one), else_=two)

    return form


SHARED: Mapping[str, Callable[..., Any]] = {
    "and": operator.and_,
    "or": operator.or_,
    "not": operator.invert,
    "if": lambda condition, one, two: condition.ifelse(one, two),
    "coalesce": lambda one, two: one.coalesce(two),
    "is_null": lambda one: one.isnull(),
    "is_nan": lambda one: one.isnan(),
    "is_infinite": lambda one: one.isinf(),
    "atan": lambda one: one.atan(),
    "atan2": lambda one, two: one.atan2(two),
    "strip": lambda one: one.strip(),
    "lstrip": lambda one: one.lstrip(),
    "rstrip": lambda one: one.rstrip(),
    "lower": lambda one: function("TRANSLATE")(one, ibis.literal(LARGE), ibis.literal(SMALL)),
    "upper": lambda one: function("TRANSLATE")(one, ibis.literal(SMALL), ibis.literal(LARGE)),
    "concat": lambda one, two: engine_function("CONCAT", dt.string, one, two),
    "starts_with": lambda one, two: one.startswith(two),
    "ends_with": lambda one, two: one.endswith(two),
    "has_text": lambda one, two: one.contains(two),
    "find": lambda one, two: function("STRPOS", dt.int64)(one, two) - 1,
    "replace": lambda one, two, three: one.replace(two, three),
    "to_string": lambda one: one.cast("string"),
    **{f"start_of_{unit}": (lambda one, unit=unit: one.truncate(unit))
       for unit in ("year", "quarter", "month", "week", "day", "hour", "minute", "second")},
}  # fmt: skip
"""Operations that Ibis gives alike."""
