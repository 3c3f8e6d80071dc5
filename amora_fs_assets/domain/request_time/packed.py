"""Operations on whole columns with NumPy, where NumPy can have an operation's meaning.

A packed column is a pair: an array, and a mask that is true for nulls, or None if there are no nulls. Beside a column,
an argument may be a constant: a single value and None.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from amora_fs_assets.domain.arrow import arrow_type
from amora_fs_assets.domain.request_time.operations.dates import UNITS
from amora_fs_assets.domain.time import EPOCH, MICROSECOND
from amora_fs_assets.domain.types import DataType

Packed = tuple[Any, Any]
Kernel = Callable[..., Packed]
_LOW, _HIGH = -9223372036854775808.0, 9223372036854775808.0
_FIRST_DAY = EPOCH.toordinal()
_DTYPES: Mapping[DataType, Any] = {
    DataType.INT64: np.int64, DataType.FLOAT64: np.float64, DataType.BOOLEAN: np.bool_, DataType.TIMESTAMP: np.int64,
    DataType.DATE: np.int32, DataType.STRING: object,
}  # fmt: skip
_FAST: Mapping[DataType, Callable[[Sequence[Any]], bytes]] = {
    DataType.INT64: lambda values: struct.pack(f"{len(values)}q", *values),
    DataType.FLOAT64: lambda values: struct.pack(f"{len(values)}d", *values),
    DataType.BOOLEAN: bytes,
}
"""Functions that copy Python values without nulls to memory."""


def packed(type_: DataType) -> Callable[[Sequence[Any]], Packed]:
    """A function that packs Python values of this type. Timestamps are microseconds, dates days, texts objects."""
    if type_ is DataType.STRING:
        return _texts
    fast, dtype, arrow = _FAST.get(type_), _DTYPES[type_], arrow_type(type_)

    def pack(values: Sequence[Any]) -> Packed:
        if fast:
            try:
                return np.frombuffer(fast(values), dtype), None
            except (TypeError, struct.error):  # there are nulls
                pass
        column = pa.array(values, arrow)
        bits, kept = column.buffers()
        mask = _bits(bits, len(values)) ^ True if column.null_count else None
        if type_ is DataType.BOOLEAN:
            return _bits(kept, len(values)), mask
        return np.frombuffer(kept, dtype, len(values)), mask

    return pack


def _texts(values: Sequence[Any]) -> Packed:
    column = np.array(values, object)
    mask: Any = column == None  # noqa: E711  (by element)
    return column, mask if mask.any() else None


def _bits(buffer: Any, count: int) -> Any:
    """Arrow's packed bits as booleans."""
    return np.unpackbits(np.frombuffer(buffer, np.uint8), count=count, bitorder="little").view(np.bool_)


def constant(type_: DataType) -> Callable[[Any, int], Packed]:
    """A function that makes an argument of a constant. A null is a column of so many nulls."""

    def make(value: Any, count: int) -> Packed:
        if value is None:
            return np.zeros(count, _DTYPES[type_]), np.ones(count, bool)
        if isinstance(value, datetime):
            value = (value - EPOCH) // MICROSECOND
        elif isinstance(value, date):
            value = value.toordinal() - _FIRST_DAY
        elif isinstance(value, str):
            value = np.array(value, object)
        return value, None

    return make


def unpacked(column: Packed) -> list[Any]:
    """The Python values of a column of numbers, booleans or texts."""
    values, mask = column
    found: list[Any] = values.tolist()
    if mask is not None:
        for place in mask.nonzero()[0].tolist():
            found[place] = None
    return found


def _either(one: Any, two: Any) -> Any:
    return two if one is None else one if two is None else one | two


def _plain(compute: Callable[..., Any]) -> Kernel:
    """Has a result for all values."""

    def form(one: Packed, *two: Packed) -> Packed:
        mask = one[1]
        for each in two:
            mask = _either(mask, each[1])
        return compute(one[0], *(each[0] for each in two)), mask

    return form


