"""A row of the online store as bytes: a header that Redis can compare, then the values in MessagePack.

sequence           uint64, big-endian, so that comparing bytes compares numbers
event_timestamp    int64 [us since 1970], big-endian as all of the header
created_timestamp  int64 [us since 1970]; the least number where there is none
fingerprint        4 bytes of the view's schema hash
flags              1 byte: 1 for a tombstone
values             an array, in the order of the view's features
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports import OnlineRow
from amora_fs_assets.domain.types import DataType

if TYPE_CHECKING:
    import pyarrow as pa

_HEADER = struct.Struct(">Qqq4sB")
_NEVER = -(2**63)
_TOMBSTONE = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(1970, 1, 1)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def fingerprint(view: FeatureView) -> bytes:
    """What tells rows of other columns apart."""
    return bytes.fromhex(view.schema_hash)[:4]


def encode_key(values: tuple[Any, ...]) -> bytes:
    """Join key values, as the end of a Redis key."""
    return _encode(values)


def encode(view: FeatureView, batch: pa.RecordBatch, sequence: int) -> Iterator[tuple[bytes, bytes, int | None]]:
    """Each row's key, bytes, and event_timestamp [us]; None marks a tombstone."""
    mark = fingerprint(view)
    keys = list(zip(*(_cells(batch, column) for column in view.key_columns), strict=True))
    times = _cells(batch, Column(EVENT_TIMESTAMP, DataType.TIMESTAMP))
    created: list[Any] = [None] * batch.num_rows
    if view.has_created_timestamp:
        created = _cells(batch, Column(CREATED_TIMESTAMP, DataType.TIMESTAMP))
    rows = zip(*(_cells(batch, feature) for feature in view.features), strict=True)
    for key, time, known, values in zip(keys or [()] * batch.num_rows, times, created, rows, strict=True):
        if time is None:
            yield _encode(key), _HEADER.pack(sequence, 0, _NEVER, mark, _TOMBSTONE), None
        else:
            header = _HEADER.pack(sequence, time, _NEVER if known is None else known, mark, 0)
            yield _encode(key), header + _encode(values), time


def decode(view: FeatureView, data: bytes) -> OnlineRow | None:
    """The row again; None for a tombstone. Raises OnlineStoreError where it was written with other columns."""
    _, time, created, mark, flags = _HEADER.unpack_from(data)
    if flags & _TOMBSTONE:
        return None
    if mark != fingerprint(view):
        raise OnlineStoreError(
            f"{view}: Redis holds rows of other columns than the registry's. Run `amora-fs materialize-incremental`."
        )
    values = _decode(memoryview(data)[_HEADER.size :])
    for i, feature in enumerate(view.features):
        if feature.type.item in _READ:
            values[i] = _read(values[i], feature.type)
    return OnlineRow(
        event_timestamp=time, created_timestamp=None if created == _NEVER else created, values=tuple(values)
    )


def _cells(batch: pa.RecordBatch, column: Column) -> list[Any]:
    """A column's values, of types that MessagePack has: times as microseconds, dates as days, decimals as text."""
    import pyarrow as pa

    array = batch.column(column.name)
    plain: dict[DataType, Any] = {
        DataType.TIMESTAMP: pa.int64(),
        DataType.DATE: pa.int32(),
        DataType.DECIMAL: pa.string(),
    }
    wanted = plain.get(column.type.item)
    if column.type is DataType.TIMESTAMP:
        array = array.cast(pa.timestamp("us", tz="UTC"))
    if wanted is not None:
        if column.type.is_list and column.type.item is DataType.TIMESTAMP:
            array = array.cast(pa.list_(pa.timestamp("us", tz="UTC")))
        array = array.cast(pa.list_(wanted) if column.type.is_list else wanted)
    cells: list[Any] = array.to_pylist()
    return cells


_READ: dict[DataType, Callable[[Any], Any]] = {
    DataType.TIMESTAMP: lambda value: _EPOCH + timedelta(microseconds=value),
    DataType.DATE: lambda value: _FIRST_DAY + timedelta(days=value),
    DataType.DECIMAL: Decimal,
}


def _read(value: Any, type_: DataType) -> Any:
    if value is None:
        return None
    read = _READ[type_.item]
    return [None if item is None else read(item) for item in value] if type_.is_list else read(value)
