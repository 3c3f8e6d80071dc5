"""Windows of no entity, of several join keys, over joined tables, and over other views."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ibis.expr.types import Table

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureView,
    Field,
    Interval,
    Source,
    SourceSchema,
    Timestamp,
    Windowed,
    rolling,
)
from amora_fs_assets.testing import assert_causal, assert_splits, compute
from amora_fs_assets.windows import Windows, count, every, last, local_days, nunique, sum_
from amora_fs_assets_tests.small import at

SHORT = Windows("1h", "24h")
DAY = Interval("2020-01-02", "2020-01-03")
ROWS = [
    {"shop": 1, "till": "a", "at": at(2, 9), "loaded": at(2, 9), "amount": 5.0, "product": 7},
    {"shop": 1, "till": "b", "at": at(2, 9), "loaded": at(2, 12), "amount": 7.0, "product": 8},
    {"shop": 2, "till": "a", "at": at(2, 10), "loaded": at(2, 10), "amount": 1.0, "product": 7},
]


class Sales(SourceSchema):
    shop: int
    till: str
    at: Timestamp
    loaded: Timestamp
    amount: float
    product: int


class Products(SourceSchema):
    product: int
    taxed: bool


class Whole(FeatureSchema, windows=SHORT):
    n: Windowed[int]
    total: Windowed[float]
    different: Windowed[int]
    newest: Windowed[float] = Field(nullable=True)


class ByTill(FeatureSchema, windows=SHORT):
    shop: int
    till: str
    n: Windowed[int]
    total: Windowed[float]
    different: Windowed[int]
    newest: Windowed[float] = Field(nullable=True)


on_time = Source("sales", Sales, timestamp_field="at")
late = Source("sales", Sales, timestamp_field="at", available_at="loaded")
products = Source("products", Products, valid_from="2019-01-01")
till = Entity("till", join_keys=["shop", "till"])
FEATURES: dict[str, Any] = {
    "n": count(),
    "total": sum_("amount"),
    "different": nunique("product"),
    "newest": last("amount"),
}


def whole(sales: Table, interval: Interval) -> Table:
    return rolling(sales, SHORT, time="at", interval=interval, **FEATURES)


def by_till(sales: Table, interval: Interval) -> Table:
    return rolling(sales, SHORT, by=["shop", "till"], time="at", interval=interval, **FEATURES)


def of(source: Source, transform: Any, schema: Any, *entities: Entity) -> FeatureView:
    return FeatureView("view", schema, list(entities), [source], transform=transform, start="2020-01-01")


def found(view: FeatureView, *columns: str) -> list[tuple[Any, ...]]:
    rows = compute(view, DAY, **{view.sources[0].name: ROWS}).to_pylist()
    return [tuple(row[name] for name in ("event_timestamp", *columns)) for row in rows]


def test_a_view_without_entities_has_windows_over_all_rows() -> None:
    view = of(on_time, whole, Whole)
    assert found(view, "n_1h", "n_24h", "total_24h", "different_24h", "newest_1h") == [
        (at(2, 10), 2, 2, 12.0, 2, 7.0),
        (at(2, 11), 1, 3, 13.0, 2, 1.0),
        (at(2, 12), 0, 3, 13.0, 2, None),
    ]


def test_a_late_row_counts_in_windows_over_all_rows_once_it_is_known() -> None:
    assert found(of(late, whole, Whole), "n_1h", "n_24h", "total_24h", "different_24h") == [
        (at(2, 10), 1, 1, 5.0, 1),
        (at(2, 11), 1, 2, 6.0, 1),
        (at(2, 12), 0, 3, 13.0, 2),
    ]


@pytest.mark.parametrize("source", [on_time, late], ids=["on time", "late"])
def test_several_join_keys_are_one_entity(source: Source) -> None:
    assert [row[:4] for row in found(of(source, by_till, ByTill, till), "shop", "till", "n_24h")][:2] == [
        (at(2, 10), 1, "a", 1),
        *([(at(2, 10), 1, "b", 1)] if source is on_time else [(at(2, 11), 1, "a", 1)]),
    ]
    assert_causal(of(source, by_till, ByTill, till), DAY, sales=ROWS)
    assert_splits(of(source, by_till, ByTill, till), DAY, sales=ROWS)


def test_a_table_may_be_filtered_and_joined_before() -> None:
    class Taxed(FeatureSchema, windows=SHORT):
        shop: int
        n: Windowed[int]

    def taxed(sales: Table, products: Table, interval: Interval) -> Table:
        joined = sales.filter(sales.amount > 1).join(products.filter(products.taxed), "product")
        return rolling(joined, SHORT, by="shop", time="at", interval=interval, n=count())

    view = FeatureView("view", Taxed, [Entity("shop")], [late, products], transform=taxed, start="2020-01-01")
    given = {"sales": ROWS, "products": [{"product": 7, "taxed": False}, {"product": 8, "taxed": True}]}
    rows = compute(view, DAY, **given).to_pylist()
    assert [(row["event_timestamp"], row["n_1h"], row["n_24h"]) for row in rows] == [(at(2, 12), 0, 1)]


def test_a_view_reads_another_view_in_windows() -> None:
    class Daily(FeatureSchema):
        shop: int
        amount: float

    class Trend(FeatureSchema, windows=Windows("24h", "48h", at="1d")):
        shop: int
        total: Windowed[float]

    windows = Trend.windows_of()
    assert windows is not None
    shop = Entity("shop")
    daily = FeatureView(
        "daily", Daily, [shop], [on_time], start="2020-01-01",
        transform=lambda sales: sales.select("shop", "amount", event_timestamp=sales["at"]),
    )  # fmt: skip

    def trend(daily: Table, interval: Interval) -> Table:
        return rolling(daily, windows, by="shop", time="event_timestamp", interval=interval, total=sum_("amount"))

    view = FeatureView("trend", Trend, [shop], [daily], transform=trend, start="2020-01-01")
    rows = compute(view, Interval("2020-01-02", "2020-01-06"), daily=[
        {"shop": 1, "event_timestamp": at(2, 9), "amount": 5.0},
        {"shop": 1, "event_timestamp": at(3, 9), "amount": 7.0},
    ]).to_pylist()  # fmt: skip
    assert [(row["event_timestamp"].day, row["total_24h"], row["total_48h"]) for row in rows] == [
        (3, 5.0, 5.0), (4, 7.0, 12.0), (5, 0.0, 7.0),
    ]  # fmt: skip


def test_a_local_day_that_a_zone_skips_is_no_day() -> None:
    local = Windows(local_days(1), local_days(2), at=every("1d", tz="Pacific/Apia"))

    class Daily(FeatureSchema, windows=local):
        shop: int
        n: Windowed[int]

    def daily(sales: Table, interval: Interval) -> Table:
        return rolling(sales, local, by="shop", time="at", interval=interval, n=count())

    view = FeatureView("view", Daily, [Entity("shop")], [on_time], transform=daily, start="2011-12-20")
    sold = datetime(2011, 12, 30, 4, tzinfo=UTC)  # 29 December in Apia; 30 December was left out
    sales = [ROWS[0] | {"at": sold}]
    rows = compute(view, Interval("2011-12-28", "2012-01-03"), sales=sales).to_pylist()
    assert [(row["event_timestamp"], row["n_1_local_days"], row["n_2_local_days"]) for row in rows] == [
        (datetime(2011, 12, 30, 10, tzinfo=UTC), 1, 1),
        (datetime(2011, 12, 31, 10, tzinfo=UTC), 0, 1),
        (datetime(2012, 1, 1, 10, tzinfo=UTC), 0, 0),
    ]
