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
    FeatureStore,
    FeatureView,
    Field,
    Settings,
    Source,
    SourceSchema,
    Timestamp,
    known_at,
)
from amora_fs_assets.domain.catalogue import Catalogue

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


def computed(
    home: Path, source: Source, edges: Sequence[datetime], transform: Callable[..., Table] = last, **given: Any
) -> list[tuple[datetime, int]]:
    """The view's rows after it was computed from each edge to the next."""
    view = FeatureView("last", Last, [Entity("customer")], [source], transform=transform, start="2026-11-01", **given)
    with FeatureStore(Settings(home=home, now="2026-11-30T00:00Z")) as store:  # type: ignore[arg-type]
        store.__dict__["code"] = Catalogue.of([view])
        store.apply()
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
