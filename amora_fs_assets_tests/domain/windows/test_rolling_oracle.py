"""Rolling windows equal plain Python, for each aggregate, on time and late, at ticks, local days and events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count as numbers
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ibis.expr.types import Table
from pandera.ibis import Field

from amora_fs_assets import Interval, Source, SourceSchema, Timestamp
from amora_fs_assets import windows as agg
from amora_fs_assets.domain.known import handing
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.windows.durations import Windows, every, local_days, window
from amora_fs_assets.domain.windows.rolling import rolling
from amora_fs_assets.operations.expressions.tables import known_rows
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests.domain.windows import oracle
from amora_fs_assets_tests.domain.windows.oracle import Event
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.operations.stores import fill, fill_bigquery

US = pa.timestamp("us", tz="UTC")
COLUMNS = {"customer": pa.int64(), "at": US, "loaded": US, "amount": pa.int64(), "price": pa.float64(),
           "product": pa.string()}  # fmt: skip
START = datetime(2026, 10, 20, tzinfo=UTC)  # clocks change in Europe on 25 October
HOUR = timedelta(hours=1)


class Orders(SourceSchema):
    customer: int = Field(nullable=True)
    at: Timestamp = Field(nullable=True)
    loaded: Timestamp = Field(nullable=True)
    amount: int = Field(nullable=True)
    price: float = Field(nullable=True)
    product: str = Field(nullable=True)


ON_TIME = Source("orders", Orders, table="theirs.orders", timestamp_field="at")
LATE = Source("orders", Orders, table="theirs.orders", timestamp_field="at", available_at="loaded")
FEATURES: dict[str, tuple[Any, oracle.Compute]] = {
    "n": (agg.count(), oracle.number),
    "total": (agg.sum_("amount"), oracle.total),
    "average": (agg.mean("price"), oracle.average),
    "least": (agg.min_("price"), oracle.least),
    "greatest": (agg.max_("product"), oracle.greatest),
    "deviation": (agg.stddev("price"), oracle.deviation),
    "different": (agg.nunique("product"), oracle.different),
    "newest": (agg.last_k("amount", 3), oracle.newest),
    "last": (agg.last("amount"), oracle.last),
    "last_price": (agg.last("price"), oracle.last_price),
    "first": (agg.first("amount"), oracle.first),
    "frequent": (agg.top_k("product", 2), oracle.frequent),
    "median": (agg.quantile("price", 0.5), oracle.quantile_of(0.5)),
    "high": (agg.quantile("price", 0.9), oracle.quantile_of(0.9)),
    "large": (agg.count(where=lambda orders: orders.amount > 2),
              lambda rows: sum(each.amount is not None and each.amount > 2 for each in rows)),
    "share": (agg.ratio("large", "n"),
              lambda rows: sum((each.amount or 0) > 2 for each in rows) / len(rows) if rows else None),
}  # fmt: skip
OF_WIDEST: dict[str, tuple[Any, oracle.Compute]] = {
    "idle": (agg.since_last(), oracle.latest),
    "idle_large": (agg.since_last(where=lambda orders: orders.amount > 2),
                   lambda rows: oracle.latest([each for each in rows if (each.amount or 0) > 2])),
}  # fmt: skip
ALL = {**FEATURES, **OF_WIDEST}
HOPS = ("n", "total", "average", "least", "greatest", "large", "share")  # without features of single rows
WINDOWS = {
    "hourly": Windows("1h", "3h", "24h"),
    "shifted": Windows("2h", window("3h", ending="2h"), window(None, ending="24h")),
    "right": Windows("1h", "5h", closed="right"),
    "between ticks": Windows("90m", "5h", at="1h"),
    "daily": Windows("24h", "36h", None, at="1d"),
    "midnights": Windows("24h", "48h", at=every("1d", tz="Europe/Berlin")),
    "local days": Windows(local_days(1), local_days(3), local_days(2, ending=1), at=every("1d", tz="Europe/Berlin")),
    "skipped midnights": Windows(local_days(2), at=every("1d", tz="Africa/Cairo")),
    "at events": Windows("1h", "1d", at="events"),
    "at events, right": Windows("1h", None, window("1h", ending="1h"), at="events", closed="right"),
}


def rows_of(events: Sequence[Event]) -> pa.Table:
    return pa.table(
        {name: pa.array([getattr(each, name) for each in events], type_) for name, type_ in COLUMNS.items()}
    )


def computed(
    source: Source, store: OfflineStore, windows: Windows, interval: Interval, names: Sequence[str]
) -> dict[tuple[int, datetime], dict[str, Any]]:
    lookback = windows.lookback or timedelta(days=3_000)
    orders: Table = known_rows(source, "feature_store", interval, lookback)
    with handing({"orders": orders}, {"orders": source}):
        query = rolling(
            orders,
            windows,
            by="customer",
            time="at",
            interval=interval,
            **{name: ALL[name][0] for name in names},
        )
    with store.read(query) as batches:
        rows = batches.read_all().to_pylist()
    found = {(row.pop("customer"), row.pop("event_timestamp").astimezone(UTC)): row for row in rows}
    assert len(found) == len(rows), "a tick has one row"
    return found


def compare(
    events: Sequence[Event], source: Source, store: OfflineStore, windows: Windows, cuts: Sequence[datetime],
    names: Sequence[str] = tuple(ALL),
) -> None:  # fmt: skip
    """A computation in parts gives exactly the rows of the definition."""
    found: dict[tuple[int, datetime], dict[str, Any]] = {}
    for start, end in pairwise(cuts):
        found |= computed(source, store, windows, Interval(start, end), names)
    if source is ON_TIME:
        events = [Event(each.customer, each.at, None, each.amount, each.price, each.product) for each in events]
    interval = Interval(cuts[0], cuts[-1])
    right = oracle.expected(
        events,
        windows,
        interval,
        *({name: compute for name, (_, compute) in known.items() if name in names} for known in (FEATURES, OF_WIDEST)),
    )
    assert sorted(found) == sorted(right)
    for place, values in right.items():
        wrong = {name: (found[place][name], value) for name, value in values.items()
                 if not oracle.same(found[place][name], value)}  # fmt: skip
        assert not wrong, (place, wrong)


instants = st.one_of(
    st.integers(0, 8 * 24).map(lambda hours: START + hours * HOUR),
    st.integers(0, 8 * 24 * 3_600_000_000 - 1).map(lambda us: START + timedelta(microseconds=us)),
    st.tuples(st.integers(0, 8 * 24), st.sampled_from([-1, 1])).map(
        lambda pair: START + pair[0] * HOUR + timedelta(microseconds=pair[1])
    ),
)
delays = st.one_of(
    st.none(), st.integers(-3, 60).map(lambda hours: hours * HOUR), st.timedeltas(timedelta(0), 3 * HOUR)
)


@st.composite
def event(draw: st.DrawFn) -> Event:
    at = draw(st.one_of(instants, st.none()) if draw(st.integers(0, 9)) == 0 else instants)
    delay = draw(delays)
    return Event(
        draw(st.sampled_from([1, 1, 1, 2, 3, None])),
        at,
        None if delay is None or at is None else at + delay,
        draw(st.one_of(st.none(), st.integers(0, 4))),
        draw(st.one_of(st.none(), st.sampled_from([0.1, 0.2, 1e6, -3.5]), st.just(float("nan")))),
        draw(st.sampled_from([None, "a", "b", "c"])),
    )


cuts = st.lists(st.integers(1, 7 * 24 * 4 - 1).map(lambda n: START + timedelta(days=1) + n * HOUR / 4), max_size=3).map(
    lambda inner: sorted({START + timedelta(days=1), *inner, START + timedelta(days=9)})
)
examples = settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes
)


Filled = Callable[[Sequence[Event]], OfflineStore]
_numbers = numbers()


@pytest.fixture
def embedded(tmp_path: Path) -> Filled:
    def filled(events: Sequence[Event]) -> OfflineStore:
        fill(tmp_path, {"theirs.orders": rows_of(events)})
        return DuckDBOfflineStore(tmp_path)

    return filled


@pytest.fixture
def emulated(bigquery_emulator: BigQueryEmulator) -> Iterator[Filled]:
    with bigquery_emulator.client() as client:

        def filled(events: Sequence[Event]) -> OfflineStore:
            dataset = f"windows_{next(_numbers)}"
            fill_bigquery(client, {"theirs.orders": rows_of(events)})
            return BigQueryOfflineStore(client, dataset=dataset, storage_client=bigquery_emulator.read_client())

        yield filled


US_1 = timedelta(microseconds=1)
NOON = START + timedelta(days=4, hours=12)  # the day before the clocks change in Europe
EDGES = [
    Event(1, NOON, None, 4, 0.1, "a"),
    Event(1, NOON, None, 1, float("nan"), "b"),
    Event(1, NOON - US_1, None, 1, 0.2, "b"),
    Event(1, NOON + US_1, NOON + 5 * HOUR, 2, float("nan"), "a"),
    Event(1, NOON + HOUR, NOON + HOUR, 3, 1e6, "a"),
    Event(1, NOON + HOUR, NOON - HOUR, None, None, None),
    Event(1, NOON + 26 * HOUR, NOON + 30 * HOUR + US_1, 2, -3.5, "c"),
    Event(1, NOON + 26 * HOUR, NOON + 90 * HOUR, 9, -4.5, "d"),  # known after it left most windows
    Event(2, NOON + 12 * HOUR, None, 0, 0.5, "a"),
    Event(2, NOON + 37 * HOUR - US_1, NOON + 37 * HOUR, 0, 0.5, "b"),
    Event(None, NOON, None, 7, 7.0, "n"),
    Event(3, None, NOON, 7, 7.0, "n"),
]
SOURCES = {"on time": ON_TIME, "late": LATE}
WHOLE = (START + timedelta(days=1), NOON + 3 * HOUR, START + timedelta(days=9))


FAST = {"hourly", "local days", "at events"}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize(
    "windows",
    [pytest.param(each, id=name, marks=[] if name in FAST else pytest.mark.slow) for name, each in WINDOWS.items()],
)
def test_the_edges_of_windows_are_exact_to_the_microsecond(windows: Windows, source: Source, embedded: Filled) -> None:
    compare(EDGES, source, embedded(EDGES), windows, WHOLE)


ON_BIGQUERY = ("shifted", "local days")  # the witness has all


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("windows", [WINDOWS[name] for name in ON_BIGQUERY], ids=ON_BIGQUERY)
def test_the_edges_of_windows_are_exact_on_bigquery(windows: Windows, source: Source, emulated: Filled) -> None:
    compare(EDGES, source, emulated(EDGES), windows, WHOLE[::2])


def test_hourly_windows_equal_their_definition(embedded: Filled) -> None:
    @settings(examples, max_examples=4)
    @given(st.lists(event(), max_size=8), cuts, st.sampled_from([ON_TIME, LATE]))
    def check(events: list[Event], cuts: list[datetime], source: Source) -> None:
        compare(events, source, embedded(events), WINDOWS["hourly"], cuts)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("windows", WINDOWS.values(), ids=WINDOWS)
def test_windows_equal_their_definition(windows: Windows, embedded: Filled) -> None:
    @examples
    @given(st.lists(event(), max_size=12), cuts, st.sampled_from([ON_TIME, LATE]))
    def check(events: list[Event], cuts: list[datetime], source: Source) -> None:
        store = embedded(events)
        compare(events, source, store, windows, cuts)
        compare(events, source, store, windows, cuts, HOPS)

    check()
