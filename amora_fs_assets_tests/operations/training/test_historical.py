"""Historical features for a caller: the frame comes back as it was, with features beside it."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from amora_fs_assets import Entity, FeatureService, FeatureStore, FeatureView, Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import (
    FeatureNotFound,
    FeatureServiceNotFound,
    FeatureViewNotFound,
    InvalidRequest,
    OfflineStoreError,
    TableNotFound,
)
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.training.beside import MANY
from amora_fs_assets.operations.training.historical import historical_features
from amora_fs_assets.operations.training.spine import one_query
from amora_fs_assets.stores.duckdb.dialect import DUCKDB
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests.operations.stores import MergingDuckDBStore, fill
from amora_fs_assets_tests.small import at

TIME = pa.timestamp("us", tz="UTC")
AIRPORT, TIMES = Column("airport", DataType.STRING), Column("event_timestamp", DataType.TIMESTAMP)
CARRIER = Column("carrier", DataType.INT64)


def column(name: str, type_: DataType = DataType.INT64) -> Column:
    return Column(name, type_, nullable=True)


WEATHER = FeatureView(
    "weather", (AIRPORT, TIMES, column("wind"), column("rain", DataType.FLOAT64), column("calm", DataType.BOOLEAN)),
    [Entity("airport")], table="theirs.weather", ttl=timedelta(hours=2),
)  # fmt: skip
DELAYS = FeatureView(
    "delays", (CARRIER, TIMES, column("wind"), column("late")), [Entity("carrier")], table="theirs.delays"
)
NEVER = FeatureView("never", (CARRIER, TIMES, column("x")), [Entity("carrier")], start="2020-01-01")
SERVICE = FeatureService(
    "flights", [WEATHER["wind", "calm"].alias("origin_weather", {"airport": "origin"}), DELAYS["late"]]
)
TABLES = {
    "theirs.weather": pa.table(
        {
            "airport": ["JFK", "JFK", "LGA"],
            "event_timestamp": pa.array([at(1, 1), at(1, 3), at(1, 1)], TIME),
            "wind": pa.array([10, None, 30], pa.int64()),
            "rain": [0.5, 0.0, 1.5],
            "calm": [False, True, False],
        }
    ),
    "theirs.delays": pa.table(
        {
            "carrier": pa.array([1], pa.int64()),
            "event_timestamp": pa.array([at(1)], TIME),
            "wind": pa.array([7], pa.int64()),
            "late": pa.array([3], pa.int64()),
        }
    ),
}


@pytest.fixture(scope="module")
def fs(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    home = tmp_path_factory.mktemp("home")
    fill(home, TABLES)
    store = FeatureStore(Settings(home=home), Catalogue.of([SERVICE, NEVER]))
    store.apply()
    return store


def frame(**more: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "origin": ["LGA", "JFK", "JFK", None],
            "carrier": [1, 1, 2, 2],
            "event_timestamp": pd.to_datetime(["2020-01-01T02", "2020-01-01T03", "2020-01-01T02", "2020-01-01T02"]),
            **more,
        },
        index=pd.Index([7, 5, 7, 1], name="flight"),
    )


def test_a_frame_comes_back_in_its_order_with_features_beside_it(fs: FeatureStore) -> None:
    asked = frame(label=[True, False, True, False])
    result = fs.get_historical_features("flights", asked).to_df()
    pd.testing.assert_frame_equal(result[list(asked.columns)], asked)
    assert result["wind"].tolist() == [30, pd.NA, 10, pd.NA]
    assert result["late"].tolist() == [3, 3, pd.NA, pd.NA]


def test_the_callers_frame_is_not_changed(fs: FeatureStore) -> None:
    asked = frame()
    fs.get_historical_features("flights", asked).to_df()
    pd.testing.assert_frame_equal(asked, frame())


def test_integers_and_truth_values_stay_such_when_null(fs: FeatureStore) -> None:
    result = fs.get_historical_features("flights", frame()).to_df()
    assert result.dtypes[["wind", "late", "calm"]].astype(str).tolist() == ["Int64", "Int64", "boolean"]


def test_references_are_asked_for_by_view_and_feature(fs: FeatureStore) -> None:
    result = fs.get_historical_features(["delays:late", "delays:wind"], frame()).to_arrow()
    assert result.column_names[-2:] == ["late", "wind"]


def test_full_names_are_the_views_or_the_alias(fs: FeatureStore) -> None:
    result = fs.get_historical_features("flights", frame(), full_feature_names=True).to_arrow()
    assert result.column_names[-3:] == ["origin_weather__wind", "origin_weather__calm", "delays__late"]


def test_two_features_of_one_short_name_are_refused(fs: FeatureStore) -> None:
    with pytest.raises(InvalidRequest, match="'delays:wind'.*'weather:wind'.*full_feature_names=True"):
        fs.get_historical_features(["weather:wind", "delays:wind"], frame(airport="JFK"))


@pytest.mark.parametrize("zone", ["UTC", "America/Sao_Paulo", "Asia/Kolkata"])
def test_an_instant_is_the_same_in_every_zone(fs: FeatureStore, zone: str) -> None:
    asked = frame()
    asked["event_timestamp"] = asked["event_timestamp"].dt.tz_localize("UTC").dt.tz_convert(zone)
    result = fs.get_historical_features("flights", asked).to_df()
    assert result["wind"].tolist() == [30, pd.NA, 10, pd.NA]
    assert str(result["event_timestamp"].dt.tz) == zone


def test_the_hour_that_clocks_repeat_is_two_hours(fs: FeatureStore) -> None:
    twice = pd.to_datetime(["2020-11-01T05:30Z", "2020-11-01T06:30Z"]).tz_convert("America/New_York")
    result = fs.get_historical_features("delays", pd.DataFrame({"carrier": [1, 1], "event_timestamp": twice})).to_df()
    assert result["event_timestamp"].tolist() == twice.tolist()
    assert result["late"].tolist() == [3, 3]


def test_a_nanosecond_before_a_row_does_not_see_it(fs: FeatureStore) -> None:
    times = pd.to_datetime(["2020-01-01T02:59:59.999999999", "2020-01-01T03:00:00.000000000"])
    asked = pd.DataFrame({"airport": ["JFK", "JFK"], "event_timestamp": times})
    assert fs.get_historical_features(["weather:rain"], asked).to_df()["rain"].tolist() == [0.5, 0.0]


def test_both_ends_of_the_ttl_are_included(fs: FeatureStore) -> None:
    times = [at(1, 3) + timedelta(microseconds=k) for k in (0, 1)]
    asked = pa.table({"airport": ["LGA", "LGA"], "event_timestamp": pa.array(times, TIME)})
    assert fs.get_historical_features(["weather:wind"], asked).to_arrow()["wind"].to_pylist() == [30, None]


def test_categories_are_keys(fs: FeatureStore) -> None:
    asked = frame()
    asked["origin"] = asked["origin"].astype("category")
    assert fs.get_historical_features("flights", asked).to_df()["wind"].tolist() == [30, pd.NA, 10, pd.NA]


def test_integer_keys_that_pandas_made_floats_of_are_keys(fs: FeatureStore) -> None:
    asked = frame(carrier=[1.0, float("nan"), 2.0, 1.0])
    assert fs.get_historical_features("flights", asked).to_df()["late"].tolist() == [3, pd.NA, pd.NA, 3]


def test_no_rows_give_no_rows(fs: FeatureStore) -> None:
    result = fs.get_historical_features("flights", frame().iloc[:0]).to_df()
    assert len(result) == 0
    assert list(result.columns) == ["origin", "carrier", "event_timestamp", "wind", "calm", "late"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"drop": "origin"}, "no column 'origin'.*Columns"),
        ({"drop": "event_timestamp"}, "no column 'event_timestamp'"),
        ({"event_timestamp": "2020-01-01"}, "'event_timestamp' is string.*pd.to_datetime"),
        ({"event_timestamp": 20200101}, "'event_timestamp' is int64.*pd.to_datetime"),
        ({"origin": 5}, "'origin' is int64.*string"),
        ({"carrier": "AA"}, "'carrier' is string.*int64"),
        ({"carrier": 1.5}, "'carrier' is not int64"),
        ({"carrier": True}, "'carrier' is bool.*int64"),
        ({"wind": 1}, "'origin_weather:wind' has the name of a column 'wind'.*full_feature_names"),
    ],
)
def test_a_frame_that_cannot_be_joined_is_refused(fs: FeatureStore, changes: dict[str, Any], said: str) -> None:
    drop = changes.pop("drop", None)
    asked = frame(**changes) if drop is None else frame().drop(columns=drop)
    with pytest.raises(InvalidRequest, match=said):
        fs.get_historical_features("flights", asked)


def test_what_is_no_frame_is_refused(fs: FeatureStore) -> None:
    with pytest.raises(InvalidRequest, match="entity_df is list; give a pandas or polars DataFrame"):
        fs.get_historical_features("flights", [{"carrier": 1}])


def test_unknown_features_are_named_with_the_nearest(fs: FeatureStore) -> None:
    with pytest.raises(FeatureServiceNotFound, match="Did you mean 'flights'"):
        fs.get_historical_features("flight", frame())
    with pytest.raises(FeatureViewNotFound, match="Did you mean 'delays'"):
        fs.get_historical_features(["delay:late"], frame())
    with pytest.raises(FeatureNotFound, match="Did you mean 'delays:late'"):
        fs.get_historical_features(["delays:lat"], frame())
    with pytest.raises(InvalidRequest, match="'late' is not written as 'view:feature'"):
        fs.get_historical_features(["late"], frame())


def test_a_view_that_was_never_computed_is_named_with_the_command(fs: FeatureStore) -> None:
    with pytest.raises(TableNotFound, match="'never'.*amora-fs compute --feature-views never"):
        fs.get_historical_features("never", frame())


def test_nothing_holds_the_store_between_asking_and_taking(fs: FeatureStore, tmp_path: Path) -> None:
    lazy = fs.get_historical_features("flights", frame())
    with fs.offline._open(write=True) as connection:  # type: ignore[attr-defined]
        connection.execute("UPDATE theirs.delays SET late = late + 0")
    assert len(lazy.to_df()) == 4


def test_a_row_counts_from_when_it_became_known(tmp_path: Path) -> None:
    created = Column("created_timestamp", DataType.TIMESTAMP, nullable=True)
    view = FeatureView("v", (CARRIER, TIMES, created, column("x")), [Entity("carrier")], table="theirs.v")
    days = [at(1), at(1), at(2)]
    fill(
        tmp_path,
        {
            "theirs.v": pa.table(
                {
                    "carrier": pa.array([1, 1, 1], pa.int64()),
                    "event_timestamp": pa.array(days, TIME),
                    "created_timestamp": pa.array([None, at(4), at(3)], TIME),
                    "x": pa.array([1, 10, 2], pa.int64()),
                }
            )
        },
    )
    store = FeatureStore(Settings(home=tmp_path), Catalogue.of([view]))
    store.apply()
    asked = pa.table(
        {
            "carrier": pa.array([1] * 4, pa.int64()),
            "event_timestamp": pa.array([datetime(2020, 1, d, tzinfo=UTC) for d in (1, 2, 3, 5)], TIME),
        }
    )
    assert store.get_historical_features("v", asked).to_arrow()["x"].to_pylist() == [10, 2, 2, 2]
    known = store.get_historical_features("v", asked, known_time=True).to_arrow()
    assert known["x"].to_pylist() == [1, 1, 2, 2]


def spine_table(fs: FeatureStore) -> pa.Table:
    return pa.Table.from_pandas(frame(label=[1, 2, 3, 4]), preserve_index=False).cast(
        pa.schema([("origin", pa.string()), ("carrier", pa.int64()), ("event_timestamp", TIME), ("label", pa.int64())])
    )


def sorted_rows(result: pa.Table) -> list[dict[str, Any]]:
    return sorted(result.to_pylist(), key=lambda row: row["label"])


def test_polars_arrow_pandas_and_ibis_frames_give_the_same(fs: FeatureStore) -> None:
    asked = spine_table(fs)
    expected = fs.get_historical_features("flights", asked).to_arrow()
    for same in (pl.DataFrame(asked), asked.to_pandas(), ibis.memtable(asked)):
        result = fs.get_historical_features("flights", same).to_arrow()
        assert result.to_pylist() == expected.to_pylist()


def test_a_select_is_joined_in_the_store(fs: FeatureStore) -> None:
    times = "TIMESTAMPTZ '2020-01-01 02:00:00Z' + to_hours((i = 2)::INT)"
    select = f"SELECT i AS label, ['LGA', 'JFK', 'JFK', NULL][i] AS origin, CASE WHEN i < 3 THEN 1 ELSE 2 END AS carrier, {times} AS event_timestamp FROM range(1, 5) t(i)"  # noqa: E501
    expected = sorted_rows(fs.get_historical_features("flights", spine_table(fs)).to_arrow())
    result = sorted_rows(fs.get_historical_features("flights", select).to_arrow())
    assert result == [{name: row[name] for name in result[0]} for row in expected]


def test_a_query_that_changes_at_each_reading_is_read_once(fs: FeatureStore) -> None:
    select = "SELECT 'JFK' AS airport, TIMESTAMPTZ '2020-01-01 00:00:00Z' + to_minutes((random() * 600)::INT) AS event_timestamp, random() AS x FROM range(500)"  # noqa: E501
    query = fs.get_historical_features(["weather:wind", "weather:rain"], select)
    merging = replace(query, store=MergingDuckDBStore(fs.settings.home))
    merging = replace(merging, join=partial(merging.join, dialect=replace(DUCKDB, has_asof_join=False)))
    for asked in (query, merging):
        rows = asked.to_arrow().to_pylist()
        assert len(rows) == 500
        for row in rows:
            hour = row["event_timestamp"]
            expected = None if hour < at(1, 1) or hour > at(1, 5) else 0.5 if hour < at(1, 3) else 0.0
            assert row["rain"] == expected


def test_a_stored_query_is_gone_afterwards(fs: FeatureStore) -> None:
    fs.get_historical_features("flights", ibis.memtable(spine_table(fs)).view()).to_arrow()
    query = fs.get_historical_features(
        ["delays:late"], "SELECT 1 AS carrier, TIMESTAMPTZ '2020-01-02' AS event_timestamp"
    )
    assert query.to_arrow().to_pylist()[0]["late"] == 3
    assert "_staged_spine" in query.to_sql()
    with fs.offline._open() as connection:  # type: ignore[attr-defined]
        tables = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
    assert [name for (name,) in tables if "staged" in name] == []


def test_an_ibis_expression_over_the_stores_tables_is_a_spine(fs: FeatureStore) -> None:
    flown = ibis.table({"carrier": "int64", "event_timestamp": "timestamp('UTC', 6)"}, name="delays", database="theirs")
    later = flown.select(
        "carrier", event_timestamp=flown.event_timestamp + ibis.interval(hours=1), label=ibis.literal(1)
    )
    result = fs.get_historical_features(["delays:late"], later).to_df()
    assert result.iloc[0].to_dict() == {"carrier": 1, "event_timestamp": pd.Timestamp(at(1, 1)), "label": 1, "late": 3}


def test_a_query_without_a_join_key_is_refused(fs: FeatureStore) -> None:
    no_key = ibis.table({"event_timestamp": "timestamp('UTC', 6)"}, name="delays", database="theirs")
    with pytest.raises(InvalidRequest, match="no column 'carrier', a join key of 'delays'"):
        fs.get_historical_features(["delays:late"], no_key)
    with pytest.raises(InvalidRequest, match="'event_timestamp' is string; make it a timestamp"):
        fs.get_historical_features(["delays:late"], "SELECT 1 AS carrier, 'x' AS event_timestamp").to_df()
    with pytest.raises(InvalidRequest, match="Join key 'carrier' is string; 'delays' needs int64"):
        fs.get_historical_features(["delays:late"], "SELECT 'a' AS carrier, now() AS event_timestamp").to_df()


def test_extra_columns_pass_through_with_their_types(fs: FeatureStore) -> None:
    extra = {
        "small": pa.array([1, None, 3, 4], pa.int8()),
        "words": pa.array([["a"], [], None, ["b", None]]),
        "nested": pa.array([{"x": 1}, None, {"x": 3}, {"x": 4}]),
        "day": pa.array([1, 2, 3, None], pa.date32()),
        "code": pa.array(["a", "b", None, "a"]).dictionary_encode(),
    }
    asked = spine_table(fs)
    for name, values in extra.items():
        asked = asked.append_column(name, values)
    result = fs.get_historical_features("flights", asked).to_arrow()
    assert result.select(asked.column_names).equals(asked)


def test_batches_are_the_table_in_parts(fs: FeatureStore) -> None:
    asked = pa.concat_tables([spine_table(fs)] * 60_000).combine_chunks()
    query = fs.get_historical_features("flights", asked)
    batches = list(query.to_arrow_batches())
    assert len(batches) > 1
    assert pa.Table.from_batches(batches).equals(query.to_arrow())


def test_a_data_frame_is_made_without_a_second_copy(fs: FeatureStore) -> None:
    asked = pa.concat_tables([spine_table(fs)] * 60_000).combine_chunks()
    for given in (asked, asked.to_pandas()):
        query = fs.get_historical_features("flights", given)
        query.to_df()  # what is loaded once a process
        tracemalloc.start()
        try:
            frame = query.to_df()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 1.25 * frame.memory_usage(index=False).sum(), "of NumPy's memory; Arrow's goes as it is converted"


def test_polars_frames_come_out(fs: FeatureStore) -> None:
    result = fs.get_historical_features("flights", pl.DataFrame(spine_table(fs))).to_polars()
    assert result["wind"].to_list() == [30, None, 10, None]


def test_a_result_becomes_a_table_that_is_replaced_by_the_next(fs: FeatureStore) -> None:
    query = fs.get_historical_features("flights", spine_table(fs))
    assert query.to_table("results.flights") == 4
    select = "SELECT 'JFK' AS origin, 1 AS carrier, TIMESTAMPTZ '2020-01-01 02:00:00Z' AS event_timestamp"
    assert fs.get_historical_features("flights", select).to_table("results.flights") == 1
    with fs.offline._open() as connection:  # type: ignore[attr-defined]
        assert connection.execute("SELECT wind, late FROM results.flights").fetchall() == [(10, 3)]


def test_an_external_table_is_not_replaced_by_a_result(fs: FeatureStore) -> None:
    query = fs.get_historical_features("flights", spine_table(fs))
    with pytest.raises(OfflineStoreError, match=r"theirs\.delays belongs to Feature view 'delays'"):
        query.to_table("theirs.delays")
    with pytest.raises(InvalidRequest, match="written as 'dataset.table'"):
        query.to_table("flights")


def test_without_a_spine_every_row_of_the_views_is_asked_for(fs: FeatureStore) -> None:
    result = fs.get_historical_features("weather", start=at(1, 1), end=at(1, 3)).to_arrow()
    assert sorted((row["airport"], row["event_timestamp"], row["wind"]) for row in result.to_pylist()) == [
        ("JFK", at(1, 1), 10),
        ("LGA", at(1, 1), 30),
    ]


def test_views_of_different_keys_have_no_rows_in_common(fs: FeatureStore) -> None:
    with pytest.raises(InvalidRequest, match="'flights': its views have different join keys.*Give entity_df"):
        fs.get_historical_features("flights", start="2020-01-01", end="2020-01-02")


def test_a_spine_and_a_range_exclude_each_other(fs: FeatureStore) -> None:
    refused: list[dict[str, Any]] = [{}, {"entity_df": frame(), "start": at(1), "end": at(2)}]
    for arguments in refused:
        with pytest.raises(InvalidRequest, match="Give either"):
            fs.get_historical_features("flights", **arguments)


def test_a_service_of_another_version_is_refused(fs: FeatureStore) -> None:
    assert fs.get_historical_features(f"flights@{SERVICE.version}", frame()).to_df()["late"].tolist()[0] == 3
    with pytest.raises(FeatureServiceNotFound, match=f"'flights' has no version 'old'.*{SERVICE.version}"):
        fs.get_historical_features("flights@old", frame())


def test_feature_tables_are_read_between_literal_times(fs: FeatureStore) -> None:
    """So that BigQuery skips partitions; of a query's spine too."""
    sql = fs.get_historical_features(["weather:wind"], frame(airport="JFK")).to_sql()
    assert "MAKE_TIMESTAMPTZ(2020, 1, 1, 0, 0, " in sql  # two hours of ttl before the first moment
    assert "MAKE_TIMESTAMPTZ(2020, 1, 1, 3, 0, " in sql
    select = "SELECT 'JFK' AS airport, TIMESTAMPTZ '2020-01-01 04:00:00Z' AS event_timestamp"
    assert "MAKE_TIMESTAMPTZ(2020, 1, 1, 2, 0, " in fs.get_historical_features(["weather:wind"], select).to_sql()


