"""registry.db where no Feast is installed, and what of ours Feast has other words for."""

from __future__ import annotations

import importlib.util
import logging
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from amora_fs_assets import FeatureService, FeatureStore, FeatureView, Field, Settings, Timestamp
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import RegistryError
from amora_fs_assets.operations.registry.apply import apply, collect
from amora_fs_assets.stores.registry import feast_json as feast_form
from amora_fs_assets.stores.registry.feast_registry import NAME, sync
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from amora_fs_assets_tests import small
from amora_fs_assets_tests.small import at

SAMPLE = collect("amora_fs_assets.features")


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjectStore:
    return FolderObjectStore(tmp_path / "registry")


@pytest.fixture
def no_feast(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "feast" else found(name))


class Known(small.Spending):
    """With the time at which a row became known."""

    created_timestamp: Timestamp = Field(nullable=True)


def form(code: Catalogue, objects: FolderObjectStore, settings: Settings) -> dict[str, Any]:
    return feast_form.registry(code, apply(code, ObjectRegistry(objects), clock=at(1)), settings)


def spec(plain: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each["spec"] for each in plain[kind] if each["spec"]["name"] == name)
    return found


@pytest.mark.usefixtures("no_feast")
def test_without_feast_there_is_no_registry_db(objects: FolderObjectStore, tmp_path: Path) -> None:
    apply(small.catalogue(), ObjectRegistry(objects), clock=at(1))
    assert sync(objects, Settings(home=tmp_path)) == "absent"
    assert objects.read(NAME) is None


@pytest.mark.usefixtures("no_feast")
def test_an_apply_that_cannot_bring_registry_db_along_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(home=tmp_path)
    objects = FolderObjectStore(Path(settings.registry))
    objects.create(NAME, b"of an older snapshot")
    module = ModuleType("definitions")
    vars(module).update(view=small.catalogue().feature_view("spending"))
    with caplog.at_level(logging.WARNING):
        FeatureStore(settings, module).apply()
    assert "registry.db" in caplog.text
    assert "pip install 'amora-fs-assets[feast]'" in caplog.text
    stored = objects.read(NAME)
    assert stored is not None
    assert stored.data == b"of an older snapshot"


@pytest.mark.usefixtures("no_feast")
def test_an_apply_without_feast_tells_the_log_that_there_is_no_registry_db(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), FeatureStore(Settings(home=tmp_path), small.catalogue()) as store:
        store.apply()
    assert "is not written, since Feast is not installed here" in caplog.text
    assert "pip install 'amora-fs-assets[feast]'" in caplog.text


def test_an_interpreter_without_feast_is_reported_and_nothing_written(
    objects: FolderObjectStore, tmp_path: Path
) -> None:
    apply(small.catalogue(), ObjectRegistry(objects), clock=at(1))
    if importlib.util.find_spec("feast") is not None:
        pytest.skip("Feast is installed here")
    with pytest.raises(RegistryError, match=r"registry.db was not written.*amora-fs-assets\[feast\]"):
        sync(objects, Settings(home=tmp_path), python=sys.executable)
    assert objects.read(NAME) is None


def test_before_the_first_apply_there_is_nothing_to_write(objects: FolderObjectStore, tmp_path: Path) -> None:
    assert sync(objects, Settings(home=tmp_path), python="unused") == "absent"


def test_an_entity_with_two_join_keys_is_two_of_feasts(objects: FolderObjectStore, tmp_path: Path) -> None:
    plain = form(SAMPLE, objects, Settings(home=tmp_path))
    assert spec(plain, "entities", "route__origin")["joinKey"] == "origin"
    assert spec(plain, "featureViews", "route_delays")["entities"] == ["route__origin", "route__dest"]


@pytest.mark.parametrize(
    ("ttl", "expected"),
    [(None, "0s"), (timedelta(0), "0.000001s"), (timedelta(days=7), "604800.000000s")],
    ids=["no limit", "the same instant", "a week"],
)
def test_a_ttl_keeps_its_meaning(
    objects: FolderObjectStore, tmp_path: Path, ttl: timedelta | None, expected: str
) -> None:
    plain = form(small.catalogue(ttl=ttl), objects, Settings(home=tmp_path))
    assert spec(plain, "featureViews", "spending")["ttl"] == expected


def test_tables_are_those_of_bigquery(objects: FolderObjectStore, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, offline_store="bigquery", bigquery_project="team", dataset="features")
    plain = form(SAMPLE, objects, settings)
    tables = {each["name"]: each["bigqueryOptions"]["table"] for each in plain["dataSources"]}
    assert tables["carrier_punctuality"] == "team.features.carrier_punctuality"
    assert tables["airport_location"] == "team.reference.airports"
    assert tables["flights"] == "team.raw.flights"


def test_other_systems_rows_keep_their_names_and_places_in_bigquery(objects: FolderObjectStore, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, offline_store="bigquery", bigquery_project="team", dataset="features")
    there: dict[str, Any] = {"timestamp_field": "ts", "created_timestamp_column": "made"}
    views = [
        FeatureView(
            "far", Known, [small.customer], table="other.shop.orders", field_mapping={"SUM": "amount"}, **there
        ),
        FeatureView("asked", Known, [small.customer], query="SELECT * FROM shop.orders", **there),
    ]
    sources = {each["name"]: each for each in form(Catalogue.of(views), objects, settings)["dataSources"]}
    assert sources["far"]["bigqueryOptions"] == {"table": "other.shop.orders"}
    assert sources["far"]["fieldMapping"] == {"SUM": "amount"}
    assert sources["asked"]["bigqueryOptions"] == {"query": "SELECT * FROM shop.orders"}
    assert "fieldMapping" not in sources["asked"]
    for each in sources.values():
        assert (each["timestampField"], each["createdTimestampColumn"]) == ("ts", "made")


def test_views_of_the_embedded_store_are_files_with_a_plain_path(objects: FolderObjectStore, tmp_path: Path) -> None:
    """Feast's DuckDB store cannot read `file://`."""
    plain = form(small.catalogue(), objects, Settings(home=tmp_path))
    source = next(each for each in plain["dataSources"] if each["name"] == "spending")
    assert source["fileOptions"]["uri"] == str(tmp_path / "feast" / "spending.parquet")
    assert source["timestampField"] == "event_timestamp"


def test_a_view_that_is_also_aliased_has_its_own_name_as_alias(objects: FolderObjectStore, tmp_path: Path) -> None:
    """Feast cannot compare an alias with none, and fails to read such a service."""
    view = small.catalogue().feature_view("spending")
    both = FeatureService("both", [view, view.alias("friend", {"customer": "friend"})])
    services = form(Catalogue.of([both]), objects, Settings(home=tmp_path))["featureServices"]
    parts = services[0]["spec"]["features"]
    assert [part["featureViewNameAlias"] for part in parts] == ["spending", "friend"]


def test_views_with_the_tag_of_a_push_source_have_it_in_feast(objects: FolderObjectStore, tmp_path: Path) -> None:
    views = [small.spending(small.orders(), name=name, tags={"push_source": "till"}) for name in ("one", "two")]
    plain = form(Catalogue.of([*views, small.spending(small.orders())]), objects, Settings(home=tmp_path))
    assert [each["name"] for each in plain["dataSources"]] == ["orders", "one", "spending", "two", "till"]
    for name in ("one", "two"):
        pushed = spec(plain, "featureViews", name)["streamSource"]
        assert (pushed["name"], pushed["type"], pushed["batchSource"]["name"]) == ("till", "PUSH_SOURCE", name)
    assert "streamSource" not in spec(plain, "featureViews", "spending")
