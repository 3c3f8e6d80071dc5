"""dagster-gcp's resources, for Google Cloud and for its emulators."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from dagster_gcp import BigQueryResource, GCSPickleIOManager, GCSResource
from google.cloud import bigquery, storage

from amora_fs_assets.settings import Settings
from amora_fs_assets.stores.google_clients import bigquery_client, storage_client


class EmulatedBigQueryResource(BigQueryResource):
    """BigQueryResource for the emulator at BIGQUERY_EMULATOR_HOST, which asks for no credentials."""

    @contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        """A client of the emulator."""
        with bigquery_client(
            Settings(bigquery_project=self.project or "", bigquery_location=self.location or "")
        ) as client:
            yield client


class EmulatedGCSResource(GCSResource):
    """GCSResource for the emulator at STORAGE_EMULATOR_HOST, which asks for no credentials."""

    def get_client(self) -> storage.Client:
        """A client of the emulator."""
        return storage_client(Settings(bigquery_project=self.project or ""))


def bigquery_resource(settings: Settings) -> BigQueryResource:
    """With the project and location of the settings; credentials are the environment's."""
    kind = EmulatedBigQueryResource if os.environ.get("BIGQUERY_EMULATOR_HOST") else BigQueryResource
    return kind(**_given(project=settings.bigquery_project, location=settings.bigquery_location))


def gcs_resource(settings: Settings) -> GCSResource:
    """With the project of the settings; credentials are the environment's."""
    kind = EmulatedGCSResource if os.environ.get("STORAGE_EMULATOR_HOST") else GCSResource
    return kind(**_given(project=settings.bigquery_project))


def step_outputs(settings: Settings, gcs: GCSResource) -> GCSPickleIOManager:
    """What the steps of one load hand each other, beside the registry: machines share the bucket, and no folder."""
    bucket = urlsplit(settings.registry)
    prefix = f"{bucket.path.strip('/')}/dagster".lstrip("/")
    return GCSPickleIOManager(gcs=gcs, gcs_bucket=bucket.netloc, gcs_prefix=prefix)


def _given(**values: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
