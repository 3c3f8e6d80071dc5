"""Teams share one registry, each from a package of its own: neither overwrites what the other defines."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from amora_fs_assets.cli.main import main
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import BreakingChanges, DefinitionError
from amora_fs_assets.operations.registry.apply import apply, collect
from amora_fs_assets.operations.registry.plan import plan
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from amora_fs_assets_tests.small import at

VIEW = """
from amora_fs_assets import Entity, FeatureSchema, FeatureService, FeatureView, Source, SourceSchema, Timestamp

customer = Entity("customer")

class Orders(SourceSchema):
    customer: int
    at: Timestamp

class Spending(FeatureSchema):
    customer: int
    amount: float

spending = FeatureView(
    "spending", Spending, [customer], table="shop.spending", timestamp_field="at", description="{description}"
)
shopping = FeatureService("{service}", [spending])
"""


@pytest.fixture
def registry(tmp_path: Path) -> ObjectRegistry:
    return ObjectRegistry(FolderObjectStore(tmp_path / "registry"))


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages are imported from."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def package(folder: Path, name: str, code: str) -> Catalogue:
    """The definitions of a package with that code, written anew."""
    for known in [each for each in sys.modules if each.partition(".")[0] == name]:
        del sys.modules[known]
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "__init__.py").write_text("")
    (folder / name / "views.py").write_text(code)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        return collect(name)
    finally:
        sys.dont_write_bytecode = before


def defined(description: str = "", service: str = "shopping") -> str:
    return VIEW.format(description=description, service=service)


def test_the_registry_says_which_package_defines_what(registry: ObjectRegistry, packages: Path) -> None:
    apply(package(packages, "team_a", defined()), registry, clock=at(1))
    assert ObjectRegistry(FolderObjectStore(packages / "registry")).catalogue().packages == {
        "feature_views": {"spending": "team_a"},
        "feature_services": {"shopping": "team_a"},
    }


def test_a_name_that_another_package_defines_is_refused_and_nothing_overwritten(
    registry: ObjectRegistry, packages: Path
) -> None:
    first = apply(package(packages, "team_a", defined()), registry, clock=at(1))
    other = package(packages, "team_b", defined("Of others", "of_b"))
    said = "feature view 'spending': packages team_a and team_b both define this name: rename one"
    with pytest.raises(BreakingChanges, match=said):
        apply(other, registry, clock=at(2))
    assert registry.head() == first
    assert plan(other, registry, clock=at(2), dataset="x").exit_code == 3
    apply(other, registry, clock=at(2), allow_breaking=True)  # the way to move a view to another package
    assert registry.catalogue().packages["feature_views"] == {"spending": "team_b"}
    assert registry.catalogue().packages["feature_services"] == {"of_b": "team_b", "shopping": "team_a"}


def test_the_package_itself_changes_what_it_defines(registry: ObjectRegistry, packages: Path) -> None:
    apply(package(packages, "team_a", defined()), registry, clock=at(1))
    apply(package(packages, "team_a", defined("Better words")), registry, clock=at(2))
    assert registry.catalogue().feature_view("spending").description == "Better words"


def test_an_old_copy_of_another_package_does_not_undo_what_that_one_applied(
    registry: ObjectRegistry, packages: Path
) -> None:
    package(packages, "team_a", defined())
    other = package(
        packages, "team_b", "from team_a.views import spending\nfrom amora_fs_assets import FeatureService\n"
        'of_b = FeatureService("of_b", [spending])\n',
    )  # fmt: skip
    assert other.packages == {"feature_services": {"of_b": "team_b"}}
    apply(other, registry, clock=at(1))
    newer = apply(package(packages, "team_a", defined("Newer")), registry, clock=at(2))
    with pytest.raises(
        BreakingChanges, match="package team_a defines it.*is not the applied one: install the applied one"
    ):
        apply(other, registry, clock=at(3))
    assert registry.head() == newer


def test_equal_definitions_do_not_clash(registry: ObjectRegistry, packages: Path) -> None:
    apply(package(packages, "team_a", defined()), registry, clock=at(1))
    copied = package(packages, "team_b", defined())
    assert plan(copied, registry, clock=at(2), dataset="x").empty


def test_a_clash_within_one_package_names_both_modules(packages: Path) -> None:
    package(packages, "team_a", defined())
    (packages / "team_a" / "more.py").write_text(defined("Other words"))
    with pytest.raises(DefinitionError, match=r"'spending' is defined twice.*in team_a\.more and in team_a\.views"):
        collect("team_a")


def test_the_command_says_whose_name_it_is(packages: Path) -> None:
    package(packages, "team_a", defined())
    package(packages, "team_b", defined("Of others"))
    environment = {"AMORA_FS_HOME": str(packages / "home")}
    assert CliRunner().invoke(main, ["--definitions", "team_a", "apply"], env=environment).exit_code == 0
    planned = CliRunner().invoke(main, ["--definitions", "team_b", "plan"], env=environment)
    assert planned.exit_code == 3, planned.output
    assert "packages team_a and team_b both define this name" in " ".join(planned.output.split())
    refused = CliRunner().invoke(main, ["--definitions", "team_b", "apply"], env=environment)
    assert refused.exit_code not in (0, 2)
    assert "rename one" in refused.output
