"""What the documents say is so."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from amora_fs_assets import Entity, FeatureService, FeatureView, Settings, Source, build_definitions
from amora_fs_assets_tests.documentation import OF_REGISTRY, definitions_reference

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_the_readmes_example_is_the_file_that_it_names() -> None:
    example = (ROOT / "amora_fs_assets" / "features" / "carrier_punctuality.py").read_text()
    assert f"```python\n{example}```" in (ROOT / "README.md").read_text()


def test_every_command_is_in_the_reference_with_its_own_words() -> None:
    # In a process of its own: click keeps what the first caller of a command made of its --help.
    code = "from amora_fs_assets_tests.documentation import cli_reference; print(cli_reference(), end='')"
    reference = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert (ROOT / "docs" / "cli.md").read_text() == reference, "run make docs"


def test_every_definition_is_in_the_reference_with_its_own_words() -> None:
    assert (ROOT / "docs" / "definitions.md").read_text() == definitions_reference(), "run make docs"


@pytest.mark.parametrize("defined", [Entity, Source, FeatureView, FeatureService, build_definitions])
def test_every_argument_of_a_definition_is_in_the_reference(defined: Callable[..., Any]) -> None:
    section = (ROOT / "docs" / "definitions.md").read_text().split(f"## {defined.__name__}\n")[1].split("\n## ")[0]
    arguments = set(inspect.signature(defined).parameters) - OF_REGISTRY
    assert {name for name in arguments if f"| `{name}` |" not in section} == set()


def test_every_setting_is_documented_and_no_other() -> None:
    documented = re.findall(r"^\| `AMORA_FS_([A-Z_]+)` \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(each.name.upper() for each in fields(Settings))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_make_target_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"`(?:\$ )?make ([a-z-]+)", page.read_text())}
    assert named - targets == set()


def test_the_definitions_that_dagster_loads_are_those_of_the_workspace_file() -> None:
    assert "module_name: amora_fs_assets.definitions" in (ROOT / "workspace.yaml").read_text()
