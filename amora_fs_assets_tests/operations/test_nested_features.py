"""Structs, maps, JSON, UUIDs and times of day: from a table to training sets, frames and online values."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import ModuleType
from typing import Any
from uuid import UUID

import duckdb
import ibis
import ibis.expr.datatypes as dt
import pandas as pd
import pyarrow as pa
import pytest

from amora_fs_assets import Entity, FeatureSchema, FeatureStore, FeatureView, Field, Settings, Source, SourceSchema
from amora_fs_assets import Timestamp as Instant
from amora_fs_assets.cli.rendering.csv import write_csv
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionError, InvalidRequest
from amora_fs_assets.domain.records import Snapshot
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.stores.registry import feast_json

NOW = datetime(2026, 1, 5, tzinfo=UTC)
POINT = dt.Struct({"x": "int64", "tags": "array<string>", "price": dt.Decimal(38, 9)})


class Raw(SourceSchema):
    customer: int
    at: Instant
    point: POINT  # type: ignore[valid-type]
    scores: dict[str, float]
    notes: dt.json
    device: UUID
    opens: time
    visits: dt.Array(dt.Struct({"day": dt.date}))  # type: ignore[valid-type]


class Profile(FeatureSchema):
    customer: int
    point: POINT = Field(nullable=True)  # type: ignore[valid-type]
    scores: dict[str, float] = Field(nullable=True)
    notes: dt.json
    device: UUID
    opens: time
    visits: dt.Array(dt.Struct({"day": dt.date})) = Field(nullable=True)  # type: ignore[valid-type]


TABLE = """
    SELECT 1 AS customer, TIMESTAMP '2026-01-02' AS at,
        {'PRICE': 1.5::DECIMAL(5, 2), 'x': 7::SMALLINT, 'tags': ['a', NULL]} AS point,
        MAP {'new': 0.5::FLOAT, 'old': NULL} AS scores, '{"a": [1]}'::JSON AS notes,
        'F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6'::UUID AS device, TIME '08:30:00.5' AS opens,
        [{'day': DATE '2026-01-01'}] AS visits
    UNION ALL
    SELECT 2, TIMESTAMP '2026-01-03', NULL, MAP {}, 'null', '00000000-0000-0000-0000-000000000000', TIME '00:00', []
