"""Rows of sources that change after they were read are found, with the intervals that read them, on both engines."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from ibis.expr.types import Table

from amora_fs_assets import (
    FeatureSchema,
    FeatureStore,
    FeatureView,
    Field,
    Interval,
    Settings,
    Source,
    SourceSchema,
    Timestamp,
    known_at,
)  # fmt: skip
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.operations.offline import load_source as sources
from amora_fs_assets.stores.bigquery.jobs import JobOptions
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests import small
from amora_fs_assets_tests.operations.engines import ENGINES, engine_store
from amora_fs_assets_tests.small import at

_numbers = itertools.count()
Rows = list[tuple[int, datetime, float | None]]
ROWS: Rows = [(1, at(1), 10.0), (2, at(2), 20.0), (2, at(2), 20.0), (1, at(3), 30.0), (1, at(5), 50.0)]
DAY = timedelta(days=1)


class Names(SourceSchema):
    customer: int
    name: str


class Total(FeatureSchema):
    customer: int
    total: float = Field(nullable=True)


class Shop:
    """A store whose source another system may change at any time."""

    def __init__(self, offline: OfflineStore, home: Path) -> None:
        self.offline, self.home = offline, home
        self.rows: Rows = [*ROWS]
        self.names = ["a", "b"]

    def code(self) -> Catalogue:
        orders = Source(
            "orders", small.Orders, f"{self.offline.dataset}_raw.orders", timestamp_field="at",
            loader=lambda: small.orders_table(self.rows),
        )  # fmt: skip
        names = Source(
            "names", Names, f"{self.offline.dataset}_raw.names", valid_from="2000-01-01",
            loader=lambda: pa.table({"customer": pa.array(range(1, len(self.names) + 1), pa.int64()),
                                     "name": self.names}),
        )  # fmt: skip

        def spending(orders: Table) -> Table:
            found = orders.group_by("customer", event_timestamp=orders["at"])
            return found.aggregate(amount=orders.amount.max())

        def named(names: Table, orders: Table) -> Table:
            joined = orders.inner_join(names, "customer").distinct()
            return joined.select("customer", "amount", event_timestamp=joined["at"])

        def totals(spending: Table) -> Table:
            return spending.select("customer", total=spending.amount + 0.0, event_timestamp=spending.event_timestamp)

        view = FeatureView("spending", small.Spending, [small.customer], [orders], transform=spending,
                           start="2020-01-01", lookback=DAY)  # fmt: skip
        return Catalogue.of([
            view,
            FeatureView("named", small.Spending, [small.customer], [names, orders], transform=named,
                        start="2020-01-01", partitions=None),
            FeatureView("totals", Total, [small.customer], [view], transform=totals, start="2020-01-01"),
        ])  # fmt: skip

    def at(self, clock: datetime) -> FeatureStore:
        store = FeatureStore(Settings(home=self.home, now=clock))
        store.code, store.offline = self.code(), self.offline
        store.apply()
        return store

    def change(self, rows: Rows | None = None, names: list[str] | None = None) -> None:
        """Write rows like another system's pipeline."""
        self.rows, self.names = rows or self.rows, names or self.names
        for source in self.code().sources.values():
            if (rows is not None and source.name == "orders") or (names is not None and source.name == "names"):
                sources.load(source, run_id=f"load-{next(_numbers)}", store=self.offline,
                             registry=FeatureStore(Settings(home=self.home)).registry)  # fmt: skip


@pytest.fixture(params=ENGINES)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    with engine_store(request, tmp_path, JobOptions(hash_inputs=True)) as store:
        yield Shop(store, tmp_path)


@pytest.fixture
def local(tmp_path: Path) -> Shop:
    return Shop(DuckDBOfflineStore(tmp_path), tmp_path)


def found(store: FeatureStore) -> list[tuple[Any, ...]]:
    return [(each.view, each.interval, each.source, each.then, each.now) for each in store.corrections()]


def computed(publications: Iterator[Publication]) -> list[tuple[str, Interval | None]]:
    return [(each.name, each.computed) for each in publications]


def test_changes_are_found_with_the_intervals_that_read_them_and_computed_again(shop: Shop) -> None:
    store = shop.at(at(6, 12))
    store.compute()
    assert store.corrections() == ()
    # on the second another value, and one of two equal rows is gone; on the fifth a row more
    shop.change([ROWS[0], (2, at(2), 21.0), *ROWS[3:], (3, at(5, 1), 1.0)])
    whole = Interval(at(1), at(6, 12))
    changed = [
        ("named", whole, "orders", 3, 3),
        ("spending", Interval(at(2), at(4)), "orders", 2, 1),
        ("spending", Interval(at(5), at(6, 12)), "orders", 1, 2),
    ]
    assert sorted(found(store), key=str) == changed
    assert store.plan().late == ()
    late = store.plan(late=True)
    assert late.empty
    assert "feature view 'spending' [2020-01-02" in str(late)
    assert "source 'orders' had 2 rows when it was read, and has 1 now" in str(late)
    assert sorted(computed(store.compute_late()), key=str) == sorted([
        ("named", whole),
        ("spending", Interval(at(2), at(4))),
        ("spending", Interval(at(5), at(6, 12))),
        ("totals", Interval(at(2), at(4))),
        ("totals", Interval(at(5), at(6, 12))),
    ], key=str)  # fmt: skip
    assert found(store) == []
    assert computed(store.compute_late()) == []
    assert store.plan().recompute == ()


