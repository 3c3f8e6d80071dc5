"""amora-fs test: the contract of a package's views, without pytest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from amora_fs_assets.cli.main import main
from amora_fs_assets_tests.testing.test_plugin import VIEWS


@pytest.fixture(autouse=True)
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with an honest view and one that looks ahead."""
    (tmp_path / "tested_features.py").write_text(VIEWS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "tested_features", raising=False)


def test_a_leak_is_a_failure_with_its_source_row() -> None:
    result = CliRunner().invoke(main, ["--definitions", "tested_features", "test", "--examples", "3"])
    assert result.exit_code == 1
    assert "newest\n  ok      no row depends on what was not yet known\n" in result.output
    assert "leaking\n  FAILED  no row depends on what was not yet known\n" in result.output
    assert "the value uses this row of source 'orders': customer='" in result.output
    assert "Error: 2 of 10 checks of 2 views failed." in result.output


def test_views_can_be_chosen() -> None:
    result = CliRunner().invoke(main, ["--definitions", "tested_features", "test", "newest", "--examples", "2"])
    assert result.exit_code == 0, result.output
    assert "  ok      the transform has SQL for bigquery, with the schema's types\n" in result.output
    assert result.output.endswith("5 checks of 1 view: none failed.\n")


def test_an_unknown_view_is_named() -> None:
    result = CliRunner().invoke(main, ["--definitions", "tested_features", "test", "newst"])
    assert (result.exit_code, "Did you mean 'newest'?" in result.output) == (1, True)
