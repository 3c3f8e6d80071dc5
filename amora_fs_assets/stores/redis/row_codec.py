"""A row of the online store as bytes: MessagePack values behind each other, of which the first are of fixed width.

mark               uint64: the publication that the writer had seen (of a pushed row its own, or UNPUBLISHED) in
                   four bytes, flags (PUSHED + HAS_NULL + GONE) in one, two of the columns' hash, one to spare
event_timestamp    int64 [us since 1970]; NEVER marks a tombstone
created_timestamp  int64 [us since 1970], or nil
values             in the order of the generation's features

Any number of rows is thus one MessagePack array but for its head: one call decodes them all, and a column is every n-th
value. Redis' scripts find what decides between two rows at fixed places (see redis_scripts).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.online import NEVER, OnlineRows
from amora_fs_assets.domain.time import from_microseconds
from amora_fs_assets.domain.types import DataType

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
    """Some rows: each one's key, bytes, and event_timestamp [us]; NEVER for a tombstone."""

    keys: list[bytes]
    rows: list[bytes]
    times: list[int]


def _mark(schema_hash: str, sequence: int = 0, flags: int = 0) -> int:
    return sequence << 32 | flags << 24 | int(schema_hash[:4], 16) << 8


def encode_part(value: Any) -> bytes:
    """One join key's value; parts behind each other, none of which begins another, are a whole key."""
    return _encode(value)


def decode_key(packed: bytes, parts: int) -> tuple[Any, ...]:
    """The join keys' values again, of which there are so many."""
    return tuple(_decode(_ARRAY.pack(_ARRAY32, parts) + packed))


def is_gone(row: bytes) -> bool:
    """Whether the row is a tombstone."""
    return bool(row[5] & GONE)


def encode(view: FeatureView, batch: pa.RecordBatch, sequence: int, flags: int = 0) -> Iterator[Encoded]:
    """Rows of the view's `row_columns`, some thousand at a time, so that memory does not grow with the batch."""
    mark = _mark(view.schema_hash, sequence, flags)
    for start in range(0, batch.num_rows, _ROWS_AT_A_TIME):
        yield _encoded(view, batch.slice(start, _ROWS_AT_A_TIME), mark)


def _encoded(view: FeatureView, batch: pa.RecordBatch, mark: int) -> Encoded:
    count = batch.num_rows
    parts = [list(map(_encode, _cells(batch, column))) for column in view.key_columns]
    keys = parts[0] if len(parts) == 1 else list(map(b"".join, zip(*parts, strict=True))) or [b""] * count
    times = [NEVER if time is None else time for time in _cells(batch, Column(EVENT_TIMESTAMP, DataType.TIMESTAMP))]
    columns = [_cells(batch, feature) for feature in view.features]
    nulls = any(batch.column(feature.name).null_count for feature in view.features)
    values = map(_encode, zip(*columns, strict=True))
    head = 1 if len(columns) < 16 else 3  # of the array, which the values do without
    if nulls:
        marks = [
            mark | (_GONE if time == NEVER else _NULL if None in row else 0)
            for time, row in zip(times, zip(*columns, strict=True), strict=True)
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
    """Reads rows of one shape: these features, in this order."""

    def __init__(self, features: Sequence[tuple[str, str]], schema_hash: str) -> None:
        """`features` are names and types; rows of another schema are refused."""
        self._places = [(place, name) for place, (name, _) in enumerate(features, start=_PLACES)]
        self._width = _PLACES + len(features)
        self._fingerprint = _mark(schema_hash)
        self._complete: set[int] = set()  # marks of rows without nulls, as they were met: a handful
        self._read = [(name, _reader(DataType(type_))) for name, type_ in features if DataType(type_).item in _READ]
        self._missing = _HEAD.pack(_UINT64, self._fingerprint | _GONE, _INT64, NEVER, _NIL) + bytes([_NIL]) * len(
            features
        )

    def __call__(self, found: Sequence[bytes | None]) -> OnlineRows:
        """The rows by column, in order; where there is none, nulls at NEVER. Raises OnlineStoreError."""
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
            raise OnlineStoreError(f"Redis holds rows that cannot be read: {error}. Load the view anew.") from error
        marks = flat[::width]
        complete = self._complete.issuperset(marks) or self._checked(set(marks))
        columns: dict[str, list[Any]] = {name: flat[place::width] for place, name in self._places}
        for name, read in self._read:
            columns[name] = [None if value is None else read(value) for value in columns[name]]
        return OnlineRows(flat[1::width], flat[2::width], columns, marks, complete=complete)

    def _checked(self, marks: set[int]) -> bool:
        """Whether rows of these marks are all there, without a null. Raises OnlineStoreError for another schema's."""
        if any(mark & _FINGERPRINT != self._fingerprint for mark in marks):
            raise OnlineStoreError("Redis holds rows of other columns than their generation's. Load the view anew.")
        complete = {mark for mark in marks if not mark & _NULL}
        if len(self._complete) < _MOST_MARKS:
            self._complete |= complete
        return complete == marks


def _cells(batch: pa.RecordBatch, column: Column) -> list[Any]:
    """A column's values, of types that MessagePack has: times as microseconds, dates as days, decimals as text."""
    import pyarrow as pa

    array = batch.column(column.name)
    if column.type.item is DataType.TIMESTAMP:
        micros = pa.timestamp("us", tz="UTC")
        array = array.cast(pa.list_(micros) if column.type.is_list else micros)
    plain = {DataType.TIMESTAMP: pa.int64(), DataType.DATE: pa.int32(), DataType.DECIMAL: pa.string()}
    wanted = plain.get(column.type.item)
    if wanted is not None:
        array = array.cast(pa.list_(wanted) if column.type.is_list else wanted)
    cells: list[Any]
    if column.type.is_list:
        return list(array.to_pylist())
    if array.null_count and pa.types.is_primitive(array.type):  # NumPy has no null of these
        missing = array.is_null().to_numpy(zero_copy_only=False).nonzero()[0].tolist()
        cells = array.fill_null(False if pa.types.is_boolean(array.type) else 0).to_numpy(zero_copy_only=False).tolist()
        for place in missing:
            cells[place] = None
        return cells
    cells = array.to_numpy(zero_copy_only=False).tolist()
    return cells


_READ: dict[DataType, Callable[[Any], Any]] = {
    DataType.TIMESTAMP: lambda value: from_microseconds(value),
    DataType.DATE: lambda value: _FIRST_DAY + timedelta(days=value),
    DataType.DECIMAL: Decimal,
}


def _reader(type_: DataType) -> Callable[[Any], Any]:
    read = _READ[type_.item]
    return (lambda items: [None if item is None else read(item) for item in items]) if type_.is_list else read
