"""Rows that become known later than they happened: in the features from then on, however time is cut into intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from ibis.expr.types import Table

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    Interval,
    Settings,
    Source,
    SourceSchema,
    Timestamp,
    TrainingSet,
    known_at,
)
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.operations.offline.lateness import overdue
from amora_fs_assets.operations.registry.impact import Recompute, Scan
from amora_fs_assets.operations.registry.scan_estimate import scans
from amora_fs_assets.operations.training.build import spine_of

US = pa.timestamp("us", tz="UTC")
Row = tuple[int, datetime, datetime | None, int]


class Orders(SourceSchema):
    customer: int
    at: Timestamp
    loaded: Timestamp = Field(nullable=True)
    amount: int


class Last(FeatureSchema):
    customer: int
    amount: int


def day(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def orders(rows: Sequence[Row], **given: Any) -> Source:
    customers, times, known, amounts = zip(*rows, strict=True) if rows else ((), (), (), ())
    table = pa.table({"customer": pa.array(customers, pa.int64()), "at": pa.array(times, US),
                      "loaded": pa.array(known, US), "amount": pa.array(amounts, pa.int64())})  # fmt: skip
    return Source("orders", Orders, timestamp_field="at", available_at="loaded", loader=lambda: table, **given)


def last(orders: Table) -> Table:
    return orders.select("customer", "amount", event_timestamp=known_at(orders))


def view_of(source: Source, transform: Callable[..., Table] = last, **given: Any) -> FeatureView:
    return FeatureView("last", Last, [Entity("customer")], [source], transform=transform, start="2026-11-01", **given)


def opened(home: Path, view: FeatureView) -> FeatureStore:
    store = FeatureStore(Settings(home=home, now="2026-11-30T00:00Z"), Catalogue.of([view]))  # type: ignore[arg-type]
    store.apply()
    return store


def computed(
    home: Path, source: Source, edges: Sequence[datetime], transform: Callable[..., Table] = last, **given: Any
) -> list[tuple[datetime, int]]:
    """The view's rows after it was computed from each edge to the next."""
    with opened(home, view_of(source, transform, **given)) as store:
        for start, end in pairwise(edges):
            store.compute(start, end)
        rows = store.get_historical_features("last", start=day(1), end=day(30)).to_arrow().to_pylist()
    return sorted((row["event_timestamp"], row["amount"]) for row in rows)


TWO = [(1, day(20, 12), day(20, 12), 5), (1, day(20, 13), day(22, 9), 7)]
DAILY = [day(each) for each in range(20, 25)]


@pytest.mark.parametrize("given", [{}, {"max_lateness": timedelta(days=2)}], ids=["no bound", "two days"])
def test_a_row_known_two_days_late_is_in_the_features_two_days_late(given: dict[str, Any], tmp_path: Path) -> None:
    right = [(day(20, 12), 5), (day(22, 9), 7)]
    assert computed(tmp_path / "daily", orders(TWO, **given), DAILY) == right
    assert computed(tmp_path / "whole", orders(TWO, **given), [day(20), day(24)]) == right
    assert computed(tmp_path / "part", orders(TWO, **given), [day(20), day(22)]) == right[:1]


def test_a_row_without_available_at_was_known_when_it_happened(tmp_path: Path) -> None:
    rows = [(1, day(20, 12), None, 5), (1, day(20, 13), day(3), 7)]
    assert computed(tmp_path, orders(rows), DAILY) == [(day(20, 12), 5), (day(20, 13), 7)]


def test_the_lookback_reaches_back_from_when_rows_became_known(tmp_path: Path) -> None:
    def seen(orders: Table, interval: Any) -> Table:
        everything = orders.aggregate(amount=orders.amount.sum(), known=known_at(orders).max())
        return everything.select("amount", customer=1, event_timestamp=everything.known)

    rows = [*TWO, (1, day(1), day(23, 1), 100), (1, day(23, 2), day(23, 2), 1_000)]
    found = computed(tmp_path, orders(rows), [day(23), day(24)], seen, lookback=timedelta(hours=15))
    assert found == [(day(23, 2), 1_107)]  # the row of the 20th became known 15 hours before the 23rd


LONG_AGO = [*TWO, (1, day(2), day(23, 5), 9), (1, day(19), day(23, 6), 11)]  # 21 and 4 days late
TWO_DAYS = timedelta(days=2)


def test_rows_later_than_max_lateness_are_read_all_the_same_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path, view_of(orders(LONG_AGO, max_lateness=TWO_DAYS))) as store:
        store.compute(day(22), day(23))
        assert "max_lateness" not in caplog.text
        store.compute(day(23), day(24))
        rows = store.get_historical_features("last", start=day(22), end=day(30)).to_arrow().to_pylist()
        assert [row["amount"] for row in rows] == [7, 9, 11]
        told, silent = store.registry.records("last")
    assert "source 'orders': 2 rows became known later than max_lateness allows, up to 21 days" in caplog.text
    assert told.details["later_than_max_lateness"] == {
        "orders": {"rows": 2, "since": day(2).isoformat(), "lateness_seconds": (21 * 24 + 5) * 3600}
    }
    assert "later_than_max_lateness" not in silent.details


