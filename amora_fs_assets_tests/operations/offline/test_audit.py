"""The audit catches views that look ahead, that depend on how time is cut, or that vary; and passes causal ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
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
    tariffs = {
        "customer": pa.array([1, 1, 2], pa.int64()),
        "begin": pa.array([at(1), at(4, 3), at(2)], US),
        "end": pa.array([at(4, 3), None, at(6, 9)], US),
        "value": pa.array([1.0, 2.0, 3.0], pa.float64()),
    }
    fill(home, {"theirs.orders": orders_table(), "theirs.tariffs": pa.table(tariffs)})
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
    found = {each.rule: each for each in audit(view, WEEK, store=store, instants=1, parts=2).findings}
    assert rule in found
    finding = found[rule]
    assert set(finding.columns) == {"value"}
    assert finding.source == "orders"
    known = finding.source_row[source.available_at or "at"]
    if isinstance(finding.at, datetime):
        assert known > finding.at >= finding.row["event_timestamp"]
        assert f"looks ahead: {finding.rows} row" in str(finding)
    else:
        assert isinstance(finding.at, Interval)
        assert known < finding.at.start - lookback
        assert finding.at.contains(finding.row["event_timestamp"])
        assert "source 'orders', which the computation of the part does not read: customer=" in str(finding)


@pytest.mark.parametrize("rules", [RULES, ("differs when computed again",)], ids=["all rules", "this rule"])
def test_values_that_vary_are_caught(rules: tuple[Rule, ...], store: DuckDBOfflineStore) -> None:
    view = view_of(lambda orders: cast(orders, ibis.random()))
    found = audit(view, WEEK, store=store, instants=1, parts=2, rules=rules)
    assert [each.rule for each in found.findings] == ["differs when computed again"]


def test_a_view_that_is_always_computed_whole_has_no_parts(store: DuckDBOfflineStore) -> None:
    assert audit(view_of(causal, partitions=None), WEEK, store=store, instants=1, parts=2).passed
    found = audit(view_of(causal), WEEK, store=store, instants=1, parts=2).findings
    assert [each.rule for each in found] == ["differs in parts"]


def causal(orders: Table) -> Table:
    return cast(orders, orders.amount.sum().over(trailing(orders, preceding=1, following=0)))


def day_ends(orders: Table) -> Table:
    end = known_at(orders).truncate("D") + ibis.interval(days=1)
    return orders.group_by("customer", event_timestamp=end).aggregate(value=orders.amount.mean())


def without_times(orders: Table) -> Table:
    return cast(orders, orders.amount, orders.refunded.ifelse(orders["at"], ibis.null("timestamp('UTC')")))


def without_keys(orders: Table) -> Table:
    return row_wise(orders.mutate(customer=orders.refunded.ifelse(orders.customer, ibis.null("int64"))))


@pytest.mark.parametrize("transform", [without_times, without_keys])
def test_rows_without_a_key_are_named_rather_than_compared(
    transform: Callable[[Table], Table], store: DuckDBOfflineStore
) -> None:
    found = audit(view_of(lambda orders: transform(orders)), WEEK, store=store, instants=1, parts=1)
    assert found.findings == ()
    assert found.summary.startswith("not audited: a row lacks a part of its key: customer=")


def remainder(orders: Table) -> Table:
    """As the difference of two large sums: 0 but for rounding, which varies."""
    return cast(orders, ibis.random() * 1e-7)


def test_a_difference_of_rounding_is_said_to_be_one(store: DuckDBOfflineStore) -> None:
    (found,) = audit(view_of(lambda orders: remainder(orders)), WEEK, store=store, instants=1, parts=1).findings
    assert "these values differ by less than a millionth, as sums of floats do" in str(found)
    assert "round them in the transform" in str(found)


def test_each_day_is_computed_by_itself_also_if_partitions_are_months(store: DuckDBOfflineStore) -> None:
    def since_the_order_before(orders: Table) -> Table:
        orders = orders.filter(orders["at"].day().isin([3, 4, 5, 8]))
        return cast(orders, orders.amount.lag().over(mine(orders)))

    view, month = view_of(since_the_order_before, partitions="month", lookback=2 * DAY), Interval(at(1), at(1, month=2))
    assert audit(view, month, store=store, instants=1, parts=0).passed  # the order of the 5th is 3 days before the 8th
    (found,) = audit(view, month, store=store, instants=1, parts=1).findings
    assert found.at == Interval(at(8), at(1, month=2))
    assert "differs in parts: 3 rows of [2020-01-08T00:00:00+00:00, 2020-02-01T00:00:00+00:00) differ" in str(found)
    assert found.source_row["at"] == at(5, 22) + timedelta(minutes=7)


def row_wise(orders: Table) -> Table:
    return cast(orders, orders.amount)


def infinite(orders: Table) -> Table:
    return cast(orders, ibis.cases((orders.refunded, float("nan")), (orders.amount > 30, float("inf"))))


bounded = Source(
    "orders", Orders, table="theirs.orders", timestamp_field="at", available_at="settled", max_lateness=HOUR
)
PASSES: dict[str, tuple[Callable[..., Table], Source, dict[str, Any]]] = {
    "row-wise": (row_wise, orders, {}),
    "hourly sums": (hourly_sum, orders, {}),
    "trailing window": (causal, orders, {}),
    "days of late rows": (day_ends, settled, {}),
    "rows later than max_lateness": (day_ends, bounded, {}),
    "a ttl that is shorter than a day": (row_wise, orders, {"ttl": HOUR}),
    "no partitions": (row_wise, orders, {"partitions": None, "lookback": timedelta(0)}),
    "hours": (hourly_sum, orders, {"partitions": "hour"}),
    "NaN, infinity and null": (infinite, orders, {}),
}


@pytest.mark.parametrize(("transform", "source", "arguments"), PASSES.values(), ids=PASSES)
def test_a_causal_view_passes(
    transform: Callable[..., Table], source: Source, arguments: dict[str, Any], store: DuckDBOfflineStore
) -> None:
    view = view_of(lambda orders: transform(orders), source, **{"lookback": 2 * DAY} | arguments)
    found = audit(view, WEEK, store=store, instants=2, parts=3)
    assert found.passed, "\n".join(map(str, found.findings))
    assert found.rows >= 18
    assert len(found.instants) == 2


class Mixed(FeatureSchema):
    customer: int
    amounts: list[float]
    both: dt.Struct({"amount": dt.float64, "at": dt.Timestamp("UTC", 6)})  # type: ignore[valid-type]
    text: dt.json


def test_lists_structs_and_json_pass(store: DuckDBOfflineStore) -> None:
    def transform(orders: Table) -> Table:
        return orders.select(
            "customer",
            amounts=orders.amount.collect().over(trailing(orders, preceding=3, following=0)),
            both=ibis.struct({"amount": orders.amount, "at": orders["at"]}),
            text=ibis.literal('{"b": [1, null], "a": 2}'),
            event_timestamp=orders["at"],
        )

    found = audit(view_of(transform, schema=Mixed, lookback=DAY), WEEK, store=store, instants=1, parts=2)
    assert (found.passed, found.rows) == (True, 84), found


def test_rows_that_end_pass(store: DuckDBOfflineStore) -> None:
    """Over an SCD2 table: the values that held at each order, and the ends themselves."""
    tariffs = FeatureView(
        "tariffs", Value, [customer], table="theirs.tariffs", timestamp_field="begin", valid_to_field="end"
    )

    def held(orders: Table, tariffs: Table) -> Table:
        rows = tariffs.select(who="customer", since="event_timestamp", rate="value", to="valid_to")
        ongoing = rows.to.isnull() | (rows.to > orders["at"])
        joined = orders.join(rows, [orders.customer == rows.who, rows.since <= orders["at"], ongoing])
        return cast(joined, joined.rate, joined["at"])

    def ends(tariffs: Table) -> Table:
        ended = tariffs.filter(tariffs.valid_to.notnull())
        return cast(ended, ibis.literal(0), ended.valid_to)

    tests: list[tuple[Any, list[Source | FeatureView], int]] = [(held, [orders, tariffs], 45), (ends, [tariffs], 2)]
    for transform, sources, rows in tests:
        view = FeatureView(
            "view", Value, [customer], sources, transform=transform, start="2020-01-01", lookback=30 * DAY
        )
        found = audit(view, WEEK, store=store, instants=2, parts=3)
        assert (found.passed, found.rows) == (True, rows), found


@pytest.mark.parametrize("source", [orders, settled], ids=["on time", "late"])
def test_rolling_windows_pass(source: Source, store: DuckDBOfflineStore) -> None:
    windows = Windows("3h", "24h", "48h")

    class Rolling(FeatureSchema, windows=windows):
        customer: int
        n: Windowed[int]
        total: Windowed[float]

    def transform(orders: Table, interval: Interval) -> Table:
        return rolling(orders, windows, by="customer", time="at", interval=interval, n=count(), total=sum_("amount"))

    found = audit(view_of(transform, source, schema=Rolling), WEEK, store=store, instants=2, parts=2)
    assert found.passed, "\n".join(map(str, found.findings))
    assert found.rows > 50


def test_the_finding_shows_the_row_the_column_and_the_source_row(store: DuckDBOfflineStore) -> None:
    found = audit(view_of(lambda orders: LEAKS["lead"][1](orders)), WEEK, store=store, instants=2, parts=2)
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
    assert audit(view_of(causal), WEEK, store=store, instants=1, parts=2).rows
    assert tables() == before


def test_a_row_that_only_one_computation_has_is_said(store: DuckDBOfflineStore) -> None:
    rare = view_of(lambda orders: last_of_the_day_at_its_start(orders.filter(orders.amount == 26.0)))
    text = str(audit(rare, WEEK, store=store, instants=1, parts=2).findings[0])
    assert "only the computation from all source rows has the row\n  value: 26.0 from all source rows" in text


def test_the_default_interval_has_source_rows(store: DuckDBOfflineStore) -> None:
    view = view_of(lambda orders: cast(orders, orders.amount))
    assert recent(view, at(5, 12), store) == Interval("2020-01-04", at(5, 12))
    assert recent(view, at(1, month=9), store) == Interval("2020-01-08", "2020-01-11")
    assert recent(view, at(1, 1), store) == Interval("2020-01-01", at(1, 1))
