"""Types with parts, and values of them, for the tests of every store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from amora_fs_assets.domain.arrow import arrow_values, python_value
from amora_fs_assets.domain.types import DataType

INNER = DataType.struct_of({"at": DataType.TIMESTAMP, "cost": DataType.DECIMAL, "when": DataType.TIME})
STRUCT = DataType.struct_of(
    {"a": DataType.INT64, "Rate": DataType.FLOAT64, "words": DataType.LIST_STRING, "inner": INNER}
)
MAP = DataType.map_of(DataType.FLOAT64)
MAPS = DataType.map_of(DataType.struct_of({"day": DataType.DATE, "raw": DataType.BYTES}))
STRUCTS = DataType.list_of(INNER)
NESTED = (STRUCT, MAP, MAPS, STRUCTS)


def table(types: Mapping[str, DataType], rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """The rows as Arrow, where maps are dicts."""
    columns = {name: [row[name] for row in rows] for name in schema.names}
    columns |= {name: arrow_values(type_, columns[name]) for name, type_ in types.items()}
    return pa.Table.from_pydict(columns, schema)


def python(types: Mapping[str, DataType], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of `to_pylist` with dicts for maps."""
    return [{name: python_value(types[name], value) if name in types else value for name, value in row.items()}
            for row in rows]  # fmt: skip


def comparable(value: Any) -> Any:
    """Compares as what it is: NaN as itself, a float by its text, so that no rounding goes unseen."""
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, dict):
        return {name: comparable(item) for name, item in value.items()}
    return repr(value) if isinstance(value, float) else value


def nan(value: Any) -> bool:
    """Whether the value is NaN."""
    return isinstance(value, float) and math.isnan(value)
