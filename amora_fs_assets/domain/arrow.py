"""Column types as Arrow types. Arrow is imported on first use, since online reads do not need Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.types import DataType

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_type(type_: DataType) -> pa.DataType:
    """The Arrow type of a column."""
    import pyarrow as pa

    scalars = {
        DataType.INT64: pa.int64(),
        DataType.FLOAT64: pa.float64(),
        DataType.STRING: pa.string(),
        DataType.BOOLEAN: pa.bool_(),
        DataType.BYTES: pa.binary(),
        DataType.DATE: pa.date32(),
        DataType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
        DataType.DECIMAL: pa.decimal128(38, 9),
        DataType.TIME: pa.time64("us"),
        DataType.UUID: pa.string(),
        DataType.JSON: pa.string(),
    }
    if type_.is_list:
        return pa.list_(arrow_type(type_.item))
    if type_.is_map:
        return pa.list_(pa.struct([("key", pa.string()), ("value", arrow_type(type_.fields["value"]))]))
    if type_.is_struct:
        return pa.struct([(name, arrow_type(field)) for name, field in type_.fields.items()])
    return scalars[type_]


def arrow_values(type_: DataType, values: list[Any]) -> list[Any]:
    """Python values as Arrow takes them: a map, which is a dict, as a list of entries."""
    if not type_.is_nested:
        return values
    if type_.is_map:
        item = type_.fields["value"]
        return [value if value is None else _entries(value, item) for value in values]
    if type_.is_list:
        return [value if value is None else arrow_values(type_.item, value) for value in values]
    read = {name: field for name, field in type_.fields.items() if field.is_nested}
    return [
        value and {n: arrow_values(read[n], [each])[0] if n in read else each for n, each in value.items()}
        for value in values
    ]


def _entries(entries: dict[str, Any], item: DataType) -> list[dict[str, Any]]:
    values = arrow_values(item, list(entries.values()))
    return [{"key": key, "value": value} for key, value in zip(entries, values, strict=True)]


def python_value(type_: DataType, value: Any) -> Any:
    """A value of `to_pylist` with dicts for maps."""
    if value is None or not type_.is_nested:
        return value
    if type_.is_map:
        item = type_.fields["value"]
        return {each["key"]: python_value(item, each["value"]) for each in value}
    if type_.is_list:
        return [python_value(type_.item, each) for each in value]
    return {name: python_value(field, value[name]) for name, field in type_.fields.items()}


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The Arrow schema of the columns, in order."""
    import pyarrow as pa

    return pa.schema([(column.name, arrow_type(column.type)) for column in columns])


def in_microseconds(rows: pa.Table) -> pa.Table:
    """The rows with times of day in microseconds, since Ibis makes nanoseconds, which BigQuery does not take."""
    import pyarrow as pa

    schema = pa.schema(
        [field.with_type(pa.time64("us")) if field.type == pa.time64("ns") else field for field in rows.schema]
    )
    return rows if schema == rows.schema else rows.cast(schema)


def is_arrow(frame: object) -> bool:
    """Whether `arrow_table` can read the object: an Arrow table, a polars frame, or another library's frame."""
    return any(hasattr(frame, name) for name in ("__arrow_c_stream__", "__arrow_c_array__", "to_arrow"))


def arrow_table(frame: Any) -> pa.Table:
    """A frame of any library as an Arrow table: by the frame's `to_arrow`, or by Arrow's PyCapsule interface."""
    import pyarrow as pa

    if hasattr(frame, "to_arrow"):  # polars: gives types that all Arrow functions know
        frame = frame.to_arrow()
    if isinstance(frame, pa.Table):
        return frame
    return pa.table(frame) if hasattr(frame, "__arrow_c_stream__") else pa.Table.from_batches([pa.record_batch(frame)])
