"""Views over late rows equal plain Python, however time is cut, whenever they are computed, on both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count, pairwise
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amora_fs_assets import FeatureView, Interval
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.operations.expressions.tables import within
from amora_fs_assets.operations.offline.lateness import overdue_of
from amora_fs_assets.operations.offline.transform import query_of
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.operations.offline import late_oracle as oracle
from amora_fs_assets_tests.operations.offline.late_oracle import BOUND, END, START, US, Row
from amora_fs_assets_tests.operations.stores import fill, fill_bigquery

Filled = Callable[[Sequence[Row], pa.Table], OfflineStore]
"""A store that holds the source's rows, and the rows of the view that another view reads."""
Cut = Callable[[Random], Sequence[datetime]]
"""How time is cut into intervals."""
NONE_YET = pa.table({"customer": pa.array([], pa.int64()), "event_timestamp": pa.array([], US),
                     "created_timestamp": pa.array([], US), "amount": pa.array([], pa.int64())})  # fmt: skip
SOURCES = {"no bound": oracle.unbounded, "max_lateness": oracle.bounded}
_numbers = count()


@pytest.fixture
def embedded(tmp_path: Path) -> Filled:
    def filled(rows: Sequence[Row], upstream: pa.Table) -> OfflineStore:
        fill(tmp_path, {"theirs.orders": oracle.as_table(rows), "feature_store.corrected": upstream})
        return DuckDBOfflineStore(tmp_path)

    return filled


@pytest.fixture
def emulated(bigquery_emulator: BigQueryEmulator) -> Iterator[Filled]:
    with bigquery_emulator.client() as client:

        def filled(rows: Sequence[Row], upstream: pa.Table) -> OfflineStore:
            dataset = f"late_{next(_numbers)}"
            fill_bigquery(client, {"theirs.orders": oracle.as_table(rows), f"{dataset}.corrected": upstream})
            return BigQueryOfflineStore(client, dataset=dataset, storage_client=bigquery_emulator.read_client())

        yield filled


def computed(view: FeatureView, start: datetime, end: datetime, store: OfflineStore) -> pa.Table:
    """What a computation of [start, end) publishes."""
    interval = Interval(start, end)
    since = {each.source: each.since for each in overdue_of(view, interval, store)}
    query = query_of(view, interval, store.dataset, since)
    with store.read(query.filter(within(query[EVENT_TIMESTAMP], interval))) as batches:
        return batches.read_all()


def together(parts: Sequence[pa.Table]) -> list[oracle.Found]:
    rows = pa.concat_tables(parts).select(["customer", EVENT_TIMESTAMP, "amount"]).to_pylist()
    return sorted((row["customer"], row[EVENT_TIMESTAMP], row["amount"]) for row in rows)


def afterwards(rows: Sequence[Row], rng: Random, views: dict[str, FeatureView], filled: Filled, cut: Cut) -> None:
    """Each view is computed once all rows are there, cut in its own way."""
    store = filled(rows, NONE_YET)
    inner = [computed(views["corrected"], *part, store) for part in pairwise(cut(rng))]
    store = filled(rows, pa.concat_tables(inner))
    right = oracle.expected(rows)
    assert together(inner) == right["corrected"]
    for name in right.keys() - {"corrected"}:
        cuts = cut(rng)
        assert together([computed(views[name], *part, store) for part in pairwise(cuts)]) == right[name], (name, cuts)


def on_time(rows: Sequence[Row], rng: Random, views: dict[str, FeatureView], filled: Filled, cut: Cut) -> None:
    """Each interval is computed when it ends: no row that became known later is there yet."""
    found: dict[str, list[pa.Table]] = {name: [] for name in views}
    for start, end in pairwise(cut(rng)):
        there = [row for row in rows if oracle.known(row) < end]
        store = filled(there, pa.concat_tables([NONE_YET, *found["corrected"]]))
        found["corrected"].append(computed(views["corrected"], start, end, store))
        store = filled(there, pa.concat_tables(found["corrected"]))
        for name in found.keys() - {"corrected"}:
            found[name].append(computed(views[name], start, end, store))
    right = oracle.expected(rows)
    for name, parts in found.items():
        assert together(parts) == right[name], name


BOTH = pytest.mark.parametrize("compute", [afterwards, on_time])


def of_theirs(source: str) -> dict[str, FeatureView]:
    return oracle.views(SOURCES[source])


@BOTH
@given(rng=st.randoms(use_true_random=False))
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), phases=set(Phase) - {Phase.shrink})
def test_late_rows_are_where_plain_python_has_them(rng: Random, compute: Callable[..., None], embedded: Filled) -> None:
    compute(oracle.some_rows(rng, BOUND), rng, of_theirs(rng.choice([*SOURCES])), embedded, oracle.some_cuts)


@BOTH
@given(rng=st.randoms(use_true_random=False))
@settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck), phases=set(Phase) - {Phase.shrink})
def test_rows_later_than_the_bound_are_not_lost_either(
    rng: Random, compute: Callable[..., None], embedded: Filled
) -> None:
    rows = [(1, START, START + 2 * BOUND, 4), *oracle.some_rows(rng, BOUND + timedelta(days=1))]
    compute(rows, rng, of_theirs("max_lateness"), embedded, lambda _: [START, START + timedelta(days=3), END])


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("latest", [BOUND, BOUND + timedelta(days=1)], ids=["within the bound", "beyond it"])
@pytest.mark.parametrize("source", SOURCES)
@given(rng=st.randoms(use_true_random=False))
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), phases=set(Phase) - {Phase.shrink})
def test_many_histories_of_late_rows_are_where_plain_python_has_them(
    rng: Random, source: str, latest: timedelta, compute: Callable[..., None], embedded: Filled
) -> None:
    """Forty histories in sum; the soak has late rows too, and compares each view with its model."""
    compute(oracle.some_rows(rng, latest), rng, of_theirs(source), embedded, oracle.some_cuts)


@pytest.mark.slow
@pytest.mark.google
@pytest.mark.parametrize("source", SOURCES)
def test_late_rows_are_where_plain_python_has_them_through_the_real_client(source: str, emulated: Filled) -> None:
    rng = Random(12)
    rows = oracle.some_rows(rng, BOUND + timedelta(days=1))
    store, views, right = emulated(rows, NONE_YET), of_theirs(source), oracle.expected(rows)
    middle = START + timedelta(days=2, hours=7)
    for name in ("row_wise", "trailing", "pairs", "corrected"):
        cuts = [START, middle, END]
        assert together([computed(views[name], *cut, store) for cut in pairwise(cuts)]) == right[name], name
    store = emulated(rows, computed(views["corrected"], START, END, store))
    parts = [computed(views["of_corrected"], *cut, store) for cut in pairwise([START, middle, END])]
    assert together(parts) == right["of_corrected"]


def test_the_oracle_knows_late_rows_from_others() -> None:
    """The histories hold what they are about: else the comparison would prove nothing."""
    rows = [row for seed in range(20) for row in oracle.some_rows(Random(seed), BOUND)]
    late = [oracle.known(row) - row[1] for row in rows]
    assert {timedelta(0), timedelta(hours=1), BOUND} < set(late)
    assert any(row[2] is None for row in rows)
    assert any(row[2] is not None and row[2] < row[1] for row in rows)
    assert START + BOUND < max(map(oracle.known, rows)) < END - BOUND + timedelta(days=1)
    assert CREATED_TIMESTAMP in NONE_YET.column_names
