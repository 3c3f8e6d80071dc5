"""dagster-gcp's resources, also with clients of an emulator or of an impersonated service account."""

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


class SettingsBigQueryResource(BigQueryResource):
    """BigQueryResource for the emulator at BIGQUERY_EMULATOR_HOST, or acting as a service account."""

    impersonate: str = ""

    @contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        """The same client as outside Dagster."""
        settings = Settings(
            bigquery_project=self.project or "",
            bigquery_location=self.location or "",
            bigquery_impersonate=self.impersonate,
        )
        with bigquery_client(settings) as client:
            yield client


class SettingsGCSResource(GCSResource):
    """GCSResource for the emulator at STORAGE_EMULATOR_HOST, or acting as a service account."""

    impersonate: str = ""

    def get_client(self) -> storage.Client:
        """The same client as outside Dagster."""
        return storage_client(Settings(bigquery_project=self.project or "", bigquery_impersonate=self.impersonate))


def bigquery_resource(settings: Settings) -> BigQueryResource:
    """The resource with the settings' project and location; credentials come from the environment."""
    given = _given(project=settings.bigquery_project, location=settings.bigquery_location)
    if os.environ.get("BIGQUERY_EMULATOR_HOST") or settings.bigquery_impersonate:
        return SettingsBigQueryResource(impersonate=settings.bigquery_impersonate, **given)
    return BigQueryResource(**given)


def gcs_resource(settings: Settings) -> GCSResource:
    """The resource with the settings' project; credentials come from the environment."""
    given = _given(project=settings.bigquery_project)
    if os.environ.get("STORAGE_EMULATOR_HOST") or settings.bigquery_impersonate:
        return SettingsGCSResource(impersonate=settings.bigquery_impersonate, **given)
    return GCSResource(**given)


def step_outputs(settings: Settings, gcs: GCSResource) -> GCSPickleIOManager:
    """The IO manager for values between the steps of one load: in the registry's bucket, which all machines share."""
    bucket = urlsplit(settings.registry)
    prefix = f"{bucket.path.strip('/')}/dagster".lstrip("/")
    return GCSPickleIOManager(gcs=gcs, gcs_bucket=bucket.netloc, gcs_prefix=prefix)


def _given(**values: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
