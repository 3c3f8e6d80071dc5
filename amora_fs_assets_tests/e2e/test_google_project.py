"""`make test-gcp`, as far as it can be proven without a project: the emulators stand in for one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from google.cloud import bigquery

from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.emulators.gcs import GcsEmulator

pytestmark = [pytest.mark.google, pytest.mark.e2e]
ROOT = Path(__file__).parents[2]


def make(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`make test-gcp`, as somebody types it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AMORA_FS_", "GOOGLE_"))}
    return subprocess.run(
        ["make", "--no-print-directory", "test-gcp", *words],
        env={**clean, **environment}, capture_output=True, text=True, timeout=560, cwd=ROOT,
    )  # fmt: skip


def emulated(bigquery: BigQueryEmulator, gcs: GcsEmulator) -> dict[str, str]:
    return {
        "BIGQUERY_EMULATOR_HOST": bigquery.host,
        "BIGQUERY_STORAGE_GRPC_ENDPOINT": bigquery.grpc_address,
        "STORAGE_EMULATOR_HOST": gcs.host,
    }


def of_project(bigquery_emulator: BigQueryEmulator, project: str) -> bigquery.Client:
    return BigQueryEmulator(bigquery_emulator.host, bigquery_emulator.grpc_address, project).client()


SOME = "read_again or whole_table_is_replaced or created_once or sorted"
"""Tests of both contracts: elsewhere all of them, and the sample, run against the emulators."""


@pytest.mark.slow
def test_the_suites_run_in_the_place_that_is_named_and_leave_nothing_there(
    bigquery_emulator: BigQueryEmulator, gcs_emulator: GcsEmulator, gcs_bucket: str
) -> None:
    done = make(
        "PROJECT=somewhere", f"BUCKET={gcs_bucket}", f"ARGS=-k '{SOME}'", **emulated(bigquery_emulator, gcs_emulator)
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout
    with of_project(bigquery_emulator, "somewhere") as client:
        assert [each.dataset_id for each in client.list_datasets(timeout=60)] == []
        assert len(list(client.list_jobs(timeout=60))) > 10  # it was here that they ran
    assert list(gcs_emulator.client().list_blobs(gcs_bucket, timeout=60)) == []


@pytest.mark.slow
def test_datasets_of_other_programs_are_not_changed(
    bigquery_emulator: BigQueryEmulator, gcs_emulator: GcsEmulator, gcs_bucket: str
) -> None:
    with of_project(bigquery_emulator, "taken") as client:
        client.create_dataset("raw", timeout=60)
        done = make(
            "PROJECT=taken", f"BUCKET={gcs_bucket}", "ARGS=-k Sample", **emulated(bigquery_emulator, gcs_emulator)
        )
        assert done.returncode != 0
        assert "Project taken has a dataset 'raw' already" in done.stdout + done.stderr
        assert [each.dataset_id for each in client.list_datasets(timeout=60)] == ["raw"]


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_named(bigquery_emulator: BigQueryEmulator, gcs_emulator: GcsEmulator) -> None:
    done = make("PROJECT=somewhere", "BUCKET=nowhere", **emulated(bigquery_emulator, gcs_emulator))
    assert done.returncode != 0
    assert "'somewhere' with bucket 'nowhere' cannot be used: there is no such bucket" in done.stdout + done.stderr


def test_without_credentials_it_says_how_to_get_some(tmp_path: Path) -> None:
    done = make("PROJECT=somewhere", "BUCKET=b", GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path / "none.json"))
    assert done.returncode != 0
    assert "gcloud auth application-default login" in done.stdout + done.stderr


def test_it_asks_where() -> None:
    done = make()
    assert done.returncode == 2
    assert "make test-gcp PROJECT=... BUCKET=..." in done.stdout
