"""The view whose lives are checked, in the forms that get applied; and its source's states."""

from __future__ import annotations

import types
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from amora_fs_assets import Entity, FeatureSchema, FeatureView, Field, Source, SourceSchema, Timestamp
from amora_fs_assets.domain.column import Column  # noqa: F401

VIEW = "sales"
START, DAY_TWO, CLOCK = (datetime(2020, 1, day, tzinfo=UTC) for day in (1, 3, 5))
KEYS = (1, 2, 3, 4)
TIME = pa.timestamp("us", tz="UTC")


class Orders(SourceSchema):
    shop: int
    at: Timestamp
    known: Timestamp = Field(nullable=True)
    total: float = Field(nullable=True)


class Sales(FeatureSchema):
    """What a shop sells."""

    shop: int
    created_timestamp: Timestamp = Field(nullable=True)
    total: float = Field(nullable=True)


class Wide(FeatureSchema):
    """With a feature more."""

    shop: int
    created_timestamp: Timestamp = Field(nullable=True)
    total: float = Field(nullable=True)
    double: float = Field(nullable=True)


shop = Entity("shop")
orders = Source("orders", Orders, timestamp_field="at")


def plain(orders: Any) -> Any:
    return orders.select("shop", "total", created_timestamp=orders["known"], event_timestamp=orders["at"])


def doubled(orders: Any) -> Any:
    return plain(orders).mutate(double=orders["total"] * 2)


def shifted(orders: Any) -> Any:
    return plain(orders).mutate(total=orders["total"] + SHIFT)


SHIFT = 1_000.0


def sales(transform: Any = plain, schema: Any = Sales, name: str = VIEW) -> FeatureView:
    return FeatureView(
        name, schema, [shop], [orders], transform=transform, partitions="day", start="2020-01-01", ttl=None
    )


def _module(*definitions: Any) -> types.ModuleType:
    module = types.ModuleType("definitions")
    for number, each in enumerate(definitions):
        setattr(module, f"definition_{number}", each)
    return module


PROJECTS = {
    "plain": _module(sales()),
    "wide": _module(sales(doubled, Wide)),
    "shifted": _module(sales(shifted)),
    "without": _module(sales(name="unrelated")),
}
"""The code of a project, by form."""


def source_rows(version: int) -> pa.Table:
    """The source after `version` corrections. A value says which version it is of: 10 * version + shop."""
    day, next_day = datetime(2020, 1, 2, 6, tzinfo=UTC), datetime(2020, 1, 3, 6, tzinfo=UTC)
    later = datetime(2020, 1, 3, 9, tzinfo=UTC)
    rows = [(1, day, None), (2, day, None), (1, next_day, None), (2, next_day, later)]
    if version % 2:  # shop 3 comes and goes
        rows.append((3, next_day, None))
    return pa.table(
        {
            "shop": pa.array([row[0] for row in rows], pa.int64()),
            "at": pa.array([row[1] for row in rows], TIME),
            "known": pa.array([row[2] for row in rows], TIME),
            "total": pa.array([float(10 * version + row[0]) for row in rows], pa.float64()),
        }
    )
