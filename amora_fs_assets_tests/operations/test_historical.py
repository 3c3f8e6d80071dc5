"""Historical features for a caller: the frame comes back as it was, with features beside it."""

from __future__ import annotations

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
from amora_fs_assets_tests.operations.stores import fill
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
    store = FeatureStore(Settings(home=home))
    store.__dict__["code"] = Catalogue.of([SERVICE, NEVER])
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
    with pytest.raises(InvalidRequest, match="entity_df is list; give a pandas DataFrame"):
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
    store = FeatureStore(Settings(home=tmp_path))
    store.__dict__["code"] = Catalogue.of([view])
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
