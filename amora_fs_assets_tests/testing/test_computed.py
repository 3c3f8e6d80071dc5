"""The test kit computes a view from a few rows as production does, and shows leaks."""

from __future__ import annotations

import importlib.util
from datetime import timedelta
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
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
    known_at,
    rolling,
)
from amora_fs_assets.domain.errors import ChecksFailed, InvalidRequest, TransformError
from amora_fs_assets.testing import assert_causal, assert_splits, compute
from amora_fs_assets.windows import Windows, count, sum_
from amora_fs_assets_tests.small import at

WINDOWS = Windows("1h", "24h")
DAY = Interval("2020-01-02", "2020-01-03")


class Orders(SourceSchema):
    customer: str
    paid_at: Timestamp
    loaded_at: Timestamp
    amount: float
    items: list[str]
    channel: str = Field(nullable=True)


class Spend(FeatureSchema, windows=WINDOWS):
    customer: str
    orders: Windowed[int] = Field(ge=0)
    spend: Windowed[float] = Field(ge=0)


class Value(FeatureSchema):
    customer: str
    value: float = Field(nullable=True)


orders = Source("orders", Orders, timestamp_field="paid_at", available_at="loaded_at")
customer = Entity("customer")


def spend(orders: Table, interval: Interval) -> Table:
    return rolling(
        orders, WINDOWS, by="customer", time="paid_at", interval=interval, orders=count(), spend=sum_("amount")
    )


def view_of(transform: Any = spend, schema: Any = Spend, **arguments: Any) -> FeatureView:
    return FeatureView("view", schema, [customer], [orders], transform=transform, start="2020-01-01", **arguments)


def test_rows_of_dicts_give_the_rows_that_a_computation_publishes() -> None:
    found = compute(view_of(), DAY, orders=[
        {"customer": "a", "paid_at": "2020-01-02T09:30", "amount": 5.0},
        {"customer": "a", "paid_at": at(1, 10), "amount": 7.0},
    ])  # fmt: skip
    assert found.to_pylist() == [
        {"customer": "a", "event_timestamp": at(2, 10), "orders_1h": 1, "orders_24h": 2, "spend_1h": 5.0,
         "spend_24h": 12.0},
        {"customer": "a", "event_timestamp": at(2, 11), "orders_1h": 0, "orders_24h": 1, "spend_1h": 0.0,
         "spend_24h": 5.0},
    ]  # fmt: skip


def test_a_late_row_waits_until_it_is_known() -> None:
    late = {"customer": "a", "paid_at": at(2, 9), "loaded_at": at(2, 12), "amount": 5.0}
    assert [row["event_timestamp"] for row in compute(view_of(), DAY, orders=[late]).to_pylist()] == [at(2, 12)]


def test_columns_that_a_row_lacks_are_filled() -> None:
    def channels(orders: Table) -> Table:
        known = orders.channel.isnull() & (orders.items.length() == 0) & (orders.amount == 0)
        return orders.select("customer", value=known.cast("float64"), event_timestamp=known_at(orders))

    found = compute(view_of(channels, Value), DAY, orders=[{"customer": "a", "paid_at": at(2)}])
    assert found["value"].to_pylist() == [1.0]


