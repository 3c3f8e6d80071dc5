"""Dates and timestamps, in UTC, of the years 1 to 9999."""

from __future__ import annotations

from amora_fs_assets.domain.request_time.operations.form import Operation, operation
from amora_fs_assets.domain.types import DataType

UNITS = {
    "microsecond": 1, "millisecond": 1_000, "second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000,
    "day": 86_400_000_000,
}  # fmt: skip
"""Units of fixed length, in microseconds."""
_EITHER = frozenset({DataType.DATE, DataType.TIMESTAMP})
_WEEKS = "Weeks start on Monday."


def _between(unit: str) -> Operation:
    difference = "({0} - {1}) // MICROSECOND"
    python = f"cut({difference}, {UNITS[unit]})" if UNITS[unit] > 1 else f"({difference})"
    forms = {"timestamp timestamp -> int64": python}
    if unit == "day":
        forms["date date -> int64"] = "({0} - {1}).days"
    meaning = f"The number of whole {unit}s from `b` to `a`, cut off towards 0; negative if `a` is before `b`."
    return operation(f"{unit}s_between", f'a.delta(b, unit="{unit}")', f"{unit}s({{0}} - {{1}})", meaning,
                     "TIMESTAMP_DIFF, DATE_DIFF", forms)  # fmt: skip


def _part(name: str, ibis: str, meaning: str, python: str, *, of_date: bool = True) -> Operation:
    form = {"T -> int64": python} if of_date else {"timestamp -> int64": python}
    return operation(name, f"a.{ibis}()", f"{name}({{0}})", meaning, "EXTRACT", form, types=_EITHER)


def _truncate(unit: str, python: str, *, of_date: bool = True) -> Operation:
    form = {"T -> T": python} if of_date else {"timestamp -> timestamp": python}
    return operation(f"start_of_{unit}", f'a.truncate("{unit}")', f"start_of_{unit}({{0}})",
                     f"The start of the {unit}. {_WEEKS if unit == 'week' else ''}".strip(),
                     "TIMESTAMP_TRUNC, DATE_TRUNC", form, types=_EITHER)  # fmt: skip


DATES: tuple[Operation, ...] = (
    *(_between(unit) for unit in UNITS),
    operation("plus_microseconds", "a + ibis.interval(...), a + n.as_interval(unit)", "{0} + microseconds({1})",
              "The instant so much later; units up to days. Null outside the years 1 to 9999.", "TIMESTAMP_ADD",
              {"timestamp int64 -> timestamp": "later({0}, {1})"}),
    operation("plus_days", "a + ibis.interval(days=...), a + n.as_interval(unit)", "{0} + days({1})",
              "The date so many days later. Null outside the years 1 to 9999.", "DATE_ADD",
              {"date int64 -> date": "days_later({0}, {1})"}),
    operation("plus_months", "a + ibis.interval(months=...), a + n.as_interval(unit)", "{0} + months({1})",
              "The same day so many months later, or the month's last day if the month has no such day. Null outside "
              "the years 1 to 9999.", "DATE_ADD", {"T int64 -> T": "months_later({0}, {1})"}, types=_EITHER),
    _part("year", "year", "The year.", "{0}.year"),
    _part("quarter", "quarter", "1 to 4.", "(({0}.month + 2) // 3)"),
    _part("month", "month", "1 to 12.", "{0}.month"),
    _part("day", "day", "1 to 31.", "{0}.day"),
    _part("iso_year", "iso_year", "The year to which the ISO week belongs.", "{0}.isocalendar()[0]"),
    _part("week", "week_of_year", "The ISO week, 1 to 53.", "{0}.isocalendar()[1]"),
    _part("day_of_week", "day_of_week.index", "0 for Monday to 6 for Sunday.", "{0}.weekday()"),
    _part("day_of_year", "day_of_year", "1 to 366.", "{0}.timetuple().tm_yday"),
    _part("hour", "hour", "0 to 23.", "{0}.hour", of_date=False),
    _part("minute", "minute", "0 to 59.", "{0}.minute", of_date=False),
    _part("second", "second", "0 to 59.", "{0}.second", of_date=False),
    _part("millisecond", "millisecond", "0 to 999.", "({0}.microsecond // 1000)", of_date=False),
    _part("microsecond", "microsecond", "0 to 999999.", "{0}.microsecond", of_date=False),
    _truncate("year", "start({0}, month=1, day=1)"),
    _truncate("quarter", "start({0}, month=({0}.month - 1) // 3 * 3 + 1, day=1)"),
    _truncate("month", "start({0}, day=1)"),
    _truncate("week", "start({0} - timedelta({0}.weekday()))"),
    _truncate("day", "start({0})"),
    _truncate("hour", "{0}.replace(minute=0, second=0, microsecond=0)", of_date=False),
    _truncate("minute", "{0}.replace(second=0, microsecond=0)", of_date=False),
    _truncate("second", "{0}.replace(microsecond=0)", of_date=False),
    operation("to_date", 'a.date(), a.cast("date")', "date({0})",
              "The UTC date of an instant. Of text: `2024-02-29`, also `2024-2-9`; null for other text.",
              "Conversion functions", {"timestamp -> date": "{0}.date()", "string -> date": "date_of({0})"}),
    operation("to_timestamp", """a.cast("timestamp('UTC')")""", "timestamp({0})",
              "The start of a date, in UTC. Of text: `2024-02-29 12:30:15.5+01:00`, with a `T` instead of the space, "
              "`Z` or nothing for UTC; null for other text.", "Conversion functions",
              {"date -> timestamp": "start_of({0})", "string -> timestamp": "instant_of({0})"}),
    operation("from_microseconds", "a.as_timestamp(unit)", "timestamp({0} microseconds)",
              "The instant so long after 1970, in seconds, milliseconds or microseconds. Null outside the years 1 to "
              "9999.",
              "TIMESTAMP_MICROS", {"int64 -> timestamp": "later(EPOCH, {0})"}),
    operation("unix_seconds", "a.epoch_seconds()", "unix_seconds({0})", "The seconds since 1970, rounded down.",
              "UNIX_SECONDS", {"timestamp -> int64": "(({0} - EPOCH) // SECOND)"}),
)  # fmt: skip
