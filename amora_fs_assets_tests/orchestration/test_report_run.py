"""Runs outside Dagster, seen in the instance of DAGSTER_HOME: what a person at its UI would believe is so."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import ModuleType

import dagster as dg
import pytest

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.domain.errors import ChecksFailed
from amora_fs_assets_tests import small
from amora_fs_assets_tests.small import at

VIEW, ONLINE, RAW = (dg.AssetKey([group, name]) for group, name in (
    ("feature_view", "spending"), ("online", "spending"), ("raw", "orders")))  # fmt: skip
ROWS: list[tuple[int, datetime, float | None]] = [(1, at(1), 10.0), (2, at(2), 20.0), (1, at(2, month=3), -5.0)]


def opened(home: Path) -> FeatureStore:
    module = ModuleType("definitions")
    catalogue = small.catalogue(ROWS)
    vars(module).update(
        **catalogue.feature_views, **catalogue.feature_services, bought_set=catalogue.training_sets["bought"]
    )
    return FeatureStore(Settings(home=home, now=at(1, month=4)), module)


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def store(tmp_path: Path, instance: dg.DagsterInstance) -> Iterator[FeatureStore]:
    with opened(tmp_path / "home") as store:
        store.apply()
        yield store


def materialized(instance: dg.DagsterInstance, key: dg.AssetKey) -> dg.AssetMaterialization:
    event = instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    return event.asset_materialization


def check_of(instance: dg.DagsterInstance, name: str) -> dg.AssetCheckEvaluation:
    (record,) = instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(VIEW, name), limit=1)
    assert record.event is not None
    assert record.event.dagster_event is not None
    evaluation = record.event.dagster_event.event_specific_data
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    return evaluation


def test_whole_periods_count_as_materialized_and_parts_of_one_do_not(
    store: FeatureStore, instance: dg.DagsterInstance
) -> None:
    store.compute("2020-01-01", "2020-02-10", ["spending"])
    assert instance.get_materialized_partitions(VIEW) == {"2020-01-01"}
    store.compute("2020-02-01", "2020-03-01", ["spending"])
    assert instance.get_materialized_partitions(VIEW) == {"2020-01-01", "2020-02-01"}


def test_it_says_what_a_run_inside_would_have_said(store: FeatureStore, instance: dg.DagsterInstance) -> None:
    store.compute("2020-01-01", "2020-02-01", ["spending"])
    seen = materialized(instance, VIEW)
    run = next(store.registry.records("spending", kind="compute"))
    assert seen.metadata["dagster/row_count"].value == run.rows == 2
    assert seen.metadata["publication"].value == run.sequence
    assert str(seen.metadata["registry record"].value).startswith(store.registry.url)
    assert seen.tags is not None
    assert seen.tags["dagster/data_version"] == str(run.sequence)
    assert materialized(instance, RAW).metadata["dagster/row_count"].value == len(ROWS)
    assert check_of(instance, "amount").passed


def test_a_refused_computation_shows_its_failed_check_and_no_materialization(
    store: FeatureStore, instance: dg.DagsterInstance
) -> None:
    with pytest.raises(ChecksFailed):
        store.compute("2020-03-01", "2020-04-01", ["spending"])
    assert instance.get_latest_materialization_event(VIEW) is None
    assert not check_of(instance, "amount").passed


def test_loads_are_materializations_and_pushes_observations(store: FeatureStore, instance: dg.DagsterInstance) -> None:
    store.compute("2020-01-01", "2020-03-01", ["spending"])
    store.materialize_incremental(feature_views=["spending"])
    before = materialized(instance, ONLINE)
    assert before.metadata["rows written"].value == 2
    store.push("spending", [{"customer": 1, "event_timestamp": at(20, month=2), "amount": 5.0}])
    assert materialized(instance, ONLINE) == before
    (pushed,) = instance.fetch_observations(ONLINE, limit=1).records
    assert pushed.asset_observation is not None
    assert pushed.asset_observation.metadata["what"].value == "push"


def test_dagster_out_of_reach_stops_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "is not there"))
    with opened(tmp_path / "home") as store, caplog.at_level(logging.WARNING):
        store.apply()
        store.compute("2020-01-01", "2020-02-01", ["spending"])
        assert next(store.registry.records("spending", kind="compute")).status == "succeeded"
    assert "was not reported to DAGSTER_HOME" in caplog.text
    assert "is not there" in caplog.text


def test_without_an_instance_dagster_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    code = """
import sys
from pathlib import Path
from types import ModuleType
from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets_tests import small
module = ModuleType("definitions")
vars(module).update(small.catalogue().feature_views)
with FeatureStore(Settings(home=Path(sys.argv[1]), now=small.at(1, month=4)), module) as store:
    store.apply()
    store.compute("2020-01-01", "2020-02-01", ["spending"])
    assert next(store.registry.records("spending", kind="compute")).status == "succeeded"
assert "dagster" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=120)
