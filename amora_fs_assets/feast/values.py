"""Values in Feast's form (feast.types.Value), and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from feast.protos.feast.types.Value_pb2 import Value

from amora_fs_assets.domain.types import DataType

_FIELDS = {
    "int64": "int64",
    "float64": "double",
    "string": "string",
    "boolean": "bool",
    "bytes": "bytes",
    "date": "unix_timestamp",
    "timestamp": "unix_timestamp",
    "decimal(38, 9)": "decimal",
    "time": "string",
    "uuid": "uuid",
    "json": "json",
}
"""The fields of a Value without `_val` and `_list_val`, by our types."""
_OF_PYTHON: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (int, "int64"),
    (float, "double"),
    (str, "string"),
    (bytes, "bytes"),
    (date, "unix_timestamp"),
    (time, "string"),
    (Decimal, "decimal"),
)
"""The same by Python's types, within structs and maps."""


def to_feast(type_: DataType, value: Any) -> Any:
    """The Value of one of our values; an empty Value for null, and for a list that Feast cannot hold.

    Times are whole seconds since 1970, decimals are text. Feast's lists have no nulls: a null in a list of floats is
    NaN, and another list with nulls is null.
    """
    kind = type_.value.removeprefix("list<").removesuffix(">")
    return _value(value, _FIELDS.get(kind), "struct" if kind.startswith("struct<") else "map")


def _value(value: Any, field: str | None, nested: str = "map") -> Any:
    """The Value; without a `field` by the Python type. Dicts are of the kind `nested`: struct or map."""
    found = Value()
    if isinstance(value, list):
        _set_list(found, value, field, nested)
    elif isinstance(value, dict):
        _set_dict(getattr(found, f"{nested}_val"), value)
    elif value is not None:
        setattr(found, f"{field or _field_of(value)}_val", _scalar(value))
    return found


def _set_list(found: Any, value: list[Any], field: str | None, nested: str) -> None:
    first = next((item for item in value if item is not None), None)
    if field == "double" or isinstance(first, float):
        value = [math.nan if item is None else item for item in value]
    if None in value:
        return
    if isinstance(first, dict) or (field is None and first is None):
        items = getattr(found, f"{nested}_list_val")
        for item in value:
            _set_dict(items.val.add(), item)
    else:
        items = getattr(found, f"{field or _field_of(first)}_list_val")
        items.val.extend(map(_scalar, value))
    items.SetInParent()  # an empty list is a value


def _set_dict(found: Any, value: dict[str, Any]) -> None:
    found.SetInParent()
    for name, part in value.items():
        found.val[name].CopyFrom(_value(part, None))


def _field_of(value: Any) -> str:
    return next(field for kind, field in _OF_PYTHON if isinstance(value, kind))


def _scalar(value: Any) -> Any:
    if isinstance(value, datetime):
        return math.floor(value.timestamp())
    if isinstance(value, date):
        return int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp())
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return value


def to_python(value: Any) -> Any:
    """The Python value of a Value; timestamps stay seconds since 1970."""
    field = value.WhichOneof("val")
    if field is None or field == "null_val":
        return None
    found = getattr(value, field)
    read = _READ.get(field)
    if read is not None:
        return read(found)
    return list(found.val) if field.endswith(("_list_val", "_set_val")) else found


def _dict(found: Any) -> dict[str, Any]:
    return {name: to_python(part) for name, part in found.val.items()}


def _dicts(found: Any) -> list[dict[str, Any]]:
    return list(map(_dict, found.val))


_READ: dict[str, Callable[[Any], Any]] = {
    "map_val": _dict,
    "struct_val": _dict,
    "map_list_val": _dicts,
    "struct_list_val": _dicts,
    "list_val": lambda found: list(map(to_python, found.val)),
    "set_val": lambda found: list(map(to_python, found.val)),
}
