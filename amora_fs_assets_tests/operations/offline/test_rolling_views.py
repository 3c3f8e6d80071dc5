"""Views of rolling windows in a store whose clock goes on: entities fall silent, rows come late, rows are corrected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from ibis.expr.types import Table

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureStore,
    Field,
    Interval,
    Settings,
    Source,
    SourceSchema,
    Timestamp,
    Windowed,
    feature_view,
    on_demand_feature_view,
    request_time,
    rolling,
)
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.windows import Windows, count, last, nunique, since_last, sum_
from amora_fs_assets_tests.small import at

WINDOWS = Windows("3h", "24h")
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class Orders(SourceSchema):
    customer: str
    paid_at: Timestamp
    loaded_at: Timestamp = Field(nullable=True)
    amount: float


class Spend(FeatureSchema, windows=WINDOWS):
    customer: str
    orders: Windowed[int] = Field(ge=0)
    spend: Windowed[float] = Field(ge=0)
    newest: Windowed[float] = Field(nullable=True)
    different: Windowed[int]


orders = Source("orders", Orders, timestamp_field="paid_at", available_at="loaded_at")
customer = Entity("customer")


@feature_view(schema=Spend, entities=[customer], sources=[orders], start="2020-01-01")
def spend(orders: Table, interval: Interval) -> Table:
    return rolling(
        orders, WINDOWS, by="customer", time="paid_at", interval=interval,
        orders=count(), spend=sum_("amount"), newest=last("amount"), different=nunique("amount"),
    )  # fmt: skip


class Last(FeatureSchema, windows=WINDOWS):
    customer: str
    last_order: Timestamp = Field(nullable=True)


class Idle(FeatureSchema):
    idle: float


@feature_view(schema=Last, entities=[customer], sources=[orders], start="2020-01-01")
def last_orders(orders: Table, interval: Interval) -> Table:
    return rolling(orders, WINDOWS, by="customer", time="paid_at", interval=interval, last_order=since_last())


@on_demand_feature_view(schema=Idle, inputs=[last_orders["last_order"]])
def idle(last_order: Any) -> dict[str, Any]:
    return {"idle": request_time().delta(last_order, unit="second")}


class Shop:
    """A store at successive instants of its clock, over a table that another system fills."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home)
        with duckdb.connect(home / "offline.duckdb") as connection:
            connection.execute(
                "CREATE SCHEMA raw; CREATE TABLE raw.orders (customer VARCHAR, paid_at TIMESTAMPTZ, "
                "loaded_at TIMESTAMPTZ, amount DOUBLE)"
            )
        self.at(at(1)).apply()

    def at(self, clock: datetime) -> FeatureStore:
        settings = replace(self.settings, now=clock)
        return FeatureStore(settings, definitions=Catalogue.of([customer, orders, spend, idle]))

    def put(self, *rows: Sequence[Any]) -> None:
        with duckdb.connect(self.settings.home / "offline.duckdb") as connection:
            connection.executemany("INSERT INTO raw.orders VALUES (?, ?, ?, ?)", rows)

    def served(self, clock: datetime, view: str = "spend") -> dict[str, list[Any]]:
        store = self.at(clock)
        store.compute()
        store.materialize_incremental()
        return store.get_online_features(view, {"customer": ["a", "b"]}).to_dict()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_values_fall_to_zero_and_null_for_an_entity_that_falls_silent(shop: Shop) -> None:
    shop.put(("a", at(1, 9), None, 5.0), ("a", at(1, 11), None, 7.0), ("b", at(1, 11), None, 1.0))
    found = shop.served(at(1, 12) + MINUTE)
    assert (found["orders_3h"], found["spend_24h"], found["newest_3h"]) == ([2, 1], [12.0, 1.0], [7.0, 1.0])
    found = shop.served(at(1, 16) + MINUTE)
    assert (found["orders_3h"], found["spend_24h"], found["newest_3h"]) == ([0, 0], [12.0, 1.0], [None, None])
    found = shop.served(at(9))
    assert (found["orders_24h"], found["spend_24h"], found["different_24h"]) == ([0, 0], [0.0, 0.0], [0, 0])


def test_a_late_row_counts_from_the_tick_at_which_it_is_known(shop: Shop) -> None:
    shop.put(("a", at(1, 9), None, 5.0))
    assert shop.served(at(1, 10) + MINUTE)["spend_24h"] == [5.0, None]
    shop.put(("a", at(1, 8), at(1, 13), 100.0))
    assert shop.served(at(1, 12) + MINUTE)["spend_24h"] == [5.0, None]
    assert shop.served(at(1, 14) + MINUTE)["spend_24h"] == [105.0, None]
    spine = pd.DataFrame({"customer": ["a"] * 3, "event_timestamp": [at(1, 12), at(1, 13), at(2, 9)]})
    joined = shop.at(at(3)).get_historical_features("spend", spine).to_df()
    assert joined["spend_24h"].tolist() == [5.0, 105.0, 100.0 + 5.0]


def test_the_time_since_the_last_row_goes_on_between_ticks_in_joins_and_online(shop: Shop) -> None:
    shop.put(("a", at(1, 9), None, 5.0), ("a", at(1, 10), at(1, 14), 7.0), ("b", at(1, 11), None, 1.0))
    for clock, seconds in [
        (at(1, 12) + MINUTE, [3 * 3_600 + 60, 3_600 + 60]),
        (at(1, 14) + MINUTE, [4 * 3_600 + 60, 3 * 3_600 + 60]),  # the row of 10:00 is known
        (at(2, 9) + 30 * MINUTE, [23.5 * 3_600, 22.5 * 3_600]),  # no row was written since
        (at(2, 12) + MINUTE, [None, None]),  # the last rows have left the longest window
    ]:
        assert shop.served(clock, "idle")["idle"] == seconds
        spine = pd.DataFrame({"customer": ["a", "b"], "event_timestamp": [clock] * 2})
        joined = shop.at(clock).get_historical_features("idle", spine).to_arrow()
        assert joined["idle"].to_pylist() == seconds


def test_hour_by_hour_gives_the_rows_of_one_computation(shop: Shop, tmp_path: Path) -> None:
    rows = [
        (who, at(1, hour) + timedelta(minutes=17 * hour), at(1, hour) + late * HOUR, float(hour))
        for hour in range(0, 22, 3)
        for who in "ab"
        for late in (0, hour)
    ]
    shop.put(*rows)
    for hour in range(1, 30, 7):
        shop.at(at(1) + hour * HOUR).compute()
    (tmp_path / "whole").mkdir()
    whole = Shop(tmp_path / "whole")
    whole.put(*rows)
    whole.at(at(1) + 29 * HOUR).compute()
    assert _table(shop) == _table(whole)


def _table(shop: Shop) -> list[Any]:
    with duckdb.connect(shop.settings.home / "offline.duckdb", read_only=True) as connection:
        return connection.execute("FROM feature_store.spend ORDER BY ALL").fetchall()
