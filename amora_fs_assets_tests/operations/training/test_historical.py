"""Historical features for a caller: the frame comes back as it was, with features beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
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
    TableNotFound,
)
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.training.beside import MANY
from amora_fs_assets.operations.training.historical import historical_features
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests.operations.stores import fill
from amora_fs_assets_tests.operations.training.flights import CARRIER, TIME, TIMES, column, frame
from amora_fs_assets_tests.small import at


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


def test_the_longest_ttl_is_no_bound(tmp_path: Path) -> None:
    view = FeatureView(
        "v", (CARRIER, TIMES, column("x")), [Entity("carrier")], table="theirs.v", ttl=timedelta(days=365_250)
    )
    rows = {"carrier": pa.array([1], pa.int64()), "event_timestamp": pa.array([at(1)], TIME)}
    fill(tmp_path, {"theirs.v": pa.table({**rows, "x": pa.array([7], pa.int64())})})
    store = FeatureStore(Settings(home=tmp_path), Catalogue.of([view]))
    store.apply()
    assert store.get_historical_features("v", pa.table(rows)).to_arrow()["x"].to_pylist() == [7]


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
