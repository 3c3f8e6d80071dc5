"""Times that DuckDB supports and Python and BigQuery do not: infinities, years before 1 or after 9999.

DuckDB compares infinities as it should: a row at -infinity is before every moment, a row at infinity never counts, and
a row with valid_to at infinity never ends. Where such a row leaves the store, its time becomes the first or the last
instant of the years 1 to 9999. All other times outside these years are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from amora_fs_assets.domain.errors import OfflineStoreError
from amora_fs_assets.domain.names import RESERVED_COLUMNS, VALID_TO
from amora_fs_assets.domain.time import EPOCH, MICROSECOND

_MICROSECONDS = tuple((each.replace(tzinfo=UTC) - EPOCH) // MICROSECOND for each in (datetime.min, datetime.max))  # noqa: DTZ901
_TIMES = RESERVED_COLUMNS | {VALID_TO}
_INFINITY = 2**63 - 1  # DuckDB's number for infinity; its negative is -infinity
_DAYS = tuple((each - EPOCH.date()).days for each in (date.min, date.max))


def check_times(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch, with finite times of its rows. Timestamps are in microseconds.

    Raises OfflineStoreError for another time outside the years 1 to 9999.
    """
    for place, name in enumerate(batch.schema.names):
        if name in _TIMES and pa.types.is_timestamp(batch.schema.types[place]):
            batch = _finite(batch, place)
        for values in _scalars(batch.column(place)):
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


def _finite(batch: pa.RecordBatch, place: int) -> pa.RecordBatch:
    """The batch with the first and the last instant for the infinities of one column."""
    column = batch.column(place)
    numbers, (least, most) = column.cast(pa.int64()), _MICROSECONDS
    ends = pc.min_max(numbers)
    if ends["max"].as_py() != _INFINITY and ends["min"].as_py() != -_INFINITY:
        return batch
    numbers = pc.if_else(pc.equal(numbers, _INFINITY), most, numbers)
    numbers = pc.if_else(pc.equal(numbers, -_INFINITY), least, numbers)
    return batch.set_column(place, batch.schema.field(place), numbers.cast(column.type))


def _scalars(column: pa.Array) -> Iterator[pa.Array]:
    """The column itself, or the scalars of its lists and structs."""
    if pa.types.is_list(column.type):
        yield from _scalars(column.flatten())
    elif pa.types.is_struct(column.type):
        for field in column.flatten():
            yield from _scalars(field)
    else:
        yield column
