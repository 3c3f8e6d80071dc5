"""The project that a process works in: what holds the definitions, and where the home is, from any folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.cli.main import main
from amora_fs_assets.domain.errors import DefinitionError, SettingsError
from amora_fs_assets.orchestration.code_location import build_definitions
from amora_fs_assets.project import nearest

PACKAGE = """
from amora_fs_assets import Entity, FeatureSchema, FeatureView

class Sizes(FeatureSchema):
    shop: str
    size: float

sizes = FeatureView("sizes", Sizes, [Entity("shop")], table="team.sizes", timestamp_field="at")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a package of its own, and a folder below the project as the working directory."""
    folder = tmp_path / "shop"
    (folder / "notebooks").mkdir(parents=True)
    (folder / "shop_of_a_test.py").write_text(PACKAGE)
    (folder / "pyproject.toml").write_text('[tool.amora_fs]\ndefinitions = "shop_of_a_test"\nhome = "data"\n')
    monkeypatch.chdir(folder / "notebooks")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "shop_of_a_test", raising=False)
    return folder


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, args)
    return result.exit_code, result.output


def test_definitions_and_home_are_the_projects_from_any_folder_below(project: Path) -> None:
    settings = Settings.from_env({})
    assert (settings.definitions, settings.home) == ("shop_of_a_test", project / "data")
    assert settings.registry == str(project / "data" / "registry")
    assert Settings.from_env({}, project=project / "shop_of_a_test.py") == settings


def test_the_environment_wins_and_its_paths_are_below_the_project(project: Path) -> None:
    settings = Settings.from_env({"AMORA_FS_DEFINITIONS": "other", "AMORA_FS_HOME": "elsewhere"})
    assert (settings.definitions, settings.home) == ("other", project / "elsewhere")


def test_without_a_project_paths_are_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert nearest().file is None
    assert Settings.from_env({}).home == tmp_path / ".amora_fs"


def test_a_key_that_is_no_setting_is_refused_with_the_file_and_the_setting_that_is_meant(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.amora_fs]\ndefinition = "shop"\n')
    with pytest.raises(SettingsError, match="pyproject.toml: 'definition' .* Did you mean 'definitions'"):
        Settings.from_env({})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool.amora_fs", "is not valid TOML"),
        ("[tool]\namora_fs = 3", r"is not a table. Write `\[tool.amora_fs\]`"),
        ('[tool.amora_fs]\ndefinitions = "no-package"', "takes the name of a package or module.*pyproject.toml"),
        ('[tool.amora_fs]\nhttp_port = "http"', "HTTP_PORT.*port number.*pyproject.toml"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(project: Path, text: str, says: str) -> None:
    (project / "pyproject.toml").write_text(text)
    with pytest.raises(SettingsError, match=says):
        Settings.from_env({})


def test_commands_work_on_the_projects_definitions_and_never_on_the_sample(project: Path) -> None:
    code, output = run("plan")
    assert (code, "sizes" in output, "carrier" in output) == (2, True, False), output
    assert run("apply")[0] == 0
    assert [view.name for view in FeatureStore(Settings.from_env({})).list_feature_views()] == ["sizes"]


def test_without_a_named_package_nothing_is_applied_and_the_fix_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, output = run("apply")
    assert code == 1
    assert "AMORA_FS_DEFINITIONS" in output and "amora-fs init" in output
    assert not (tmp_path / ".amora_fs" / "registry").exists()
    with pytest.raises(SettingsError, match="The package with the definitions is not set"):
        build_definitions(Settings.from_env({}))


def test_options_of_the_group_may_stand_after_the_command(project: Path) -> None:
    (project / "another_of_a_test.py").write_text(PACKAGE.replace("sizes", "weights"))
    for words in (["--definitions", "another_of_a_test", "plan"], ["plan", "--definitions=another_of_a_test"]):
        code, output = run(*words)
        assert (code, "weights" in output, "sizes" in output) == (2, True, False), output


def test_hints_name_the_commands_as_the_user_has_to_type_them(project: Path) -> None:
    _, output = run(
        "compute", "--definitions", "shop_of_a_test", "--feature-views", "sizes", "2020-01-01", "2020-01-02"
    )
    assert "`amora-fs --definitions shop_of_a_test apply`" in output, output


def test_a_package_that_is_not_there_is_named(project: Path) -> None:
    code, output = run("plan", "--definitions", "no_such_package")
    assert (code, "There is no package 'no_such_package'" in output) == (1, True)
    with pytest.raises(DefinitionError, match="no_such_package"):
        build_definitions(Settings(home=project), definitions="no_such_package")


def test_the_demo_does_not_write_into_a_project(project: Path) -> None:
    code, output = run("demo")
    assert (code, "Run `amora-fs demo` in another folder" in output) == (1, True), output
    assert not (project / "data").exists()
