"""Pushes to views of external tables, and pushes before the first load."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amora_fs_assets import Entity, FeatureSchema, FeatureService, FeatureStore, FeatureView, Field, Settings, Timestamp
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import ChecksFailed, OnlineStateLost
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.time import utc
from amora_fs_assets.domain.training_set import TrainingSet
from amora_fs_assets.operations.online.push import push
from amora_fs_assets.operations.training.historical import historical_features
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests import small
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.operations.stores import MergingDuckDBStore, fill, fill_bigquery
from amora_fs_assets_tests.small import at

TIME = pa.timestamp("us", tz="UTC")
NOW = at(1, month=3)


class Sizes(FeatureSchema):
    """Sizes of shops, by another team."""

    shop: int
    created_timestamp: Timestamp = Field(nullable=True)
    size: float = Field(ge=0, nullable=True)


shop = Entity("shop")
SIZES = FeatureView("sizes", Sizes, [shop], table="theirs.sizes")


def _spine(sizes: Any) -> Any:
    return sizes.select("shop", "event_timestamp", label=sizes["size"] > 1)


BOUGHT = TrainingSet("bought", FeatureService("model", [SIZES]), [SIZES], spine=_spine)
Row = tuple[int, datetime, datetime | None, float]
"""Shop, event_timestamp, created_timestamp, size."""


def table(*rows: Row) -> pa.Table:
    shops, times, created, sizes = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pa.table(
        {
            "shop": pa.array(shops, pa.int64()),
            "event_timestamp": pa.array(times, TIME),
            "created_timestamp": pa.array(created, TIME),
            "size": pa.array(sizes, pa.float64()),
        }
    )


def put(home: Path, rows: pa.Table) -> None:
    """Another team fills its table anew; nothing else changes."""
    with duckdb.connect(home / "offline.duckdb") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("given", rows)
        connection.execute("CREATE OR REPLACE TABLE theirs.sizes AS FROM given")


@pytest.fixture
def fs(tmp_path: Path) -> Iterator[FeatureStore]:
    fill(tmp_path, {"theirs.sizes": table((1, at(2), None, 2.0))})
    with FeatureStore(Settings(home=tmp_path, now=NOW), Catalogue.of([BOUGHT])) as store:
        store.apply()
        yield store


def pushed(fs: FeatureStore, shop: int, time: datetime, size: float, **options: Any) -> int:
    return fs.push("sizes", [{"shop": shop, "event_timestamp": time, "size": size}], **options)


def online(fs: FeatureStore, *shops: int) -> list[Any]:
    return fs.get_online_features("sizes", {"shop": list(shops)}).to_dict()["size"]


def joined(fs: FeatureStore, *asked: tuple[int, datetime]) -> list[Any]:
    spine = pa.table({"shop": [each for each, _ in asked], "event_timestamp": pa.array([t for _, t in asked], TIME)})
    return list(fs.get_historical_features("sizes", spine).to_arrow()["size"].to_pylist())


def test_a_pushed_row_is_online_and_in_training_sets_and_comes_back_with_a_load(fs: FeatureStore) -> None:
    fs.materialize_incremental()
    assert pushed(fs, 1, at(5), 5.0) == 1
    assert online(fs, 1) == [5.0]
    assert joined(fs, (1, at(4)), (1, at(5))) == [2.0, 5.0]
    assert fs.get_historical_features("sizes", start=at(1)).to_arrow()["size"].to_pylist().count(5.0) == 1
    fs.build_training_set("bought")
    assert fs.load_training_set("bought")["size"].tolist() == [2.0]  # its spine is of the table alone
    state = fs.online.state("sizes")
    fs.online.remove("sizes")  # as after an emptied Redis
    with pytest.raises(OnlineStateLost, match="was loaded"):
        online(fs, 1)
    with pytest.raises(OnlineStateLost, match="was loaded"):
        pushed(fs, 1, at(6), 6.0)
    assert fs.materialize_incremental()["sizes"].published_through == state.generations[-1].published_through + 1
    assert online(fs, 1) == [5.0]
    assert fs.parity("sizes").passed


def test_a_row_of_the_table_that_is_as_new_takes_the_place_of_a_pushed_row(fs: FeatureStore, tmp_path: Path) -> None:
    fs.materialize_incremental()
    pushed(fs, 1, at(5), 5.0)
    put(tmp_path, table((1, at(2), None, 2.0), (1, at(5), at(5), 50.0)))
    assert joined(fs, (1, at(5))) == [50.0]
    fs.materialize_incremental()
    assert online(fs, 1) == [50.0]
    put(tmp_path, table((1, at(5), at(4), 50.0), (1, at(9), None, 9.0)))
    fs.materialize_incremental()
    assert online(fs, 1) == [9.0]
    assert joined(fs, (1, at(5)), (1, at(9))) == [5.0, 9.0]  # until then the pushed row was known later
    assert fs.parity("sizes").passed


def test_the_same_row_pushed_again_replaces_the_one_before(fs: FeatureStore) -> None:
    for size in (5.0, 6.0):
        pushed(fs, 1, at(5), size, to="offline")
    assert joined(fs, (1, at(5))) == [6.0]
    assert online(fs, 1) == [None]
    fs.materialize_incremental()
    assert online(fs, 1) == [6.0]


def test_a_push_that_breaks_a_rule_is_kept_nowhere(fs: FeatureStore) -> None:
    with pytest.raises(ChecksFailed, match="Nothing was pushed"):
        pushed(fs, 1, at(5), -5.0)
    assert fs.offline.columns("feature_store._pushed_sizes") is None


def test_a_row_from_the_future_waits_for_its_time(fs: FeatureStore) -> None:
    fs.materialize_incremental()
    late = NOW + timedelta(days=1)
    assert pushed(fs, 1, late, 7.0) == 0
    assert online(fs, 1) == [2.0]
    fs.materialize_incremental(late)
    assert online(fs, 1) == [7.0]


@pytest.mark.slow
def test_a_view_applied_anew_or_with_other_types_begins_without_pushes(fs: FeatureStore, tmp_path: Path) -> None:
    pushed(fs, 1, at(5), 5.0, to="offline")
    fs.teardown()
    fs.apply()
    assert joined(fs, (1, at(5))) == [2.0]
    pushed(fs, 1, at(6), 6.0, to="offline")
    assert joined(fs, (1, at(5)), (1, at(6))) == [2.0, 6.0]

    class Whole(FeatureSchema):
        shop: int
        size: int

    put(tmp_path, pa.table({"shop": [1], "event_timestamp": pa.array([at(2)], TIME), "size": [3]}))
    whole = Catalogue.of([FeatureView("sizes", Whole, [shop], table="theirs.sizes")])
    with FeatureStore(Settings(home=tmp_path, now=NOW), whole) as changed:
        changed.apply(prune=True, allow_breaking=True)
        assert joined(changed, (1, at(6))) == [3]
        changed.push("sizes", [{"shop": 1, "event_timestamp": at(7), "size": 7}], to="offline")
        assert joined(changed, (1, at(6)), (1, at(7))) == [3, 7]


@pytest.mark.slow
def test_an_added_feature_is_null_in_rows_pushed_before(fs: FeatureStore, tmp_path: Path) -> None:
    pushed(fs, 1, at(5), 5.0, to="offline")

    class More(Sizes):
        floors: int = Field(nullable=True)

    put(tmp_path, table((1, at(2), None, 2.0)).append_column("floors", pa.array([3], pa.int64())))
    more = Catalogue.of([FeatureView("sizes", More, [shop], table="theirs.sizes")])
    with FeatureStore(Settings(home=tmp_path, now=NOW), more) as changed:
        changed.apply(prune=True, allow_breaking=True)
        asked = pa.table({"shop": [1, 1], "event_timestamp": pa.array([at(3), at(5)], TIME)})
        found = changed.get_historical_features("sizes", asked).to_arrow().to_pylist()
        assert [(row["size"], row["floors"]) for row in found] == [(2.0, 3), (5.0, None)]
        changed.push("sizes", [{"shop": 1, "event_timestamp": at(6), "size": 6.0, "floors": 4}], to="offline")
        assert changed.get_historical_features("sizes", asked).to_arrow()["floors"].to_pylist() == [3, None]


TIMES = st.sampled_from([at(day) for day in range(1, 6)])
ROWS = st.lists(
    st.tuples(st.integers(1, 2), TIMES, st.none() | TIMES, st.floats(0, 9).map(float)),
    unique_by=lambda row: (row[0], row[1], max(row[1], row[2] or row[1])),
    max_size=8,
)  # fmt: skip


def truth(of_table: list[Row], of_pushes: list[Row], shop: int, moment: datetime, *, known: bool) -> float | None:
    """The size of the row that counts, by the semantics in docs/online.md alone."""
    rows = [(row, 1) for row in of_table] + [(row, 0) for row in of_pushes]
    counting = [
        ((time, created or time, is_table, size), size)
        for (key, time, created, size), is_table in rows
        if key == shop and time <= moment and (not known or (created or time) <= moment)
    ]
    return max(counting)[1] if counting else None


@pytest.mark.slow
@pytest.mark.parametrize("kind", [DuckDBOfflineStore, MergingDuckDBStore])
@given(of_table=ROWS, of_pushes=ROWS, known=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_join_counts_the_newest_row_of_table_and_pushes(
    tmp_path_factory: pytest.TempPathFactory,
    kind: type[DuckDBOfflineStore],
    of_table: list[Row],
    of_pushes: list[Row],
    known: bool,
) -> None:
    home = tmp_path_factory.mktemp("home")
    fill(home, {"theirs.sizes": table(*of_table)})
    store = kind(home)
    checked_joins(store, of_table, of_pushes, known=known)


def checked_joins(store: OfflineStore, of_table: list[Row], of_pushes: list[Row], *, known: bool) -> None:
    push(SIZES, table(*of_pushes), online=None, offline=store, run_id="push-1", clock=NOW)
    asked = [(key, at(day)) for key in (1, 2) for day in range(1, 6)]
    spine = pa.table({"shop": [key for key, _ in asked], "event_timestamp": pa.array([t for _, t in asked], TIME)})
    service = FeatureService("sizes", [SIZES["size"]])
    found = historical_features(service, spine, store=store, known_time=known).to_arrow()["size"].to_pylist()
    assert found == [truth(of_table, of_pushes, key, moment, known=known) for key, moment in asked]


@pytest.mark.slow
@pytest.mark.google
def test_pushed_rows_are_kept_in_bigquery_too(bigquery_emulator: BigQueryEmulator) -> None:
    of_table: list[Row] = [(1, at(1), None, 1.0), (1, at(3), at(4), 3.0), (2, at(2), None, 2.0)]
    of_pushes: list[Row] = [(1, at(2), None, 20.0), (1, at(3), at(4), 30.0), (2, at(4), None, 40.0)]
    with bigquery_emulator.client() as client:
        fill_bigquery(client, {"theirs.sizes": table(*of_table)})
        store = BigQueryOfflineStore(client, dataset="pushed_external", storage_client=bigquery_emulator.read_client())
        checked_joins(store, of_table, of_pushes, known=False)


PUSHED = {"customer": 7, "event_timestamp": at(5, month=2), "amount": 7.0}


class TestBeforeTheFirstLoad:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[FeatureStore]:
        with FeatureStore(Settings(home=tmp_path, now=utc(small.CLOCK)), small.catalogue(ttl=None)) as store:
            store.apply()
            store.compute("2020-01-01", "2020-03-01")
            yield store

    def amounts(self, store: FeatureStore) -> list[Any]:
        return store.get_online_features("spending", {"customer": [7, 3]}).to_dict()["amount"]

    @pytest.mark.parametrize("to", ["online", "online_and_offline"])
    def test_a_pushed_row_is_served_and_the_first_load_brings_the_others(self, store: FeatureStore, to: str) -> None:
        assert store.push("spending", [PUSHED], to=to) == 1
        assert self.amounts(store) == [7.0, None]
        assert store.parity("spending").passed
        loaded = store.materialize_incremental()["spending"]
        assert loaded.new_generation
        assert self.amounts(store) == [7.0 if to == "online_and_offline" else None, 50.0]
        assert store.parity("spending").passed

    def test_a_push_offline_leaves_the_view_unloaded(self, store: FeatureStore) -> None:
        assert store.push("spending", [PUSHED], to="offline") == 0
        assert store.online.state("spending").live is None

    def test_rows_that_are_refused_begin_nothing(self, store: FeatureStore) -> None:
        with pytest.raises(ChecksFailed):
            store.push("spending", [{**PUSHED, "amount": -1.0}])
        assert store.push("spending", []) == 0
        assert store.online.state("spending").live is None

    def test_a_window_after_it_and_a_full_load_after_that(self, store: FeatureStore) -> None:
        store.push("spending", [PUSHED])
        store.materialize("2020-02-03", "2020-02-04")
        assert self.amounts(store) == [7.0, 50.0]
        store.materialize_incremental(full=True)
        assert self.amounts(store) == [7.0, 50.0]

    def test_an_emptied_redis_is_noticed_after_pushes_alone(self, store: FeatureStore) -> None:
        store.push("spending", [PUSHED])
        store.online.remove("spending")
        with pytest.raises(OnlineStateLost):
            self.amounts(store)

    @pytest.mark.slow
    def test_pushes_at_once_begin_one_generation(self, store: FeatureStore) -> None:
        rows = [{**PUSHED, "customer": number} for number in range(8)]
        with ThreadPoolExecutor(4) as pool:
            won = list(pool.map(lambda row: store.push("spending", [row], to="online"), rows))
        assert won == [1] * 8
        found = store.get_online_features("spending", {"customer": list(range(8))}).to_dict()["amount"]
        assert found == [7.0] * 8
        assert len(store.online.state("spending").generations) == 1
