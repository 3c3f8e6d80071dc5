"""Calls in Feast's words and order give what our own give."""

from __future__ import annotations

import asyncio
import enum
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from amora_fs_assets import Entity, FeatureSchema, FeatureStore, FeatureView, Field, Settings, Source
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import (
    DefinitionError,
    EntityNotFound,
    FeatureViewNotFound,
    InvalidRequest,
    SourceNotFound,
)
from amora_fs_assets.domain.time import utc
from amora_fs_assets_tests import small
from amora_fs_assets_tests.small import at


class PushMode(enum.Enum):
    """As in feast.data_source."""

    ONLINE = 1
    OFFLINE = 2
    ONLINE_AND_OFFLINE = 3


def asked() -> pd.DataFrame:
    return pd.DataFrame({"customer": [1, 2], "event_timestamp": pd.to_datetime(["2020-01-02", "2020-01-05"], utc=True)})


REFERENCES = ["spending:amount"]
SELECT = """SELECT customer, event_timestamp
FROM (VALUES (1, TIMESTAMPTZ '2020-01-02'), (2, TIMESTAMPTZ '2020-01-05')) AS t (customer, event_timestamp)"""


@pytest.mark.parametrize(
    ("positional", "named"),
    [
        ((), {"entity_df": asked(), "features": REFERENCES}),
        ((asked(), REFERENCES), {}),
        ((asked(), "shopping"), {}),
        ((REFERENCES, asked()), {}),
        ((asked(),), {"features": REFERENCES}),
        ((asked(), REFERENCES, False, None, None, True), {}),
        ((SELECT, REFERENCES), {}),
        ((REFERENCES,), {"entity_df": asked()}),
        ((pl.from_pandas(asked()), REFERENCES), {}),
        ((pa.Table.from_pandas(asked()), REFERENCES), {}),
    ],
)  # fmt: skip
def test_historical_features_are_asked_for_in_either_order(
    fs: FeatureStore, positional: tuple[Any, ...], named: dict[str, Any]
) -> None:
    found = fs.get_historical_features(*positional, **named).to_arrow().to_pylist()
    assert sorted((row["customer"], row["amount"]) for row in found) == [(1, 10.0), (2, 20.0)]


def test_feasts_full_names_are_the_third_argument(fs: FeatureStore) -> None:
    assert "spending__amount" in fs.get_historical_features(asked(), REFERENCES, True).to_df()


@pytest.mark.parametrize(
    ("arguments", "days"),
    [
        ({"start_date": at(2), "end_date": at(3)}, [2, 3]),  # as Feast's, with both ends
        ({"start": at(2), "end": at(3)}, [2]),
        ({"end_date": pd.Timestamp("2020-01-02")}, [1, 2]),
        ({"end": "2020-01-02"}, [1]),
        ({"start_date": at(2, month=2)}, [2, 3]),
        ({"start": pd.Timestamp("2020-02-03", tz="UTC")}, [3]),
    ],
)
def test_a_range_of_time_may_be_open_on_either_side(
    fs: FeatureStore, arguments: dict[str, Any], days: list[int]
) -> None:
    found = fs.get_historical_features(features="spending", **arguments).to_arrow()
    assert sorted(row["event_timestamp"].day for row in found.to_pylist()) == days


def test_feasts_range_without_entities_is_positional_too(fs: FeatureStore) -> None:
    found = fs.get_historical_features(None, REFERENCES, False, at(2), at(3)).to_arrow()
    assert sorted(row["amount"] for row in found.to_pylist()) == [20.0, 30.0]


def test_a_range_up_to_the_clock_has_the_row_of_the_clock(fs: FeatureStore) -> None:
    fs.push("spending", [{"customer": 8, "event_timestamp": small.CLOCK, "amount": 1.0}], to="offline")
    found = fs.get_historical_features("spending", start="2020-02-20").to_arrow()
    assert found["customer"].to_pylist() == [8]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"entity_df": asked()}, "features is missing"),
        ({"features": "spending", "start": at(1), "end_date": at(2)}, "start and end, or Feast's"),
        ({"features": "spending", "start": at(3), "end": at(1)}, "is before the start"),
        ({"features": "spending", "entity_df": asked(), "start": at(1)}, "either entity_df, or start and end"),
        ({"features": "spending", "entity_df": asked(), "filter_by_created_timestamp": "yes"}, "True or False"),
        ({"features": "spending", "entity_df": asked(), "known_time": at(1)}, "known_time is .*True or False"),
    ],
)
def test_a_request_that_is_neither_order_is_refused(fs: FeatureStore, arguments: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        fs.get_historical_features(**arguments)


def test_online_features_have_their_timestamps_beside_them(fs: FeatureStore) -> None:
    response = fs.get_online_features(features=REFERENCES, entity_rows=[{"customer": 3}, {"customer": 99}])
    found = response.to_df(include_event_timestamps=True)
    assert list(found.columns) == ["customer", "amount", "amount__ts"]
    assert found["amount__ts"][0] == pd.Timestamp(at(3, month=2))
    assert pd.isna(found["amount__ts"][1])
    assert response.to_dict(include_event_timestamps=True)["amount__ts"] == [at(3, month=2), None]
    assert list(response.to_df().columns) == ["customer", "amount"]
    with pytest.raises(InvalidRequest, match="include_event_timestamps is 'no'"):
        response.to_df(include_event_timestamps="no")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match=r"LazyFrame.*collect\(\)"):
        fs.get_online_features(REFERENCES, pl.LazyFrame({"customer": [3]}))  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match=r"LazyFrame.*collect\(\)"):
        fs.push("spending", pl.LazyFrame({"customer": [3]}))


