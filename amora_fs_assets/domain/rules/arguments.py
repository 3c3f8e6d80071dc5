"""Arguments of Pandera's built-in checks, converted to the column's type, so that both engines agree."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from typing import Any

import ibis
import ibis.expr.datatypes as dt

from amora_fs_assets.domain.decimals import decimal_of
from amora_fs_assets.domain.time import utc

_LISTS = {"allowed_values", "forbidden_values"}
_TEXT = {"str_matches", "str_contains", "str_startswith", "str_endswith"}
_FLAGS = {re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s"}
_NO_FLAGS = re.UNICODE | re.ASCII  # RE2 has one set of classes


def arguments_of(name: str, given: Mapping[str, Any], type_: dt.DataType) -> dict[str, Any]:
    """The converted arguments of the check `name` on a column of `type_`. Raises TypeError or ValueError."""
    if name in _TEXT and not type_.is_string():
        raise TypeError(f"it is for texts, and the column is {type_}")
    if name == "str_length":
        if not (type_.is_string() or type_.is_array()):
            raise TypeError(f"it is for texts and lists, and the column is {type_}")
        return {key: None if value is None else _count(value) for key, value in given.items()}
    if name in {"str_matches", "str_contains"}:
        return {"pattern": _pattern(given["pattern"])}
    if name in {"str_startswith", "str_endswith"}:
        return {"string": _text(given["string"])}
    typed: dict[str, Any] = {}
    for key, value in given.items():
        if key in _LISTS:
            typed[key] = _items(value, type_)
        elif key.startswith("include_"):
            typed[key] = bool(value)
        else:
            typed[key] = _value(value, type_)
    return typed


def _items(values: Any, type_: dt.DataType) -> list[Any]:
    """The values in a fixed order, without nulls and NaN, which equal no value of a column."""
    items = [_plain(value) for value in values]
    items = [each for each in items if each is not None and not (isinstance(each, float) and math.isnan(each))]
    return sorted((_value(each, type_) for each in items), key=repr)


def _plain(value: Any) -> Any:
    """The Python value of a NumPy scalar; None for pandas' nulls."""
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    return value.item() if type(value).__module__ == "numpy" else value


def _value(value: Any, type_: dt.DataType) -> Any:
    value = _plain(value)
    for is_type, typed in _TYPED:
        if is_type(type_):
            try:
                return typed(value)
            except (TypeError, ValueError, OverflowError, ArithmeticError) as error:
                raise TypeError(
                    f"its argument {value!r} is not of type {_NAMES.get(type(type_), type_)}: {error}"
                ) from None
    raise TypeError(f"it compares {type_} with a value, which BigQuery does not support")


def _number(value: Any) -> int | float:
    """A number to compare with a float column."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TypeError(f"it is {type(value).__name__}")
    if isinstance(value, Decimal):
        value = int(value) if value == value // 1 else float(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("it does not fit into 64 bits")
    if math.isnan(value):
        raise ValueError("no number is above, below or equal to NaN")
    return float(value) if isinstance(value, float) else int(value)


def _integer(value: Any) -> int | float:
    """A number to compare with an integer column; an integral float becomes an integer."""
    found = _number(value)
    return int(found) if isinstance(found, float) and found.is_integer() and abs(found) < 2**63 else found


def _decimal(value: Any) -> Any:
    return ibis.literal(decimal_of(value), dt.Decimal(38, 9))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"it is {type(value).__name__}")
    value.encode()  # raises for half a surrogate pair
    return str(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"it is {type(value).__name__}")
    return value


def _bytes(value: Any) -> Any:
    if not isinstance(value, bytes):
        raise TypeError(f"it is {type(value).__name__}")
    return value


def _day(value: Any) -> date:
    if isinstance(value, str):
        return date.fromisoformat(value)
    if isinstance(value, datetime):
        if utc(value).timetz().replace(tzinfo=None) != time(0):
            raise ValueError("it lies within a day")
        return utc(value).date()
    if not isinstance(value, date):
        raise TypeError(f"it is {type(value).__name__}")
    return value


def _moment(value: Any) -> datetime:
    if not isinstance(value, str | date):
        raise TypeError(f"it is {type(value).__name__}")
    if getattr(value, "nanosecond", 0):
        raise ValueError("it has nanoseconds, and a timestamp has microseconds")
    found = utc(value)
    return datetime.combine(found.date(), found.timetz())  # a plain datetime rather than a library's subclass


def _count(value: Any) -> int:
    value = _plain(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"its argument {value!r} is not a length")
    return value


def _pattern(value: Any) -> str:
    """An RE2 regular expression; flags of a compiled pattern are written into the expression."""
    flags = ""
    if isinstance(value, re.Pattern):
        unknown = value.flags & ~(_NO_FLAGS | re.IGNORECASE | re.MULTILINE | re.DOTALL)
        if unknown:
            raise TypeError(f"RE2, the engines' regular expression library, has no flag {re.RegexFlag(unknown)!r}")
        flags = "".join(letter for flag, letter in _FLAGS.items() if value.flags & flag)
        value = value.pattern
    pattern = _text(value)
    _try_pattern(pattern)
    return f"(?{flags}:{pattern})" if flags else pattern


@cache
def _try_pattern(pattern: str) -> None:
    """Let the engine read the pattern. Raises ValueError for a pattern that RE2 does not support."""
    from amora_fs_assets.domain.rules.trial import trial

    try:
        trial(ibis.literal("").re_search(pattern).name("found").as_table())
    except Exception as error:  # noqa: BLE001  (whatever the engine raises)
        raise ValueError(
            f"RE2, the engines' regular expression library, does not support pattern {pattern!r}. RE2 has neither "
            f"lookaheads nor backreferences: {str(error).strip()}"
        ) from None


_TYPED: tuple[tuple[Callable[[dt.DataType], bool], Callable[[Any], Any]], ...] = (
    (dt.DataType.is_boolean, _truth),
    (dt.DataType.is_integer, _integer),
    (dt.DataType.is_floating, _number),
    (dt.DataType.is_decimal, _decimal),
    (dt.DataType.is_string, _text),
    (dt.DataType.is_binary, _bytes),
    (dt.DataType.is_date, _day),
    (dt.DataType.is_timestamp, _moment),
)
_NAMES = {
    dt.Binary: "bytes", dt.Boolean: "truth value", dt.Date: "date", dt.Decimal: "decimal number", dt.Float64: "number",
    dt.Int64: "number", dt.String: "text", dt.Timestamp: "timestamp",
}  # fmt: skip
