"""Another package's definitions in Dagster: read here, run there."""

from __future__ import annotations

import sys
from pathlib import Path

import dagster as dg
import pytest

from amora_fs_assets import Settings
from amora_fs_assets.orchestration.code_location import build_definitions

THEIRS = """
from amora_fs_assets_tests import small

def copied(orders):
    return orders.select("customer", "amount", event_timestamp=orders["at"])

orders = small.orders()
theirs = small.spending(orders, copied, name="theirs")
"""
OURS = """
from amora_fs_assets_tests import small
from their_shop.views import theirs

def again(theirs):
    return theirs.select("customer", "amount", "event_timestamp")

ours = small.spending(theirs, again, name="ours")
made_by_a_library = small.spending(small.orders(), name="made_by_a_library")
"""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, code in (("their_shop", THEIRS), ("our_shop", OURS)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "views.py").write_text(code)
        for module in (name, f"{name}.views"):
            monkeypatch.delitem(sys.modules, module, raising=False)
    return tmp_path


def test_another_packages_view_is_external_here_and_lineage_joins(written: Path) -> None:
    settings = Settings(home=written)
    here, there = (
        build_definitions(settings, definitions=name, automation=True).resolve_asset_graph()
        for name in ("our_shop", "their_shop")
    )
    theirs, ours = dg.AssetKey(["feature_view", "theirs"]), dg.AssetKey(["feature_view", "ours"])
    assert here.get(theirs).is_external
    assert there.get(theirs).is_executable
    assert here.get(ours).parent_keys == {theirs}
    assert here.get(theirs).partitions_def == there.get(theirs).partitions_def
    assert {key.to_user_string() for key in here.executable_asset_keys} == {
        "feature_view/ours", "online/ours", "feature_view/made_by_a_library", "online/made_by_a_library", "raw/orders",
    }  # fmt: skip
    assert {key.asset_key for key in here.asset_check_keys} <= here.executable_asset_keys
    assert here.executable_asset_keys.isdisjoint(there.executable_asset_keys - {dg.AssetKey(["raw", "orders"])})
