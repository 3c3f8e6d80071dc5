"""amora-fs audit: its report and its exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import ibis
import pytest
from click.testing import CliRunner
from ibis.expr.types import Table

from amora_fs_assets import FeatureStore, FeatureView, Settings
from amora_fs_assets.cli.main import main
from amora_fs_assets_tests import small


def leaking(orders: Table) -> Table:
    amount = orders.amount.lead().over(ibis.window(group_by="customer", order_by=orders["at"]))
    return orders.select("customer", amount=amount, event_timestamp=orders["at"])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureStore:
    orders = small.orders()
    views = [
        FeatureView(name, small.Spending, [small.customer], [orders], transform=transform, partitions="month",
                    start="2020-01-01")
        for name, transform in (("honest", small._spending), ("leaking", leaking))
    ]  # fmt: skip
    module = ModuleType("audited_features")
    vars(module).update(customer=small.customer, orders=orders, honest=views[0], leaking=views[1])
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for name, value in (("HOME", str(tmp_path)), ("NOW", small.CLOCK), ("DEFINITIONS", module.__name__)):
        monkeypatch.setenv(f"AMORA_FS_{name}", value)
    store = FeatureStore(Settings(home=tmp_path, now=small.at(1, month=3)), module)
    store.apply()
    list(store.compute_missing(["honest"]))
    return store


def test_a_view_that_looks_ahead_is_shown_and_the_exit_code_is_1(project: FeatureStore) -> None:
    result = CliRunner().invoke(main, ["audit"])
    assert result.exit_code == 1
    assert (
        "honest: 5 rows of [2020-01-01T00:00:00+00:00, 2020-03-01T00:00:00+00:00), nothing looks ahead."
        in result.output
    )
    assert "leaking: 5 rows" in result.output
    assert "looks ahead:" in result.output
    assert "the value uses this row of source 'orders': customer=1" in result.output
    assert "The rows of leaking depend on more than was known" in result.output


def test_a_view_and_an_interval_can_be_chosen(project: FeatureStore) -> None:
    result = CliRunner().invoke(main, ["audit", "honest", "--start", "2020-02-01", "--end", "2020-03-01"])
    assert (result.exit_code, result.output) == (
        0, "honest: 2 rows of [2020-02-01T00:00:00+00:00, 2020-03-01T00:00:00+00:00), nothing looks ahead.\n",
    )  # fmt: skip


def test_half_an_interval_is_refused(project: FeatureStore) -> None:
    result = CliRunner().invoke(main, ["audit", "--start", "2020-02-01"])
    assert result.exit_code == 1
    assert "give both start and end" in result.output
