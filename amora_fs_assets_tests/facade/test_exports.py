"""Results as tables and as Parquet files."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from amora_fs_assets import FeatureStore
from amora_fs_assets.domain.errors import InvalidRequest, OfflineStoreError
from amora_fs_assets.operations.online.read import OnlineReader
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.stores.files import writing
from amora_fs_assets_tests.emulators.gcs import GcsEmulator
from amora_fs_assets_tests.small import at

ASKED = pd.DataFrame({"customer": [2, 1], "event_timestamp": [at(5), at(2)], "label": ["a", "b"]})
SELECT = 'SELECT customer, "at" AS event_timestamp FROM raw.orders'


@pytest.mark.parametrize("spine", [ASKED, pa.Table.from_pandas(ASKED), SELECT, ASKED[:0], f"{SELECT} WHERE false"])
def test_a_historical_result_is_written_to_parquet(fs: FeatureStore, tmp_path: Path, spine: object) -> None:
    result = fs.get_historical_features("spending", spine)
    expected = result.to_arrow()
    assert result.to_parquet(tmp_path / "rows.parquet") == expected.num_rows
    written = parquet.read_table(tmp_path / "rows.parquet")
    by_row = [("customer", "ascending"), ("event_timestamp", "ascending")]
    assert written.sort_by(by_row).to_pylist() == expected.sort_by(by_row).to_pylist()
    assert written.schema.names == expected.schema.names
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


def test_an_online_result_is_written_to_parquet_and_to_a_table(fs: FeatureStore, tmp_path: Path) -> None:
    response = fs.get_online_features("spending", {"customer": [1, 99]})
    path = tmp_path / "online.parquet"
    assert response.to_parquet(str(path), include_event_timestamps=True) == 2
    assert parquet.read_table(path).to_pylist() == [
        {"customer": 1, "amount": 40.0, "amount__ts": at(2, month=2)},
        {"customer": 99, "amount": None, "amount__ts": None},
    ]
    assert response.to_table("exports.online") == 2
    assert isinstance(fs.offline, DuckDBOfflineStore)
    assert set(fs.offline.columns("exports.online") or ()) == {"customer", "amount"}
    assert response.to_polars()["amount"].to_list() == [40.0, None]
    with pytest.raises(OfflineStoreError, match="belongs to Feature view 'spending'"):
        response.to_table("feature_store.spending")


def test_a_response_of_a_reader_alone_cannot_be_written(fs: FeatureStore) -> None:
    plan = OnlineReader(fs.get_feature_service("spending"))
    given, requests = plan.requests({"customer": [1]})
    response = plan.response(given, fs.online.read(requests), fs.settings.clock())
    with pytest.raises(InvalidRequest, match="made without a FeatureStore"):
        response.to_table("exports.alone")


@pytest.fixture
def gcs(gcs_emulator: GcsEmulator, gcs_bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_emulator.host)
    return gcs_bucket


@pytest.mark.google
def test_a_result_is_written_to_cloud_storage(fs: FeatureStore, gcs: str, gcs_emulator: GcsEmulator) -> None:
    rows = fs.get_historical_features("spending", ASKED).to_parquet(f"gs://{gcs}/training/rows.parquet")
    data = gcs_emulator.client().bucket(gcs).blob("training/rows.parquet").download_as_bytes()
    assert rows == parquet.read_table(io.BytesIO(data)).num_rows == 2


@pytest.mark.google
def test_an_object_that_is_not_written_to_its_end_does_not_appear(
    fs: FeatureStore, gcs: str, gcs_emulator: GcsEmulator
) -> None:
    def broken() -> None:
        with writing(f"gs://{gcs}/half", fs.settings) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert not gcs_emulator.client().bucket(gcs).blob("half").exists()
    with pytest.raises(OfflineStoreError, match="gs://no-such-bucket/x cannot be written"):
        fs.get_historical_features("spending", ASKED).to_parquet("gs://no-such-bucket/x")


def test_a_file_that_is_not_written_to_its_end_leaves_the_old_one(fs: FeatureStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")

    def broken() -> None:
        with writing(tmp_path / "file", fs.settings) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/no/such/folder/x.parquet", "cannot be written: No such file or directory"),
        ("s3://bucket/x", "neither a local path nor gs://bucket/object"),
        ("gs://bucket", "neither a local path nor gs://bucket/object"),
        (7, "path is 7"),
        ("", "path is '', which is no name of a file"),
        ("half\0", "no name of a file"),
        ("~nobody_of_this_name/x", "cannot be written: Could not determine home directory"),
    ],
)
def test_a_path_that_cannot_be_written_is_named(fs: FeatureStore, path: object, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        fs.get_historical_features("spending", ASKED).to_parquet(path)  # type: ignore[arg-type]
