"""Converts Arrow tables to the witness's JSON form and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.stores.bigquery.tables import type_of

ARROW = {type_of(Column("any", type_)): IBIS_TYPES[type_].to_pyarrow() for type_ in DataType}
"""The Arrow type of each GoogleSQL type that a column may have."""
_EPOCH = date(1970, 1, 1).toordinal()
Encoded = dict[str, Any]


def type_in_googlesql(type_: pa.DataType) -> str:
    """The type that BigQuery gives a column from Parquet. Raises ValueError for an unsupported type."""
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return f"ARRAY<{type_in_googlesql(type_.value_type)}>"
    if pa.types.is_struct(type_):
        return f"STRUCT<{', '.join(f'`{field.name}` {type_in_googlesql(field.type)}' for field in type_)}>"
    for name, fits in _KINDS.items():
        if fits(type_):
            return name
    raise ValueError(f"A column cannot have type {type_}.")


_KINDS: Mapping[str, Callable[[pa.DataType], bool]] = {
    "INT64": pa.types.is_integer,
    "FLOAT64": pa.types.is_floating,
    "BOOL": pa.types.is_boolean,
    "STRING": lambda type_: pa.types.is_string(type_) or pa.types.is_large_string(type_),
    "BYTES": lambda type_: pa.types.is_binary(type_) or pa.types.is_large_binary(type_),
    "DATE": pa.types.is_date,
    "TIMESTAMP": lambda type_: pa.types.is_timestamp(type_) and type_.tz is not None,
    "NUMERIC": pa.types.is_decimal,
    "TIME": pa.types.is_time,
}


def encoded(table: pa.Table) -> Encoded:
    """A table in JSON form, as BigQuery stores it: a null list becomes an empty list."""
    types = {field.name: type_in_googlesql(field.type) for field in table.schema}
    columns = []
    for name, type_ in types.items():
        column = table[name]
        if type_ == "TIMESTAMP":
            column = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
        columns.append([_to_json(value, type_) for value in column.to_pylist()])
    rows = [list(row) for row in zip(*columns, strict=True)] if columns else []
    return {"columns": types, "rows": rows}


def _to_json(value: Any, type_: str) -> Any:
    if type_.startswith("ARRAY<"):
        return [_to_json(each, type_[6:-1]) for each in value or ()]
    if type_.startswith("STRUCT<"):
        return value and [_to_json(value[name], field) for name, field in fields_of(type_)]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return pa.scalar(value, pa.timestamp("us", tz="UTC")).value
    if isinstance(value, date):
        return value.toordinal() - _EPOCH
    if isinstance(value, time):
        return pa.scalar(value, pa.time64("us")).value
    return str(value) if isinstance(value, Decimal) else value


def decoded(columns: list[tuple[str, str]], rows: list[list[Any]]) -> pa.Table:
    """A query's answer as an Arrow table. A null list becomes an empty list, as in BigQuery."""
    arrays, fields = [], []
    for place, (name, type_) in enumerate(columns):
        arrow = _arrow_of(type_)
        values = [_from_json(row[place], type_) for row in rows]
        arrays.append(pa.array(values, arrow) if type_ != "TIMESTAMP" else pa.array(values, pa.int64()).cast(arrow))
        fields.append(pa.field(name, arrow))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def fields_of(type_: str) -> list[tuple[str, str]]:
    """The names and types of a struct's fields: the parts at the commas that are in no inner type."""
    parts, depth = [""], 0
    for letter in type_.removeprefix("STRUCT<")[:-1]:
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    pairs = (part.strip().partition(" ") for part in parts)
    return [(name.strip("`"), field) for name, _, field in pairs]


def _arrow_of(type_: str) -> pa.DataType:
    if type_.startswith("ARRAY<"):
        return pa.list_(_arrow_of(type_[6:-1]))
    if type_.startswith("STRUCT<"):
        return pa.struct([(name, _arrow_of(field)) for name, field in fields_of(type_)])
    return ARROW[type_]


def _from_json(value: Any, type_: str) -> Any:
    if type_.startswith("ARRAY<"):
        items = [_from_json(each, type_[6:-1]) for each in value or ()]
        if None in items:
            raise ValueError("an array of the answer has a null item, which BigQuery does not support")
        return (
            items if type_ != "ARRAY<TIMESTAMP>" else pa.array(items, pa.int64()).cast(ARROW["TIMESTAMP"]).to_pylist()
        )
    if value is None:
        return None
    if type_.startswith("STRUCT<"):
        fields = zip(fields_of(type_), value, strict=True)
        return {
            name: _instant(each) if field == "TIMESTAMP" else _from_json(each, field) for (name, field), each in fields
        }
    match type_:
        case "BYTES":
            return bytes.fromhex(value)
        case "DATE":
            return date.fromordinal(value + _EPOCH)
        case "NUMERIC":
            return Decimal(value)
        case "TIME":
            return pa.scalar(value, pa.time64("us")).as_py()
    return value


def _instant(microseconds: int | None) -> datetime | None:
    found: datetime | None = pa.scalar(microseconds, pa.int64()).cast(ARROW["TIMESTAMP"]).as_py()
    return found