def test_checks_are_those_of_the_schema() -> None:
    with pytest.raises(ChecksFailed, match="spend_1h"):
        compute(view_of(), DAY, orders=[{"customer": "a", "paid_at": at(2), "amount": -5.0}])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"sales": []}, r"no source \['sales'\]. Its sources: \['orders'\]"),
        ({"orders": [{"customer": "a", "paid_at": at(2), "amout": 1.0}]}, r"'orders' has no column \['amout'\]"),
        ({"orders": [{"customer": "a"}]}, "has no 'paid_at', the time of the row"),
        (
            {"orders": [{"paid_at": at(2)}, {"paid_at": at(2), "amount": "x"}]},
            "'orders' has amount='x', which is not a double",
        ),
        ({"orders": [{"paid_at": at(2), "customer": 7}]}, "'orders' has customer=7, which is not a string"),
        ({"orders": pd.DataFrame({"customer": ["a"]})}, "are a DataFrame. Give a list of dicts or an Arrow table"),
        ({"orders": "rows"}, "are a str. Give a list of dicts"),
        ({"orders": pa.table({"customer": ["a"]})}, r"'orders' has no column \['paid_at', "),
    ],
)
def test_wrong_rows_are_named(rows: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        compute(view_of(), DAY, **rows)


def test_other_things_than_views_and_intervals_are_named() -> None:
    external = FeatureView("theirs", Value, [customer], table="theirs.values", timestamp_field="at")
    with pytest.raises(InvalidRequest, match="'theirs' has no transform to compute. Give a view that is made with"):
        compute(external, DAY)
    with pytest.raises(InvalidRequest, match="interval is '2020-01-02' .str.; give an Interval, such as"):
        compute(view_of(), "2020-01-02", orders=[])  # type: ignore[arg-type]


def test_an_error_in_a_helper_of_another_file_names_its_line_and_the_transforms(tmp_path: Path) -> None:
    (tmp_path / "helpers_of_shop.py").write_text("def twice(table):\n    return table.mutate(x=table.amout * 2)\n")
    spec = importlib.util.spec_from_file_location("helpers_of_shop", tmp_path / "helpers_of_shop.py")
    assert spec is not None
    assert spec.loader is not None
    helpers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(helpers)
    helped = view_of(lambda orders: helpers.twice(orders), Value)
    where = r"in helpers_of_shop.py:2: `return table.mutate\(x=table.amout \* 2\)`, called in test_computed.py:\d+"
    with pytest.raises(
        TransformError, match=rf"{where}. There is no column 'amout'; did you mean 'amount' of 'orders'"
    ):
        compute(helped, DAY, orders=[])


def test_an_error_in_the_transform_names_the_line_and_the_nearest_column() -> None:
    def wrong(orders: Table) -> Table:
        orders = orders.filter(orders.amount > 0)
        return orders.select("customer", value=orders.amout)

    where = r"test_computed.py:\d+: `return orders.select\(.customer., value=orders.amout\)`"
    meant = r"There is no column 'amout'; did you mean 'amount' of 'orders'\?"
    with pytest.raises(TransformError, match=f"'view': its transform failed: AttributeError: .*, in {where}. {meant}"):
        compute(view_of(wrong, Value), DAY, orders=[])


def test_a_column_with_no_near_name_is_answered_with_all_columns() -> None:
    with pytest.raises(TransformError, match="no column 'zzz': 'orders' has customer, paid_at, loaded_at, amount"):
        compute(view_of(lambda orders: orders.select("zzz"), Value), DAY, orders=[])


ROWS = [{"customer": who, "paid_at": at(2, hour), "amount": float(hour)} for hour in range(0, 24, 3) for who in "ab"]


def test_a_causal_view_passes() -> None:
    assert_causal(view_of(), DAY, orders=ROWS)
    assert_splits(view_of(), DAY, orders=ROWS)


def test_a_leak_fails_with_its_row() -> None:
    def leak(orders: Table) -> Table:
        window = ibis.window(group_by="customer", order_by=orders.paid_at, preceding=1, following=1)
        return orders.select("customer", value=orders.amount.mean().over(window), event_timestamp=known_at(orders))

    with pytest.raises(AssertionError, match=r"(?s)looks ahead: 2 rows at or before .*row of source 'orders'"):
        assert_causal(view_of(leak, Value), DAY, orders=ROWS)


def test_a_lookback_that_is_too_short_fails() -> None:
    def trailing(orders: Table) -> Table:
        window = ibis.window(group_by="customer", order_by=orders.paid_at, preceding=3, following=0)
        return orders.select("customer", value=orders.amount.sum().over(window), event_timestamp=known_at(orders))

    with pytest.raises(AssertionError, match="differs in parts"):
        assert_splits(view_of(trailing, Value, lookback=timedelta(hours=1)), DAY, orders=ROWS)


def test_a_view_without_rows_proves_nothing() -> None:
    with pytest.raises(InvalidRequest, match="no rows in .*, so nothing is tested"):
        assert_causal(view_of(), DAY, orders=[])


class Sales(SourceSchema):
    customer: str
    at: Timestamp
    channel: str = Field(isin=["web", "shop"])
    amount: float = Field(ge=5)
    items: int = Field(in_range={"min_value": -9, "max_value": -1})


def test_defaults_keep_the_checks_of_the_schema() -> None:
    def transform(sales: Table) -> Table:
        same = (sales.channel == "web") & (sales.amount == 5) & (sales["items"] == -1)
        return sales.select("customer", value=same.cast("float64"), event_timestamp=sales["at"])

    sales = Source("sales", Sales, timestamp_field="at")
    view = FeatureView("view", Value, [customer], [sales], transform=transform, start="2020-01-01")
    assert compute(view, DAY, sales=[{"customer": "a", "at": at(2)}])["value"].to_pylist() == [1.0]


@pytest.mark.parametrize(
    "where",
    [
        {"query": "SELECT * FROM theirs.orders"},
        {"path": "/data/orders.parquet"},
        {"table": "shop.sales.orders"},
        {"table": "theirs.orders", "field_mapping": {"who": "customer", "zeit": "at"}, "timezone": "Europe/Berlin"},
    ],
    ids=["query", "file", "another project", "mapped"],
)
def test_rows_stand_for_any_source(where: dict[str, Any]) -> None:
    def transform(sales: Table) -> Table:
        return sales.select("customer", value=sales.amount, event_timestamp=sales["at"])

    sales = Source("sales", Sales, timestamp_field="at", **where)
    view = FeatureView("view", Value, [customer], [sales], transform=transform, start="2020-01-01")
    rows = [{"customer": "a", "at": at(2, 9), "amount": 7.0}]
    assert compute(view, DAY, sales=rows).to_pylist() == [{"customer": "a", "event_timestamp": at(2, 9), "value": 7.0}]


def test_rows_stand_for_a_view_of_an_external_table() -> None:
    def transform(sizes: Table) -> Table:
        return sizes.select("customer", value=sizes.value + 1, event_timestamp=sizes.event_timestamp)

    sizes = FeatureView("sizes", Value, [customer], table="theirs.sizes", timestamp_field="measured_at")
    view = FeatureView("view", Value, [customer], [sizes], transform=transform, start="2020-01-01")
    rows = [{"customer": "a", "event_timestamp": at(2, 9), "value": 7.0}]
    assert compute(view, DAY, sizes=rows)["value"].to_pylist() == [8.0]


WRONG: dict[str, tuple[Any, str]] = {
    "a method of another type": (
        lambda orders: orders.filter(orders.amount.contains("x")),
        r"'FloatingColumn' object has no attribute 'contains', in test_computed.py:\d+: `",
    ),
    "wrong types": (
        lambda orders: orders.mutate(x=orders.customer + orders.amount),
        r"StringConcat\(\(customer: string, amount: float64\)\) is not possible, since .*, in test_computed.py:\d+: `",
    ),
    "an unknown type": (
        lambda orders: orders.select(value=orders.amount.cast("int128")),
        r"Cast\(amount: float64, 'int128'\) is not possible, since 'int128' is not .*, in test_computed.py:\d+: `",
    ),
    "a join": (
        lambda orders: orders.join(orders.view(), "custmer"),
        r"no column 'custmer'; did you mean 'customer' of 'orders'\?",
    ),
    "a group": (
        lambda orders: orders.group_by("custmer").aggregate(n=orders.count()),
        r"no column 'custmer'; did you mean 'customer' of 'orders'\?",
    ),
    "a misspelt method": (
        lambda orders: orders.slect("customer"),
        r"no attribute 'slect', in test_computed.py:\d+: .*\. Did you mean '.select'\?",
    ),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG)
def test_errors_of_other_kinds_name_the_line_and_what_was_meant(wrong: Any, message: str) -> None:
    with pytest.raises(TransformError, match=message) as raised:
        compute(view_of(wrong, Value), DAY, orders=[])
    assert len(str(raised.value).splitlines()) == 1


def test_a_table_can_be_printed_in_a_transform(capsys: pytest.CaptureFixture[str]) -> None:
    def printing(orders: Table) -> Table:
        print(orders)
        return orders.select("customer", value=orders.amount, event_timestamp=known_at(orders))

    compute(view_of(printing, Value), DAY, orders=[])
    assert "UnboundTable: given.orders" in capsys.readouterr().out
