"""Refuses times that DuckDB supports and Python and BigQuery do not: infinities, years before 1 or after 9999."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from amora_fs_assets.domain.errors import OfflineStoreError
from amora_fs_assets.domain.time import EPOCH, MICROSECOND

_MICROSECONDS = tuple((each.replace(tzinfo=UTC) - EPOCH) // MICROSECOND for each in (datetime.min, datetime.max))  # noqa: DTZ901
_DAYS = tuple((each - EPOCH.date()).days for each in (date.min, date.max))


def check_times(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch. Raises OfflineStoreError for a time outside the years 1 to 9999. Timestamps in microseconds."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        for values in _scalars(column):
            if pa.types.is_timestamp(values.type):
                ends, (least, most) = pc.min_max(values.cast(pa.int64())), _MICROSECONDS
            elif pa.types.is_date32(values.type):
                ends, (least, most) = pc.min_max(values.cast(pa.int32())), _DAYS
            else:
                continue
            if ends["min"].is_valid and not least <= ends["min"].as_py() <= ends["max"].as_py() <= most:
                raise OfflineStoreError(
                    f"Column '{name}' holds a time outside the years 1 to 9999, such as DuckDB's infinity. Correct it "
                    "in the table, or read a SQL view of the table without these rows."
                )
    return batch


def _scalars(column: pa.Array) -> Iterator[pa.Array]:
    """The column itself, or the scalars of its lists and structs."""
    if pa.types.is_list(column.type):
        yield from _scalars(column.flatten())
    elif pa.types.is_struct(column.type):
        for field in column.flatten():
            yield from _scalars(field)
    else:
        yield column
