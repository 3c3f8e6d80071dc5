"""How Ibis' operations on dates, timestamps and durations become steps of a formula."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis.expr.operations as ops

from amora_fs_assets.domain.request_time.operations.dates import UNITS
from amora_fs_assets.domain.request_time.reader import Duration, Literal, Part, Reader, Rule
from amora_fs_assets.domain.types import DataType

_SHORT = {"us": "microsecond", "ms": "millisecond", "s": "second", "m": "minute", "h": "hour", "D": "day", "W": "week",
          "M": "month", "Q": "quarter", "Y": "year"}  # fmt: skip
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_DAYS = {"D": 1, "W": 7}
_OF_DATES = ("day", "month", "year")


def _unit(part: Part) -> str:
    """The unit that a literal text names."""
    text = part.value if isinstance(part, Literal) else ""
    return _SHORT.get(text, text if text in _SHORT.values() else f"{text}?")


def _timestamp_delta(reader: Reader, node: ops.TimestampDelta, parts: Mapping[str, Any]) -> int:
    unit = _unit(parts["part"])
    if unit not in UNITS:
        fix = f"Use one of {', '.join(UNITS)}; for months or years, cast both to date"
        raise reader.error(node, f"has the unit {unit!r}", fix)
    places = [reader.converted(node, parts[side], DataType.TIMESTAMP) for side in ("left", "right")]
    return reader.add(f"{unit}s_between", *places)


def _date_delta(reader: Reader, node: ops.DateDelta, parts: Mapping[str, Any]) -> int:
    """Months and years count the starts of months and years between the dates, as in BigQuery's DATE_DIFF."""
    unit = _unit(parts["part"])
    one, two = (reader.converted(node, parts[side], DataType.DATE) for side in ("left", "right"))
    if unit == "day":
        return reader.add("days_between", one, two)
    years = reader.add("subtract", reader.add("year", one), reader.add("year", two))
    if unit == "year":
        return years
    if unit == "month":
        months = reader.add("subtract", reader.add("month", one), reader.add("month", two))
        return reader.add("add", reader.add("multiply", years, Literal(12, DataType.INT64)), months)
    raise reader.error(node, f"of dates has the unit {unit!r}", f"Use one of {', '.join(_OF_DATES)}")


def _interval(_: Reader, __: ops.IntervalFromInteger, parts: Mapping[str, Any]) -> Duration:
    return Duration(parts["arg"], parts["unit"].short)


def _times(reader: Reader, number: Part, factor: int) -> Part:
    if isinstance(number, Literal):
        return Literal(None if number.value is None else number.value * factor, DataType.INT64)
    return number if factor == 1 else reader.add("multiply", number, Literal(factor, DataType.INT64))


def _shifted(sign: int) -> Rule:
    """A date or a timestamp plus or minus a duration."""

    def read(reader: Reader, node: Any, parts: Mapping[str, Any]) -> int:
        value, duration = parts["left"], parts["right"]
        if isinstance(value, Duration):
            value, duration = duration, value
        if not isinstance(duration, Duration):
            raise reader.error(node, "has no duration", "Add ibis.interval(...), or n.as_interval(unit)")
        unit, is_date = duration.unit, reader.type(value) is DataType.DATE
        if unit in _MONTHS:
            return reader.add("plus_months", value, _times(reader, duration.number, sign * _MONTHS[unit]))
        if is_date and unit in _DAYS:
            return reader.add("plus_days", value, _times(reader, duration.number, sign * _DAYS[unit]))
        length = UNITS["day"] * 7 if unit == "W" else UNITS.get(_SHORT.get(unit, ""))
        if is_date or length is None:
            fix = "Use days, months or years; cast a date to timestamp('UTC') for shorter units"
            raise reader.error(node, f"has a duration in the unit {unit!r}", fix)
        return reader.add("plus_microseconds", value, _times(reader, duration.number, sign * length))

    return read


def _truncate(reader: Reader, node: Any, parts: Mapping[str, Any]) -> int:
    unit = _SHORT.get(parts["unit"].short, "")
    if unit in ("", "millisecond", "microsecond"):
        raise reader.error(node, f"has the unit {parts['unit'].short!r}", "Use second, or a longer unit")
    return reader.add(f"start_of_{unit}", parts["arg"])


def _from_unix(reader: Reader, node: ops.TimestampFromUNIX, parts: Mapping[str, Any]) -> int:
    unit = _SHORT.get(parts["unit"].short, "")
    if unit not in UNITS:
        raise reader.error(node, f"has the unit {parts['unit'].short!r}", "Use s, ms or us")
    return reader.add("from_microseconds", _times(reader, parts["arg"], UNITS[unit]))


def _part(name: str) -> Rule:
    return lambda reader, _, parts: reader.add(name, parts["arg"])


def _difference(reader: Reader, node: Any, _: Any) -> int:
    fix = 'Write a.delta(b, unit="second"), or another unit'
    raise reader.error(node, "gives a duration, which is no feature", fix)


TIME_RULES: Mapping[type, Rule] = {
    ops.TimestampDelta: _timestamp_delta,
    ops.DateDelta: _date_delta,
    ops.TimestampDiff: _difference,
    ops.DateDiff: _difference,
    ops.IntervalFromInteger: _interval,
    ops.TimestampAdd: _shifted(1),
    ops.TimestampSub: _shifted(-1),
    ops.DateAdd: _shifted(1),
    ops.DateSub: _shifted(-1),
    ops.TimestampTruncate: _truncate,
    ops.DateTruncate: _truncate,
    ops.TimestampFromUNIX: _from_unix,
    ops.Date: _part("to_date"),
    ops.ExtractYear: _part("year"),
    ops.ExtractQuarter: _part("quarter"),
    ops.ExtractMonth: _part("month"),
    ops.ExtractDay: _part("day"),
    ops.ExtractIsoYear: _part("iso_year"),
    ops.ExtractWeekOfYear: _part("week"),
    ops.DayOfWeekIndex: _part("day_of_week"),
    ops.ExtractDayOfYear: _part("day_of_year"),
    ops.ExtractHour: _part("hour"),
    ops.ExtractMinute: _part("minute"),
    ops.ExtractSecond: _part("second"),
    ops.ExtractMillisecond: _part("millisecond"),
    ops.ExtractMicrosecond: _part("microsecond"),
    ops.ExtractEpochSeconds: _part("unix_seconds"),
}