@pytest.mark.parametrize(
    ("known", "right"),
    [
        (Interval(day(22), day(23)), None),
        (Interval(day(23), day(23, 5)), None),
        (Interval(day(23), day(23, 6)), (1, day(2))),
        (Interval(day(23, 5), day(24)), (2, day(2))),
        (Interval(day(23, 6), day(24)), (1, day(19))),
    ],
)
def test_rows_later_than_max_lateness_are_found_by_when_they_became_known(
    known: Interval, right: tuple[int, datetime] | None, tmp_path: Path
) -> None:
    source = orders(LONG_AGO, max_lateness=TWO_DAYS)
    with opened(tmp_path, view_of(source)) as store:
        store.compute(day(1), day(2))
        found = overdue(source, known, store.offline)
        assert overdue(orders(LONG_AGO), known, store.offline) is None  # without a bound no row is beyond it
    assert (found and (found.rows, found.since)) == right


def test_a_row_exactly_as_late_as_max_lateness_is_not_beyond_it(tmp_path: Path) -> None:
    exact = [(1, day(20), day(22), 1), (1, day(20), day(22) + timedelta(microseconds=1), 2)]
    source = orders(exact, max_lateness=TWO_DAYS)
    with opened(tmp_path, view_of(source)) as store:
        store.compute(day(1), day(2))
        found = overdue(source, Interval(day(1), day(30)), store.offline)
    assert found is not None
    assert (found.rows, found.lateness) == (1, TWO_DAYS + timedelta(microseconds=1))
    assert found.known == Interval(exact[1][2], exact[1][2] + timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("given", "rows", "note"),
    [
        ({}, 4, "all of 'orders' up to the interval's end, since it has no max_lateness"),
        ({"max_lateness": timedelta(days=30)}, 4, ""),
        ({"max_lateness": timedelta(days=1, hours=12)}, 2, ""),
        ({"max_lateness": timedelta(hours=12)}, 0, ""),
    ],
)
def test_a_plan_counts_the_rows_that_a_computation_scans(
    given: dict[str, Any], rows: int, note: str, tmp_path: Path
) -> None:
    view = view_of(orders(LONG_AGO, **given))
    with opened(tmp_path, view) as store:
        store.compute(day(1), day(2))
        asked = Recompute("last", Interval(day(22), day(23)), "it is asked for")
        assert scans([asked], store.code, store.offline) == {asked: Scan(rows, "rows", note=note)}


def test_another_bound_is_another_set_of_rows(tmp_path: Path) -> None:
    with opened(tmp_path, view_of(orders(TWO, max_lateness=TWO_DAYS))) as store:
        store.code = Catalogue.of([view_of(orders(TWO, max_lateness=timedelta(days=9)))])
        planned = store.plan()
        assert [str(change) for change in planned.changes] == ["source 'orders'"]
        assert [each.what for each in planned.changes[0].differences] == ["max_lateness [s]: 172800.0 -> 777600.0"]
        assert [each.because for each in planned.recompute] == ["source 'orders' changed"]
        store.apply()
        assert store.registry.catalogue().sources["orders"].max_lateness == timedelta(days=9)
        store.code = Catalogue.of([view_of(orders(TWO))])
        assert [each.what for each in store.plan().changes[0].differences] == ["max_lateness [s]: 777600.0 -> None"]


def test_on_a_running_clock_a_row_is_in_the_features_once_it_is_known(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    rows = [
        (1, hour - timedelta(hours=5), hour - timedelta(hours=2), 5),
        (1, hour - timedelta(hours=5), now + timedelta(hours=1), 7),  # announced, not known yet
    ]
    view = view_of(orders(rows), partitions="hour")
    with FeatureStore(Settings(home=tmp_path), Catalogue.of([view])) as store:
        store.apply()
        counts = []
        for start in range(-6, 1):
            publication = store.compute(hour + timedelta(hours=start), hour + timedelta(hours=start + 1))["last"]
            assert publication is not None
            counts.append(publication.rows)
        found = store.get_historical_features("last", start=hour - timedelta(days=1), end=now).to_arrow().to_pylist()
    assert counts == [0, 0, 0, 0, 1, 0, 0]
    assert [(row["event_timestamp"], row["amount"]) for row in found] == [(hour - timedelta(hours=2), 5)]


def test_a_training_set_may_ask_from_when_its_rows_were_known() -> None:
    source = orders(TWO)
    view = view_of(source)
    asked = TrainingSet(
        "asked", FeatureService("service", [view]), [source],
        spine=lambda orders: orders.select("customer", event_timestamp=known_at(orders)),
    )  # fmt: skip
    assert spine_of(asked, "feature_store").columns == ("customer", "event_timestamp")
