"""Google's clients, for Google Cloud and for emulators.

The variables of Google's own tools select an emulator: BIGQUERY_EMULATOR_HOST and STORAGE_EMULATOR_HOST
(`http://host:port`), and BIGQUERY_STORAGE_GRPC_ENDPOINT (`host:port`) for BigQuery's Storage Read API.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain.errors import SettingsError
from amora_fs_assets.settings import Settings

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

if TYPE_CHECKING:
    from google.cloud import bigquery, storage
    from google.cloud.bigquery_storage import BigQueryReadClient


def bigquery_client(settings: Settings) -> bigquery.Client:
    """The client for queries and loads. Raises SettingsError without credentials."""
    from google.cloud import bigquery

    client: bigquery.Client = _make_client(
        bigquery.Client,
        os.environ.get("BIGQUERY_EMULATOR_HOST"),
        settings,
        project=settings.bigquery_project or None,
        location=settings.bigquery_location or None,
    )
    return client


def bigquery_storage_client(settings: Settings) -> BigQueryReadClient | None:
    """The client for reading results as Arrow; None for an emulator without one, whose results come over REST."""
    from google.cloud.bigquery_storage import BigQueryReadClient

    endpoint = os.environ.get("BIGQUERY_STORAGE_GRPC_ENDPOINT")
    if endpoint:
        import grpc
        from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

        channel = grpc.insecure_channel(endpoint, options=[("grpc.max_receive_message_length", -1)])
        return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))
    if os.environ.get("BIGQUERY_EMULATOR_HOST"):
        return None
    client: BigQueryReadClient = _make_client(BigQueryReadClient, None, settings)
    return client


def storage_client(settings: Settings) -> storage.Client:
    """The client for objects. Raises SettingsError without credentials."""
    from google.cloud import storage

    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    return _make_client(storage.Client, emulator, settings, project=settings.bigquery_project or None)


def _make_client(kind: Any, emulator: str | None, settings: Settings, **options: Any) -> Any:
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import DefaultCredentialsError

    if emulator:
        url = emulator if "://" in emulator else f"http://{emulator}"
        options["project"] = options.get("project") or "emulated"
        return kind(credentials=AnonymousCredentials(), client_options={"api_endpoint": url}, **options)
    try:
        if settings.bigquery_impersonate:
            options["credentials"] = _impersonated(settings.bigquery_impersonate)
        return kind(**options)
    except (DefaultCredentialsError, OSError) as error:
        raise SettingsError(
            f"Google Cloud: {error} Run `gcloud auth application-default login`, and set AMORA_FS_BIGQUERY_PROJECT."
        ) from error


def _impersonated(account: str) -> Any:
    """Short-lived credentials of the service account, obtained with the environment's credentials."""
    import google.auth
    from google.auth.impersonated_credentials import Credentials

    own, _ = google.auth.default(scopes=[_SCOPE])
    return Credentials(source_credentials=own, target_principal=account, target_scopes=[_SCOPE])
