"""The BigQuery offline store, through the real client against the emulator."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.operations.expressions.tables import unbound
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.stores.offline_store_contract import COLUMNS, NEW_COLUMNS, OfflineStoreContract, rows

pytestmark = pytest.mark.google
_numbers = itertools.count()


@pytest.fixture
def store(bigquery_emulator: BigQueryEmulator) -> Iterator[OfflineStore]:
    with bigquery_emulator.client() as client:
        yield BigQueryOfflineStore(
            client, dataset=f"store_{next(_numbers)}", storage_client=bigquery_emulator.read_client()
        )


@pytest.mark.slow
class TestBigQueryOfflineStore(OfflineStoreContract):
    """The contract, on BigQuery."""


def test_what_a_killed_process_staged_goes_by_itself(bigquery_emulator: BigQueryEmulator, store: OfflineStore) -> None:
    contract = OfflineStoreContract()
    contract.publish(store, rows((1, at(1), 1.0)))
    staged = store.stage(unbound(COLUMNS, f"{store.dataset}.spending"), name="spending", run_id="killed")
    with bigquery_emulator.client() as client:
        expires = client.get_table(staged, timeout=60).expires
    assert timedelta(days=6) < expires - datetime.now(UTC) < timedelta(days=8)


def test_a_table_is_partitioned_by_day_and_clustered_by_its_keys(
    bigquery_emulator: BigQueryEmulator, store: OfflineStore
) -> None:
    OfflineStoreContract().publish(store, rows((1, at(1), 1.0)))
    with bigquery_emulator.client() as client:
        table = client.get_table(f"{store.dataset}.spending", timeout=60)
    assert (table.time_partitioning.field, table.time_partitioning.type_) == ("event_timestamp", "DAY")
    assert table.clustering_fields == ["customer"]


def test_publications_of_an_earlier_release_are_read_and_its_table_is_widened(
    bigquery_emulator: BigQueryEmulator, store: OfflineStore
) -> None:
    contract = OfflineStoreContract()
    contract.publish(store, rows((1, at(1), 1.0)))
    with bigquery_emulator.client() as client:
        for column in NEW_COLUMNS:
            client.query(f"ALTER TABLE `{store.dataset}._publications` DROP COLUMN {column}", timeout=60).result()
        # another process: what this one knows of the table is no longer so
        other = BigQueryOfflineStore(client, dataset=store.dataset)
        (before,) = other.publications()
        assert [getattr(before, column) for column in NEW_COLUMNS] == [None] * len(NEW_COLUMNS)
        after = contract.publish(other, rows((1, at(2), 1.0)))
        assert other.publications() == (before, after)
