"""Spines of every form: frames, queries, expressions, ranges; and the forms in which results come."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from functools import partial
from typing import Any

import ibis
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from amora_fs_assets import FeatureStore
from amora_fs_assets.domain.errors import (
    FeatureServiceNotFound,
    InvalidRequest,
    OfflineStoreError,
)
from amora_fs_assets.operations.training.spine import one_query
from amora_fs_assets.stores.duckdb.dialect import DUCKDB
from amora_fs_assets_tests.operations.stores import MergingDuckDBStore
from amora_fs_assets_tests.operations.training.flights import SERVICE, frame, sorted_rows, spine_table
from amora_fs_assets_tests.small import at


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
