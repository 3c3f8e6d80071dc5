"""The demo through Google's clients gives what the embedded demo gives: all views, online, training set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from amora_fs_assets_tests.e2e.sample_contract import Demos, SampleContract, demo
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.emulators.gcs import GcsEmulator
from amora_fs_assets_tests.emulators.sent import statements

pytestmark = [
    pytest.mark.google, pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800),
    pytest.mark.xdist_group("google_sample"),
]  # fmt: skip


@pytest.fixture(scope="module")
def demos(
    bigquery_emulator: BigQueryEmulator, gcs_emulator: GcsEmulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Demos]:
    """January of 2013, twice; the emulators named in the environment, as Google's own tools take them."""
    patch = pytest.MonkeyPatch()
    patch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_emulator.host)
    patch.setenv("BIGQUERY_STORAGE_GRPC_ENDPOINT", bigquery_emulator.grpc_address)
    patch.setenv("STORAGE_EMULATOR_HOST", gcs_emulator.host)
    homes = tmp_path_factory.mktemp("homes")
    cloud = {
        "AMORA_FS_OFFLINE_STORE": "bigquery",
        "AMORA_FS_BIGQUERY_PROJECT": "sample",
        "AMORA_FS_REGISTRY": f"gs://{gcs_emulator.new_bucket()}/registry",
    }
    yield Demos(demo(homes / "embedded", {}), demo(homes / "cloud", cloud))
    patch.undo()


class TestSampleOnEmulators(SampleContract):
    """The contract, on the emulators."""


def test_what_is_sent_to_bigquery_is_written_down_for_the_analyzer(
    demos: Demos, bigquery_emulator: BigQueryEmulator
) -> None:
    with replace(bigquery_emulator, project="sample").client() as client:
        assert len(statements(client)) > 100
    assert "feature_store" in bigquery_emulator.sent.read_text()
