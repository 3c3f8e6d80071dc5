"""The same definitions on Google Cloud: BigQuery and Cloud Storage through the real clients, against the emulators."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from dagster_gcp import BigQueryResource, GCSResource

from amora_fs_assets import FeatureStore, Settings, load_training_set
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.operations.expressions.tables import rows_of
from amora_fs_assets.operations.registry.apply import apply, collect
from amora_fs_assets.orchestration.automation import SENSOR
from amora_fs_assets.orchestration.code_location import build_definitions
from amora_fs_assets_tests import small
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.emulators.gcs import GcsEmulator
from amora_fs_assets_tests.emulators.sent import statements
from amora_fs_assets_tests.small import at

pytestmark = [pytest.mark.google, pytest.mark.e2e, pytest.mark.slow]
_numbers = itertools.count()
DEADLINE = 60.0


@pytest.fixture
def settings(
    bigquery_emulator: BigQueryEmulator,
    gcs_emulator: GcsEmulator,
    gcs_bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """The two settings that change, and where the emulators are, as one says that to Google's own tools."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_emulator.host)
    monkeypatch.setenv("BIGQUERY_STORAGE_GRPC_ENDPOINT", bigquery_emulator.grpc_address)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_emulator.host)
    project = f"slice-{next(_numbers)}"  # `raw` is its own, too
    return Settings(
        offline_store="bigquery",
        registry=f"gs://{gcs_bucket}/registry",
        home=tmp_path,
        bigquery_project=project,
        dataset="features",
        now=at(15, month=2),
    )


def applied(settings: Settings, code: Catalogue) -> dg.Definitions:
    apply(code, FeatureStore(settings).registry, clock=at(1))
    return build_definitions(settings, definitions=code)


def run(
    definitions: dg.Definitions, instance: dg.DagsterInstance, *keys: str, partition: str | None = None
) -> dg.ExecuteInProcessResult:
    selected = [dg.AssetKey(key.split("/")) for key in keys]
    return definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, asset_selection=selected, partition_key=partition, raise_on_error=False
    )


def records(client: Any, bucket: str, name: str) -> list[dict[str, Any]]:
    """The run records of one name as they stand in the bucket, in order of time."""
    blobs = client.list_blobs(bucket, prefix=f"registry/runs/{name}/", timeout=DEADLINE)
    return [json.loads(blob.download_as_bytes(timeout=DEADLINE)) for blob in blobs]


def test_a_view_goes_from_its_source_to_model_and_training_set(
    settings: Settings, bigquery_emulator: BigQueryEmulator, gcs_emulator: GcsEmulator, gcs_bucket: str
) -> None:
    definitions = applied(settings, small.catalogue())
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(definitions, instance, "raw/orders").success
        for month in ("2020-01-01", "2020-02-01"):
            assert run(definitions, instance, "feature_view/spending", partition=month).success
        assert run(definitions, instance, "online/spending", "training_set/bought").success
        key = dg.AssetKey(["training_set", "bought"])
        loaded: Any = definitions.load_asset_value(key, python_type=pd.DataFrame, instance=instance)

    rows = loaded.sort_values(["event_timestamp", "customer"]).to_dict("list")
    assert rows["customer"] == [1, 2, 1, 1, 3]
    assert rows["amount"] == [10.0, 20.0, 30.0, 40.0, 50.0]
    assert rows["label"] == [False, False, True, True, True]
    assert len(load_training_set("bought", settings=settings)) == 5

    served = FeatureStore(settings).get_online_features("shopping", {"customer": [1, 2, 3, 4]})
    # Customer 2 was last seen more than twenty days before the clock.
    assert served.to_dict()["amount"] == [40.0, None, 50.0, None]
    assert served.statuses["amount"] == ["PRESENT", "OUTSIDE_MAX_AGE", "PRESENT", "NOT_FOUND"]

    first, second = records(gcs_emulator.client(), gcs_bucket, "spending")[:2]
    assert [first["rows"], second["rows"]] == [3, 2]
    assert first["inputs"] == [{"name": "orders", "table": "raw.orders", "sequence": 1}]
    assert first["column_lineage"]["amount"] == [{"name": "orders", "column": "amount"}]
    assert second["sequence"] == first["sequence"] + 1
    (training_set,) = records(gcs_emulator.client(), gcs_bucket, "bought")
    assert {each["name"] for each in training_set["inputs"]} == {"orders", "spending"}

    with replace(bigquery_emulator, project=settings.bigquery_project).client() as client:
        sent = statements(client)
    assert len(sent) > 30  # which the end of the session analyzes
    for what in ("BEGIN TRANSACTION", "CREATE OR REPLACE TABLE", "PARTITION BY TIMESTAMP_TRUNC", r"OVER \("):
        assert any(re.search(what, sql) for sql in sent), what


