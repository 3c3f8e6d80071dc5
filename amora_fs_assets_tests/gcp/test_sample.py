"""The first months of the sample, from sources to what is served, in the project and on the embedded parts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amora_fs_assets_tests.e2e.sample_contract import Demos, SampleContract, demo
from amora_fs_assets_tests.gcp.conftest import OF_THE_SAMPLE, SECONDS, Place


@pytest.fixture(scope="module")
def demos(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demos]:
    """Twice the same, once with the settings that a user of the project would set; Redis is the embedded server."""
    homes = tmp_path_factory.mktemp("homes")
    made = [place.make(dataset) for dataset in OF_THE_SAMPLE]
    cloud = {
        "AMORA_FS_OFFLINE_STORE": "bigquery",
        "AMORA_FS_BIGQUERY_PROJECT": place.settings.bigquery_project,
        "AMORA_FS_BIGQUERY_LOCATION": place.settings.bigquery_location,
        "AMORA_FS_BIGQUERY_IMPERSONATE": place.settings.bigquery_impersonate,
        "AMORA_FS_DATASET": place.dataset(),
        "AMORA_FS_REGISTRY": f"gs://{place.bucket}/{place.folder()}",
    }
    yield Demos(demo(homes / "embedded", {}), demo(homes / "cloud", cloud))
    for dataset in made:
        place.bigquery.delete_dataset(dataset, delete_contents=True, not_found_ok=True, timeout=SECONDS)


class TestSampleOnGoogleCloud(SampleContract):
    """The contract, in the project."""
