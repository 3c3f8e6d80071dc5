"""amora-fs plan and apply, as people and pipelines use them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result

import amora_fs_assets.features
from amora_fs_assets import FeatureSchema, FeatureStore, FeatureView, Settings
from amora_fs_assets.cli.main import main
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets_tests import small
from amora_fs_assets_tests.small import at

SAMPLE = Path(amora_fs_assets.features.__file__).parent


def store(home: Path, code: Catalogue) -> FeatureStore:
    """A store whose code is the catalogue's definitions."""
    module = ModuleType("definitions")
    vars(module).update({f"{kind}_{name}": each for kind in ("feature_views", "feature_services", "training_sets")
                         for name, each in getattr(code, kind).items()})  # fmt: skip
    return FeatureStore(Settings(home=home, now=at(1, month=3)), module)


def run(store: FeatureStore, *arguments: str) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(main.commands[command], rest, obj=store, env={"COLUMNS": "160"})


def test_a_first_plan_says_what_is_new_and_exits_with_2(tmp_path: Path) -> None:
    shown = run(store(tmp_path, small.catalogue()), "plan")
    assert shown.exit_code == 2
    assert "+ feature view 'spending': compatible" in shown.output
    assert "spending, 2020-01-01 - 2020-03-01: it is new; reads unknown: raw.orders does not exist yet" in shown.output
    assert "table feature_store.spending: will be created" in shown.output


def test_after_an_apply_there_is_nothing_to_plan(tmp_path: Path) -> None:
    assert run(store(tmp_path, small.catalogue()), "apply").exit_code == 0
    store(tmp_path, small.catalogue()).compute()
    shown = run(store(tmp_path, small.catalogue()), "plan")
    assert (shown.exit_code, shown.output) == (0, "No changes.\n")


def test_the_rows_that_computing_would_read_are_counted(tmp_path: Path) -> None:
    before = store(tmp_path, small.catalogue())
    before.apply()
    before.compute("2020-01-01", "2020-03-01")
    shown = run(store(tmp_path, small.catalogue(lookback=timedelta(days=1))), "plan")
    assert shown.exit_code == 2
    assert "spending, 2020-01-01 - 2020-03-01: lookback [s]: 0.0 -> 86400.0; reads 5 rows" in shown.output


def test_a_breaking_change_is_refused_with_3_until_it_is_allowed(tmp_path: Path) -> None:
    class Other(FeatureSchema):
        customer: int
        amount: str

    store(tmp_path, small.catalogue()).apply()
    view = FeatureView("spending", Other, [small.customer], [small.orders()], transform=small._spending,
                             start="2020-01-01", partitions="month")  # fmt: skip
    changed = store(tmp_path, Catalogue.of([view]))
    assert run(changed, "plan").exit_code == 3
    refused = run(changed, "apply")
    assert refused.exit_code == 3
    assert "feature 'amount': float64 -> string" in refused.output
    assert "Affected: " in refused.output
    assert run(changed, "apply", "--allow-breaking").exit_code == 0
    assert run(changed, "plan").exit_code == 0


def test_json_is_for_programs(tmp_path: Path) -> None:
    store(tmp_path, small.catalogue()).apply()
    shown = json.loads(run(store(tmp_path, small.catalogue(ttl=timedelta(days=1))), "plan", "--format", "json").output)
    assert (shown["exit_code"], shown["class"]) == (2, "needs recompute")
    (change,) = shown["changes"]
    assert (change["kind"], change["name"], change["action"]) == ("feature view", "spending", "changed")
    assert change["hits"] == ["feature service 'shopping'", "training set 'bought'"]


def test_markdown_has_the_sections_that_amoras_users_know(tmp_path: Path) -> None:
    shown = run(store(tmp_path, small.catalogue()), "plan", "--format", "markdown").output
    assert "## Amora :: Feature Store :: Registry objects diff\n\n| change | kind |" in shown
    assert "| added | feature view | `spending` | compatible |" in shown
    assert "## Amora :: Feature Store :: Infrastructure diff\n\n| action | what | name |" in shown


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Runs commands on a copy of the sample, perhaps after renaming something in it."""
    package = tmp_path / "copied_features"
    shutil.copytree(SAMPLE, package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in package.glob("*.py"):
        file.write_text(file.read_text().replace("amora_fs_assets.features", "copied_features"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def run(*arguments: str, rename: tuple[str, str] | None = None) -> Result:
        if rename is not None:
            for file in package.glob("*.py"):
                file.write_text(file.read_text().replace(*rename))
        forget()
        environment: dict[str, Any] = {"AMORA_FS_HOME": str(tmp_path / "home"), "AMORA_FS_NOW": "2014-01-01T05:00Z"}
        return CliRunner().invoke(main, ["--definitions", "copied_features", *arguments], env=environment)

    def forget() -> None:
        for name in [name for name in sys.modules if name.startswith("copied_features")]:
            del sys.modules[name]

    yield run
    forget()


def test_a_feature_renamed_in_the_sample_shows_the_service_and_the_training_set_that_break(
    sample: Callable[..., Result],
) -> None:
    assert sample("apply").exit_code == 0
    shown = sample("plan", "--no-scan", rename=("late_share", "share_late"))
    assert shown.exit_code == 3
    tree = shown.output.split("feature view 'carrier_punctuality': breaking")[1]
    words = " ".join(tree.replace("│", "").split())  # long lines are folded
    assert "feature 'late_share_1h' was removed; new 'share_late_1h' has the same type and rules: renamed?" in words
    assert "affects feature service 'departure_delay'" in tree
    assert "affects training set 'departure_delay'" in tree
    assert "affects online generation 'carrier_punctuality'" in tree
    assert sample("apply").exit_code == 3


def test_history_says_what_a_view_holds_now(tmp_path: Path) -> None:
    with store(tmp_path, small.catalogue()) as part:
        part.apply()
        part.compute("2020-01-01", "2020-02-01")
        shown = run(part, "history", "spending")
        assert "Coverage now: 29 d missing\nspending: missing [2020-02-01" in shown.output
        plain = json.loads(run(part, "history", "spending", "--format", "json").output)
        assert [each["state"] for each in plain["coverage"]] == ["current", "missing"]
        assert "Coverage now" not in run(part, "history").output
