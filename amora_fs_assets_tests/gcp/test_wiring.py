"""`make test-gcp` runs what it says; here with the emulators in the place of a project."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.emulators.gcs import GcsEmulator

ROOT = Path(__file__).parents[2]


def make(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "test-gcp", *words]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.google
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_command_for_a_project_passes_on_the_emulators(
    bigquery_emulator: BigQueryEmulator, gcs_emulator: GcsEmulator
) -> None:
    done = make(
        f"PROJECT={bigquery_emulator.project}", f"BUCKET={gcs_emulator.new_bucket()}",
        BIGQUERY_EMULATOR_HOST=bigquery_emulator.host, BIGQUERY_STORAGE_GRPC_ENDPOINT=bigquery_emulator.grpc_address,
        STORAGE_EMULATOR_HOST=gcs_emulator.host,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 25, "both contracts and the whole run"
    assert "skipped" not in done.stdout
    with bigquery_emulator.client() as client:
        assert not [each.dataset_id for each in client.list_datasets() if each.dataset_id.startswith("amora_fs_test_")]


def test_without_a_project_the_command_says_what_it_takes() -> None:
    done = make()
    assert done.returncode != 0
    assert "make test-gcp PROJECT=my-project BUCKET=my-bucket" in done.stdout + done.stderr
