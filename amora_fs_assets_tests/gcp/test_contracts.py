"""The contracts of the offline store and of the registry's objects, in the project."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.google_clients import bigquery_storage_client, storage_client
from amora_fs_assets.stores.registry.gcs import GcsObjectStore
from amora_fs_assets_tests.gcp.conftest import SECONDS, Place
from amora_fs_assets_tests.stores.object_store_contract import ObjectStoreContract, OpenStore
from amora_fs_assets_tests.stores.offline_store_contract import OfflineStoreContract


class TestBigQueryOfflineStore(OfflineStoreContract):
    """The contract, on BigQuery."""

    @pytest.fixture
    def store(self, place: Place) -> Iterator[OfflineStore]:
        dataset = place.dataset()
        yield BigQueryOfflineStore(
            place.bigquery, dataset=dataset, storage_client=bigquery_storage_client(place.settings)
        )
        place.bigquery.delete_dataset(dataset, delete_contents=True, not_found_ok=True, timeout=SECONDS)


class TestGcsObjectStore(ObjectStoreContract):
    """The contract, on Cloud Storage."""

    @pytest.fixture
    def open_store(self, place: Place) -> OpenStore:
        folder = place.folder()
        return lambda: GcsObjectStore(storage_client(place.settings), place.bucket, folder)
