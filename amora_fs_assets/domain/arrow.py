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
    }
    return pa.list_(scalars[type_.item]) if type_.is_list else scalars[type_]


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The Arrow schema of the columns, in order."""
    import pyarrow as pa

    return pa.schema([(column.name, arrow_type(column.type)) for column in columns])


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
