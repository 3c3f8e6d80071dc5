"""On-demand features in a training set and online: the same values, whatever is missing or late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets_tests.operations.on_demand.shop import TABLES, basket, checkout, profile
from amora_fs_assets_tests.operations.stores import fill
from amora_fs_assets_tests.small import at

NOW = at(3)
"""The clock online: customer 1 ordered a day ago, and the row of customer 2 is two days old, as old as it may be."""
REQUESTS: dict[str, list[Any]] = {
    "customer": [1, 2, 9, 1],
    "basket": [50.0, 5.0, 5.0, None],
    "shop_city": ["Berlin", "Berlin", "Berlin", "Paris"],
}
FEATURES = {
    "share": [0.25, None, None, None],
    "idle": [86_400.0, None, None, 86_400.0],
    "local": [True, None, None, False],
    "orders": [4, 0, 0, 4],
}


@pytest.fixture(scope="module")
def fs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureStore]:
    home = tmp_path_factory.mktemp("home")
    fill(home, TABLES)
    with FeatureStore(Settings(home=home, now=NOW), Catalogue.of([checkout])) as store:
        store.apply()
        store.materialize_incremental()
        yield store


def spine(times: Any = NOW, **more: Any) -> pd.DataFrame:
    return pd.DataFrame({**REQUESTS, "event_timestamp": pd.to_datetime(times, utc=True), **more})


def test_a_training_set_and_an_answer_have_the_same_values(fs: FeatureStore) -> None:
    online = fs.get_online_features("checkout", REQUESTS).to_dict()
    assert {name: online[name] for name in FEATURES} == FEATURES
    joined = fs.get_historical_features("checkout", spine()).to_arrow().to_pydict()
    assert {name: joined[name] for name in FEATURES} == FEATURES
    assert joined["birth_date"] == online["birth_date"] == [date(2000, 2, 29), None, None, date(2000, 2, 29)]


def test_the_answer_has_keys_stored_features_and_then_computed_ones(fs: FeatureStore) -> None:
    answer = fs.get_online_features("checkout", REQUESTS)
    assert list(answer.columns) == ["customer", "birth_date", "share", "idle", "local", "orders"]
    assert answer.statuses["share"] == ["PRESENT", "NULL_VALUE", "NULL_VALUE", "NULL_VALUE"]
    assert answer.statuses["orders"] == ["PRESENT"] * 4
    assert answer.event_timestamps["share"] == [NOW] * 4


def test_an_input_that_is_too_old_counts_as_null_on_both_sides(tmp_path: Path) -> None:
    fill(tmp_path, TABLES)
    late = NOW + timedelta(days=1, microseconds=1)
    with FeatureStore(Settings(home=tmp_path, now=late), Catalogue.of([checkout])) as store:
        store.apply()
        store.materialize_incremental()
        online = store.get_online_features("basket", REQUESTS).to_dict()
        joined = store.get_historical_features("basket", spine(late)).to_arrow().to_pydict()
    for found in (online, joined):
        assert found["share"] == found["idle"] == [None] * 4
        assert found["orders"] == [0] * 4


def test_a_reader_without_the_code_computes_the_features(fs: FeatureStore) -> None:
    reader = FeatureStore(fs.settings)
    assert reader.get_online_features(["basket:orders"], {"customer": [1]}).to_dict()["orders"] == [4]


def test_only_the_request_columns_of_the_selected_features_are_needed(fs: FeatureStore) -> None:
    assert fs.get_online_features(basket["idle"], {"customer": [1]}).to_dict()["idle"] == [86_400.0]
    with pytest.raises(InvalidRequest, match="entity_rows lack request column 'basket'"):
        fs.get_online_features("basket", {"customer": [1]})


@pytest.mark.parametrize("wrong", ["50", True, [1.0]])
def test_a_request_value_of_another_type_is_refused(fs: FeatureStore, wrong: Any) -> None:
    with pytest.raises(InvalidRequest, match="Request column 'basket' takes float64"):
        fs.get_online_features(["basket:share"], {"customer": [1], "basket": [wrong]})
    with pytest.raises(
        InvalidRequest, match="Column 'basket' of the entity rows is .*; on-demand features need float64"
    ):
        fs.get_historical_features(["basket:share"], spine(basket=[wrong] * 4)).to_df()


def test_nan_in_a_request_is_null_on_both_sides(fs: FeatureStore) -> None:
    nan = [float("nan")] * 4
    assert fs.get_online_features(["basket:share"], {**REQUESTS, "basket": nan}).to_dict()["share"] == [None] * 4
    query = "SELECT 1 AS customer, 'nan'::DOUBLE AS basket, TIMESTAMPTZ '2020-01-03 00:00:00Z' AS event_timestamp"
    assert fs.get_historical_features(["basket:share"], query).to_arrow()["share"].to_pylist() == [None]


def test_full_names_and_the_order_of_rows(fs: FeatureStore) -> None:
    answer = fs.get_online_features("checkout", REQUESTS, full_feature_names=True)
    assert list(answer.columns)[2:] == ["basket__share", "basket__idle", "basket__local", "basket__orders"]
    joined = fs.get_historical_features("checkout", spine(), full_feature_names=True).to_df()
    assert list(joined.columns)[4:] == list(answer.columns)[1:]
    assert joined["basket__orders"].tolist() == FEATURES["orders"]


def test_rows_of_an_interval_cannot_have_data_of_a_request(fs: FeatureStore) -> None:
    with pytest.raises(InvalidRequest, match="request columns .basket, shop_city., so start and end do not define"):
        fs.get_historical_features("checkout", start=at(1), end=at(3))
    rows = fs.get_historical_features(["basket:idle"], start=at(1), end=at(3)).to_arrow().to_pylist()
    found = {(row["customer"], row["event_timestamp"]): row["idle"] for row in rows}
    assert found == {(1, at(1)): 0.0, (1, at(2)): 0.0, (2, at(1)): None}


def test_stored_features_alone_need_no_request(fs: FeatureStore) -> None:
    assert fs.get_online_features(profile["city"], {"customer": [1]}).to_dict()["city"] == ["Berlin"]