def test_a_load_in_shards_goes_through_clustered_tables_and_the_bucket(
    settings: Settings, gcs_emulator: GcsEmulator, gcs_bucket: str
) -> None:
    definitions = applied(replace(settings, online_shards=2), small.catalogue())
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(definitions, instance, "raw/orders").success
        for month in ("2020-01-01", "2020-02-01"):
            assert run(definitions, instance, "feature_view/spending", partition=month).success
        result = run(definitions, instance, "online/spending")
    assert result.success
    assert len([each for each in result.all_events if each.is_step_success and "shard" in str(each.step_key)]) == 2
    served = FeatureStore(settings).get_online_features("shopping", {"customer": [1, 3, 4]})
    assert served.to_dict()["amount"] == [40.0, 50.0, None]
    blobs = gcs_emulator.client().list_blobs(gcs_bucket, prefix="registry/dagster/", timeout=DEADLINE)
    assert len(list(blobs)) == 5  # the load, two numbers of shards, and what each wrote


def test_automation_brings_everything_up_to_date(settings: Settings, tmp_path: Path) -> None:
    def tick(cursor: str | None) -> Any:
        with dg.build_sensor_context(
            instance=instance, cursor=cursor, repository_def=repository, resources=repository.get_top_level_resources()
        ) as context:
            return repository.get_sensor_def(SENSOR).evaluate_tick(context)

    code, asked = small.catalogue(), list[str]()
    apply(code, FeatureStore(settings).registry, clock=at(1))
    definitions = build_definitions(settings, definitions=code, automation=True)
    repository = definitions.get_repository_def()
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        found = tick(None)
        while found.run_requests:
            for request in found.run_requests:
                asked += [key.to_user_string() for key in request.asset_selection]
                job = definitions.resolve_implicit_global_asset_job_def()
                assert job.execute_in_process(
                    instance=instance, asset_selection=request.asset_selection, tags=dict(request.tags),
                    run_config=request.run_config,
                ).success  # fmt: skip
            found = tick(found.cursor)
    assert found.skip_message == "Everything is up to date."
    assert asked == ["raw/orders", "feature_view/spending", "online/spending", "training_set/bought"]
    served = FeatureStore(settings).get_online_features("shopping", {"customer": [1, 3]})
    assert served.to_dict()["amount"] == [40.0, 50.0]


def test_the_gate_holds_bad_rows_back_and_lets_them_pass_once_mended(
    settings: Settings, gcs_emulator: GcsEmulator, gcs_bucket: str
) -> None:
    def materialized(rows: list[Any]) -> dg.ExecuteInProcessResult:
        definitions = build_definitions(settings, definitions=small.catalogue(rows))
        assert run(definitions, instance, "raw/orders").success
        return run(definitions, instance, "feature_view/spending", partition="2020-01-01")

    store = FeatureStore(settings)
    apply(small.catalogue(), store.registry, clock=at(1))
    with dg.DagsterInstance.ephemeral() as instance:
        assert materialized([(1, at(1), 10.0)]).success
        held = materialized([(1, at(1), 11.0), (2, at(2), -5.0)])
        assert not held.success
        checks = {each.check_name: each.passed for each in held.get_asset_check_evaluations()}
        assert checks == {"customer": True, "event_timestamp": True, "amount": False, "unique_key": True}
        spine = pd.DataFrame({"customer": [1, 2], "event_timestamp": [at(5), at(5)]})
        assert store.get_historical_features("spending", spine).to_df()["amount"].to_list()[0] == 10.0
        assert materialized([(1, at(1), 11.0), (2, at(2), 5.0)]).success
        assert store.get_historical_features("spending", spine).to_df()["amount"].to_list() == [11.0, 5.0]

    found = records(gcs_emulator.client(), gcs_bucket, "spending")
    assert [each["status"] for each in found] == ["succeeded", "failed", "succeeded"]
    assert "amount: 1 row not greater_than_or_equal_to" in found[1]["error"]
    assert next(c for c in found[1]["checks"] if c["name"] == "amount")["failing_rows"][0]["amount"] == -5.0
    assert found[1]["sequence"] is None


def test_a_view_of_the_sample_has_the_rows_that_the_embedded_store_computes(settings: Settings, tmp_path: Path) -> None:
    def january(store: FeatureStore) -> pd.DataFrame:
        store.apply()
        store.compute("2013-01-01", "2013-02-01", ["carrier_punctuality"])
        view = store.get_feature_view("carrier_punctuality")
        with store.offline.read(rows_of(view, store.offline.dataset)) as batches:
            rows: pd.DataFrame = batches.read_all().to_pandas()
        return rows.sort_values(["carrier", "event_timestamp"], ignore_index=True)

    embedded = january(FeatureStore(Settings(home=tmp_path / "embedded")))
    cloud = january(FeatureStore(settings))
    assert len(embedded) > 4_000
    pd.testing.assert_frame_equal(cloud, embedded, check_exact=False, rtol=1e-9)


def test_dagster_takes_its_clients_from_dagster_gcp(settings: Settings) -> None:
    resources = build_definitions(settings, definitions=collect("amora_fs_assets.features")).resources or {}
    assert isinstance(resources["feature_store_bigquery"], BigQueryResource)
    assert isinstance(resources["feature_store_gcs"], GCSResource)
