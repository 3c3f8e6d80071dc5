"""A large project: 200 views of 10 features by the day over three years, and one service of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from ibis.expr.types import Table

from amora_fs_assets import Entity, FeatureSchema, FeatureService, FeatureView, Field, Source, SourceSchema, Timestamp

VIEWS, FEATURES = 200, 10
START, CLOCK = datetime(2017, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)
DAYS, CUSTOMERS = (CLOCK - START).days, 100
SERVICE = "everything"


class Orders(SourceSchema):
    """Rows of the source."""

    customer: int
    at: Timestamp
    amount: float


customer = Entity("customer")


def rows() -> pa.Table:
    """An order of each customer on each day of three years."""
    days = pa.array([START + timedelta(days=day, hours=1) for day in range(DAYS)], pa.timestamp("us", "UTC"))
    whose = pa.array([each for each in range(CUSTOMERS) for _ in range(DAYS)], pa.int64())
    times = pa.chunked_array([days] * CUSTOMERS).combine_chunks()
    return pa.table({"customer": whose, "at": times, "amount": whose.cast(pa.float64())})


orders = Source("orders", Orders, timestamp_field="at", loader=rows)


def transform(number: int) -> Callable[[Table], Table]:
    """A transform of 10 features."""

    def made(orders: Table) -> Table:
        features = {f"f{number}_{each}": orders.amount + each for each in range(FEATURES)}
        return orders.select("customer", event_timestamp=orders["at"], **features)

    return made


def view(number: int) -> FeatureView:
    """The view `view_<number>`, with a check for each of its columns."""
    features = {f"f{number}_{each}": Field(ge=0, description="Amount [EUR].") for each in range(FEATURES)}
    types = {"customer": int, **dict.fromkeys(features, float)}
    schema = type(f"View{number}", (FeatureSchema,), {"__annotations__": types, "__module__": __name__, **features})
    return FeatureView(
        f"view_{number}",
        schema,
        [customer],
        [orders],
        transform=transform(number),
        ttl=timedelta(days=7),
        start=START,
        partitions="day",
        owner="shop@example.com",
        tags={"domain": f"domain_{number % 10}"},
    )


def definitions(count: int = VIEWS) -> Iterator[Any]:
    """The views, and a service of all of their features."""
    views = [view(number) for number in range(count)]
    yield from views
    yield FeatureService(SERVICE, views)
