"""`init` and `new`: a project of one's own, and more definitions in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.cli.main import main

PAYMENTS = """payment_id,customer,paid_at,amount,ok,day
1,1,2026-02-01T10:00:00Z,5.5,true,2026-02-03
2,3,2026-02-03T10:00:00Z,7,false,
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory that is in no project. What the tests import is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("shop_of_one"):
            del sys.modules[name]


def run(*words: str) -> str:
    for name in [name for name in sys.modules if name.startswith("shop_of_one")]:
        del sys.modules[name]  # each command is a process of its own
    result = CliRunner().invoke(main, words)
    assert result.exit_code in (0, 2) and not (result.exit_code == 2 and words[0] != "plan"), result.output
    return result.output


def refused(*words: str) -> str:
    for name in [name for name in sys.modules if name.startswith("shop_of_one")]:
        del sys.modules[name]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1, result.output
    return result.output


def test_a_new_project_works_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = run("init", "shop_of_one")
    assert "cd shop_of_one" in output
    assert (folder / "shop_of_one" / ".gitignore").exists()
    monkeypatch.chdir(folder / "shop_of_one" / "tests")
    run("apply")
    assert "rows published" in run("compute")
    run("materialize-incremental")
    with FeatureStore(Settings.from_env({})) as store:
        served = store.get_online_features("large_orders", {"customer": [1, 999]}).to_dict()
        assert served["amount"][0] > 0 and served["amount"][1] is None
        assert store.parity("customer_orders").passed
    assert (folder / "shop_of_one" / ".amora_fs").is_dir()


def test_definitions_are_added_that_work_as_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init", "shop_of_one")
    monkeypatch.chdir(folder / "shop_of_one")
    Path("pay.csv").write_text(PAYMENTS)
    run("new", "source", "payments", "--file", "pay.csv")
    run("new", "view", "payment_counts", "--source", "payments", "--entity", "customer")
    run("new", "service", "payments", "--views", "payment_counts")
    run("new", "training-set", "paid", "--service", "payments", "--source", "payments")
    Path("pay.csv").unlink()  # the project has its own
    for name in (
        "source 'payments'",
        "feature view 'payment_counts'",
        "feature service 'payments'",
        "training set 'paid'",
    ):
        assert name in run("plan")
    run("apply")
    run("compute", "--feature-views", "payment_counts")
    run("materialize-incremental", "--feature-views", "payment_counts")
    with FeatureStore(Settings.from_env({})) as store:
        assert store.get_online_features("payments", {"customer": [1, 3]}).to_dict()["count"] == [1, 1]


def test_a_project_is_not_written_over(folder: Path) -> None:
    (folder / "shop_of_one").mkdir()
    (folder / "shop_of_one" / "mine.txt").write_text("mine")
    assert "exists already" in refused("init", "shop_of_one")
    assert [path.name for path in (folder / "shop_of_one").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", ["Shop", "shop-features", "1shop", "class", "", "../shop", "shop.features"])
def test_a_name_that_is_no_package_is_refused(folder: Path, name: str) -> None:
    assert "is not a valid name of a Python package" in refused("init", name)
    assert list(folder.iterdir()) == []


def test_what_cannot_be_added_is_refused_with_the_fix(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "The package with the definitions is not set" in refused("new", "view", "counts")
    run("init", "shop_of_one")
    monkeypatch.chdir(folder / "shop_of_one")
    before = sorted(path for path in Path("shop_of_one").rglob("*.py"))
    assert "exists already" in refused("new", "view", "customer_orders")
    assert "There is no source 'payments'. Known: orders." in refused("new", "view", "counts", "--source", "payments")
    assert "There is no feature view 'none'" in refused("new", "service", "other", "--views", "none")
    assert "is not a valid name of a Python package" in refused("new", "service", "a-b")
    Path("no_time.csv").write_text("a,b\n1,2\n")
    assert "no timestamp column" in refused("new", "source", "a", "--file", "no_time.csv")
    Path("odd.csv").write_text("a b,at\n1,2026-01-01T00:00:00Z\n")
    assert "'a b' is not a valid column name" in refused("new", "source", "a", "--file", "odd.csv")
    Path("text.txt").write_text("")
    assert "neither a .csv nor a .parquet file" in refused("new", "source", "a", "--file", "text.txt")
    assert sorted(path for path in Path("shop_of_one").rglob("*.py")) == before


def test_a_table_that_another_system_fills_is_a_source_without_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init", "shop_of_one")
    monkeypatch.chdir(folder / "shop_of_one")
    run("new", "source", "visits")
    assert "source 'visits'" in run("plan")
    Path("shop_of_one/visits_source.py").write_text(
        Path("shop_of_one/visits_source.py")
        .read_text()
        .replace("    at: Timestamp", "    customer: int\n    at: Timestamp")
    )
    run("new", "view", "visit_counts", "--source", "visits")
    output = run("plan")
    assert "feature view 'visit_counts'" in output
    run("apply")
    assert "raw.visits" in refused("compute", "--feature-views", "visit_counts")
