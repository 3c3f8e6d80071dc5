"""The functions that the Python forms of operations use. Imports nothing heavy, since online reads use it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from string import ascii_lowercase, ascii_uppercase
from typing import Any, TypeVar

from amora_fs_assets.domain.time import EPOCH, MICROSECOND

FUNCTIONS: dict[str, Any] = {
    "timedelta": timedelta,
    "Decimal": Decimal,
    "MICROSECOND": MICROSECOND,
    "SECOND": timedelta(seconds=1),
    "EPOCH": EPOCH,
    "TRUTHS": {"true": True, "false": False},
    "EXACT": Context(prec=60),
    "LOWER": str.maketrans(ascii_uppercase, ascii_lowercase),
    "UPPER": str.maketrans(ascii_lowercase, ascii_uppercase),
    "SPACES": " \t\n\r\v\f",
}
_OF_MATH = "acos", "asin", "atan", "atan2", "cos", "exp", "log", "log2", "log10", "nan", "pow", "sin", "sqrt", "tan"
FUNCTIONS |= {name: getattr(math, name) for name in _OF_MATH}
"""The names that Python forms may use."""
_LEAST, _GREATEST = -(2**63), 2**63 - 1
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAMED = {"nan": math.nan} | {
    sign + word: float(sign + word) for sign in ("", "+", "-") for word in ("inf", "infinity")
}
_DATE = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
    r"(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])?"
)
_MOST = "9" * 29 + "." + "9" * 9
_MOST_NEGATIVE, _MOST_POSITIVE = Decimal(f"-{_MOST}"), Decimal(_MOST)
_Day = TypeVar("_Day", date, datetime)


def _named(function: Callable[..., Any]) -> Callable[..., Any]:
    FUNCTIONS[function.__name__] = function
    return function


@_named
def overflow(result: float, *arguments: float) -> float | None:
    """A result that is not finite: null if all arguments are finite."""
    return None if all(map(math.isfinite, arguments)) else result


@_named
def decimal(value: Decimal) -> Decimal | None:
    """The decimal, if it fits into a column."""
    return value if _MOST_NEGATIVE <= value <= _MOST_POSITIVE else None


@_named
def rounded(value: float) -> float:
    """The float, rounded to a whole number, halves away from zero."""
    if not -4503599627370496.0 < value < 4503599627370496.0:  # whole already, or not finite
        return value
    whole = float(int(value))
    if abs(value - whole) >= 0.5:
        whole += math.copysign(1.0, value)
    return math.copysign(whole, value)


@_named
def int_of_float(value: float) -> int | None:
    """The float, rounded to a whole number of 64 bits."""
    return int(rounded(value)) if -9223372036854775808.0 <= value < 9223372036854775808.0 else None


@_named
def int_of_decimal(value: Decimal) -> int | None:
    """The decimal, rounded to a whole number of 64 bits, halves away from zero."""
    whole = int(value.to_integral_value(ROUND_HALF_UP))
    return whole if _LEAST <= whole <= _GREATEST else None


@_named
def down(value: float) -> int | None:
    """The math.floor, if it has 64 bits."""
    return math.floor(value) if -9223372036854775808.0 <= value < 9223372036854775808.0 else None


@_named
def up(value: float) -> int | None:
    """The ceiling, if it has 64 bits."""
    return math.ceil(value) if -9223372036854775808.0 <= value < 9223372036854775808.0 else None


@_named
def power(function: Callable[..., float], *arguments: float) -> float | None:
    """The function's result; null if finite arguments give no finite number."""
    try:
        result = function(*arguments)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else overflow(result, *arguments)


@_named
def float_of(text: str) -> float | None:
    """The float that a text writes."""
    return float(text) if _NUMBER.fullmatch(text) else _NAMED.get(text.lower())


@_named
def int_of(text: str) -> int | None:
    """The whole number that a text writes."""
    if _WHOLE.fullmatch(text) and len(text.lstrip("+-0")) <= 19:
        value = int(text)
        return value if _LEAST <= value <= _GREATEST else None
    return None


@_named
def date_of(text: str) -> date | None:
    """The date that a text writes."""
    found = _DATE.fullmatch(text)
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


@_named
def instant_of(text: str) -> datetime | None:
    """The instant that a text writes."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@_named
def cut(number: int, unit: int) -> int:
    """The quotient, cut off towards 0."""
    return number // unit if number >= 0 else -(-number // unit)


@_named
def later(instant: datetime, microseconds: int) -> datetime | None:
    """The instant so much later, within the years 1 to 9999."""
    try:
        return instant + timedelta(microseconds=microseconds)
    except OverflowError:
        return None


@_named
def days_later(day: date, days: int) -> date | None:
    """The date so much later, within the years 1 to 9999."""
    try:
        return day + timedelta(days)
    except OverflowError:
        return None


@_named
def months_later(day: _Day, months: int) -> _Day | None:
    """The same day of a later month, or the month's last day, within the years 1 to 9999."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        return None
    last = 31 if month == 11 else (date(year, month + 2, 1) - timedelta(1)).day
    return day.replace(year=year, month=month + 1, day=min(day.day, last))


@_named
def start(day: _Day, /, **parts: int) -> _Day:
    """Midnight of the day, with other parts of the date."""
    if isinstance(day, datetime):
        return day.replace(hour=0, minute=0, second=0, microsecond=0, **parts)  # type: ignore[arg-type]
    return day.replace(**parts)


@_named
def start_of(day: date) -> datetime:
    """Midnight of the date, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@_named
def item(items: Sequence[Any] | None, place: int | None) -> Any:
    """The item at the place; None if there is none."""
    if items is None or place is None or not -len(items) <= place < len(items):
        return None
    return items[place]
