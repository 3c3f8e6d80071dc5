"""Column types as Arrow types. Arrow is imported on first use, since online reads do not need Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

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
