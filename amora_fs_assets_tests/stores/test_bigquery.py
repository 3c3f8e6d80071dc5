"""The BigQuery offline store, through the real client against the emulator."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from amora_fs_assets.domain.ports import OfflineStore
from amora_fs_assets.stores.bigquery import BigQueryOfflineStore
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.stores.offline_store_contract import OfflineStoreContract

pytestmark = pytest.mark.google
_numbers = itertools.count()


@pytest.fixture
def store(bigquery_emulator: BigQueryEmulator) -> Iterator[OfflineStore]:
    with bigquery_emulator.client() as client:
        yield BigQueryOfflineStore(
            client, dataset=f"store_{next(_numbers)}", storage_client=bigquery_emulator.read_client()
        )


class TestBigQueryOfflineStore(OfflineStoreContract):
    """The contract, on BigQuery."""
