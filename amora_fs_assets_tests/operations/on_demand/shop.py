"""A shop with two stored views and an on-demand view over them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureService,
    FeatureView,
    Field,
    Timestamp,
    on_demand_feature_view,
    request_time,
)
from amora_fs_assets_tests.small import at

TIME = pa.timestamp("us", tz="UTC")
customer = Entity("customer")


class Spend(FeatureSchema):
    """Amounts."""

    customer: int
    spend_30d: float = Field(nullable=True)
    orders_30d: int = Field(nullable=True)
    last_order: Timestamp = Field(nullable=True)


class Profile(FeatureSchema):
    """People."""

    customer: int
    birth_date: date = Field(nullable=True)
    city: str = Field(nullable=True)


spend = FeatureView("spend", Spend, [customer], table="theirs.spend", ttl=timedelta(days=2))
profile = FeatureView("profile", Profile, [customer], table="theirs.profile")


class Basket(FeatureSchema):
    """What the basket says beside the customer's past."""

    share: float = Field(description="Basket divided by the spend of 30 days.")
    idle: float = Field(description="Time since the last order [s].")
    local: bool = Field(description="Whether the shop is in the customer's city.")
    orders: int = Field(description="Orders of 30 days, 0 without any.")


@on_demand_feature_view(
    schema=Basket,
    inputs=[spend["spend_30d", "orders_30d", "last_order"], profile["city"]],
    request={"basket": float, "shop_city": str},
)
def basket(spend_30d: Any, orders_30d: Any, last_order: Any, city: Any, basket: Any, shop_city: Any) -> dict[str, Any]:
    """Compare the basket with the past."""
    return {
        "share": basket / spend_30d,
        "idle": request_time().delta(last_order, unit="second"),
        "local": city == shop_city,
        "orders": orders_30d.coalesce(0),
    }


checkout = FeatureService("checkout", [profile["birth_date"], basket])

TABLES = {
    "theirs.spend": pa.table(
        {
            "customer": pa.array([1, 1, 2], pa.int64()),
            "event_timestamp": pa.array([at(1), at(2), at(1)], TIME),
            "spend_30d": [100.0, 200.0, 0.0],
            "orders_30d": pa.array([3, 4, None], pa.int64()),
            "last_order": pa.array([at(1), at(2), None], TIME),
        }
    ),
    "theirs.profile": pa.table(
        {
            "customer": pa.array([1, 2], pa.int64()),
            "event_timestamp": pa.array([at(1), at(1)], TIME),
            "birth_date": [date(2000, 2, 29), None],
            "city": ["Berlin", None],
        }
    ),
}