def _finite(compute: Callable[..., Any]) -> Kernel:
    """Is null if it is not finite although the arguments are finite."""

    def form(*columns: Packed) -> Packed:
        result, mask = compute(*(column[0] for column in columns)), None
        for column in columns:
            mask = _either(mask, column[1])
        finite = np.isfinite(result)
        if not finite.all():
            overflow = ~finite
            for column in columns:
                overflow &= np.isfinite(column[0])
            mask = _either(mask, overflow)
        return result, mask

    return form


def _divide(one: Packed, two: Packed) -> Packed:
    result, mask = np.true_divide(one[0], two[0]), _either(one[1], two[1])
    finite = np.isfinite(result)
    if not finite.all():
        mask = _either(mask, (two[0] == 0.0) | (~finite & np.isfinite(one[0]) & np.isfinite(two[0])))
    return result, mask


def _within(compute: Callable[[Any], Any], outside: Callable[[Any], Any]) -> Kernel:
    """Is null outside of its domain."""

    def form(one: Packed) -> Packed:
        bad = outside(one[0])
        return compute(one[0]), _either(one[1], bad) if bad.any() else one[1]

    return form


def _summed(compute: Callable[[Any, Any], Any], overflow: Callable[[Any, Any, Any], Any]) -> Kernel:
    """A sum or difference of whole numbers; null beyond 64 bits, which shows in the signs."""

    def form(one: Packed, two: Packed) -> Packed:
        result, mask = compute(one[0], two[0]), _either(one[1], two[1])
        bad = overflow(one[0], two[0], result) < 0
        return result, _either(mask, bad) if bad.any() else mask

    return form


def _multiply(one: Packed, two: Packed) -> Packed:
    result, mask = one[0] * two[0], _either(one[1], two[1])
    size = np.abs(np.multiply(one[0], two[0], dtype=np.float64))
    if (size > 9e18).any():
        pairs = np.broadcast(one[0], two[0])
        bad = np.array([not -(2**63) <= int(a) * int(b) < 2**63 for a, b in pairs])
        mask = _either(mask, bad)
    return result, mask


def _from_least(compute: Callable[[Any], Any]) -> Kernel:
    """Is null for the least whole number."""
    return _within(compute, lambda value: value == np.iinfo(np.int64).min)


def rounded(value: Any) -> Any:
    """Halves away from zero."""
    whole = np.trunc(value)
    return np.copysign(whole + np.copysign(np.abs(value - whole) >= 0.5, value), value)


def _whole(compute: Callable[[Any], Any]) -> Kernel:
    """A float as a whole number; null for NaN and beyond 64 bits."""

    def form(one: Packed) -> Packed:
        result = compute(one[0])
        good = (result >= _LOW) & (result < _HIGH)
        return result.astype(np.int64), one[1] if good.all() else _either(one[1], ~good)

    return form


def _by(compute: Callable[[Any, Any], Any]) -> Kernel:
    """A division of whole numbers; null for 0, and where it overflows."""

    def form(one: Packed, two: Packed) -> Packed:
        result, mask = compute(one[0], two[0]), _either(one[1], two[1])
        if isinstance(two[0], int) and two[0] not in (0, -1):
            return result, mask
        bad = (two[0] == 0) | ((two[0] == -1) & (one[0] == np.iinfo(np.int64).min) & (compute is np.floor_divide))
        return result, _either(mask, bad) if bad.any() else mask

    return form


