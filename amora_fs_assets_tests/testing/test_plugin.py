"""`pytest --amora-features PACKAGE` tests the views of a package that is not in this repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

VIEWS = """
import ibis
from amora_fs_assets import Entity, FeatureSchema, Field, Source, SourceSchema, Timestamp, feature_view, known_at


class Orders(SourceSchema):
    customer: str = Field(isin=["ann", "bob"])
    paid_at: Timestamp
    loaded_at: Timestamp
    amount: float = Field(ge=5, le=9)


class Value(FeatureSchema):
    customer: str
    value: float = Field(nullable=True)


orders = Source("orders", Orders, timestamp_field="paid_at", available_at="loaded_at")
customer = Entity("customer")


@feature_view(schema=Value, entities=[customer], sources=[orders], start="2026-01-01")
def newest(orders):
    return orders.select("customer", value=orders.amount, event_timestamp=known_at(orders))


@feature_view(schema=Value, entities=[customer], sources=[orders], start="2026-01-01")
def leaking(orders):
    return orders.select("customer", value=orders.amount - orders.amount.mean(), event_timestamp=known_at(orders))
"""


@pytest.mark.slow
def test_a_team_gets_the_contract_of_its_views_for_free(tmp_path: Path) -> None:
    (tmp_path / "shop_features").mkdir()
    (tmp_path / "shop_features" / "__init__.py").write_text("")
    (tmp_path / "shop_features" / "views.py").write_text(VIEWS)
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--amora-features", "shop_features"]
    found = subprocess.run([*command, "test_own.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300,
                           env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"})  # fmt: skip
    assert found.returncode == 1, found.stdout
    assert "Feature view 'leaking' looks ahead: " in found.stdout
    assert "During handling" not in found.stdout
    assert "the value uses this row of source 'orders': customer='" in found.stdout
    failed = [line for line in found.stdout.splitlines() if line.startswith("FAILED")]
    assert [line.split("[")[1].split("]")[0] for line in failed] == [
        "leaking: no row depends on what was not yet known", "leaking: the parts of an interval add up",
    ]  # fmt: skip
    assert "2 failed, 9 passed" in found.stdout, found.stdout
