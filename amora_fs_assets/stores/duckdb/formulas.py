"""The operations of request-time formulas in DuckDB, with BigQuery's meaning."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC as UTC_ZONE
from datetime import date, datetime
from typing import Any

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.types import Value

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
    is_float,
    not_equal,
    whole,
)  # fmt: skip
from amora_fs_assets.domain.request_time.operations.dates import UNITS

_NAN = ibis.literal("nan").cast("float64")


def _try(value: Value) -> Any:
    """Null where the value is an error.

    Only the outermost function of the value may raise an error: DuckDB computes a subexpression that it sees twice
    outside of TRY.
    """
    return engine_function("TRY", value.type(), value)


def _finite(result: Any, *arguments: Any) -> Any:
    """A float; null if it is not finite although the arguments are finite, for which BigQuery raises an error."""
    finite = function("isfinite", dt.boolean)
    overflow = ~finite(result)
    for each in arguments:
        overflow &= finite(each)
    return overflow.ifelse(ibis.null(dt.float64), result)


def _arithmetic(compute: Callable[..., Any]) -> Callable[..., Any]:
    def form(*values: Any) -> Any:
        result = compute(*values)
        return _finite(result, *values) if is_float(values[0]) else _try(result)

    return form


def _exactly(compute: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function of a number, of which floats do not overflow."""
    return lambda one: compute(one) if is_float(one) else _try(compute(one))


