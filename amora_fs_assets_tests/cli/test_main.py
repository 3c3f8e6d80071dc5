"""amora-fs, as somebody types it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import click
import duckdb
import pytest
from click.testing import CliRunner, Result
from pyarrow import parquet

from amora_fs_assets.cli.main import main

SHOP = """
from datetime import timedelta
from amora_fs_assets import Entity, FeatureSchema, Field, Source, SourceSchema, Timestamp, feature_view
from amora_fs_assets_tests import small

orders = small.orders()

@feature_view(schema=small.Spending, entities=[small.customer], sources=[orders], partitions="month",
              start="2020-01-01", ttl=timedelta(days=20))
def spending(orders):
    return orders.select("customer", "amount", event_timestamp=orders["at"])
"""


class Shell:
    """A folder with definitions beside which one stands."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        (folder / "shop.py").write_text(SHOP)

    def __call__(self, *words: str, now: str = "2020-03-01") -> Result:
        environment = {"AMORA_FS_HOME": str(self.home), "AMORA_FS_NOW": now, "AMORA_FS_LOCK_TIMEOUT": "0.3"}
        return CliRunner(env=environment).invoke(main, ["--definitions", "shop", *words], catch_exceptions=False)


@pytest.fixture
def amora_fs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    return Shell(tmp_path)


def said(result: Result, *, code: int = 0) -> str:
    assert result.exit_code == code, result.output
    return result.output


def test_the_console_script_is_there_and_says_its_version() -> None:
    script = Path(sys.executable).parent / "amora-fs"
    assert re.match(r"amora-fs, version \d", subprocess.check_output([script, "--version"], text=True))


@pytest.mark.parametrize("name", ["", *main.commands])
def test_help_says_what_a_command_does_with_an_example(name: str) -> None:
    text = said(CliRunner().invoke(main, [*name.split(), "--help"]))
    assert "Usage:" in text
    examples = re.findall(r"^    amora-fs (.*)$", text, re.MULTILINE)
    assert examples
    for example in examples:
        words = example.split()
        command = next(word for word in words if word in main.commands)
        assert not name or command == name
        # What the example says is understood.
        words = words[words.index(command) + 1 :]
        parent = main.make_context("amora-fs", [], resilient_parsing=True)
        main.commands[command].make_context(command, words, parent=parent)


def test_plan_changes_nothing_and_apply_does(amora_fs: Shell) -> None:
    assert "spending" in said(amora_fs("plan"), code=2)
    assert "spending" in said(amora_fs("plan"), code=2)
    assert "spending" in said(amora_fs("apply"))
    assert re.search(r"Registry .*home/registry is at [0-9a-f]{12}\.", said(amora_fs("apply")))
    assert "No changes." in said(amora_fs("plan"))


@pytest.mark.skipif(importlib.util.find_spec("feast") is not None, reason="Feast is installed here")
def test_apply_says_that_feast_is_not_installed(amora_fs: Shell) -> None:
    shown = said(amora_fs("apply"))
    assert "registry.db for Feast's clients was not written, since Feast is not installed." in shown
    assert "pip install 'amora-fs-assets[feast]'" in shown
    assert "registry.db" not in amora_fs("apply", "--format", "json").stdout


def test_rows_are_exported_for_feast_once_there_are_some(amora_fs: Shell, tmp_path: Path) -> None:
    amora_fs("apply")
    assert said(amora_fs("export-feast")) == ""
    amora_fs("compute", "2020-01-01", "2020-03-01")
    assert said(amora_fs("export-feast", "spending")) == "spending: 5 rows\n"
    assert "'nothing' is not known" in said(amora_fs("export-feast", "nothing"), code=1)
    (file,) = (tmp_path / "home" / "feast").iterdir()
    exported = parquet.read_table(file)
    assert file.name == "spending.parquet"
    assert exported.column_names == ["customer", "event_timestamp", "amount"]
    assert exported.num_rows == 5


def test_from_sources_to_online(amora_fs: Shell) -> None:
    amora_fs("apply")
    assert re.match(
        r"spending: 5 rows published \(\d+\.\d s\)\n", said(amora_fs("compute", "2020-01-01", "2020-03-01"))
    )
    assert said(amora_fs("materialize-incremental")) == "spending: 3 entities written\n"
    assert said(amora_fs("materialize-incremental")) == "spending: 0 entities written\n"
    assert said(amora_fs("materialize", "2020-02-03", "2020-03-01")) == "spending: 1 entity written\n"
    status = said(amora_fs("status"))
    assert re.search(r"spending.*2020-01-01 - 2020-03-01.*5.*generation 1", status)
    assert said(amora_fs("stop")) == "Stopped.\n"
    assert said(amora_fs("stop")) == "No embedded server was running.\n"


def test_of_several_views_each_is_tried_and_a_table_says_which_failed(amora_fs: Shell, tmp_path: Path) -> None:
    another = SHOP[SHOP.index("@feature_view") :].replace("def spending(", "def returns(")
    (tmp_path / "shop.py").write_text(SHOP + another.replace('"amount", ', "amount=-orders.amount, "))
    amora_fs("apply")
    computed = said(amora_fs("compute", "2020-01-01", "2020-03-01"), code=1)
    assert re.search(r"^spending: 5 rows published", computed, re.MULTILINE)
    assert re.search(r"returns.*failed: Feature view 'returns'", computed)
    assert re.search(r"spending.*5 rows published", computed[computed.index("outcome") :])
    assert "Error: compute: 1 feature view failed. 'returns'" in computed
    loaded = said(amora_fs("materialize-incremental"), code=1)
    assert "spending: 3 entities written\n" in loaded
    assert re.search(r"returns.*failed: Feature view 'returns': there is no table", loaded)
    again = said(amora_fs("compute"), code=1)
    assert re.search(r"spending.*current", again)