@pytest.mark.parametrize(
    ("customer", "to", "online", "offline"),
    [
        (61, "online", True, False),
        (62, "offline", False, True),
        (63, "online_and_offline", True, True),
        (64, PushMode.ONLINE, True, False),
        (65, PushMode.OFFLINE, False, True),
        (66, PushMode.ONLINE_AND_OFFLINE, True, True),
        (67, None, True, True),
    ],
)
def test_a_push_goes_where_it_is_sent(fs: FeatureStore, customer: int, to: Any, online: bool, offline: bool) -> None:
    rows = pd.DataFrame({"customer": [customer], "event_timestamp": [at(5, month=2)], "amount": [7.0]})
    assert fs.push("spending", rows, to=to) == online
    assert fs.get_online_features("spending", {"customer": [customer]}).to_dict()["amount"] == [7.0 if online else None]
    kept = fs.get_historical_features("spending", start=at(5, month=2), end=at(6, month=2)).to_arrow()
    assert (customer in kept["customer"].to_pylist()) is offline


def test_feasts_words_of_a_push_are_taken(fs: FeatureStore) -> None:
    row = {"customer": 51, "event_timestamp": pd.Timestamp("2020-02-06"), "amount": 1.0}
    assert fs.push(push_source_name="spending", df=pl.DataFrame([row]), allow_registry_cache=False) == 1
    assert fs.write_to_online_store("spending", df=pd.DataFrame([{**row, "customer": 52}])) == 1
    assert fs.write_to_online_store("spending", inputs={name: [value] for name, value in row.items()}) == 0
    assert fs.write_to_offline_store("spending", df=pd.DataFrame([{**row, "customer": 53}])) == 0
    assert asyncio.run(fs.push_async("spending", [{**row, "customer": 54}], to="online")) == 1
    served = fs.get_online_features("spending", {"customer": [51, 52, 53, 54]})
    assert served.to_dict()["amount"] == [1.0, 1.0, None, 1.0]


