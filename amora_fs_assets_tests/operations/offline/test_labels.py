"""Which instants a transform over late sources may give its rows, and what is refused in which words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pytest
from ibis import _
from ibis.expr.types import Table

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureStore,
    FeatureView,
    Interval,
    Settings,
    Source,
    SourceSchema,
    Timestamp,
    known_at,
)
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionError, TransformError
from amora_fs_assets.operations.offline.transform import query_of
from amora_fs_assets.windows import ticks


class Orders(SourceSchema):
    customer: int
    at: Timestamp
    loaded: Timestamp
    amount: int


class Visits(SourceSchema):
    customer: int
    at: Timestamp


class Countries(SourceSchema):
    customer: int
    country: str


class Amounts(FeatureSchema):
    customer: int
    amount: int


class Corrected(FeatureSchema):
    customer: int
    created_timestamp: Timestamp
    amount: int


customer = Entity("customer")
orders = Source("orders", Orders, timestamp_field="at", available_at="loaded")
refunds = Source("refunds", Orders, timestamp_field="at", available_at="loaded")
visits = Source("visits", Visits, timestamp_field="at")
countries = Source("countries", Countries, valid_from="2026-01-01")
corrected = FeatureView(
    "corrected", Corrected, [customer], [orders], start="2026-01-01",
    transform=lambda orders: orders.select(
        "customer", "amount", event_timestamp=known_at(orders), created_timestamp=known_at(orders)
    ),
)  # fmt: skip
HOUR = ibis.interval(hours=1)


def view(transform: Callable[..., Table], *sources: Source | FeatureView) -> FeatureView:
    return FeatureView("amounts", Amounts, [customer], sources, transform=transform, start="2026-01-01")


def made(transform: Callable[..., Table], *sources: Source | FeatureView) -> Table:
    each = view(transform, *sources)
    return query_of(each, each.interval(datetime(2026, 2, 1, tzinfo=UTC)), "feature_store")


def labelled_by(label: Callable[[Table], Any]) -> Callable[[Table], Table]:
    return lambda orders: orders.select("customer", "amount", event_timestamp=label(orders))


def hourly(label: Callable[[Table], Any]) -> Callable[[Table], Table]:
    return lambda orders: orders.group_by("customer", event_timestamp=label(orders)).aggregate(amount=_.amount.sum())


def latest(label: Callable[[Table], Any]) -> Callable[[Table], Table]:
    return lambda orders: orders.group_by("customer").aggregate(amount=_.amount.sum(), event_timestamp=label(orders))


def later(one: Any, two: Any) -> Any:
    return (one > two).ifelse(one, two)


@pytest.mark.parametrize(
    "transform",
    [
        labelled_by(known_at),
        labelled_by(lambda t: known_at(t) + HOUR),
        labelled_by(lambda t: known_at(t) + timedelta(minutes=5)),
        labelled_by(lambda t: known_at(t).truncate("h") + HOUR),
        labelled_by(lambda t: known_at(t).truncate("M") + ibis.interval(months=1)),
        labelled_by(lambda t: known_at(t).truncate("Q") + ibis.interval(months=3)),
        labelled_by(lambda t: known_at(t).truncate("M") + ibis.interval(days=31)),
        labelled_by(lambda t: known_at(t).bucket(minutes=10) + ibis.interval(minutes=10)),
        labelled_by(lambda t: (known_at(t).date().cast("timestamp('UTC', 6)") + ibis.interval(days=1))),
        labelled_by(lambda t: ibis.greatest(known_at(t), t["at"])),
        labelled_by(lambda t: later(t["at"], known_at(t))),
        labelled_by(lambda t: (t.amount > 1).ifelse(known_at(t), known_at(t) + HOUR)),
        labelled_by(lambda t: ibis.cases((t.amount > 1, known_at(t)), else_=known_at(t) + HOUR)),
        labelled_by(lambda t: known_at(t).max().over(group_by=t.customer)),
        labelled_by(lambda t: ((known_at(t).epoch_seconds() // 3600 + 1) * 3600).as_timestamp("s").cast(
            "timestamp('UTC', 6)"
        )),
        hourly(lambda t: known_at(t).truncate("h") + HOUR),
        hourly(known_at),
        latest(lambda t: known_at(t).max()),
        lambda orders: orders.filter(orders.amount > 3).mutate(event_timestamp=known_at)["customer", "amount",
                                                                                         "event_timestamp"],
        lambda orders: labelled_by(known_at)(orders.filter(orders.amount > 3).order_by("amount").limit(9).distinct()),
        lambda orders: orders.rename(when="at", since="loaded").select(
            "customer", "amount", event_timestamp=lambda t: known_at(t)
        ),
        lambda orders: labelled_by(known_at)(orders).union(labelled_by(lambda t: known_at(t) + HOUR)(orders)),
        lambda orders: orders.mutate(known=known_at(orders)).group_by("customer").aggregate(
            amount=_.amount.max(), event_timestamp=_.known.max()
        ),
        lambda orders: orders.group_by("customer", "at", "loaded").aggregate(amount=_.amount.max()).select(
            "customer", "amount", event_timestamp=known_at
        ),
    ],
)  # fmt: skip
def test_an_instant_at_or_after_known_at_is_taken(transform: Callable[..., Table]) -> None:
    made(transform, orders)


@pytest.mark.parametrize(
    "transform",
    [
        labelled_by(lambda t: t["at"]),
        labelled_by(lambda t: t.loaded),  # null where it is the same as `at`
        labelled_by(lambda t: ibis.coalesce(t.loaded, t["at"])),  # may be before `at`
        labelled_by(lambda t: known_at(t).truncate("h")),
        labelled_by(lambda t: known_at(t).truncate("M") + ibis.interval(days=30)),
        labelled_by(lambda t: known_at(t).truncate("D") + HOUR),
        labelled_by(lambda t: known_at(t).date().cast("timestamp('UTC', 6)")),
        labelled_by(lambda t: known_at(t).bucket(minutes=10)),
        labelled_by(lambda t: known_at(t) - HOUR),
        labelled_by(lambda t: known_at(t) + ibis.interval(minutes=-1)),
        labelled_by(lambda t: ibis.least(known_at(t), t["at"])),
        labelled_by(lambda t: (t.amount > 1).ifelse(known_at(t), t["at"])),
        labelled_by(lambda t: (t.loaded > t["at"]).ifelse(t["at"], t.loaded)),
        labelled_by(lambda t: known_at(t).min().over(group_by=t.customer)),
        labelled_by(lambda t: known_at(t).lag().over(group_by=t.customer, order_by=t["at"])),
        labelled_by(lambda t: t["at"].truncate("h") + HOUR),
        hourly(lambda t: t["at"].truncate("h") + HOUR),
        latest(lambda t: t["at"].max()),
        latest(lambda t: known_at(t).min()),
        latest(lambda t: known_at(t).max(where=t.amount > 1)),
        lambda orders: labelled_by(known_at)(orders).union(labelled_by(lambda t: t["at"])(orders)),
        lambda orders, interval: labelled_by(lambda t: ibis.literal(interval.start, "timestamp('UTC', 6)"))(orders),
    ],
)  # fmt: skip
def test_another_instant_is_refused_with_the_fix(transform: Callable[..., Table]) -> None:
    with pytest.raises(DefinitionError, match=r"'amounts': rows of source 'orders' become known at available_at 'loaded"
                                              r".*Return `event_timestamp=known_at\(orders\)`"):  # fmt: skip
        made(transform, orders)


def with_refunds(label: Callable[[Table, Table, Table], Any], on: Any = "customer") -> Callable[..., Table]:
    def joined(orders: Table, refunds: Table) -> Table:
        both = orders.left_join(refunds, on(orders, refunds) if callable(on) else on)
        return both.select("customer", "amount", event_timestamp=label(both, orders, refunds))

    return joined


def known_before(orders: Table, refunds: Table) -> list[Any]:
    return [orders.customer == refunds.customer, known_at(refunds) <= known_at(orders)]


@pytest.mark.parametrize(
    "transform",
    [
        with_refunds(lambda both, orders, refunds: known_at(both)),
        with_refunds(lambda both, orders, refunds: known_at(both).truncate("h") + HOUR),
        with_refunds(lambda both, orders, refunds: ibis.greatest(
            known_at(orders), ibis.coalesce(known_at(refunds), known_at(orders))
        )),
        with_refunds(lambda both, orders, refunds: known_at(orders), on=known_before),
    ],
)  # fmt: skip
def test_a_join_of_late_sources_counts_once_both_rows_are_known(transform: Callable[..., Table]) -> None:
    made(transform, orders, refunds)


@pytest.mark.parametrize(
    "transform",
    [
        with_refunds(lambda both, orders, refunds: known_at(orders)),
        with_refunds(lambda both, orders, refunds: ibis.coalesce(known_at(orders), known_at(refunds))),
        with_refunds(lambda both, orders, refunds: ibis.coalesce(known_at(refunds), orders["at"])),
        with_refunds(
            lambda both, orders, refunds: known_at(orders),
            on=lambda orders, refunds: [orders.customer == refunds.customer, refunds["at"] <= known_at(orders)],
        ),
        with_refunds(
            lambda both, orders, refunds: known_at(orders),
            on=lambda orders, refunds: [orders.customer == refunds.customer, known_at(refunds) <= ibis.now()],
        ),
        lambda orders, refunds: labelled_by(known_at)(
            orders.filter(orders.customer.notin(refunds.customer))
        ),
    ],
)  # fmt: skip
def test_a_join_that_forgets_one_late_source_is_refused(transform: Callable[..., Table]) -> None:
    with pytest.raises(DefinitionError, match="rows of source '(orders|refunds)' become known"):
        made(transform, orders, refunds)


def test_sources_that_are_never_late_are_labelled_as_the_transform_likes() -> None:
    made(lambda visits: visits.select("customer", amount=1, event_timestamp=visits["at"].truncate("h")), visits)


def test_a_late_source_joined_to_visits_counts_once_known() -> None:
    def last_order(visits: Table, orders: Table) -> Table:
        known = known_at(orders) <= visits["at"]
        both = visits.inner_join(orders, [visits.customer == orders.customer, known])
        return both.group_by("customer", event_timestamp=visits["at"]).aggregate(amount=_.amount.max())

    made(last_order, visits, orders)


def test_a_view_with_created_timestamp_is_late_too() -> None:
    made(lambda corrected: corrected.select("customer", "amount", event_timestamp=known_at(corrected)), corrected)
    with pytest.raises(DefinitionError, match="feature view 'corrected' become known at created_timestamp"):
        made(lambda corrected: corrected.drop("created_timestamp"), corrected)


@pytest.mark.parametrize(
    "transform",
    [
        lambda orders: orders.select("customer", "amount"),
        lambda orders: orders.filter(orders.amount > 1).order_by("customer").select("customer", amount=_.amount + 1),
        lambda orders: orders.mutate(z=_.amount).drop("at", "loaded", "amount").rename(amount="z"),
        lambda orders: orders.drop_null().fill_null({"amount": 0})["customer", "amount"],
        lambda orders: orders.rename(event_timestamp="loaded").select("customer", "amount", at_="at").drop("at_"),
    ],
)
def test_a_row_wise_transform_over_one_source_may_leave_its_instant_out(transform: Callable[..., Table]) -> None:
    interval = view(transform, orders).interval(datetime(2026, 2, 1, tzinfo=UTC))
    rows = query_of(view(transform, orders), interval, "feature_store")
    explicit = made(labelled_by(known_at), orders)
    assert rows.schema() == explicit.schema()
    data = ibis.memtable({"customer": [1], "at": [datetime(2026, 1, 2)], "loaded": [datetime(2026, 1, 5)],
                          "amount": [3]})  # fmt: skip
    there = ibis.duckdb.connect()
    there.raw_sql("SET TimeZone = 'UTC'; CREATE SCHEMA raw")
    there.create_table("orders", data.cast({"at": "timestamp('UTC', 6)", "loaded": "timestamp('UTC', 6)"}),
                       database="raw")  # fmt: skip
    (row,) = there.to_pyarrow(rows).to_pylist()
    assert row["event_timestamp"] == datetime(2026, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("transform", "sources"),
    [
        (lambda orders: orders.group_by("customer").aggregate(amount=_.amount.sum()), [orders]),
        (lambda orders: orders.select("customer", "amount").distinct(), [orders]),
        (lambda orders: orders.select("customer", amount=_.amount.sum().over(group_by=_.customer)), [orders]),
        (lambda orders: orders.select("customer", amount=_.amount - _.amount.mean().cast("int64")), [orders]),
        (lambda orders: orders.limit(3).select("customer", "amount"), [orders]),
        (
            lambda orders, countries: orders.join(countries, "customer").select("customer", "amount"),
            [orders, countries],
        ),
    ],
)
def test_any_other_transform_has_to_return_an_instant(transform: Callable[..., Table], sources: list[Source]) -> None:
    with pytest.raises(TransformError, match=r"lack \['event_timestamp'\].*known_at"):
        made(transform, *sources)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (lambda orders: orders.select("customer", "amount"), "no longer holds 'at' and 'loaded' of source 'orders'"),
        (lambda orders: orders.drop("loaded"), "no longer holds 'loaded' of source 'orders'"),
        (lambda orders: orders.mutate(at=_["at"] + HOUR), "no longer holds 'at' of source 'orders'"),
        (
            lambda orders: orders.group_by("customer").aggregate(amount=_.amount.sum()),
            r"in an aggregation `known=known_at\(orders\).max\(\)`",
        ),
        (lambda orders: orders.amount, "takes a table.*not a IntegerColumn"),
        (lambda orders: ibis.table({"at": "timestamp"}, name="other"), "the rows of this table come from no source"),
    ],
)
def test_known_at_of_a_table_without_the_times_says_what_is_lacking(table: Callable[..., Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=f"'amounts': known_at.*{said}"):
        made(lambda orders: orders.select("customer", "amount", event_timestamp=known_at(table(orders))), orders)


def test_known_at_outside_a_transform_says_where_it_belongs() -> None:
    with pytest.raises(DefinitionError, match="in the function of a feature view or a training set"):
        known_at(ibis.table({"at": "timestamp"}, name="orders"))


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_plan_and_apply_refuse_what_forgets_known_at(verb: str, tmp_path: Path) -> None:
    code = Catalogue.of([view(labelled_by(lambda t: t["at"]), orders)])
    with FeatureStore(Settings(home=tmp_path, now="2026-02-01T00:00Z"), code) as store:  # type: ignore[arg-type]
        with pytest.raises(DefinitionError, match="'amounts': rows of source 'orders'"):
            getattr(store, verb)()
        assert store.registry.head() is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"max_lateness": timedelta(days=1)},
            "Give available_at, the column with the time at which a row became known",
        ),
        ({"available_at": "loaded", "max_lateness": timedelta(days=-1)}, "max_lateness is .*Give a duration from zero"),
        ({"available_at": "loaded", "max_lateness": timedelta.max}, "max_lateness is .*Give a duration from zero"),
        ({"available_at": "loaded", "max_lateness": 3}, "max_lateness=3 is of type int. Give a timedelta"),
    ],
)
def test_a_bound_that_makes_no_sense_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=f"Source 'orders': .*{said}"):
        Source("orders", Orders, timestamp_field="at", **given)


Pair = Callable[[Table, Table], Any]


def daily(keep: Pair, label: Callable[[Table], Any] = lambda days: days.event_timestamp) -> Callable[..., Table]:
    def counted(orders: Table, interval: Interval) -> Table:
        days = ticks(interval, "1d", tz="Europe/Berlin")
        known = orders.mutate(known=known_at(orders))
        joined = days.join(known, keep(days, known))
        return joined.group_by("customer", event_timestamp=label(joined)).aggregate(amount=_.amount.sum())

    return counted


def test_ticks_at_which_rows_are_known_are_taken() -> None:
    made(daily(lambda days, orders: orders.known <= days.event_timestamp), orders)
    later = daily(lambda days, orders: orders.known < days.event_timestamp, lambda days: days.event_timestamp + HOUR)
    made(later, orders)


def test_ticks_at_which_rows_may_be_unknown_are_refused() -> None:
    with pytest.raises(DefinitionError, match="rows of source 'orders' become known at available_at 'loaded'"):
        made(daily(lambda days, orders: orders["at"] <= days.event_timestamp), orders)
