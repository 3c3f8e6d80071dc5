"""A row of the online store as bytes: a sequence of MessagePack values, the first of fixed width.

mark               uint64: the newest publication that the writer had read (for a pushed row its own, or UNPUBLISHED) in
                   four bytes, flags (PUSHED + HAS_NULL + GONE) in one, the columns' hash in two, one unused
event_timestamp    int64 [us since 1970]; NEVER for a tombstone
created_timestamp  int64 [us since 1970], or nil
values             in the order of the generation's features; the last one is valid_to [us since 1970] or nil, if the
                   view has it. HAS_NULL is about the features alone

So any number of rows is one MessagePack array without its head: one call decodes all rows, and a column is every n-th
value. Redis' scripts find the fields that decide between two rows at fixed positions (see scripts.py).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from amora_fs_assets.domain.arrow import python_value
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.online import NEVER, OnlineRows
from amora_fs_assets.domain.time import EPOCH, MICROSECOND, from_microseconds
from amora_fs_assets.domain.types import DataType, reader

if TYPE_CHECKING:
    import pyarrow as pa

PUSHED, HAS_NULL, GONE = 1, 2, 4
_NULL, _GONE = HAS_NULL << 24, (HAS_NULL | GONE) << 24
_FINGERPRINT = 0xFFFF00
_MOST_MARKS = 1_000

_PLACES = 3  # before the values
_ROWS_AT_A_TIME = 10_000
_ARRAY32, _UINT64, _INT64, _NIL = 0xDD, 0xCF, 0xD3, 0xC0
_HEAD = struct.Struct(">BQBqB")  # mark, event_timestamp, nil
_HEAD_CREATED = struct.Struct(">BQBqBq")  # mark, event_timestamp, created_timestamp
_ARRAY = struct.Struct(">BI")
_FIRST_DAY = date(1970, 1, 1)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows by column: key, bytes, and event_timestamp [us]; NEVER for a tombstone."""

    keys: list[bytes]
    rows: list[bytes]
    times: list[int]


def _mark(schema_hash: str, sequence: int = 0, flags: int = 0) -> int:
    return sequence << 32 | flags << 24 | int(schema_hash[:4], 16) << 8


def encode_part(value: Any) -> bytes:
    """One join key's value as bytes. A key is the sequence of its parts; no part is a prefix of another part."""
    return _encode(value)


def decode_key(packed: bytes, parts: int) -> tuple[Any, ...]:
    """The values of `parts` join keys."""
    return tuple(_decode(_ARRAY.pack(_ARRAY32, parts) + packed))


def is_gone(row: bytes) -> bool:
    """Whether the row is a tombstone."""
    return bool(row[5] & GONE)


def encode(view: FeatureView, batch: pa.RecordBatch, sequence: int, flags: int = 0) -> Iterator[Encoded]:
    """Encode rows of the view's `row_columns`, some thousand at a time, so that memory does not grow with the batch."""
    mark = _mark(view.schema_hash, sequence, flags)
    for start in range(0, batch.num_rows, _ROWS_AT_A_TIME):
        yield _encoded(view, batch.slice(start, _ROWS_AT_A_TIME), mark)


def _encoded(view: FeatureView, batch: pa.RecordBatch, mark: int) -> Encoded:
    count = batch.num_rows
    parts = [list(map(_encode, _cells(batch, column))) for column in view.key_columns]
    keys = parts[0] if len(parts) == 1 else list(map(b"".join, zip(*parts, strict=True))) or [b""] * count
    times = [NEVER if time is None else time for time in _cells(batch, Column(EVENT_TIMESTAMP, DataType.TIMESTAMP))]
    columns = [_cells(batch, column) for column in view.online_columns]
    features = columns[: len(view.features)]
    nulls = any(batch.column(feature.name).null_count for feature in view.features)
    values = map(_encode, zip(*columns, strict=True))
    head = 1 if len(columns) < 16 else 3  # the length of the array's head, which is cut off
    if nulls:
        marks = [
            mark | (_GONE if time == NEVER else _NULL if None in row else 0)
            for time, row in zip(times, zip(*features, strict=True), strict=True)
        ]
    else:
        marks = [mark | (_GONE if time == NEVER else 0) for time in times]
    known = (
        _cells(batch, Column(CREATED_TIMESTAMP, DataType.TIMESTAMP)) if view.has_created_timestamp else [None] * count
    )
    heads = [
        _HEAD.pack(_UINT64, each, _INT64, time, _NIL)
        if created is None
        else _HEAD_CREATED.pack(_UINT64, each, _INT64, time, _INT64, created)
        for each, time, created in zip(marks, times, known, strict=True)
    ]
    rows = [start + value[head:] for start, value in zip(heads, values, strict=True)]
    return Encoded(keys, rows, times)


