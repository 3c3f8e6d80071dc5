"""An on-demand view in Dagster: part of the lineage, nothing to run."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from amora_fs_assets import FeatureStore, Settings, build_definitions
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets_tests.operations.on_demand.shop import TABLES
from amora_fs_assets_tests.operations.on_demand.test_both_sides import NOW
from amora_fs_assets_tests.operations.on_demand.test_surfaces import CHECKOUTS, bought
from amora_fs_assets_tests.operations.stores import fill

BASKET, BOUGHT = dg.AssetKey(["on_demand", "basket"]), dg.AssetKey(["training_set", "bought"])


def test_it_is_between_its_inputs_and_training_sets(tmp_path: Path) -> None:
    fill(tmp_path, {**TABLES, "theirs.checkouts": CHECKOUTS})
    settings, code = Settings(home=tmp_path, now=NOW), Catalogue.of([bought])
    with FeatureStore(settings, code) as store:
        store.apply()
    definitions = build_definitions(settings, definitions=code, automation=True)
    graph = definitions.resolve_asset_graph()
    node = graph.get(BASKET)
    assert {key.path[-1] for key in node.parent_keys} == {"spend", "profile"}
    assert not node.is_materializable
    assert BASKET in graph.get(BOUGHT).parent_keys
    assert "| share | `basket / spend_30d` |" in str(node.description)
    lineage = node.metadata["dagster/column_lineage"]
    assert [(each.asset_key.path[-1], each.column_name) for each in lineage.deps_by_column["share"]] == [
        ("spend", "spend_30d")
    ]
    job = definitions.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(asset_selection=[BOUGHT]).success
    with FeatureStore(settings, code) as store:
        assert store.load_training_set("bought").set_index("customer").loc[1, "share"] == 0.25
