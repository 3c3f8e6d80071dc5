"""The annotation of a column for each type of Feast."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

STRUCT_TAG = "feast:struct_schema"
"""The tag in which Feast keeps the fields of a struct, as JSON."""
KEYS = frozenset({"int", "str"})
"""The annotations of join keys."""
_SCALARS = {
    "INT32": "int", "INT64": "int", "FLOAT": "float", "DOUBLE": "float", "STRING": "str", "BOOL": "bool",
    "BYTES": "bytes", "PDF_BYTES": "bytes", "IMAGE_BYTES": "bytes", "UNIX_TIMESTAMP": "Timestamp",
    "ZONED_TIMESTAMP": "Timestamp",
}  # fmt: skip
_WITHOUT_LISTS = {
    "DECIMAL": "Annotated[dt.Decimal, 38, 9, True]", "UUID": "UUID", "TIME_UUID": "UUID", "JSON": "dt.json",
    "MAP": "dict[str, str]",
}  # fmt: skip
_FIELDS = {
    "INT32": "dt.int64", "INT64": "dt.int64", "FLOAT32": "dt.float64", "FLOAT64": "dt.float64", "STRING": "dt.string",
    "BOOL": "dt.boolean", "BYTES": "dt.binary", "UNIX_TIMESTAMP": 'dt.Timestamp("UTC", 6)',
    "DECIMAL": "dt.Decimal(38, 9)", "JSON": "dt.string", "UUID": "dt.string",
}  # fmt: skip
"""The types of fields, by the names in Feast's text of a struct."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def annotation(value_type: str, tags: Mapping[str, str] | None = None, stored: pa.DataType | None = None) -> str | None:
    """The annotation for a value type of Feast, such as `list[int]` for INT32_LIST; None without a counterpart.

    Args:
        value_type: The name of Feast's ValueType.
        tags: The tags of the field, of which one has the fields of a struct.
        stored: The type in the table, if it is known. A map may be stored as a struct, which has more to say.

    """
    if value_type == "MAP" and stored is not None and pa.types.is_struct(stored):
        return _of_arrow(stored)
    if value_type in _WITHOUT_LISTS:
        return _WITHOUT_LISTS[value_type]
    item = value_type.removesuffix("_LIST")
    if item == "STRUCT":
        struct = _struct((tags or {}).get(STRUCT_TAG, ""))
        return struct if struct is None or item == value_type else f"dt.Array({struct})"
    found = _SCALARS.get(item)
    return found if found is None or item == value_type else f"list[{found}]"


def shown(value_type: str) -> str:
    """Feast's name of the type, as its code writes it: `Set(Int64)`."""
    for suffix, outer in (("_LIST", "Array"), ("_SET", "Set")):
        if value_type.endswith(suffix):
            return f"{outer}({shown(value_type.removesuffix(suffix))})"
    given = {"FLOAT": "Float32", "DOUBLE": "Float64"}.get(value_type)
    return given or "".join(part.title() for part in value_type.split("_"))


def _struct(text: str) -> str | None:
    """The struct of Feast's text: the name and type of each field, as JSON."""
    try:
        fields = json.loads(text)
    except ValueError:
        return None
    return _of_fields({name: _field(str(type_)) for name, type_ in fields.items()})


def _field(type_: str) -> str | None:
    if type_.startswith("Array(") and type_.endswith(")"):
        item = _field(type_.removeprefix("Array(").removesuffix(")"))
        return None if item is None or item.startswith("dt.Array") else f"dt.Array({item})"
    if type_.startswith("{"):
        return _struct(json.dumps(json.loads(type_).get("__struct__", {})))
    return _FIELDS.get(type_)


def _of_fields(fields: Mapping[str, str | None]) -> str | None:
    if not fields or not all(type_ and _NAME.fullmatch(name) for name, type_ in fields.items()):
        return None
    return "dt.Struct({" + ", ".join(f'"{name}": {type_}' for name, type_ in fields.items()) + "})"


def _of_arrow(stored: Any) -> str | None:
    """The type of a column in a file, if it is a struct of texts, numbers and structs."""
    if pa.types.is_struct(stored):
        return _of_fields({field.name: _of_arrow(field.type) for field in stored})
    tests = (
        (pa.types.is_string, "dt.string"), (pa.types.is_large_string, "dt.string"), (pa.types.is_integer, "dt.int64"),
        (pa.types.is_floating, "dt.float64"), (pa.types.is_boolean, "dt.boolean"),
    )  # fmt: skip
    return next((type_ for test, type_ in tests if test(stored)), None)
