"""The audit catches views that look ahead, that depend on how time is cut, or that vary; and passes causal ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import ibis
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
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.operations.offline.audit import RULES, Rule, audit, recent
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.windows import Windows, count, sum_
from amora_fs_assets_tests.operations.stores import fill
from amora_fs_assets_tests.small import at

US = pa.timestamp("us", tz="UTC")
WEEK = Interval("2020-01-02", "2020-01-09")
HOUR = timedelta(hours=1)


class Orders(SourceSchema):
    customer: int
    at: Timestamp
    settled: Timestamp
    amount: float
    refunded: bool


class Value(FeatureSchema):
    customer: int
    value: float = Field(nullable=True)


orders = Source("orders", Orders, table="theirs.orders", timestamp_field="at")
settled = Source("orders", Orders, table="theirs.orders", timestamp_field="at", available_at="settled")
customer = Entity("customer")


def view_of(transform: Any, source: Source = orders, **arguments: Any) -> FeatureView:
    return FeatureView(
        "view",
        arguments.pop("schema", Value),
        [customer],
        [source],
        transform=transform,
        start="2020-01-01",
        **arguments,
    )


def orders_table() -> pa.Table:
    """Some orders a day for three customers, each settled a day later."""
    rows = [(day, hour, who) for day in range(1, 10) for hour in (3, 9, 15, 22) for who in (1, 2, 3)]
    times = [at(day, hour) + timedelta(minutes=7 * who) for day, hour, who in rows]
    return pa.table(
        {
            "customer": pa.array([who for *_, who in rows], pa.int64()),
            "at": pa.array(times, US),
            "settled": pa.array([time + timedelta(days=1) for time in times], US),
            "amount": pa.array([float(day * hour + who) for day, hour, who in rows], pa.float64()),
            "refunded": pa.array([(day + hour + who) % 3 == 0 for day, hour, who in rows], pa.bool_()),
        }
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DuckDBOfflineStore:
    home: Path = tmp_path_factory.mktemp("audit")
    fill(home, {"theirs.orders": orders_table()})
    return DuckDBOfflineStore(home)


def mine(table: Table) -> Any:
    return ibis.window(group_by="customer", order_by=table["at"])


def trailing(table: Table, **frame: Any) -> Any:
    return ibis.window(group_by="customer", order_by=table["at"], **frame)


def cast(table: Table, value: Any, event: Any = None) -> Table:
    return table.select(
        "customer", value=value.cast("float64"), event_timestamp=table["at"] if event is None else event
    )


def hourly_sum(orders: Table) -> Table:
    hour = orders["at"].truncate("h") + ibis.interval(hours=1)
    return orders.group_by("customer", event_timestamp=hour).aggregate(value=orders.amount.sum())


def rank_over_all(orders: Table) -> Table:
    return cast(orders, ibis.rank().over(ibis.window(order_by=orders.amount)))


def target_encoding(orders: Table) -> Table:
    rates = orders.group_by("customer").aggregate(rate=orders.refunded.cast("int64").mean())
    joined = orders.join(rates, "customer")
    return joined.select("customer", value=joined.rate, event_timestamp=joined["at"])


def future_join(orders: Table) -> Table:
    later = orders.view()
    near = (later["at"] > orders["at"]) & (later["at"] < orders["at"] + ibis.interval(hours=20))
    joined = orders.join(later, [orders.customer == later.customer, near])
    grouped = joined.group_by("customer", event_timestamp=joined["at"])
    return grouped.aggregate(value=joined.amount_right.sum())


def last_of_the_day_at_its_start(orders: Table) -> Table:
    day = orders["at"].truncate("D")
    return orders.group_by("customer", event_timestamp=day).aggregate(value=orders.amount.max())


def counted_before_it_was_known(orders: Table) -> Table:
    """The check of labels does not follow an instant through arithmetic of numbers."""
    return cast(orders, orders.amount, (known_at(orders).epoch_seconds() - 86_400).as_timestamp("s"))


AHEAD: Rule = "looks ahead"
PARTS: Rule = "differs in parts"
DAY = timedelta(days=1)
LEAKS: dict[str, tuple[Rule, Callable[[Table], Table], Source, timedelta]] = {
    "centred window": (
        AHEAD,
        lambda orders: cast(orders, orders.amount.mean().over(trailing(orders, preceding=2, following=2))),
        orders,
        DAY,
    ),
    "lead": (AHEAD, lambda orders: cast(orders, orders.amount.lead().over(mine(orders))), orders, DAY),
    "whole-table mean": (AHEAD, lambda orders: cast(orders, orders.amount - orders.amount.mean()), orders, DAY),
    "a label in a feature": (
        AHEAD,
        lambda orders: cast(
            orders, orders.refunded.cast("int64").sum().over(trailing(orders, preceding=0, following=3))
        ),
        orders,
        DAY,
    ),
    "late created": (AHEAD, counted_before_it_was_known, settled, 2 * DAY),
    "zone shift": (
        AHEAD,
        lambda orders: cast(orders, orders.amount, orders["at"] - ibis.interval(hours=5)),
        orders,
        DAY,
    ),
    "off by one at the edge": (
        AHEAD,
        lambda orders: hourly_sum(orders).mutate(event_timestamp=ibis._.event_timestamp - ibis.interval(hours=1)),
        orders,
        DAY,
    ),
    "lookback too short": (
        PARTS,
        lambda orders: cast(orders, orders.amount.sum().over(trailing(orders, preceding=4, following=0))),
        orders,
        HOUR,
    ),
    "rank over all": (AHEAD, rank_over_all, orders, DAY),
    "target encoding": (AHEAD, target_encoding, orders, DAY),
    "future join": (AHEAD, future_join, orders, DAY),
    "last value of the day at its start": (AHEAD, last_of_the_day_at_its_start, orders, DAY),
}


@pytest.mark.parametrize(("rule", "leak", "source", "lookback"), LEAKS.values(), ids=LEAKS)
def test_a_leak_is_caught_with_its_source_row(
    rule: Rule, leak: Callable[[Table], Table], source: Source, lookback: timedelta, store: DuckDBOfflineStore
) -> None:
    view = view_of(lambda orders: leak(orders), source, lookback=lookback)
    found = {each.rule: each for each in audit(view, WEEK, store=store, instants=1).findings}
    assert rule in found
    finding = found[rule]
    assert finding.at is not None
    assert set(finding.columns) == {"value"}
    assert finding.source == "orders"
    known = finding.source_row[source.available_at or "at"]
    if rule == AHEAD:
        assert known > finding.at >= finding.row["event_timestamp"]
        assert f"looks ahead: {finding.rows} row" in str(finding)
    else:
        assert known < finding.at - lookback < finding.row["event_timestamp"]
        assert "source 'orders', which the computation of the part does not read: customer=" in str(finding)


@pytest.mark.parametrize("rules", [RULES, ("differs when computed again",)], ids=["all rules", "this rule"])
def test_values_that_vary_are_caught(rules: tuple[Rule, ...], store: DuckDBOfflineStore) -> None:
    view = view_of(lambda orders: cast(orders, ibis.random()))
    found = audit(view, WEEK, store=store, instants=1, rules=rules)
    assert [each.rule for each in found.findings] == ["differs when computed again"]


def test_a_view_that_is_always_computed_whole_has_no_parts(store: DuckDBOfflineStore) -> None:
    assert audit(view_of(causal, partitions=None), WEEK, store=store, instants=1).passed
    found = audit(view_of(causal), WEEK, store=store, instants=1).findings
    assert [each.rule for each in found] == ["differs in parts"]


def causal(orders: Table) -> Table:
    return cast(orders, orders.amount.sum().over(trailing(orders, preceding=1, following=0)))


def day_ends(orders: Table) -> Table:
    end = known_at(orders).truncate("D") + ibis.interval(days=1)
    return orders.group_by("customer", event_timestamp=end).aggregate(value=orders.amount.mean())


PASSES: dict[str, tuple[Callable[..., Table], Source]] = {
    "row-wise": (lambda orders: cast(orders, orders.amount), orders),
    "hourly sums": (hourly_sum, orders),
    "trailing window": (causal, orders),
    "days of late rows": (day_ends, settled),
}


@pytest.mark.parametrize(("transform", "source"), PASSES.values(), ids=PASSES)
def test_a_causal_view_passes(transform: Callable[..., Table], source: Source, store: DuckDBOfflineStore) -> None:
    found = audit(view_of(lambda orders: transform(orders), source, lookback=timedelta(days=2)), WEEK, store=store)
    assert found.passed, "\n".join(map(str, found.findings))
    assert found.rows >= 18
    assert len(found.instants) == 5


@pytest.mark.parametrize("source", [orders, settled], ids=["on time", "late"])
def test_rolling_windows_pass(source: Source, store: DuckDBOfflineStore) -> None:
    windows = Windows("3h", "24h", "48h")

    class Rolling(FeatureSchema, windows=windows):
        customer: int
        n: Windowed[int]
        total: Windowed[float]

    def transform(orders: Table, interval: Interval) -> Table:
        return rolling(orders, windows, by="customer", time="at", interval=interval, n=count(), total=sum_("amount"))

    found = audit(view_of(transform, source, schema=Rolling), WEEK, store=store, instants=2)
    assert found.passed, "\n".join(map(str, found.findings))
    assert found.rows > 50


def test_the_finding_shows_the_row_the_column_and_the_source_row(store: DuckDBOfflineStore) -> None:
    found = audit(view_of(lambda orders: LEAKS["lead"][1](orders)), WEEK, store=store, instants=2)
    text = str(found.findings[0])
    assert "looks ahead: 3 rows at or before 2020-01-04T" in text
    assert "value:" in text
    assert "from all source rows, None otherwise" in text
    assert "the value uses this row of source 'orders': customer=" in text


def test_rows_with_the_same_key_are_named_rather_than_compared(store: DuckDBOfflineStore) -> None:
    found = audit(view_of(lambda orders: cast(orders, orders.amount, orders["at"].truncate("D"))), WEEK, store=store)
    assert (found.findings, found.rows) == ((), 84)
    assert found.summary.startswith("not audited: several rows have the key customer=")


def test_no_rows_are_no_finding(store: DuckDBOfflineStore) -> None:
    found = audit(view_of(lambda orders: cast(orders, orders.amount)), Interval("2030-01-01", "2030-01-02"),
                         store=store)  # fmt: skip
    assert (found.rows, found.instants, found.passed) == (0, (), True)


def test_an_external_table_is_refused(store: DuckDBOfflineStore) -> None:
    external = FeatureView("theirs", Value, [customer], table="theirs.orders", timestamp_field="at")
    with pytest.raises(InvalidRequest, match="external table, which nothing computes"):
        audit(external, WEEK, store=store)


def test_nothing_staged_is_left(store: DuckDBOfflineStore) -> None:
    def tables() -> list[str]:
        with store.read(ibis.table({"table_name": "string"}, name="tables", database="information_schema")) as batches:
            return sorted(row["table_name"] for row in batches.read_all().to_pylist())

    before = tables()
    assert audit(view_of(causal), WEEK, store=store, instants=1).rows
    assert tables() == before


def test_a_row_that_only_one_computation_has_is_said(store: DuckDBOfflineStore) -> None:
    rare = view_of(lambda orders: last_of_the_day_at_its_start(orders.filter(orders.amount == 26.0)))
    text = str(audit(rare, WEEK, store=store, instants=1).findings[0])
    assert "only the computation from all source rows has the row\n  value: 26.0 from all source rows" in text


def test_the_default_interval_has_source_rows(store: DuckDBOfflineStore) -> None:
    view = view_of(lambda orders: cast(orders, orders.amount))
    assert recent(view, at(5, 12), store) == Interval("2020-01-04", at(5, 12))
    assert recent(view, at(1, month=9), store) == Interval("2020-01-08", "2020-01-11")
    assert recent(view, at(1, 1), store) == Interval("2020-01-01", at(1, 1))