def test_a_push_source_feeds_the_views_with_its_tag(tmp_path: Path) -> None:
    source = small.orders()
    views = [small.spending(source, name=name, tags={"push_source": "till"}) for name in ("spending", "returns")]
    with FeatureStore(Settings(home=tmp_path, now=utc(small.CLOCK)), Catalogue.of(views)) as store:
        store.apply()
        rows = pd.DataFrame({"customer": [1], "event_timestamp": [at(28, month=2)], "amount": [7.0]})
        assert store.push("till", rows, to="online") == 2
        assert store.push(push_source_name="till", df=rows, to="online") == 0
        assert store.get_online_features(["returns:amount"], {"customer": [1]}).to_dict()["amount"] == [7.0]
        with pytest.raises(FeatureViewNotFound, match="'tills' is not known.*the tag 'push_source'"):
            store.push("tills", rows)
        with pytest.raises(InvalidRequest, match="feature_view is"):
            store.push(["till"], rows)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"to": "redis"}, "to is 'redis'.*'online', 'offline' or 'online_and_offline'"),
        ({"to": 1}, "to is 1"),
        ({"to": "online", "to_offline": False}, "either to or to_offline"),
        ({"to_offline": "no"}, "True or False"),
        ({"df": []}, "either rows or df"),
        ({"push_source_name": "spending"}, "either feature_view or push_source_name"),
    ],
)
def test_a_push_to_nowhere_is_refused(fs: FeatureStore, arguments: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        fs.push("spending", [], **arguments)


def test_definitions_are_found_by_name(fs: FeatureStore) -> None:
    assert fs.get_entity("customer").join_keys == ("customer",)
    assert [source.name for source in fs.list_data_sources()] == ["orders"]
    assert fs.get_data_source("orders").timestamp_field == "at"
    assert fs.get_feature_view("spending", allow_registry_cache=True).name == "spending"
    with pytest.raises(EntityNotFound, match="Did you mean 'customer'"):
        fs.get_entity("custome")
    with pytest.raises(SourceNotFound, match="Did you mean 'orders'"):
        fs.get_data_source("order")


def test_definitions_are_listed_by_their_tags(fs: FeatureStore) -> None:
    assert [view.name for view in fs.list_feature_views(tags={"domain": "shop"})] == ["spending"]
    assert fs.list_feature_views(tags={"domain": "shop", "tier": "1"}) == []
    assert [view.name for view in fs.list_feature_views(allow_cache=True)] == ["spending"]
    with pytest.raises(InvalidRequest, match="tags is .*a dict of texts"):
        fs.list_entities(tags=["domain"])  # type: ignore[arg-type]


def test_entities_sources_and_features_have_tags(tmp_path: Path) -> None:
    class Tagged(FeatureSchema):
        customer: int
        amount: float = Field(ge=0, tags={"unit": "EUR"}, description="Amount.")

    customer = Entity("customer", tags={"domain": "shop"})
    orders = Source("orders", small.Orders, timestamp_field="at", tags={"layer": "raw"})
    view = FeatureView("spending", Tagged, [customer], [orders], transform=small._spending, start="2020-01-01")
    module = ModuleType("definitions")
    vars(module).update(view=view)
    with FeatureStore(Settings(home=tmp_path), module) as store:
        store.apply()
        assert store.get_entity("customer").tags == {"domain": "shop"}
        assert [each.name for each in store.list_entities(tags={"domain": "shop"})] == ["customer"]
        assert store.list_entities(tags={"domain": "bank"}) == []
        assert [each.name for each in store.list_data_sources(tags={"layer": "raw"})] == ["orders"]
        (feature,) = store.get_feature_view("spending").features
        assert feature.tags == {"unit": "EUR"}
        assert [str(rule) for rule in feature.rules] == ["greater_than_or_equal_to(min_value=0)"]
        assert store.plan().changes == ()

        class Other(FeatureSchema):
            customer: int
            amount: float = Field(ge=0, tags={"unit": "USD"}, description="Amount.")

        changed = FeatureView("spending", Other, [customer], [orders], transform=small._spending, start="2020-01-01")
        vars(module).update(view=changed)
        (change,) = FeatureStore(Settings(home=tmp_path), module).plan().changes
        assert [each.what for each in change.differences] == ["feature 'amount': tags changed"]
        assert change.severity.name == "COMPATIBLE"
    with pytest.raises(DefinitionError, match="column 'amount': tags: .*'a b'"):
        FeatureView(
            "wrong",
            type("W", (FeatureSchema,), {"__annotations__": {"amount": float}, "amount": Field(tags={"a b": "c"})}),
            table="a.b",
        )


def test_a_load_takes_feasts_names_of_its_times(fs: FeatureStore) -> None:
    loaded = fs.materialize(start_date=datetime(2020, 2, 1, tzinfo=UTC), end_date=pd.Timestamp("2020-02-02"))
    assert loaded["spending"].rows == 1
    assert fs.materialize_incremental(end_date=pd.Timestamp(small.CLOCK))["spending"].new_generation is False
    with pytest.raises(InvalidRequest, match="end is missing"):
        fs.materialize("2020-01-01")


def test_an_empty_list_of_views_is_no_view_as_with_feast(fs: FeatureStore) -> None:
    assert fs.materialize_incremental(feature_views=[]) == {}
    assert fs.materialize("2020-01-01", "2020-02-01", []) == {}
    assert fs.compute("2020-01-01", "2020-02-01", []) == {}
    assert fs.coverage([]) == {}


class Capsule:
    """A frame of a library that has nothing but Arrow's PyCapsule interface."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


@pytest.mark.slow
@pytest.mark.parametrize("frame_of", [pl.from_arrow, Capsule, lambda table: table.to_batches()[0]])
def test_any_frame_with_arrows_interface_is_a_frame(
    fs: FeatureStore, frame_of: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    keys = frame_of(pa.table({"customer": pa.array([3, 99], pa.int32())}))
    assert fs.get_online_features("spending", keys).to_dict()["amount"] == [50.0, None]
    joined = fs.get_historical_features("spending", frame_of(pa.Table.from_pandas(asked()))).to_arrow()
    assert joined["amount"].to_pylist() == [10.0, 20.0]
    customer = 700 + request.node.callspec.indices["frame_of"]
    row = {"customer": [customer], "event_timestamp": [at(1, month=2)], "amount": [1.5]}
    assert fs.push("spending", frame_of(pa.table(row)), to="online") == 1
    source = Source(
        "orders", small.Orders, timestamp_field="at", loader=lambda: frame_of(small.orders_table(small.ORDERS))
    )
    with FeatureStore(Settings(home=tmp_path, now=utc(small.CLOCK)), Catalogue.of([small.spending(source)])) as other:
        other.apply()
        assert sum(each.rows for each in other.compute()["spending"]) == 5