def _compared(compute: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """A comparison that is false for NaN, which DuckDB compares as the greatest number, equal to itself."""

    def form(one: Any, two: Any) -> Any:
        found = compute(one, two)
        return two.isnan().ifelse(not_equal(one, one), found) if is_float(one) else found

    return form


def _safe(name: str) -> Callable[..., Any]:
    """A function of floats; null for an error."""
    return lambda one: _try(engine_function(name, dt.float64, one))


def _of_angle(name: str) -> Callable[[Any], Any]:
    """A function that is NaN for an infinity, for which DuckDB raises an error."""
    return lambda one: one.isinf().ifelse(_NAN, _safe(name)(one))


def _cast(target: str, pattern: str) -> Callable[[Any], Any]:
    """A cast; of texts only if they match the pattern."""

    def form(value: Any) -> Any:
        if is_float(value):
            value = engine_function("round", dt.float64, value)
        elif value.type().is_string():
            text = value.lower() if pattern is TRUTH else value
            value = engine_function("regexp_extract", dt.string, text, ibis.literal(pattern))
        return value.try_cast(target)

    return form


def _literal(value: Any, type_: dt.DataType) -> Any:
    if value is not None and type_.is_numeric():
        return ibis.literal(str(value)).cast(type_)  # DuckDB gives a number the smallest type
    if value is not None and type_.is_timestamp():
        return ibis.literal(value.isoformat()).cast(type_)
    return ibis.literal(value, type_)


def _sign(one: Any) -> Any:
    if not is_float(one):
        return engine_function("sign", dt.int8, one)
    return one.isnan().ifelse(one, engine_function("sign", dt.float64, one))


def _floor_divide(one: Any, two: Any) -> Any:
    cut, rest = _try(engine_function("divide", dt.int64, one, two)), _remainder(one, two)
    lower = not_equal(rest, whole(0)) & not_equal(rest < 0, two < 0)
    return lower.ifelse(_try(cut - 1), cut)


def _remainder(one: Any, two: Any) -> Any:
    """DuckDB has an error for the least number and -1."""
    return equal(two, whole(-1)).ifelse(one - one, _try(one % two))


def _substring(text: Any, start: Any, length: Any) -> Any:
    found = _try(engine_function("substring", dt.string, text, _short(start) + 1, _short(length)))
    return ((start < 0) | (length < 0)).ifelse(ibis.null("string"), found)


def _short(length: Any) -> Any:
    return (length > LONGEST).ifelse(whole(LONGEST), length)


def _within(first: Any, last: Any, compute: Callable[..., Any]) -> Callable[..., Any]:
    """A date or an instant; null outside the years 1 to 9999, and for an error."""

    def form(*values: Any) -> Any:
        result = _try(compute(*values))
        type_ = result.type()
        return result.between(_literal(first, type_), _literal(last, type_)).ifelse(result, ibis.null(type_))

    return form


def _dates(compute: Callable[..., Any]) -> Callable[..., Any]:
    return _within(date.min, date.max, compute)


def _instants(compute: Callable[..., Any]) -> Callable[..., Any]:
    return _within(datetime.min.replace(tzinfo=UTC_ZONE), datetime.max.replace(tzinfo=UTC_ZONE), compute)


_since_1970 = function("epoch_us", dt.int64)
_instant = function("make_timestamptz", UTC)


def _days_later(day: Any, days: Any) -> Any:
    return _dates(function("add", dt.date))(day, days.try_cast("int32"))


def _months_later(day: Any, months: Any) -> Any:
    interval = months.try_cast("int32").as_interval("M")
    if day.type().is_timestamp():
        return _instants(operator.add)(day, interval)
    later = function("add", dt.Timestamp())  # DuckDB adds months to a date as to a timestamp
    return _dates(lambda day, interval: _try(later(day, interval)).cast("date"))(day, interval)


def _between(unit: str) -> Callable[[Any, Any], Any]:
    def form(one: Any, two: Any) -> Any:
        if one.type().is_date():
            return engine_function("datesub", dt.int64, ibis.literal(unit), two, one)
        return engine_function("divide", dt.int64, _since_1970(one) - _since_1970(two), whole(UNITS[unit]))

    return form


def _start(unit: str) -> Callable[[Any], Any]:
    """DuckDB truncates a date to a timestamp."""

    def form(value: Any) -> Any:
        if not value.type().is_date():
            return value.truncate(unit)
        return engine_function("date_trunc", dt.Timestamp(), ibis.literal(unit), value).cast("date")

    return form


def _unix_seconds(instant: Any) -> Any:
    since, second = _since_1970(instant), whole(UNITS["second"])
    return engine_function("divide", dt.int64, since - ((since % second) + second) % second, second)


def _item(items: Any, place: Any) -> Any:
    from_one = (place < 0).ifelse(place, _short(place) + 1)
    return engine_function("list_extract", items.type().value_type, items, from_one)


def _part(name: str) -> Callable[[Any], Any]:
    """A part of a date or an instant. sqlglot warns of EXTRACT from an instant, although sessions are in UTC."""
    return lambda value: engine_function("date_part", dt.int64, ibis.literal(name), value)


def _microsecond(value: Any) -> Any:
    return _part("microseconds")(value) % UNITS["second"]


_PARTS = {"year": "year", "quarter": "quarter", "month": "month", "day": "day", "iso_year": "isoyear", "week": "week",
          "day_of_year": "doy", "hour": "hour", "minute": "minute", "second": "second"}  # fmt: skip
_equal = _compared(equal)
OPERATIONS: Mapping[str, Callable[..., Any]] = {
    **SHARED,
    "literal": _literal,
    "add": _arithmetic(operator.add),
    "subtract": _arithmetic(operator.sub),
    "multiply": _arithmetic(operator.mul),
    "divide": lambda one, two: _finite(one / two.nullif(_literal(0.0, dt.float64)), one, two),
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "negate": _exactly(operator.neg),
    "abs": _exactly(lambda one: one.abs()),
    "sign": _sign,
    "round": function("round", dt.float64),
    "floor": lambda one: engine_function("floor", dt.float64, one).try_cast("int64"),
    "ceil": lambda one: engine_function("ceil", dt.float64, one).try_cast("int64"),
    "greatest": greater_of(lambda one: one.isnan(), operator.ge),
    "least": greater_of(lambda one: one.isnan(), operator.le),
    **{name: _safe(name) for name in ("sqrt", "ln", "log10", "log2")},
    "exp": _arithmetic(function("exp", dt.float64)),
    "power": _arithmetic(function("pow", dt.float64)),
    **{name: _of_angle(name) for name in ("sin", "cos", "tan", "asin", "acos")},
    "equal": _equal,
    "not_equal": lambda one, two: ~_equal(one, two),
    "less": _compared(operator.lt),
    "less_equal": _compared(operator.le),
    "to_float64": _cast("float64", NUMBER),
    "to_int64": _cast("int64", WHOLE),
    "to_decimal": lambda one: one.cast(dt.Decimal(38, 9)),
    "to_boolean": _cast("boolean", TRUTH),
    "to_date": lambda one: _dates(_cast("date", DATE))(one) if one.type().is_string() else one.cast("date"),
    "to_timestamp": lambda one: _instants(_cast(UTC, INSTANT))(one) if one.type().is_string() else one.cast(UTC),
    "length": lambda one: engine_function("length" if one.type().is_string() else "octet_length", dt.int64, one),
    "concat": lambda one, two: one + two,
    "substring": _substring,
    **{name: _part(part) for name, part in _PARTS.items()},
    "day_of_week": lambda value: _part("isodow")(value) - 1,
    "microsecond": _microsecond,
    "millisecond": lambda value: engine_function("divide", dt.int64, _microsecond(value), whole(1_000)),
    **{f"start_of_{unit}": _start(unit) for unit in ("year", "quarter", "month", "week", "day")},
    "right": lambda text, count: (count < 0).ifelse(
        ibis.null("string"), _try(engine_function("right", dt.string, text, _short(count)))
    ),
    **{f"{unit}s_between": _between(unit) for unit in UNITS},
    "plus_microseconds": _instants(lambda instant, more: _instant(_try(_since_1970(instant) + more))),
    "plus_days": _days_later,
    "plus_months": _months_later,
    "from_microseconds": _instants(_instant),
    "unix_seconds": _unix_seconds,
    "list_length": lambda items: items.length().coalesce(whole(0)),
    "item": _item,
    "has_item": lambda items, one: items.contains(one).coalesce(ibis.literal(False)),
}
