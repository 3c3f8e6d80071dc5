"""A team's definitions. The state in `left/` was made of exactly this text, by the release before meanings."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import ibis
import pyarrow as pa
from ibis.expr.types import Table
from pandera.ibis import check

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureService,
    Field,
    Source,
    SourceSchema,
    Timestamp,
    feature_view,
    training_set,
)

FACTOR = 2


def loaded() -> pa.Table:
    """Four orders of two customers."""
    times = [datetime(2020, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)]
    return pa.table(
        {
            "customer": pa.array([1, 2, 1, 2], pa.int64()),
            "at": pa.array(times, pa.timestamp("us", "UTC")),
            "amount": pa.array([10.0, 20.0, 30.0, 40.0]),
            "code": ["a", "b", "a", "b"],
        }
    )


class Orders(SourceSchema):
    """Orders of a shop."""

    customer: int
    at: Timestamp
    amount: float
    code: str


class Spending(FeatureSchema):
    """What a customer spends."""

    customer: int = Field(description="Customer.")
    amount: float = Field(in_range={"min_value": 0, "max_value": 1_000}, description="Amount [EUR].")
    code: str = Field(isin=["a", "b", "c"], str_length={"min_value": 1, "max_value": 3})
    day: date = Field(ge=date(2020, 1, 1), nullable=True)

    @check("amount")
    def is_whole(cls, data: Any) -> Any:  # noqa: N805  (Pandera's way)
        """Amounts are whole."""
        return data.table[data.key] == data.table[data.key].floor()


class Totals(FeatureSchema):
    """What a customer has spent so far."""

    customer: int
    total: float = Field(ge=0)


customer = Entity("customer", description="Who buys.")
orders = Source("orders", Orders, timestamp_field="at", loader=loaded, owner="shop@example.com")


def scaled(amount: Any) -> Any:
    """A helper."""
    return amount * FACTOR


@feature_view(
    schema=Spending,
    entities=[customer],
    sources=[orders],
    ttl=timedelta(days=20),
    start="2020-01-01",
    owner="shop@example.com",
    tags={"domain": "shop"},
)
def spending(orders: Table) -> Table:
    """The orders."""
    return orders.select(
        "customer",
        amount=scaled(orders.amount),
        code=orders.code,
        day=orders["at"].date(),
        event_timestamp=orders["at"],
    )


@feature_view(
    schema=Totals,
    entities=[customer],
    sources=[spending],
    partitions="month",
    start="2020-01-01",
    lookback=timedelta(days=31),
    owner="shop@example.com",
)
def totals(spending: Table) -> Table:
    """Sums."""
    window = ibis.cumulative_window(group_by="customer", order_by="event_timestamp")
    return spending.select("customer", "event_timestamp", total=spending.amount.sum().over(window))


shopping = FeatureService("shopping", [spending["amount", "code"], totals])


@training_set(service=shopping, sources=[orders])
def bought(orders: Table) -> Table:
    """Who bought for much."""
    return orders.select("customer", event_timestamp=orders["at"] + ibis.interval(hours=1), label=orders.amount > 25)
