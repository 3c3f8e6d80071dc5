"""What BigQuery says of the bytes that a query scans, before it runs (a dry run) and after.

The emulator says 0 of every query, so that what is tested is what is asked and what is kept, not the amount.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests

from amora_fs_assets import Source
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import TableNotFound
from amora_fs_assets.domain.job_costs import Job, Meter, ran
from amora_fs_assets.operations.offline.load_source import load
from amora_fs_assets.operations.offline.transform import query_of
from amora_fs_assets.operations.registry.impact import Recompute, Scan
from amora_fs_assets.operations.registry.scan_estimate import scans
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from amora_fs_assets_tests import small
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.small import at

CLOCK = datetime(2020, 3, 1, tzinfo=UTC)
Sent = list[dict[str, Any]]
_numbers = itertools.count()


@pytest.fixture
def sent() -> Sent:
    """The jobs that the client asked the server for, as it wrote them."""
    return []


@pytest.fixture
def store(bigquery_emulator: BigQueryEmulator, sent: Sent) -> Iterator[BigQueryOfflineStore]:
    client = bigquery_emulator.client()

    def note(response: requests.Response, *_: Any, **__: Any) -> None:
        if response.request.method == "POST" and response.request.body:
            posted = response.request.body
            assert isinstance(posted, str | bytes)
            body = json.loads(posted)
            if "configuration" in body or "query" in body:
                sent.append(body.get("configuration", {"query": body}))

    client._http.hooks["response"].append(note)
    yield BigQueryOfflineStore(client, dataset=f"scans_{next(_numbers)}")
    client.close()


def orders(store: BigQueryOfflineStore) -> Source:
    """Orders in a dataset of this test's own."""
    return Source(
        "orders",
        small.Orders,
        table=f"{store.dataset}.orders",
        timestamp_field="at",
        loader=lambda: small.orders_table(small.ORDERS),
    )


@pytest.mark.google
class TestDryRun:
    def test_a_plan_asks_for_a_dry_run_of_the_very_query_that_would_be_run_and_runs_none(
        self, store: BigQueryOfflineStore, sent: Sent, tmp_path: Path
    ) -> None:
        code = Catalogue.of([small.spending(source := orders(store))])
        view = code.feature_view("spending")
        load(source, run_id="run", store=store, registry=ObjectRegistry(FolderObjectStore(tmp_path)))
        sent.clear()
        asked = Recompute("spending", view.interval(CLOCK), "it is new")
        assert scans([asked], code, store) == {asked: Scan(0, "bytes")}
        (job,) = sent
        assert job["dryRun"] is True
        assert job["query"]["useQueryCache"] is False
        assert job["query"]["query"] == store.sql(query_of(view, asked.interval, store.dataset))

    def test_a_table_that_is_not_there_is_said_instead_of_an_amount(self, store: BigQueryOfflineStore) -> None:
        code = Catalogue.of([small.spending(orders(store))])
        view = code.feature_view("spending")
        (scan,) = scans([Recompute("spending", view.interval(CLOCK), "it is new")], code, store).values()
        assert scan.amount is None
        assert f"{store.dataset}.orders" in scan.reason

    def test_what_a_query_scanned_is_what_its_job_says(self, store: BigQueryOfflineStore) -> None:
        staged = store.stage(pa.table({"n": [1, 2]}), name="numbers", run_id="run")
        with Meter() as meter:
            assert meter.bytes is None
            list(store._jobs.query(f"SELECT sum(n) FROM {staged}"))
        assert meter.bytes == 0  # by the emulator's word

    def test_a_query_that_fails_adds_nothing(self, store: BigQueryOfflineStore) -> None:
        with Meter() as meter, pytest.raises(TableNotFound), store._dataset.explained():
            store._jobs.query(f"SELECT 1 FROM {store.dataset}.nothing")
        assert meter.bytes is None


def scanned(amount: int) -> None:
    """A job was done."""
    ran(Job(id="job", step="read", bytes_processed=amount, bytes_billed=0, slot_ms=0, cost=0.0))


class TestMeter:
    def test_it_adds_up_what_is_scanned_inside_also_by_work_that_has_a_meter_of_its_own(self) -> None:
        scanned(1)
        with Meter() as outer:
            scanned(10)
            with Meter() as inner:
                scanned(100)
        scanned(1_000)
        assert (outer.bytes, inner.bytes) == (110, 100)

    def test_it_goes_on_where_it_left_off(self) -> None:
        meter = Meter()
        for _ in range(2):
            with meter:
                scanned(5)
        assert meter.bytes == 10

    def test_duckdb_says_nothing(self, tmp_path: Any) -> None:
        store = DuckDBOfflineStore(tmp_path)
        with Meter() as meter:
            store.stage(small.orders_table([(1, at(1), 1.0)]), name="orders", run_id="run")
        assert meter.bytes is None
