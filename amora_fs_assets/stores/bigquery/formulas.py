"""The operations of request-time formulas in BigQuery. `SAFE` functions give null where BigQuery raises an error."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import ibis
import ibis.expr.datatypes as dt

from amora_fs_assets.domain.ports.dialect import engine_function
from amora_fs_assets.domain.request_time.engine import (
    DATE,
    INSTANT,
    LONGEST,
    NUMBER,
    SHARED,
    TRUTH,
    UTC,
    WHOLE,
    equal,
    function,
    greater_of,
    not_equal,
    whole,
)  # fmt: skip


def _safe(name: str) -> Callable[..., Any]:
    """A function of floats; null for an error."""
    return function(name, dt.float64, "SAFE")


def _logarithm(name: str, *base: Any) -> Callable[[Any], Any]:
    """Null for 0 and less. BigQuery's documentation says so; its reference implementation gives NaN for -inf."""
    return lambda one: _safe(name)((one <= 0).ifelse(ibis.null("float64"), one), *base)


def _cast(target: str, pattern: str) -> Callable[[Any], Any]:
    """A cast; of texts only if they match the pattern."""

    def form(value: Any) -> Any:
        if value.type().is_string():
            text = value.lower() if pattern is TRUTH else value
            value = engine_function("REGEXP_EXTRACT", dt.string, text, ibis.literal(pattern))
        return value.try_cast(UTC if target == "timestamp" else target)

    return form


def _literal(value: Any, type_: dt.DataType) -> Any:
    if value is not None and type_.is_floating():
        return ibis.literal(repr(value)).cast(type_)
    return ibis.literal(value, type_)


def _floor_divide(one: Any, two: Any) -> Any:
    cut, rest = engine_function("DIV", dt.int64, one, two, within="SAFE"), _remainder(one, two)
    lower = not_equal(rest, whole(0)) & not_equal(rest < 0, two < 0)
    return lower.ifelse(cut - 1, cut)


def _remainder(one: Any, two: Any) -> Any:
    return engine_function("MOD", dt.int64, one, two, within="SAFE")


def _substring(text: Any, start: Any, length: Any) -> Any:
    place = (start < 0).ifelse(ibis.null("int64"), ibis.least(start, whole(LONGEST)) + 1)
    return engine_function("SUBSTR", dt.string, text, place, length, within="SAFE")


def _later(instant: Any, microseconds: Any) -> Any:
    since = engine_function("SAFE_ADD", dt.int64, engine_function("UNIX_MICROS", dt.int64, instant), microseconds)
    return engine_function("TIMESTAMP_MICROS", UTC, since, within="SAFE")


def _days_later(day: Any, days: Any) -> Any:
    since = engine_function("SAFE_ADD", dt.int64, engine_function("UNIX_DATE", dt.int64, day), days)
    return engine_function("DATE_FROM_UNIX_DATE", dt.date, since, within="SAFE")


def _months_later(day: Any, months: Any) -> Any:
    interval = months.as_interval("M")
    if day.type().is_date():
        return engine_function("DATE_ADD", dt.date, day, interval, within="SAFE")
    local = engine_function("DATETIME", dt.Timestamp(), day)
    moved = engine_function("DATETIME_ADD", dt.Timestamp(), local, interval, within="SAFE")
    return engine_function("TIMESTAMP", UTC, moved)


def _item(items: Any, place: Any) -> Any:
    return items[(place < 0).ifelse(place + items.length(), place)]


def _between(unit: str) -> Callable[[Any, Any], Any]:
    return lambda one, two: one.delta(two, unit=unit)


OPERATIONS: Mapping[str, Callable[..., Any]] = {
    **SHARED,
    "literal": _literal,
    "add": function("SAFE_ADD"),
    "subtract": function("SAFE_SUBTRACT"),
    "multiply": function("SAFE_MULTIPLY"),
    "divide": function("SAFE_DIVIDE"),
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "negate": function("SAFE_NEGATE"),
    "abs": function("ABS", None, "SAFE"),
    "sign": function("SIGN"),
    "round": function("ROUND"),
    "floor": lambda one: engine_function("FLOOR", dt.float64, one).try_cast("int64"),
    "ceil": lambda one: engine_function("CEIL", dt.float64, one).try_cast("int64"),
    "greatest": greater_of(lambda one: one.isnan(), operator.ge),
    "least": greater_of(lambda one: one.isnan(), operator.le),
    **{name: _safe(name.upper()) for name in ("sqrt", "exp", "sin", "cos", "tan", "asin", "acos")},
    "ln": _logarithm("LN"),
    "log10": _logarithm("LOG10"),
    "log2": _logarithm("LOG", whole(2)),
    "power": _safe("POW"),
    "equal": equal,
    "not_equal": not_equal,
    "less": operator.lt,
    "less_equal": operator.le,
    "to_float64": _cast("float64", NUMBER),
    "to_int64": _cast("int64", WHOLE),
    "to_decimal": lambda one: one.cast(dt.Decimal(38, 9)),
    "to_boolean": _cast("boolean", TRUTH),
    "to_date": _cast("date", DATE),
    "to_timestamp": _cast("timestamp", INSTANT),
    "length": function("LENGTH", dt.int64),
    "substring": _substring,
    "right": function("RIGHT", None, "SAFE"),
    **{
        f"{unit}s_between": _between(unit) for unit in ("microsecond", "millisecond", "second", "minute", "hour", "day")
    },
    **{
        name: operator.methodcaller(name)
        for name in (
            "year",
            "quarter",
            "month",
            "day",
            "iso_year",
            "day_of_year",
            "hour",
            "minute",
            "second",
            "microsecond",
        )
    },
    "week": operator.methodcaller("week_of_year"),
    "millisecond": lambda one: engine_function("DIV", dt.int64, one.microsecond().cast("int64"), whole(1_000)),
    "day_of_week": lambda one: one.day_of_week.index(),
    "plus_microseconds": _later,
    "plus_days": _days_later,
    "plus_months": _months_later,
    "from_microseconds": function("TIMESTAMP_MICROS", UTC, "SAFE"),
    "unix_seconds": function("UNIX_SECONDS", dt.int64),
    "list_length": lambda items: items.length().coalesce(whole(0)),
    "item": _item,
    "has_item": lambda items, one: items.contains(one),
}
