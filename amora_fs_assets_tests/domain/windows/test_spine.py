"""`ticks` gives exactly the ticks of an interval, on both engines, also for a view over a late source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ibis.expr.types import Table

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureView,
    Interval,
    Source,
    SourceSchema,
    Timestamp,
)
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.testing import assert_causal, assert_splits, compute
from amora_fs_assets.windows import ticks
from amora_fs_assets_tests.domain.windows import oracle
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.operations.stores import fill
from amora_fs_assets_tests.small import at

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia"]
BERLIN = Interval("2026-10-23T12:00", "2026-10-27T12:00")  # clocks change on 25 October
APIA = Interval("2011-12-28", "2012-01-02")  # 30 December was left out
UNEVEN = Interval("2026-01-01T00:30:00.000001", "2026-01-01T04:00")


def read(store: OfflineStore, table: Table) -> list[datetime]:
    with store.read(table) as batches:
        return sorted(row["event_timestamp"].astimezone(UTC) for row in batches.read_all().to_pylist())


def local_midnights(interval: Interval, tz: str) -> list[datetime]:
    days = (interval.start.date() + timedelta(days=n) for n in range(-2, (interval.end - interval.start).days + 4))
    return sorted({each for day in days if interval.contains(each := oracle.midnight(day, tz))})


def multiples(interval: Interval, length: timedelta) -> list[datetime]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    first = epoch + -((epoch - interval.start) // length) * length
    found = (first + n * length for n in range(-1, (interval.end - interval.start) // length + 2))
    return [each for each in found if interval.contains(each)]


@pytest.fixture
def store(tmp_path: Path) -> OfflineStore:
    fill(tmp_path, {})
    return DuckDBOfflineStore(tmp_path)


def check_examples(store: OfflineStore) -> None:
    hour = timedelta(hours=1)
    assert read(store, ticks(UNEVEN, "1h")) == multiples(UNEVEN, hour) == [at_hour(hour) for hour in (1, 2, 3)]
    assert read(store, ticks(BERLIN, "1d", tz="Europe/Berlin")) == local_midnights(BERLIN, "Europe/Berlin")
    assert read(store, ticks(APIA, "1d", tz="Pacific/Apia")) == local_midnights(APIA, "Pacific/Apia")
    assert read(store, ticks(Interval("2026-01-01", "2026-01-01"), "1h")) == []


def at_hour(hour: int) -> datetime:
    return datetime(2026, 1, 1, hour, tzinfo=UTC)


def test_ticks_are_the_multiples_of_a_length_or_local_midnights(store: OfflineStore) -> None:
    check_examples(store)
    gaps = [two - one for one, two in pairwise(local_midnights(BERLIN, "Europe/Berlin"))]
    assert [gap.total_seconds() / 3_600 for gap in gaps] == [24, 25, 24]


@pytest.mark.slow
@pytest.mark.google
def test_ticks_are_the_same_on_bigquery(bigquery_emulator: BigQueryEmulator) -> None:
    with bigquery_emulator.client() as client:
        client.create_dataset("ticks", exists_ok=True, timeout=60)
        check_examples(BigQueryOfflineStore(client, dataset="ticks", storage_client=bigquery_emulator.read_client()))


def test_ticks_equal_their_definition(store: OfflineStore) -> None:
    @settings(max_examples=15, deadline=None)
    @given(
        st.datetimes(datetime(2005, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
        st.timedeltas(timedelta(0), timedelta(days=400)),
        st.sampled_from(ZONES),
        st.integers(1, 10**6).map(lambda seconds: timedelta(seconds=seconds)),
    )
    def check(start: datetime, length: timedelta, tz: str, step: timedelta) -> None:
        interval = Interval(start, start + length)
        assert read(store, ticks(interval, "1d", tz=tz)) == local_midnights(interval, tz)
        short = Interval(start, start + min(length, 100 * step))
        assert read(store, ticks(short, step)) == multiples(short, step)

    check()


@pytest.mark.parametrize(
    ("length", "tz", "message"),
    [("1x", None, "'1x' is not a duration"), ("6h", "Europe/Berlin", "Give '1d'"), ("1d", "Mars", "not a time zone")],
)
def test_wrong_ticks_are_refused(length: str, tz: str | None, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        ticks(UNEVEN, length, tz=tz)


class Orders(SourceSchema):
    customer: str
    at: Timestamp
    loaded: Timestamp
    amount: float


class Daily(FeatureSchema):
    customer: str
    orders: int


def test_the_view_of_the_documentation_counts_what_was_known_at_local_midnight() -> None:
    page = (Path(__file__).parents[3] / "docs" / "writing-features.md").read_text()
    names: dict[str, Any] = {}
    exec(page.split("### Ticks for windows by hand")[1].split("```python\n")[1].split("```")[0], names)
    late = Source("orders", Orders, timestamp_field="at", available_at="loaded", max_lateness=timedelta(days=2))
    view = FeatureView(
        "daily", Daily, [Entity("customer")], [late], transform=names["daily_orders"], start="2020-01-01",
        lookback=timedelta(days=1),
    )  # fmt: skip
    interval = Interval("2020-01-01", "2020-01-06")
    rows = [
        {"customer": "a", "at": at(2, 9), "loaded": at(2, 10)},
        {"customer": "a", "at": at(2, 9), "loaded": at(2, 23)},  # midnight in Berlin
        {"customer": "a", "at": at(2, 9), "loaded": at(3, 23)},
    ]
    found = [(each["event_timestamp"], each["orders"]) for each in compute(view, interval, orders=rows).to_pylist()]
    assert found == [(at(2, 23), 2), (at(3, 23), 1)]
    assert_causal(view, interval, orders=rows)
    assert_splits(view, interval, orders=rows)
