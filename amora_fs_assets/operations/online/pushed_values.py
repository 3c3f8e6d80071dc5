"""Converts values of pushed rows to a column's type without loss, or raises. Imports neither Ibis nor pandas."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from amora_fs_assets.domain.decimals import decimal_of
from amora_fs_assets.domain.time import utc
from amora_fs_assets.domain.types import DataType

_NULLS = {"NAType", "NaTType"}  # pandas' types, by name, since pandas is not imported


def exact(type_: DataType, value: Any) -> Any:
    """The value converted to a column of `type_`; None for null.

    Takes Python values, NumPy and pandas scalars, ISO 8601 text for dates, times and timestamps, and integral floats
    for integers. Structs and maps are dicts. JSON is text, or a value that becomes JSON text. Raises TypeError,
    ValueError or OverflowError for a value that a conversion would change.
    """
    if _null(value):
        return None
    if type_.is_list:
        if not isinstance(value, list | tuple) and not _is_array(value):
            raise TypeError(f"{value!r} is {type(value).__name__}, not a list")
        return [exact(type_.item, item) for item in value]
    if type_.is_map:
        return _map(type_.fields["value"], value)
    if type_.is_struct:
        return _struct(type_.fields, value)
    return _READ[type_](_plain(value))


def _map(type_: DataType, value: Any) -> dict[str, Any]:
    """A dict, or the entries of a map as Arrow has them: pairs, or structs of a key and a value."""
    if isinstance(value, list | tuple):
        pairs = [(each.get("key"), each.get("value")) if isinstance(each, Mapping) else each for each in value]
        if not all(isinstance(each, tuple | list) and len(each) == 2 for each in pairs):
            raise TypeError(f"{value!r} is {type(value).__name__}, not a map: give a dict")
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError(f"{value!r} has a key twice")
        value = found
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is {type(value).__name__}, not a map: give a dict")
    return {_text(key): exact(type_, item) for key, item in value.items()}


def _struct(fields: Mapping[str, DataType], value: Any) -> dict[str, Any]:
    """A dict of the struct's fields; missing fields are null."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is {type(value).__name__}, not a struct: give a dict")
    unknown = [name for name in value if name not in fields]
    if unknown:
        raise ValueError(f"a struct has no field {unknown[0]!r}. Its fields: {', '.join(fields)}")
    return {name: exact(type_, value.get(name)) for name, type_ in fields.items()}


def _null(value: Any) -> bool:
    if type(value).__name__ == "datetime64":
        return bool(value != value)
    return value is None or type(value).__name__ in _NULLS


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and getattr(value, "ndim", 0) == 1


def _plain(value: Any) -> Any:
    """The Python value of a NumPy scalar."""
    if type(value).__module__ != "numpy" or not hasattr(value, "item"):
        return value
    if type(value).__name__ == "datetime64":
        micros = value.astype("datetime64[us]")
        if micros != value:
            raise ValueError(f"{value} has nanoseconds; a timestamp has microseconds. Round it")
        return micros.item()
    return value.item()


def _wrong(value: Any) -> TypeError:
    return TypeError(f"{value!r} is {type(value).__name__}")


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        raise _wrong(value)
    if isinstance(value, float):
        if not value.is_integer():
            raise ValueError(f"{value!r} is not a whole number")
        value = int(value)
    try:
        whole = operator.index(value)
    except TypeError:
        raise _wrong(value) from None
    if not -(2**63) <= whole < 2**63:
        raise OverflowError(f"{whole} does not fit into 64 bits")
    return whole


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(value)
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{value!r} has half a surrogate pair, which is not valid text") from None
    return str(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value)
    return value


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise _wrong(value)
    return bytes(value)


def _nanoseconds(value: Any) -> bool:
    """Whether a pandas timestamp is finer than microseconds."""
    return bool(getattr(value, "nanosecond", 0))


def _day(value: Any) -> date:
    if isinstance(value, str):
        return date.fromisoformat(value)
    if isinstance(value, datetime):
        moment = utc(value)
        if moment.time() != time(0) or _nanoseconds(value):
            raise ValueError(f"{value!r} lies within a day")
        return moment.date()
    if not isinstance(value, date):
        raise _wrong(value)
    return value


def _moment(value: Any) -> datetime:
    if not isinstance(value, date | str):
        raise _wrong(value)
    if _nanoseconds(value):
        raise ValueError(f"{value!r} has nanoseconds; a timestamp has microseconds. Round it")
    moment = utc(value)
    return datetime.combine(moment.date(), moment.timetz())


def _time(value: Any) -> time:
    if isinstance(value, str):
        value = time.fromisoformat(value)
    if not isinstance(value, time):
        raise _wrong(value)
    if value.tzinfo is not None:
        raise ValueError(f"{value!r} has a zone; a time of day has none")
    return value


def _uuid(value: Any) -> str:
    if not isinstance(value, str | UUID):
        raise _wrong(value)
    return str(UUID(str(value)))


def _json(value: Any) -> str:
    if not isinstance(value, str):
        return _text(json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")))
    try:
        json.loads(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is not JSON: {error}. Give a text as JSON: {json.dumps(value)!r}") from None
    return _text(value)


_READ: dict[DataType, Callable[[Any], Any]] = {
    DataType.INT64: _integer,
    DataType.FLOAT64: _float,
    DataType.STRING: _text,
    DataType.BOOLEAN: _truth,
    DataType.BYTES: _bytes,
    DataType.DATE: _day,
    DataType.TIMESTAMP: _moment,
    DataType.DECIMAL: decimal_of,
    DataType.TIME: _time,
    DataType.UUID: _uuid,
    DataType.JSON: _json,
}
