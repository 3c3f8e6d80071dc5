"""A stock Feast 0.67 opens our registry: lists what is in it, and reads historical features from our tables."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import RegistryConflict
from amora_fs_assets.operations.registry.apply import apply, collect
from amora_fs_assets.stores.open import open_objects
from amora_fs_assets.stores.registry.feast_registry import NAME, sync
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from amora_fs_assets_tests import small
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.emulators.gcs import GcsEmulator
from amora_fs_assets_tests.feast.metadata_server import metadata_server
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.stores.at_once import at_once

pytestmark = pytest.mark.slow

CLIENT = Path(__file__).with_name("client.py")
SAMPLE = collect("amora_fs_assets.features")


@pytest.fixture
def python(feast_python: str) -> str:
    return feast_python


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjectStore:
    return FolderObjectStore(tmp_path / "registry")


def feast(python: str, *arguments: str, environment: dict[str, str] | None = None) -> Any:
    """What a Feast session answers."""
    # No proxy stands between a test and its own machine; usage is not to be reported to anybody.
    own = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()} | {"FEAST_USAGE": "False"}
    done = subprocess.run([python, CLIENT, *arguments], env={**own, **(environment or {})}, capture_output=True,
                          text=True, timeout=120, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def stored_hash(objects: FolderObjectStore) -> set[str]:
    """Which of the registry's snapshots registry.db says to be of."""
    stored = objects.read(NAME)
    assert stored is not None
    return {each.hash for each in ObjectRegistry(objects).history() if each.hash.encode() in stored.data}


def test_feast_lists_what_was_applied(python: str, objects: FolderObjectStore, tmp_path: Path) -> None:
    apply(SAMPLE, ObjectRegistry(objects), clock=at(1))
    assert sync(objects, Settings(home=tmp_path), python=python) == "written"
    seen = feast(python, "list", str(tmp_path / "registry" / NAME), "amora_fs")

    assert set(seen["entities"]) == {"aircraft", "airport", "carrier", "location", "route__origin", "route__dest"}
    assert seen["entities"]["aircraft"] == ["tailnum", "STRING", "Aircraft, by its tail number."]
    assert set(seen["sources"]) == {*SAMPLE.sources, *SAMPLE.feature_views}
    assert set(seen["views"]) == set(SAMPLE.feature_views)
    for view in SAMPLE.feature_views.values():
        told = seen["views"][view.name]
        assert (told["owner"], told["tags"], told["description"]) == (view.owner, view.tags, view.description)
        assert told["ttl"] == (view.ttl.total_seconds() if view.ttl else None)
        assert [[name, text] for name, _, text in told["features"]] == [[c.name, c.description] for c in view.features]
        assert [name for name, _ in told["keys"]] == list(view.join_keys)
    kinds = {name: kind for name, kind, _ in seen["views"]["aircraft_history"]["features"]}
    assert kinds == {
        "last_departed_at": "UnixTimestamp",
        "last_delay": "Float64",
        "seats": "Int64",
        "built": "Int64",
    }
    assert seen["views"]["network_load"]["entities"] == []

    service = SAMPLE.feature_services["departure_delay"]
    told = seen["services"]["departure_delay"]
    assert (told["owner"], told["description"]) == (service.owner, service.description)
    assert told["tags"]["amora_fs_version"] == service.version
    assert told["features"] == [
        [p.view.name, p.name, dict(p.join_key_map), list(p.features)] for p in service.projections
    ]


def test_registry_db_is_of_the_head_and_written_only_when_that_moved(
    python: str, objects: FolderObjectStore, tmp_path: Path
) -> None:
    settings, registry = Settings(home=tmp_path), ObjectRegistry(objects)
    first = apply(small.catalogue(), registry, clock=at(1))
    assert sync(objects, settings, python=python) == "written"
    assert stored_hash(objects) == {first.hash}
    assert sync(objects, settings, python=python) == "current"
    second = apply(small.catalogue(ttl=timedelta(days=1)), registry, clock=at(2))
    assert sync(objects, settings, python=python) == "written"
    assert stored_hash(objects) == {second.hash}


def test_a_registry_db_that_another_program_overwrote_is_rewritten(
    python: str, objects: FolderObjectStore, tmp_path: Path
) -> None:
    head = apply(small.catalogue(), ObjectRegistry(objects), clock=at(1))
    objects.create(NAME, b"what `feast apply` or a torn copy left")
    assert sync(objects, Settings(home=tmp_path), python=python) == "written"
    assert stored_hash(objects) == {head.hash}


def test_processes_that_apply_at_once_leave_the_one_of_the_head(
    python: str, objects: FolderObjectStore, tmp_path: Path
) -> None:
    def work(number: int) -> None:
        registry = ObjectRegistry(objects)
        while True:
            head = registry.head()
            try:
                registry.apply(
                    small.catalogue(ttl=timedelta(days=number + 1)), parent=head.hash if head else None, clock=at(1)
                )
                break
            except RegistryConflict:
                continue
        sync(objects, Settings(home=tmp_path), python=python)

    at_once(work, 6)
    head = ObjectRegistry(objects).head()
    assert head is not None
    assert stored_hash(objects) == {head.hash}


@pytest.mark.google
def test_feast_reads_from_our_bigquery_tables_what_we_read(
    python: str, bigquery_emulator: BigQueryEmulator, gcs_emulator: GcsEmulator, gcs_bucket: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_emulator.host)
    monkeypatch.setenv("BIGQUERY_STORAGE_GRPC_ENDPOINT", bigquery_emulator.grpc_address)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_emulator.host)
    code: Catalogue = small.catalogue()
    module = ModuleType("definitions")
    vars(module).update(view=code.feature_view("spending"), service=code.feature_service("shopping"))
    settings = Settings(home=tmp_path, registry=f"gs://{gcs_bucket}/team", offline_store="bigquery",
                        bigquery_project="with-feast", dataset="features", now=at(1, month=3))  # fmt: skip
    ours = FeatureStore(settings, module)
    ours.apply()
    assert sync(open_objects(settings), settings, python=python) == "written"
    ours.compute("2020-01-01", "2020-03-01")

    # On the minute, before it, at the end of the ttl, past it, and an unknown customer.
    moments = [at(1), at(1) - timedelta(microseconds=1), at(23), at(23, 1), at(5, month=2), at(5, month=2)]
    spine = {"row": [*range(6)], "customer": [1, 1, 1, 1, 1, 9], "event_timestamp": [m.isoformat() for m in moments]}
    with metadata_server() as host:
        theirs = feast(
            python, "historical", f"gs://{gcs_bucket}/team/{NAME}", "amora_fs", "with-feast", "features", "shopping",
            json.dumps(spine), environment={"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host},
        )  # fmt: skip
    frame = pd.DataFrame(spine).assign(event_timestamp=moments)
    expected = ours.get_historical_features("shopping", frame).to_df()
    amounts = [None if pd.isna(amount) else amount for amount in expected["amount"]]
    assert [row["amount"] for row in theirs] == amounts == [10.0, None, 30.0, None, 40.0, None]
