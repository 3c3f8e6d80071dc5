"""On-demand features over HTTP, on the command line, in stored training sets, on BigQuery, and on a running clock."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from ibis.expr.types import Table
from pyarrow import csv

from amora_fs_assets import FeatureStore, Settings, Source, SourceSchema, Timestamp, TrainingSet
from amora_fs_assets.cli.main import main
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.operations.training.historical import historical_features
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.operations.on_demand.shop import TABLES, TIME, checkout, spend
from amora_fs_assets_tests.operations.on_demand.test_both_sides import FEATURES, NOW, REQUESTS, spine
from amora_fs_assets_tests.operations.stores import MergingDuckDBStore, fill, fill_bigquery
from amora_fs_assets_tests.serving.conftest import application


class Checkouts(SourceSchema):
    customer: int
    at: Timestamp
    basket: float
    shop_city: str
    paid: bool


def _spine(checkouts: Table) -> Table:
    return checkouts.select("customer", "basket", "shop_city", "paid", event_timestamp="at")


CHECKOUTS = pa.table(
    {
        "customer": pa.array([1, 2], pa.int64()),
        "at": pa.array([NOW, NOW], TIME),
        "basket": [50.0, 5.0],
        "shop_city": ["Berlin", "Berlin"],
        "paid": [True, False],
    }
)
bought = TrainingSet(
    "bought", checkout, [Source("checkouts", Checkouts, table="theirs.checkouts", timestamp_field="at")], spine=_spine
)


@pytest.fixture(scope="module")
def fs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureStore]:
    home = tmp_path_factory.mktemp("home")
    fill(home, {**TABLES, "theirs.checkouts": CHECKOUTS})
    with FeatureStore(Settings(home=home, now=NOW), Catalogue.of([bought])) as store:
        store.apply()
        store.materialize_incremental()
        yield store


def test_http_takes_the_request_beside_the_entities(fs: FeatureStore) -> None:
    with application(FeatureStore(fs.settings)) as post:
        body = {"feature_service": "checkout", "entities": REQUESTS, "full_feature_names": True}
        answer = post("/get-online-features", body).json()
        names = answer["metadata"]["feature_names"]
        found = dict(zip(names, answer["results"], strict=True))
        assert found["basket__share"]["values"] == FEATURES["share"]
        assert found["basket__share"]["statuses"] == ["PRESENT", "NULL_VALUE", "NULL_VALUE", "NULL_VALUE"]
        assert found["basket__orders"]["values"] == FEATURES["orders"]
        assert set(found["basket__share"]["event_timestamps"]) == {"2020-01-03T00:00:00Z"}
        body["entities"] = {"customer": [1], "basket": [5]}
        refused = post("/get-online-features", body)
        assert (refused.status_code, refused.json()["error"]["type"]) == (422, "InvalidRequest")
        assert "lack request column 'shop_city'" in refused.json()["error"]["message"]
        body["entities"] = {"customer": [1], "basket": ["5"], "shop_city": ["Berlin"]}
        assert "Request column 'basket' takes float64" in post("/get-online-features", body).json()["error"]["message"]


def test_the_command_line_takes_the_request_beside_the_keys(fs: FeatureStore, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(main.commands[words[0]], words[1:], obj=fs)
        assert result.exit_code == 0, result.output
        return result.stdout

    said = run("get-online", "checkout", "--entity", "customer=1,basket=50,shop_city=Berlin", "--json")
    assert json.loads(said)["values"]["share"] == [0.25]
    given = tmp_path / "checkouts.csv"
    given.write_text("customer,basket,shop_city,event_timestamp\n1,50,Berlin,2020-01-03T00:00Z\n")
    rows = csv.read_csv(io.BytesIO(run("get-historical", "basket", "--entities", str(given)).encode()))
    assert rows["share"].to_pylist() == [0.25]
    assert rows["local"].to_pylist() == [True]
    assert "basket" in run("on-demand-views", "list")
    assert "request_time()" in run("on-demand-views", "describe", "basket")
    assert "request columns: basket float64, shop_city string" in run("services", "describe", "checkout")
    graph = run("lineage", "basket")
    assert "feature view spend" in graph
    assert "feature service checkout" in graph


def test_a_training_set_has_the_features_and_its_labels_are_not_the_request(fs: FeatureStore) -> None:
    record = fs.build_training_set("bought")
    rows = fs.load_training_set("bought").set_index("customer")
    assert rows.loc[1, ["share", "idle", "local", "orders"]].tolist() == [0.25, 86_400.0, True, 4]
    manifest = fs.registry.manifest("bought", record.details["version"])
    assert manifest is not None
    assert manifest["labels"] == ["paid"]
    assert {each.name for each in record.inputs} == {"checkouts", "spend", "profile"}
    assert record.column_lineage is not None
    assert {(each.name, each.column) for each in record.column_lineage["share"]} >= {
        ("checkouts", "basket"), ("spend", "spend_30d"),
    }  # fmt: skip


def test_both_forms_of_the_join_agree(fs: FeatureStore) -> None:
    service = fs.get_feature_service("checkout")
    merged = historical_features(service, spine(), store=MergingDuckDBStore(fs.settings.home)).to_arrow().to_pydict()
    assert {name: merged[name] for name in FEATURES} == FEATURES


@pytest.mark.google
def test_bigquery_computes_the_same(fs: FeatureStore, bigquery_emulator: BigQueryEmulator) -> None:
    with bigquery_emulator.client() as client:
        fill_bigquery(client, TABLES)
        store = BigQueryOfflineStore(client, dataset="on_demand", storage_client=bigquery_emulator.read_client())
        found = historical_features(fs.get_feature_service("checkout"), spine(), store=store).to_arrow().to_pydict()
    assert {name: found[name] for name in FEATURES} == FEATURES


def test_the_clock_runs_and_a_push_is_seen_at_once(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    hour_ago, day_ago = (now - timedelta(hours=each) for each in (1, 24))
    rows = {
        "theirs.spend": pa.table(
            {
                "customer": pa.array([1], pa.int64()),
                "event_timestamp": pa.array([day_ago], TIME),
                "spend_30d": [100.0],
                "orders_30d": pa.array([3], pa.int64()),
                "last_order": pa.array([day_ago], TIME),
            }
        ),
        "theirs.profile": TABLES["theirs.profile"],
    }
    fill(tmp_path, rows)
    with FeatureStore(Settings(home=tmp_path), Catalogue.of([checkout])) as store:
        store.apply()
        store.materialize_incremental()
        asked: dict[str, list[Any]] = {"customer": [1], "basket": [50.0], "shop_city": ["Berlin"]}
        before = store.get_online_features("basket", asked)
        assert timedelta(seconds=before.to_dict()["idle"][0]) >= now - day_ago
        pushed = {
            "customer": 1, "event_timestamp": hour_ago, "spend_30d": 200.0, "orders_30d": 4, "last_order": hour_ago,
        }  # fmt: skip
        store.push("spend", [pushed])
        after = store.get_online_features("basket", asked)
        assert after.to_dict()["share"] == [0.25]
        assert timedelta(hours=1) <= timedelta(seconds=after.to_dict()["idle"][0]) < timedelta(hours=2)
        # The training row at the instant of the request has what the model was served.
        at_request = after.event_timestamps["idle"][0]
        frame = pd.DataFrame({**asked, "event_timestamp": [at_request]})
        joined = store.get_historical_features("basket", frame).to_arrow().to_pydict()
        assert {name: joined[name] for name in FEATURES} == {name: after.to_dict()[name] for name in FEATURES}


def test_a_running_server_follows_changed_and_removed_views(tmp_path: Path) -> None:
    def doubled(spend_30d: Any, basket: Any) -> dict[str, Any]:
        return {"share": 2 * basket / spend_30d}

    def share(spend_30d: Any, basket: Any) -> dict[str, Any]:
        return {"share": basket / spend_30d}

    def applied(function: Any) -> None:
        view = OnDemandFeatureView("made", None, [spend["spend_30d"]], function, request={"basket": float})
        with FeatureStore(settings, Catalogue.of([view])) as store:
            store.apply()
            store.materialize_incremental()

    fill(tmp_path, TABLES)
    settings = Settings(home=tmp_path, now=NOW)
    applied(share)
    server = FeatureStore(settings)
    body = {"features": ["made:share"], "entities": {"customer": [1], "basket": [50.0]}}
    with application(server) as post:
        assert post("/get-online-features", body).json()["results"][1]["values"] == [0.25]
        applied(doubled)
        server._served.refresh()  # a server does so every few seconds
        assert post("/get-online-features", body).json()["results"][1]["values"] == [0.5]
        FeatureStore(settings).delete("made")
        server._served.refresh()
        refused = post("/get-online-features", body)
        assert (refused.status_code, refused.json()["error"]["type"]) == (404, "FeatureViewNotFound")
        assert "'made' is not known" in refused.json()["error"]["message"]
