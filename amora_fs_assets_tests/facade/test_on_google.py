"""Exports, builds and removals with BigQuery and Cloud Storage."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from pyarrow import parquet

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.domain.time import utc
from amora_fs_assets_tests import small
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.emulators.gcs import GcsEmulator


@pytest.mark.slow
@pytest.mark.google
def test_results_are_exported_and_a_teardown_drops_what_the_store_wrote(
    bigquery_emulator: BigQueryEmulator,
    gcs_emulator: GcsEmulator,
    gcs_bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_emulator.host)
    monkeypatch.setenv("BIGQUERY_STORAGE_GRPC_ENDPOINT", bigquery_emulator.grpc_address)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_emulator.host)
    settings = Settings(home=tmp_path, registry=f"gs://{gcs_bucket}/team", offline_store="bigquery",
                        bigquery_project="exports", dataset="torn_down", now=utc(small.CLOCK))  # fmt: skip
    with FeatureStore(settings, small.catalogue(ttl=None)) as store:
        store.apply()
        store.compute("2020-01-01", "2020-03-01")
        store.materialize_incremental()
        store.push("spending", [{"customer": 7, "event_timestamp": "2020-02-05", "amount": 7.0}])
        assert store.build_training_set("bought").rows == 5
        found = store.get_historical_features("spending", start="2020-02-01")
        assert found.to_parquet(f"gs://{gcs_bucket}/rows.parquet") == 3
        data = gcs_emulator.client().bucket(gcs_bucket).blob("rows.parquet").download_as_bytes()
        assert sorted(parquet.read_table(io.BytesIO(data))["amount"].to_pylist()) == [7.0, 40.0, 50.0]
        assert store.get_online_features("spending", {"customer": [7, 3]}).to_table("exported.online") == 2
        with bigquery_emulator.client() as client:
            names = {f"torn_down.{table.table_id}" for table in client.list_tables("exports.torn_down")}
            written = {name for name in names if "_staged_" not in name}
            assert set(store.tables()) == written | {"raw.orders"}
            store.teardown(tables=True)
            assert store.tables() == []
            assert [table.table_id for table in client.list_tables("exports.torn_down")] == []
            assert [table.table_id for table in client.list_tables("exports.exported")] == ["online"]
        assert store.list_feature_views() == []