def test_another_value_in_as_many_rows_is_found(local: Shop) -> None:
    store = local.at(at(4))
    assert store.corrections() == ()  # nothing was computed yet
    store.compute(feature_views=["spending"])
    local.change([*ROWS[:3], (1, at(3), 31.0), ROWS[4]])
    (correction,) = store.corrections(["spending"])
    assert (correction.interval, correction.then, correction.now) == (Interval(at(3), at(4)), 1, 1)
    assert str(correction).endswith("source 'orders' has other values now, in periods with 1 rows")


def test_rows_that_were_not_there_yet_when_they_were_read_are_no_correction(local: Shop) -> None:
    local.at(at(3, 12)).compute()
    local.change([*ROWS, (5, at(3, 18), 1.0), (5, at(4), 1.0)])
    later = local.at(at(6))
    assert found(later) == []
    later.compute()
    assert found(later) == []
    local.change([*ROWS, (5, at(3, 6), 1.0), (5, at(3, 18), 1.0), (5, at(4), 1.0)])
    assert [each[:2] for each in found(later) if each[0] == "spending"] == [("spending", Interval(at(3), at(5)))]


def test_a_source_without_time_is_compared_as_a_whole(local: Shop) -> None:
    store = local.at(at(4))
    store.compute()
    local.change(names=["a", "c"])
    assert found(store) == [("named", Interval(at(1), at(4)), "names", 2, 2)]
    local.change(names=["a", "b"])
    assert found(store) == []


@pytest.mark.slow
@pytest.mark.google
def test_a_table_that_bigquery_says_is_not_modified_is_not_asked(
    bigquery_emulator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bigquery_emulator.client() as client:
        offline = BigQueryOfflineStore(client, dataset=f"corrections_{next(_numbers)}")
        shop = Shop(offline, tmp_path)
        store = shop.at(at(4))
        store.compute(feature_views=["spending"])
        with monkeypatch.context() as patched:
            patched.setattr(offline, "read", lambda *_: pytest.fail("asked"))
            assert store.corrections(["spending"]) == ()
        shop.change([*ROWS[:3], ROWS[4]])  # counted only: hashing is a setting
        assert found(store)[0][1:] == (Interval(at(3), at(4)), "orders", 1, 0)


@pytest.mark.parametrize("days", [1, 500, 20_000])
def test_a_fingerprint_has_few_periods_however_long_the_interval(days: int) -> None:
    from amora_fs_assets.domain.time import Period
    from amora_fs_assets.operations.offline.inputs import unit_of

    view = small.spending(small.orders(), partitions="day", start="1950-01-01")
    unit = unit_of(view, view.sources[0], Interval(at(1) - days * DAY, at(1)))
    assert unit is (Period.DAY if days < 400 else Period.MONTH)


class Readings(SourceSchema):
    customer: int
    at: Timestamp
    known: Timestamp
    amount: float


def _readings(rows: list[tuple[int, datetime, datetime, float]]) -> pa.Table:
    times = pa.timestamp("us", tz="UTC")
    types = {"customer": pa.int64(), "at": times, "known": times, "amount": pa.float64()}
    columns = zip(types.items(), zip(*rows, strict=True), strict=True)
    return pa.table({name: pa.array(values, type_) for (name, type_), values in columns})


def test_rows_beyond_max_lateness_that_come_after_their_interval_was_computed_are_found(local: Shop) -> None:
    """Rows of the second, known on the fourth, which the source's bound of a day does not allow."""
    rows = [(1, at(1), at(1), 1.0), (1, at(2), at(4), 2.0), (2, at(5), at(5), 5.0)]
    late = (2, at(2), at(4, 6), 20.0)
    readings = Source(
        "readings", Readings, "raw.readings", timestamp_field="at", available_at="known", max_lateness=DAY,
        loader=lambda: _readings(rows),
    )  # fmt: skip
    view = FeatureView(
        "spending", small.Spending, [small.customer], [readings], start="2020-01-01",
        transform=lambda readings: readings.select("customer", "amount", event_timestamp=known_at(readings)),
    )  # fmt: skip
    store = FeatureStore(Settings(home=local.home, now=at(7)))
    store.code = Catalogue.of([view])
    store.apply()
    loads = itertools.count()

    def load() -> None:
        sources.load(readings, run_id=f"{next(loads)}", store=store.offline, registry=store.registry)

    load()
    store.compute()
    assert store.corrections() == ()  # the row that was there is no news
    rows.append(late)
    load()
    (found,) = store.corrections()
    assert (found.interval, found.then, found.now) == (Interval(at(4), at(4, 6) + timedelta(microseconds=1)), 1, 2)
    assert [each.computed for each in store.compute_late()] == [found.interval]
    published = store.get_historical_features("spending", start=at(4), end=at(5)).to_arrow().to_pylist()
    assert sorted((row["customer"], row["amount"]) for row in published) == [(1, 2.0), (2, 20.0)]
    assert store.corrections() == ()
    rows.remove(late)
    load()
    (gone,) = store.corrections()
    assert (gone.then, gone.now) == (2, 1)
    list(store.compute_late())
    assert store.corrections() == ()
    store.close()