def test_the_longest_ttl_is_no_bound(tmp_path: Path) -> None:
    view = FeatureView(
        "v", (CARRIER, TIMES, column("x")), [Entity("carrier")], table="theirs.v", ttl=timedelta(days=365_250)
    )
    rows = {"carrier": pa.array([1], pa.int64()), "event_timestamp": pa.array([at(1)], TIME)}
    fill(tmp_path, {"theirs.v": pa.table({**rows, "x": pa.array([7], pa.int64())})})
    store = FeatureStore(Settings(home=tmp_path), Catalogue.of([view]))
    store.apply()
    assert store.get_historical_features("v", pa.table(rows)).to_arrow()["x"].to_pylist() == [7]


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT 1; DROP TABLE feature_store.delays", "several statements"),
        ("SELECT 'a;b' AS x; SELECT 2;", "several statements"),
        ("DROP TABLE feature_store.delays", "begins with 'DROP'"),
        ("COPY feature_store.delays TO 'x.csv'", "begins with 'COPY'"),
        (" -- nothing", "begins with ''"),
        ("SELECT 'unended", "cannot be read"),
    ],
)
@pytest.mark.parametrize("engine", ["duckdb", "bigquery"])
def test_one_select_alone_is_run(sql: str, says: str, engine: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        one_query(sql, engine)


@pytest.mark.parametrize("engine", ["duckdb", "bigquery"])
@pytest.mark.parametrize("sql", ["SELECT ';' AS x", "WITH a AS (SELECT 1 AS x) SELECT x FROM a", "(SELECT 1 AS x)"])
def test_a_select_may_end_with_a_semicolon_and_a_comment(sql: str, engine: str) -> None:
    assert one_query(f"{sql} ;; -- that is all", engine) == sql


def test_many_views_are_read_by_a_query_for_each_which_is_that_of_the_join(tmp_path: Path) -> None:
    columns = [column("whole"), column("share", DataType.FLOAT64), column("words", DataType.LIST_STRING)]
    views = [
        FeatureView(
            f"view_{number}", (CARRIER, TIMES, *columns[: number % 3 + 1]), [Entity("carrier")], start="2020-01-01",
            ttl=timedelta(days=number) if number % 2 else None,
        )
        for number in range(MANY)
    ]  # fmt: skip
    tables = {}
    for number, view in enumerate(views):
        rows = {"carrier": [1, 2], "event_timestamp": pa.array([at(2), at(1)], TIME), "whole": [number, None],
                "share": [0.5, 1.0], "words": [["a"], None]}  # fmt: skip
        tables[f"feature_store.{view.name}"] = pa.table(rows).select([c.name for c in view.row_columns])
    fill(tmp_path, tables)
    spine = pa.table({"share": ["theirs"] * 3, "carrier": [2, 1, 3], "event_timestamp": pa.array([at(3)] * 3, TIME)})
    asked = historical_features(
        FeatureService("many", views), spine, store=DuckDBOfflineStore(tmp_path), full_feature_names=True
    )
    assert len(asked.beside) == len(asked.to_sql().split(";\n\n")) == MANY
    assert asked.to_arrow().equals(replace(asked, beside=()).to_arrow())
    assert asked.to_arrow()["view_4__whole"].to_pylist() == [None, 4, None]
