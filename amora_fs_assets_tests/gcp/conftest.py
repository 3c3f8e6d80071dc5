"""A project of Google Cloud, in which the suites make datasets and objects of their own and remove them.

Without `--gcp-project` and `--gcp-bucket` nothing in this folder is collected. Clients are made as everywhere else,
from the environment's credentials and settings (AMORA_FS_BIGQUERY_LOCATION, AMORA_FS_BIGQUERY_IMPERSONATE).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from google.api_core.exceptions import GoogleAPIError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery, storage

from amora_fs_assets import Settings
from amora_fs_assets.domain.errors import FeatureStoreError
from amora_fs_assets.stores.google_clients import bigquery_client, storage_client

MADE = "amora_fs_test"
"""Label of the datasets that the suites make."""
OF_THE_SAMPLE = ("raw", "reference")
SECONDS = 60


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Only for who says where."""
    return None if config.getoption("--gcp-project") and config.getoption("--gcp-bucket") else True


@dataclass(frozen=True)
class Place:
    """Where the suites work, under a name of this run's own."""

    settings: Settings
    """The project's, with the BigQuery store; the registry is for each test to say."""
    bucket: str
    name: str
    bigquery: bigquery.Client
    storage: storage.Client
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def dataset(self) -> str:
        """A new dataset, whose tables expire after a day even if nobody removes them."""
        return self.make(f"{self.name}_{next(self._numbers)}")

    def folder(self) -> str:
        """A new prefix in the bucket."""
        return f"{self.name}/{next(self._numbers)}"

    def make(self, dataset: str) -> str:
        """Create it. Ends the session if it exists and another program created it."""
        new = bigquery.Dataset(f"{self.bigquery.project}.{dataset}")
        new.location = self.settings.bigquery_location or None
        new.default_table_expiration_ms = int(timedelta(days=1).total_seconds() * 1000)
        new.labels = {MADE: "yes"}
        with contextlib.suppress(NotFound):
            if MADE not in self.bigquery.get_dataset(new.reference, timeout=SECONDS).labels:
                pytest.exit(
                    f"Project {self.bigquery.project} has a dataset '{dataset}' already, to which the sample would "
                    "write. Nothing in it was touched. Name another: make test-gcp PROJECT=... BUCKET=...",
                    returncode=2,
                )
            return dataset
        self.bigquery.create_dataset(new, timeout=SECONDS)
        return dataset

    def remove(self) -> None:
        """What this run made."""
        for each in list(self.bigquery.list_datasets(timeout=SECONDS)):
            if each.dataset_id.startswith(self.name):
                self.bigquery.delete_dataset(each.reference, delete_contents=True, not_found_ok=True, timeout=SECONDS)
        for blob in list(self.storage.list_blobs(self.bucket, prefix=f"{self.name}/", timeout=SECONDS)):
            blob.delete(timeout=SECONDS)


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """The project and bucket that the command names. Ends the session with what is wrong where they cannot be used."""
    project, bucket = (str(request.config.getoption(f"--gcp-{name}")) for name in ("project", "bucket"))
    where = f"Project '{project}' with bucket '{bucket}' cannot be used:"
    settings = replace(Settings.from_env(), offline_store="bigquery", bigquery_project=project)
    try:
        found = Place(
            settings, bucket, f"amora_fs_test_{uuid4().hex[:8]}", bigquery_client(settings), storage_client(settings)
        )
        found.bigquery.query_and_wait("SELECT 1", wait_timeout=SECONDS)
        if not found.storage.bucket(bucket).exists(timeout=SECONDS):
            pytest.exit(f"{where} there is no such bucket, or it is not yours to see.", returncode=2)
    except (FeatureStoreError, GoogleAPIError, GoogleAuthError) as error:
        pytest.exit(f"{where} {error}", returncode=2)
    yield found
    found.remove()
