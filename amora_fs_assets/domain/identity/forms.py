"""Constants and types as plain data, for canonical forms."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import ibis.expr.datatypes as dt

from amora_fs_assets.domain.identity.fingerprint import canonical_json

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (the origin of naive times)
_MICROSECOND = timedelta(microseconds=1)


def scalar(value: Any) -> list[Any] | None:  # noqa: C901  (one case for each type)
    """A constant as plain data with its type; None for a value that is not a constant."""
    match value:
        case None:
            return ["null"]
        case Enum():
            return ["enum", type(value).__name__, value.name]
        case bool():
            return ["bool", value]
        case int():
            return ["int", str(int(value))]
        case float():
            return ["float", "nan" if math.isnan(value) else float(value).hex()]
        case complex():
            return ["complex", repr(value)]
        case str():
            return ["text", str(value)]
        case bytes() | bytearray():
            return ["bytes", bytes(value).hex()]
        case Decimal():
            return ["decimal", str(value.normalize())]
        case datetime():
            aware = value.tzinfo is not None
            instant = value.astimezone(UTC).replace(tzinfo=None) if aware else value
            return ["instant" if aware else "local instant", (instant - _EPOCH) // _MICROSECOND]
        case date():
            return ["date", value.isoformat()]
        case time():
            return ["time", value.isoformat()]
        case timedelta():
            return ["duration", value // _MICROSECOND]
        case UUID():
            return ["uuid", str(value)]
        case _:
            return None


def type_word(dtype: dt.DataType) -> list[Any]:
    """A type as plain data. Nullability is left out: it is inferred, and does not change a value."""
    parts: list[Any] = [type(dtype).__name__.lower()]
    for name, part in zip(dtype.__argnames__, dtype.__args__, strict=True):
        if name == "nullable" or part is None:
            continue
        parts.append([name, _type_part(part)])
    return parts


def _type_part(part: Any) -> Any:
    if isinstance(part, dt.DataType):
        return type_word(part)
    if hasattr(part, "items"):
        return [[str(name), _type_part(each)] for name, each in part.items()]
    if isinstance(part, Enum):
        return str(part.value)
    return scalar(part) or str(part)


def in_order(forms: list[Any]) -> list[Any]:
    """The forms, sorted by their JSON text."""
    return sorted(forms, key=canonical_json)