def _chosen(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda one, two: np.where(compare(one, two) | (one != one), one, two)


def _and(one: Packed, two: Packed) -> Packed:
    if one[1] is None and two[1] is None:
        return one[0] & two[0], None
    false = [~each[0] if each[1] is None else ~(each[0] | each[1]) for each in (one, two)]
    return one[0] & two[0], _either(one[1], two[1]) & ~(false[0] | false[1])


def _or(one: Packed, two: Packed) -> Packed:
    if one[1] is None and two[1] is None:
        return one[0] | two[0], None
    true = [each[0] if each[1] is None else each[0] & ~each[1] for each in (one, two)]
    return one[0] | two[0], _either(one[1], two[1]) & ~(true[0] | true[1])


def _if(condition: Packed, one: Packed, two: Packed) -> Packed:
    chosen = condition[0] if condition[1] is None else condition[0] & ~condition[1]
    mask = None
    if one[1] is not None or two[1] is not None:
        mask = np.where(chosen, False if one[1] is None else one[1], False if two[1] is None else two[1])
    return np.where(chosen, one[0], two[0]), mask


def _coalesce(one: Packed, two: Packed) -> Packed:
    if one[1] is None:
        return one
    return np.where(one[1], two[0], one[0]), None if two[1] is None else one[1] & two[1]


def _is_null(one: Packed) -> Packed:
    return (np.zeros(len(one[0]), bool) if one[1] is None else one[1]), None


def _between(unit: str) -> Callable[[Any, Any], Any]:
    length = UNITS[unit]

    def form(one: Any, two: Any) -> Any:
        difference = one - two
        return (difference - np.fmod(difference, length)) // length if length > 1 else difference

    return form


def _signs_of_sum(one: Any, two: Any, result: Any) -> Any:
    return (one ^ result) & (two ^ result)


def _signs_of_difference(one: Any, two: Any, result: Any) -> Any:
    return (one ^ two) & (one ^ result)


_NUMBERS = (DataType.INT64, DataType.FLOAT64)
_SIMPLE = (*_NUMBERS, DataType.BOOLEAN)
_CHOSEN = (*_SIMPLE, DataType.STRING)
_COMPARED: Mapping[str, Kernel] = {
    "equal": _plain(np.equal), "not_equal": _plain(np.not_equal), "less": _plain(np.less),
    "less_equal": _plain(np.less_equal),
}  # fmt: skip
# Without exp, log, sin and their like: NumPy's differ from Python's in the last digits, and so would two requests.
_OF_FLOATS: Mapping[str, Kernel] = {
    "add": _finite(np.add),
    "subtract": _finite(np.subtract),
    "multiply": _finite(np.multiply),
    "divide": _divide,
    "negate": _plain(np.negative),
    "abs": _plain(np.abs),
    "round": _plain(rounded),
    "is_nan": _plain(np.isnan),
    "is_infinite": _plain(np.isinf),
    "to_int64": _whole(rounded),
    "floor": _whole(np.floor),
    "ceil": _whole(np.ceil),
    "sqrt": _within(np.sqrt, lambda value: value < 0.0),
}
_OF_INTEGERS: Mapping[str, Kernel] = {
    "add": _summed(np.add, _signs_of_sum),
    "subtract": _summed(np.subtract, _signs_of_difference),
    "multiply": _multiply,
    "floor_divide": _by(np.floor_divide),
    "remainder": _by(np.fmod),
    "negate": _from_least(np.negative),
    "abs": _from_least(np.abs),
    "sign": _plain(np.sign),
    "to_float64": _plain(np.float64),
    "to_boolean": _plain(lambda value: value != 0),
}
KERNELS: dict[tuple[str, DataType], Kernel] = {
    **{(name, type_): compute for name, compute in _COMPARED.items() for type_ in _SIMPLE},
    **{(name, DataType.FLOAT64): compute for name, compute in _OF_FLOATS.items()},
    **{(name, DataType.INT64): compute for name, compute in _OF_INTEGERS.items()},
    **{("greatest", type_): _plain(_chosen(np.greater_equal)) for type_ in _NUMBERS},
    **{("least", type_): _plain(_chosen(np.less_equal)) for type_ in _NUMBERS},
    **{("if", type_): _if for type_ in _CHOSEN},
    **{("coalesce", type_): _coalesce for type_ in _CHOSEN},
    **{("is_null", type_): _is_null for type_ in _CHOSEN},
    **{(f"{unit}s_between", DataType.TIMESTAMP): _plain(_between(unit)) for unit in UNITS},
    ("days_between", DataType.DATE): _plain(lambda one, two: np.int64(one) - two),
    ("to_int64", DataType.BOOLEAN): _plain(np.int64),
    ("and", DataType.BOOLEAN): _and,
    ("or", DataType.BOOLEAN): _or,
    ("not", DataType.BOOLEAN): _plain(np.logical_not),
}
"""The kernels by operation and type of the last argument."""
