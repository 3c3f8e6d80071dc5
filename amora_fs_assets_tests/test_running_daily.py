"""docs/running-daily.md: its code makes a code location, and its commands run in their order."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from amora_fs_assets.cli.main import main
from amora_fs_assets.orchestration.code_location import Alert, Automation, build_definitions
from amora_fs_assets.settings import Settings
from amora_fs_assets.stores.open import open_registry
from amora_fs_assets_tests import small

PAGE = (Path(__file__).parents[1] / "docs" / "running-daily.md").read_text()
SHOP = """
from amora_fs_assets import FeatureService, TrainingSet
from amora_fs_assets_tests import small

orders = small.orders()
carrier_punctuality = small.spending(orders, name="carrier_punctuality")
delays = FeatureService("delays", [carrier_punctuality])
departure_delay = TrainingSet("departure_delay", delays, [orders], spine=small._spine)
"""


def built(folder: Path) -> str:
    """A version of the training set, as Dagster builds it."""
    settings = Settings(home=folder / "home", now=small.at(1, month=3))
    defs = build_definitions(settings, definitions="shop")
    key = dg.AssetKey(["training_set", "departure_delay"])
    assert defs.resolve_implicit_global_asset_job_def().execute_in_process(asset_selection=[key]).success
    return open_registry(settings).manifests("departure_delay")[-1]


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


def test_the_code_of_the_page_makes_the_parts_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMORA_FS_HOME", str(tmp_path))
    names: dict[str, Any] = {}
    (code,) = blocks("python")
    exec(code, names)
    repository = names["defs"].get_repository_def()
    made = {f"sensor `{each.name}`": each.default_status for each in repository.sensor_defs}
    made |= {f"schedule `{each.name}`": each.default_status for each in repository.schedule_defs}
    assert set(re.findall(r"^\| ((?:sensor|schedule) `\w+`)", PAGE, re.MULTILINE)) <= set(made)
    assert {each.value for name, each in made.items() if "feature_store" in name} == {"RUNNING"}
    assert dg.AssetCheckKey(dg.AssetKey(["online", "carrier_punctuality"]), "freshness") in (
        repository.asset_graph.asset_check_keys
    )


def test_an_alert_is_printed_as_the_page_does_it(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(blocks("python")[0].partition("\n\n\ndefs")[0], names)
    names["notify"](Alert(title="a run failed", text="why", assets=("online/a",), run_id="7"))
    assert capsys.readouterr().out == "a run failed\nwhy\nruns/7\n"


def test_the_page_names_every_argument_of_automation() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \| ", PAGE, re.MULTILINE)) | {"views", "notify"}
    assert documented == {each.name for each in fields(Automation)}
    assert all(each.default is not MISSING or each.default_factory is not MISSING for each in fields(Automation))


def test_the_commands_of_the_page_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    (tmp_path / "shop.py").write_text(SHOP)
    version = ""
    environment = {"AMORA_FS_HOME": str(tmp_path / "home"), "AMORA_FS_NOW": "2020-03-01"}
    retention, commands = blocks("")
    for command in ["amora-fs apply", "amora-fs compute", *retention.splitlines(), *commands.splitlines()]:
        if "training-sets hold" in command:
            version = built(tmp_path)
        words = shlex.split(command.replace("VERSION", version))[1:]
        result = CliRunner(env=environment).invoke(main, ["--definitions", "shop", *words], catch_exceptions=False)
        assert result.exit_code == 0, f"{command}: {result.output}"
