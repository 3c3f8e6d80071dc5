"""The annotation of a column for each type of Feast."""

from __future__ import annotations

_SCALARS = {
    "INT32": "int", "INT64": "int", "FLOAT": "float", "DOUBLE": "float", "STRING": "str", "BOOL": "bool",
    "BYTES": "bytes", "PDF_BYTES": "bytes", "IMAGE_BYTES": "bytes", "UNIX_TIMESTAMP": "Timestamp",
    "ZONED_TIMESTAMP": "Timestamp",
}  # fmt: skip
DECIMAL = "Annotated[dt.Decimal, 38, 9, True]"
KEYS = frozenset({"int", "str"})
"""The annotations of join keys."""


def annotation(value_type: str) -> str | None:
    """The annotation for a value type of Feast, such as `list[int]` for INT32_LIST; None without a counterpart."""
    if value_type == "DECIMAL":
        return DECIMAL
    item = value_type.removesuffix("_LIST")
    found = _SCALARS.get(item)
    return found if found is None or item == value_type else f"list[{found}]"


def shown(value_type: str) -> str:
    """Feast's name of the type, as its code writes it: `Set(Int64)`."""
    for suffix, outer in (("_LIST", "Array"), ("_SET", "Set")):
        if value_type.endswith(suffix):
            return f"{outer}({shown(value_type.removesuffix(suffix))})"
    given = {"FLOAT": "Float32", "DOUBLE": "Float64"}.get(value_type)
    return given or "".join(part.title() for part in value_type.split("_"))
