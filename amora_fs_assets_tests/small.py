"""A small feature store on embedded parts: two views over one source, in definitions that tests can vary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from ibis.expr.types import Table

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureService,
    FeatureView,
    Field,
    Source,
    SourceSchema,
    Timestamp,
    TrainingSet,
)
from amora_fs_assets.domain.catalogue import Catalogue

CLOCK = "2020-03-01T00:00Z"


def at(day: int, hour: int = 0, month: int = 1) -> datetime:
    return datetime(2020, month, day, hour, tzinfo=UTC)


def orders_table(rows: Sequence[tuple[int, datetime, float | None]]) -> pa.Table:
    """Rows of (customer, time, amount)."""
    customers, times, amounts = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "customer": pa.array(customers, pa.int64()),
            "at": pa.array(times, pa.timestamp("us", tz="UTC")),
            "amount": pa.array(amounts, pa.float64()),
        }
    )


ORDERS = [(1, at(1), 10.0), (2, at(2), 20.0), (1, at(3), 30.0), (1, at(2, month=2), 40.0), (3, at(3, month=2), 50.0)]


class Orders(SourceSchema):
    customer: int
    at: Timestamp
    amount: float = Field(nullable=True)


class Spending(FeatureSchema):
    """What a customer spends."""

    customer: int = Field(description="Customer.")
    amount: float = Field(ge=0, nullable=True, description="Amount of the order [EUR].")


customer = Entity("customer")


def orders(rows: list[tuple[int, datetime, float | None]] | None = None) -> Source:
    data: list[tuple[int, datetime, float | None]] = [*ORDERS] if rows is None else rows
    return Source("orders", Orders, timestamp_field="at", loader=lambda: orders_table(data))


def _spending(orders: Table) -> Table:
    return orders.select("customer", "amount", event_timestamp=orders["at"])


def spending(
    source: Source, transform: Callable[..., Any] = _spending, *, name: str = "spending", **changes: Any
) -> FeatureView:
    arguments: dict[str, Any] = {
        "ttl": timedelta(days=20),
        "partitions": "month",
        "start": "2020-01-01",
        "owner": "shop@example.com",
        "tags": {"domain": "shop"},
        **changes,
    }
    return FeatureView(name, Spending, [customer], [source], transform=transform, **arguments)


def _spine(orders: Table) -> Table:
    return orders.select("customer", event_timestamp=orders["at"], label=orders["amount"] > 25)


def catalogue(
    rows: list[tuple[int, datetime, float | None]] | None = None,
    transform: Callable[..., Any] = _spending,
    **changes: Any,
) -> Catalogue:
    source = orders(rows)
    view = spending(source, transform, **changes)
    service = FeatureService("shopping", [view])
    return Catalogue.of([view, service, TrainingSet("bought", service, [source], spine=_spine)])