class Decoder:
    """Decodes rows with these features, in this order."""

    def __init__(self, features: Sequence[tuple[str, str]], schema_hash: str) -> None:
        """`features` are names and types. Rows of another schema are refused."""
        self._places = [(place, name) for place, (name, _) in enumerate(features, start=_PLACES)]
        self._width = _PLACES + len(features)
        self._fingerprint = _mark(schema_hash)
        self._complete: set[int] = set()  # the few different marks of rows without nulls
        readers = [(name, reader(DataType(type_), _READ)) for name, type_ in features]
        self._read = [(name, read) for name, read in readers if read is not None]
        self._missing = _HEAD.pack(_UINT64, self._fingerprint | _GONE, _INT64, NEVER, _NIL) + bytes([_NIL]) * len(
            features
        )

    def __call__(self, found: Sequence[bytes | None]) -> OnlineRows:
        """The rows by column, in order; a missing row has nulls and the time NEVER. Raises OnlineStoreError."""
        if not found:
            return OnlineRows([], [], {name: [] for _, name in self._places}, [], complete=True)
        try:
            joined = b"".join(found)  # type: ignore[arg-type]
        except TypeError:  # some are missing
            joined = b"".join([self._missing if row is None else row for row in found])
        width = self._width
        try:
            flat = _decode(_ARRAY.pack(_ARRAY32, len(found) * width) + joined)
        except msgspec.DecodeError as error:
            raise OnlineStoreError(f"Redis holds rows that cannot be read: {error}. Load the view again.") from error
        marks = flat[::width]
        complete = self._complete.issuperset(marks) or self._checked(set(marks))
        columns: dict[str, list[Any]] = {name: flat[place::width] for place, name in self._places}
        for name, read in self._read:
            columns[name] = list(map(read, columns[name]))
        return OnlineRows(flat[1::width], flat[2::width], columns, marks, complete=complete)

    def _checked(self, marks: set[int]) -> bool:
        """Whether rows with these marks exist and have no nulls. Raises OnlineStoreError for another schema."""
        if any(mark & _FINGERPRINT != self._fingerprint for mark in marks):
            raise OnlineStoreError("Redis holds rows with other columns than their generation. Load the view again.")
        complete = {mark for mark in marks if not mark & _NULL}
        if len(self._complete) < _MOST_MARKS:
            self._complete |= complete
        return complete == marks


def _cells(batch: pa.RecordBatch, column: Column) -> list[Any]:
    """A column's values in MessagePack types: times as microseconds, dates as days, decimals as text."""
    import pyarrow as pa

    array = batch.column(column.name)
    if column.type.is_nested:
        write = reader(column.type, _WRITTEN)
        values = [python_value(column.type, value) for value in array.to_pylist()]
        return values if write is None else list(map(write, values))
    if column.type.item is DataType.TIMESTAMP:
        micros = pa.timestamp("us", tz="UTC")
        array = array.cast(pa.list_(micros) if column.type.is_list else micros)
    if column.type.item is DataType.TIME:
        array = array.cast(pa.list_(pa.time64("us")) if column.type.is_list else pa.time64("us"))
    plain = {
        DataType.TIMESTAMP: pa.int64(),
        DataType.DATE: pa.int32(),
        DataType.DECIMAL: pa.string(),
        DataType.TIME: pa.int64(),
    }
    plain_type = plain.get(column.type.item)
    if plain_type is not None:
        array = array.cast(pa.list_(plain_type) if column.type.is_list else plain_type)
    cells: list[Any]
    if column.type.is_list:
        return list(array.to_pylist())
    if array.null_count and pa.types.is_primitive(array.type):  # NumPy has no nulls for these types
        missing = array.is_null().to_numpy(zero_copy_only=False).nonzero()[0].tolist()
        cells = array.fill_null(False if pa.types.is_boolean(array.type) else 0).to_numpy(zero_copy_only=False).tolist()
        for place in missing:
            cells[place] = None
        return cells
    cells = array.to_numpy(zero_copy_only=False).tolist()
    return cells


def _time(microseconds: int) -> time:
    return from_microseconds(microseconds).time()


def _since_midnight(value: time) -> int:
    return (datetime.combine(_FIRST_DAY, value, UTC) - EPOCH) // MICROSECOND


_READ: dict[DataType, Callable[[Any], Any]] = {
    DataType.TIMESTAMP: lambda value: from_microseconds(value),
    DataType.DATE: lambda value: _FIRST_DAY + timedelta(days=value),
    DataType.DECIMAL: Decimal,
    DataType.TIME: _time,
}
_WRITTEN: dict[DataType, Callable[[Any], Any]] = {
    DataType.TIMESTAMP: lambda value: (value - EPOCH) // MICROSECOND,
    DataType.DATE: lambda value: (value - _FIRST_DAY).days,
    DataType.DECIMAL: str,
    DataType.TIME: _since_midnight,
}
"""The MessagePack form of scalars within structs and maps, as `_cells` has it for columns."""