"""
FIRST: dict[str, Any] = {
    "point": {"x": 7, "tags": ["a", None], "price": Decimal("1.500000000")},
    "scores": {"new": 0.5, "old": None},
    "notes": '{"a": [1]}',
    "device": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "opens": time(8, 30, 0, 500_000),
    "visits": [{"day": date(2026, 1, 1)}],
}
SECOND: dict[str, Any] = {
    "point": None, "scores": {}, "notes": "null", "device": "00000000-0000-0000-0000-000000000000", "opens": time(0),
    "visits": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = tmp_path_factory.mktemp("home")
    with duckdb.connect(home / "offline.duckdb") as connection:
        connection.execute(f"CREATE SCHEMA raw; CREATE TABLE raw.profiles AS {TABLE}")
    source = Source("raw_profiles", Raw, table="raw.profiles", timestamp_field="at")
    customer, definitions = Entity("customer"), ModuleType("definitions")
    computed = FeatureView(
        "computed", Profile, [customer], [source], start="2026-01-01",
        transform=lambda raw_profiles: raw_profiles.rename(event_timestamp="at"),
    )  # fmt: skip
    external = FeatureView("external", Profile, [customer], table="raw.profiles", timestamp_field="at")
    vars(definitions).update(computed=computed, external=external)
    with FeatureStore(Settings(home=home, now=NOW), definitions) as store:
        store.apply()
        store.compute("2026-01-01", "2026-01-05")
        store.materialize_incremental()
        yield store


@pytest.mark.parametrize("view", ["computed", "external"])
def test_both_halves_give_the_values_of_the_table(store: FeatureStore, view: str) -> None:
    asked = pa.table({"customer": [1, 2], "event_timestamp": pa.array([NOW, NOW], pa.timestamp("us", "UTC"))})
    online = store.get_online_features(view, {"customer": [1, 2]})
    for name, *values in zip(FIRST, FIRST.values(), SECOND.values(), strict=True):
        assert online.to_dict()[name] == values, name
    frames = online.to_df(), store.get_historical_features(view, asked).to_df()
    for frame in frames:
        rows = frame.drop(columns=["event_timestamp"], errors="ignore").to_dict("records")
        for row, wanted in zip(rows, (FIRST, SECOND), strict=True):
            assert {name: _plain(row[name]) for name in wanted} == wanted
    assert store.parity(view, sample=None).equal == 2


def _plain(value: Any) -> Any:
    return None if value is pd.NA or value is None else value


def test_what_is_read_can_be_pushed(store: FeatureStore) -> None:
    read = store.get_online_features("computed", {"customer": [1]}).to_dict()
    row = {name: values[0] for name, values in read.items()} | {"customer": 3, "event_timestamp": "2026-01-04"}
    store.push("computed", [row])
    assert store.get_online_features("computed", {"customer": [3]}).to_dict() == read | {"customer": [3]}
    frame = store.get_online_features("computed", {"customer": [1]}).to_df().assign(customer=4)
    store.push("computed", frame.assign(event_timestamp=pd.Timestamp("2026-01-04", tz="UTC")))
    assert store.get_online_features("computed", {"customer": [4]}).to_dict() == read | {"customer": [4]}
    assert store.parity("computed", sample=None).equal == 4


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"point": {"y": 1}}, "no field 'y'. Its fields: x, tags, price"),
        ({"point": {"x": "1"}}, "'1' is str"),
        ({"point": [1]}, r"\[1\] is list, not a struct"),
        ({"scores": {1: 0.5}}, "1 is int"),
        ({"scores": {"a"}}, "is set, not a map"),
        ({"visits": {"day"}}, "is set, not a list"),
        ({"notes": "{"}, "is not JSON"),
        ({"notes": float("nan")}, "JSON"),
        ({"device": "f81d"}, "badly formed"),
        ({"opens": time(1, tzinfo=UTC)}, "a time of day has none"),
    ],
)
def test_another_value_is_refused_with_its_column(store: FeatureStore, wrong: dict[str, Any], words: str) -> None:
    row = {"customer": 9, "event_timestamp": NOW, **FIRST, **wrong}
    with pytest.raises(InvalidRequest, match=rf"'{next(iter(wrong))}'.*row 0: .*{words}"):
        store.push("computed", [row])


def test_python_values_become_json_and_uuids(store: FeatureStore) -> None:
    row = {**FIRST, "notes": {"ü": [1, None]}, "device": UUID(int=1), "scores": [("a", 1)], "opens": "12:00"}
    store.push("computed", [{"customer": 5, "event_timestamp": "2026-01-04", **row}])
    found = store.get_online_features("computed", {"customer": [5]}).to_dict()
    assert (found["notes"], found["device"]) == (['{"ü":[1,null]}'], [str(UUID(int=1))])
    assert (found["scores"], found["opens"]) == ([{"a": 1.0}], [time(12)])


def test_feasts_registry_has_the_nearest_types(store: FeatureStore) -> None:
    catalogue = Catalogue.of([store.get_feature_view("computed")])
    snapshot = Snapshot(hash="0", parent=None, applied_at=NOW, catalogue_hash="0")
    (view,) = feast_json.registry(catalogue, snapshot, store.settings)["featureViews"]
    assert {each["name"]: each["valueType"] for each in view["spec"]["features"]} == {
        "point": "STRUCT", "scores": "MAP", "notes": "JSON", "device": "UUID", "opens": "STRING",
        "visits": "STRUCT_LIST",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "list<list<int64>>", "list<map<string, int64>>", "struct<>", "struct<a: int32>", "struct<a: int64, A: int64>",
        "map<int64, int64>", "map<string, int64", "struct<a b: int64>", "struct<a:int64>",
    ],
)  # fmt: skip
def test_a_type_that_bigquery_cannot_have_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="not a valid DataType"):
        DataType(text)


def test_a_type_is_one_object_per_text() -> None:
    text = "struct<a: map<string, list<int64>>, b: decimal(38, 9)>"
    assert DataType(text) is DataType(text)
    assert DataType(text).fields["a"].fields["value"] is DataType.LIST_INT64


def test_a_struct_with_a_type_of_no_store_is_refused() -> None:
    class Odd(FeatureSchema):
        customer: int
        odd: dt.Struct({"a": dt.Interval("s")})  # type: ignore[valid-type]

    with pytest.raises(DefinitionError, match="'odd'"):
        FeatureView("v", Odd, [Entity("customer")], table="a.b")


def test_a_transform_collects_a_map(store: FeatureStore) -> None:
    class Opened(FeatureSchema):
        customer: int
        opened: dict[str, float]

    source = Source("raw_profiles", Raw, table="raw.profiles", timestamp_field="at")

    def opened(raw_profiles: Any) -> Any:
        entry = ibis.struct({"key": raw_profiles.device, "value": raw_profiles.customer.cast("float64") / 2})
        return raw_profiles.group_by("customer", event_timestamp="at").aggregate(opened=entry.collect())

    definitions = ModuleType("more")
    vars(definitions).update(
        view=FeatureView("opened", Opened, [Entity("customer")], [source], transform=opened, start="2026-01-01")
    )
    with FeatureStore(store.settings, definitions) as more:
        more.apply()
        more.compute("2026-01-01", "2026-01-05", ["opened"])
        more.materialize_incremental(feature_views=["opened"])
        found = more.get_online_features("opened", {"customer": [1]}).to_dict()["opened"]
    assert found == [{FIRST["device"]: 0.5}]


def test_a_csv_has_the_forms_of_http(store: FeatureStore) -> None:
    rows = store.get_online_features("computed", {"customer": [1]}).to_arrow().drop_columns(["point", "visits"])
    file = io.BytesIO()
    write_csv(rows.to_batches(), rows.schema.names, file)
    assert file.getvalue().decode().splitlines() == [
        "customer,scores,notes,device,opens",
        f'1,"{{""new"": 0.5, ""old"": null}}","{{""a"": [1]}}",{FIRST["device"]},08:30:00.500000',
    ]
