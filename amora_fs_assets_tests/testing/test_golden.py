"""assert_golden_sql compares both engines' SQL with files, and `pytest --amora-update-golden` writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ibis.expr.types import Table

from amora_fs_assets import known_at
from amora_fs_assets.testing import assert_golden_sql
from amora_fs_assets_tests.testing.test_computed import Value, view_of

pytest_plugins = ["pytester"]


def doubled(orders: Table) -> Table:
    return orders.select("customer", value=orders.amount * 2, event_timestamp=known_at(orders))


def tripled(orders: Table) -> Table:
    return orders.select("customer", value=orders.amount * 3, event_timestamp=known_at(orders))


TEST = """
from amora_fs_assets.testing import assert_golden_sql
from amora_fs_assets_tests.testing.test_computed import Value, view_of
from amora_fs_assets_tests.testing.test_golden import doubled


def test_sql():
    assert_golden_sql(view_of(doubled, Value), "golden")
"""


def test_the_flag_writes_the_files_and_a_change_is_shown(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amora_fs_assets.testing.golden.updating", False)  # as it was, at the end
    pytester.makepyfile(TEST)
    pytester.runpytest_inprocess("--amora-update-golden", "-p", "no:cacheprovider").assert_outcomes(passed=1)
    golden = pytester.path / "golden"
    assert sorted(path.name for path in golden.iterdir()) == ["view.bigquery.sql", "view.duckdb.sql"]
    monkeypatch.setattr("amora_fs_assets.testing.golden.updating", False)
    assert_golden_sql(view_of(doubled, Value), golden)
    with pytest.raises(
        AssertionError, match=r"(?s)not as reviewed.*view.duckdb.sql.*\* 3.*pytest --amora-update-golden"
    ):
        assert_golden_sql(view_of(tripled, Value), golden)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"There is no file .*view.bigquery.sql"):
        assert_golden_sql(view_of(doubled, Value), tmp_path)