def test_status_before_anything_happened_says_what_to_do(amora_fs: Shell) -> None:
    assert "nothing applied yet: amora-fs apply" in said(amora_fs("status"))
    amora_fs("apply")
    assert re.search(r"spending.*never.*never loaded", said(amora_fs("status")))


def test_views_are_picked_by_either_name_of_the_option(amora_fs: Shell) -> None:
    amora_fs("apply")
    assert "spending: 3 rows" in said(amora_fs("compute", "2020-01-01", "2020-02-01", "--feature-views", "spending"))
    assert "spending: 2 entities" in said(amora_fs("materialize-incremental", "2020-02-01", "--models", "spending"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compute", "2020-01-01", "2020-02-01"], "Run `amora-fs --definitions [a-z_0-9.]+ apply` first"),
        (["materialize-incremental"], "There are no feature views yet. Define one and run `amora-fs apply`."),
        (["compute", "2020-01-01", "2020-02-01", "--models", "spendin"], "Did you mean 'spending'?"),
        (
            ["compute", "2021-01-01", "2021-02-01"],
            "Run `amora-fs --definitions [a-z_0-9.]+ apply` first|there is nothing to compute",
        ),
    ],
)
def test_an_error_is_one_message(amora_fs: Shell, words: list[str], message: str) -> None:
    text = said(amora_fs(*words), code=1)
    assert re.search(message, text)
    assert re.fullmatch(r"Error: .*\n", text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compute", "2021-01-01", "2021-02-01"], "there is nothing to compute in"),
        (["compute", "2020-02-01", "2020-01-01"], "is before the start, 2020-02-01T00:00:00+00:00. Swap them."),
        (["materialize", "2020-02-01", "2020-01-01"], "is before the start"),
        (
            ["materialize-incremental"],
            "there is no table feature_store.spending; compute it first: `amora-fs --definitions",
        ),
        (["materialize-incremental", "--models", "nosuch"], "Feature view 'nosuch' is not known. Known: spending."),
    ],
)
def test_an_error_after_apply_is_one_message(amora_fs: Shell, words: list[str], message: str) -> None:
    amora_fs("apply")
    text = said(amora_fs(*words), code=1)
    assert message in text
    assert re.fullmatch(r"Error: .*\n", text)


def test_a_time_that_is_none_is_a_usage_error_with_an_example(amora_fs: Shell) -> None:
    text = said(amora_fs("compute", "yesterday", "2020-01-01"), code=2)
    assert "'yesterday' is not a time. Write 2013-01-01, or 2013-01-01T05:00Z." in text


def test_a_gate_that_holds_is_one_message_with_the_row(amora_fs: Shell) -> None:
    shop = Path("shop.py")
    shop.write_text(SHOP.replace("small.orders()", "small.orders([(1, small.at(5), -1.0)])"))
    amora_fs("apply")
    text = said(amora_fs("compute", "2020-01-01", "2020-02-01"), code=1)
    assert "was not published, since amount: 1 row not greater_than_or_equal_to(min_value=0)" in text
    assert "Traceback" not in text


def test_definitions_that_are_not_there_are_named(amora_fs: Shell) -> None:
    result = CliRunner(env={"AMORA_FS_HOME": str(amora_fs.home)}).invoke(main, ["--definitions", "nosuch.shop", "plan"])
    assert (
        said(result, code=1)
        == "Error: There is no package 'nosuch.shop' to read definitions from. Run from the folder that contains the "
        "package, or install it.\n"
    )


def test_a_setting_that_is_none_is_named() -> None:
    result = CliRunner(env={"AMORA_FS_HOMES": "x"}).invoke(main, ["status"])
    assert "Error: AMORA_FS_HOMES is not a setting. Known: AMORA_FS_API_TOKENS" in said(result, code=1)


def test_a_notebook_that_holds_the_file_is_one_message(amora_fs: Shell) -> None:
    amora_fs("apply")
    amora_fs.home.mkdir(exist_ok=True)
    with duckdb.connect(str(amora_fs.home / "offline.duckdb")):
        text = said(amora_fs("compute", "2020-01-01", "2020-02-01"), code=1)
    assert "Another process" in text
    assert "con.close()" in text


def test_a_demo_before_the_flights_says_when_they_begin(tmp_path: Path) -> None:
    result = CliRunner(env={"AMORA_FS_HOME": str(tmp_path), "AMORA_FS_NOW": None}).invoke(
        main, ["demo", "--until", "2012-06-01"]
    )
    assert (
        said(result, code=1)
        == "Error: The sample's flights begin on 2013-01-01: there are none before the clock, 2012-06-01.\n"
    )


def test_every_option_says_what_it_is_for() -> None:
    for command in main.commands.values():
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or getattr(parameter, "help", None), parameter.name
