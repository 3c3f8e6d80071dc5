"""The contracts and a run from source to online, in a Google Cloud project: `make test-gcp PROJECT=... BUCKET=...`.

Everything is written to datasets and under a prefix of its own, and removed at the end. Clients are made as anywhere
else, so that the variables that name emulators turn all this to them (test_wiring.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from amora_fs_assets import FeatureService, FeatureStore, Settings, Source, TrainingSet
from amora_fs_assets.domain.catalogue import Catalogue, definition_hash
from amora_fs_assets.domain.errors import ChecksFailed
from amora_fs_assets.domain.ports import ObjectStore, OfflineStore
from amora_fs_assets.domain.time import utc
from amora_fs_assets.operations import training_sets
from amora_fs_assets.operations.sources import load
from amora_fs_assets.stores.google_clients import bigquery_client, storage_client
from amora_fs_assets.stores.offline import open_offline_store
from amora_fs_assets.stores.registry import open_objects
from amora_fs_assets_tests import small
from amora_fs_assets_tests.stores.object_store_contract import ObjectStoreContract, OpenStore
from amora_fs_assets_tests.stores.offline_store_contract import OfflineStoreContract

pytestmark = [pytest.mark.gcp, pytest.mark.timeout(1800)]


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A dataset and a prefix that nobody else has."""
    own = f"amora_fs_test_{uuid4().hex[:12]}"
    given = {
        "AMORA_FS_OFFLINE_STORE": "bigquery", "AMORA_FS_BIGQUERY_PROJECT": os.environ["TEST_GCP_PROJECT"],
        "AMORA_FS_BIGQUERY_DATASET": own, "AMORA_FS_REGISTRY": f"gs://{os.environ['TEST_GCP_BUCKET']}/{own}",
        "AMORA_FS_HOME": str(tmp_path), "AMORA_FS_NOW": small.CLOCK,
    }  # fmt: skip
    location = os.environ.get("TEST_GCP_LOCATION")
    settings = Settings.from_env(given | ({"AMORA_FS_BIGQUERY_LOCATION": location} if location else {}))
    yield settings
    with bigquery_client(settings) as client:
        client.delete_dataset(own, delete_contents=True, not_found_ok=True, timeout=120)
    objects = storage_client(settings)
    for blob in objects.list_blobs(os.environ["TEST_GCP_BUCKET"], prefix=f"{own}/", timeout=60):
        blob.delete(timeout=60)


class TestOfflineStore(OfflineStoreContract):
    """BigQuery keeps the contract."""

    @pytest.fixture
    def store(self, settings: Settings) -> OfflineStore:
        return open_offline_store(settings)


class TestObjects(ObjectStoreContract):
    """Cloud Storage keeps the contract."""

    @pytest.fixture
    def open_store(self, settings: Settings) -> OpenStore:
        def opened() -> ObjectStore:
            return open_objects(settings)

        return opened


def definitions(settings: Settings, *changes: Any) -> Catalogue:
    """The small feature store, its source in the dataset of its own."""
    given = small.orders(*changes)
    source = Source(
        "orders", small.Orders, table=f"{settings.bigquery_dataset}.orders", timestamp_field="at", loader=given.loader
    )
    view = small.spending(source)
    service = FeatureService("shopping", [view])
    return Catalogue.of([view, service, TrainingSet("bought", service, [source], spine=small._spine)])


def test_from_the_source_to_the_model(settings: Settings) -> None:
    """Load, compute, serve, compare, train; and rows that break a check reach nobody."""
    store = FeatureStore(settings)
    store.__dict__["code"] = code = definitions(settings)
    store.apply()
    source, view, bought = code.sources["orders"], code.feature_view("spending"), code.training_set("bought")
    load(source, run_id="load", store=store.offline, registry=store.registry)
    computed = store.compute("2020-01-01", "2020-03-01")["spending"]
    assert computed is not None
    assert computed.rows == len(small.ORDERS)
    store.materialize_incremental(small.CLOCK)
    served = store.get_online_features("shopping", {"customer": [1, 2, 9]})
    # The second's row is older than the ttl by the clock; the ninth has none.
    assert served.statuses["amount"] == ["OUTSIDE_MAX_AGE", "OUTSIDE_MAX_AGE", "NOT_FOUND"]
    parity = store.parity("spending")
    assert (parity.missing, parity.extra, parity.stale, parity.different) == (0, 0, 0, 0)
    now = utc(small.CLOCK)
    built = training_sets.stage(
        bought, store=store.offline, run_id="train", now=now, definition_hash=definition_hash(bought)
    )
    training_sets.publish(built, store=store.offline, registry=store.registry, now=now, started_at=now)
    rows = store.load_training_set("bought")
    assert sorted(rows["amount"]) == [10.0, 20.0, 30.0, 40.0, 50.0]
    bad = definitions(settings, [*small.ORDERS, (4, small.at(4), -1.0)])
    load(bad.sources["orders"], run_id="bad", store=store.offline, registry=store.registry)
    with pytest.raises(ChecksFailed, match="spending"):
        store.compute("2020-01-01", "2020-03-01")
    assert store.offline.publications(view.name)[-1].run_id == computed.run_id
    kinds = {(record.kind, record.status) for record in store.registry.records()}
    assert {("compute", "succeeded"), ("compute", "failed"), ("materialize", "succeeded")} <= kinds
    store.close()
