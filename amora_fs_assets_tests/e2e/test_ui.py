"""`dagster dev -w workspace.yaml` after the demo: lineage over GraphQL, the asset graph in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from amora_fs_assets_tests.e2e.conftest import UNTIL, Demo
from amora_fs_assets_tests.e2e.dagster_dev import dagster_dev, graphql

pytestmark = pytest.mark.e2e
ASSETS = """{ assetNodes {
  assetKey { path } groupName dependencyKeys { path } partitionStats { numMaterialized }
  assetMaterializations(limit: 1) { metadataEntries { label __typename
    ... on IntMetadataEntry { intValue }
    ... on TableColumnLineageMetadataEntry { lineage { columnName columnDeps { assetKey { path } columnName } } }
    ... on TableMetadataEntry { table { records } } } }
} }"""


@pytest.fixture(scope="module")
def url(demo: Demo) -> Iterator[str]:
    """The UI over the demo's home."""
    with dagster_dev(demo.home, now=UNTIL) as address:
        yield address


def test_lineage_is_served_over_graphql(url: str) -> None:
    assets: dict[str, Any] = {"/".join(each["assetKey"]["path"]): each for each in graphql(url, ASSETS)["assetNodes"]}
    assert len(assets) == 22

    def parents(name: str) -> set[str]:
        return {"/".join(key["path"]) for key in assets[name]["dependencyKeys"]}

    assert parents("feature_view/aircraft_history") == {"raw/flights", "raw/planes"}
    assert parents("feature_view/airport_location") == {"raw/airports"}
    assert parents("online/aircraft_history") == {"feature_view/aircraft_history"}
    assert "feature_view/aircraft_history" in parents("training_set/departure_delay")
    history = assets["feature_view/aircraft_history"]
    assert history["groupName"] == "feature_views"
    assert history["partitionStats"]["numMaterialized"] == 1
    entries = {entry["label"]: entry for entry in history["assetMaterializations"][0]["metadataEntries"]}
    assert entries["dagster/row_count"]["intValue"] > 10_000
    lineage = {each["columnName"]: each["columnDeps"] for each in entries["dagster/column_lineage"]["lineage"]}
    assert lineage["seats"] == [{"assetKey": {"path": ["raw", "planes"]}, "columnName": "seats"}]
    assert any('"planes.seats"' in record for record in entries["column lineage"]["table"]["records"])


@pytest.mark.browser
def test_the_asset_graph_opens_in_a_browser(url: str, page: Page) -> None:
    page.goto(f"{url}/asset-groups")
    for group in ("raw", "feature_views", "online", "training_sets"):
        expect(page.get_by_text(group, exact=True).first).to_be_visible(timeout=60_000)
    page.keyboard.press("Alt+e")  # open all groups
    expect(page.get_by_text("departure_delay").first).to_be_visible(timeout=30_000)
    page.goto(f"{url}/assets/feature_view/airport_weather?view=checks")
    for check in ("wind_speed", "unique_key"):
        expect(page.get_by_text(check).first).to_be_visible(timeout=30_000)
