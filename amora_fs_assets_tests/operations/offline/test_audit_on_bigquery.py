"""The audit runs in BigQuery's engine: leaks are found with their source rows, causal views pass."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from amora_fs_assets.operations.offline.audit import audit, recent
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.operations.offline.test_audit import LEAKS, WEEK, causal, orders_table, view_of
from amora_fs_assets_tests.operations.stores import fill_bigquery
from amora_fs_assets_tests.small import at

pytestmark = pytest.mark.google
TWO_DAYS = timedelta(days=2)


@pytest.fixture
def bigquery(bigquery_emulator: BigQueryEmulator) -> Iterator[BigQueryOfflineStore]:
    with bigquery_emulator.client() as client:
        fill_bigquery(client, {"theirs.orders": orders_table()})
        yield BigQueryOfflineStore(client, dataset="audited", storage_client=bigquery_emulator.read_client())


def test_a_causal_view_passes(bigquery: BigQueryOfflineStore) -> None:
    view = view_of(causal, lookback=TWO_DAYS)
    assert recent(view, at(1, month=2), bigquery).start == at(8)
    found = audit(view, WEEK, store=bigquery, instants=2, parts=2)
    assert found.passed, found
    assert found.rows == 84


@pytest.mark.slow
@pytest.mark.parametrize("leak", ["lead", "lookback too short"])
def test_a_leak_is_caught(leak: str, bigquery: BigQueryOfflineStore) -> None:
    rule, transform, source, lookback = LEAKS[leak]
    found = audit(
        view_of(lambda orders: transform(orders), source, lookback=lookback), WEEK, store=bigquery, instants=1, parts=2
    )
    (finding,) = [each for each in found.findings if each.rule == rule]
    assert set(finding.columns) == {"value"}
    assert finding.source == "orders"
    assert finding.source_row
