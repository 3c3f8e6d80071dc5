"""Views and rows for the online store's tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from amora_fs_assets import Entity, FeatureView
from amora_fs_assets.domain.arrow import arrow_values
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.names import CREATED_TIMESTAMP
from amora_fs_assets.domain.ports.online import OnlineRequest, OnlineStore
from amora_fs_assets.domain.types import DataType

NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)
CUSTOMER = Column("customer", DataType.INT64)
AMOUNT = Column("amount", DataType.FLOAT64, nullable=True)
NOTE = Column("note", DataType.STRING, nullable=True)


def micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def hour(number: float) -> datetime:
    """That many hours after noon."""
    return NOON + timedelta(hours=number)


def view_of(
    *features: Column, keys: Sequence[Column] = (CUSTOMER,), name: str = "spending", created: bool = False, **more: Any
) -> FeatureView:
    columns = (*keys, *(features or (AMOUNT, NOTE)))
    if created:
        columns += (Column(CREATED_TIMESTAMP, DataType.TIMESTAMP, nullable=True),)
    entities = [Entity("buyer", [key.name for key in keys])] if keys else []
    return FeatureView(name, columns, entities, start="2020-01-01", **more)


def batch(view: FeatureView, *rows: Sequence[Any]) -> pa.RecordBatch:
    """Rows in the order of `view.row_columns`; where the time is None, a tombstone."""
    schema = pa.schema([(c.name, IBIS_TYPES[c.type].to_pyarrow()) for c in view.row_columns])
    values = zip(*rows, strict=True) if rows else [()] * len(schema.names)
    columns = [arrow_values(c.type, list(each)) for c, each in zip(view.row_columns, values, strict=True)]
    arrays = [pa.array(each, field.type) for each, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def load_amount(
    keys: Iterable[Any], store: OnlineStore, amount: float, *, published_through: int = 1, new_generation: bool = True
) -> None:
    """Load one amount for all keys, known at the hour of the publication."""
    view = view_of(AMOUNT)
    store.load(
        view,
        [batch(view, *((key, hour(published_through), amount) for key in keys))],
        published_through=published_through,
        clock=hour(published_through),
        new_generation=new_generation,
        expire=False,
    )


def request(view: FeatureView, keys: Sequence[Any]) -> OnlineRequest:
    """A request for keys, each a value, a tuple of values, or None."""
    width = len(view.join_keys)
    tuples = [(None,) * width if key is None else key if isinstance(key, tuple) else (key,) for key in keys]
    return OnlineRequest(view, [list(column) for column in zip(*tuples, strict=True)] or [[]] * width, len(tuples))
