"""Rules of the rooms that import-linter cannot check."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import amora_fs_assets

PACKAGE = Path(amora_fs_assets.__file__).parent
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "wall_clock"}


def clock_reads(source: str) -> list[str]:
    """The calls that read a clock of the day, as they stand in the source."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [name for name in map(ast.unparse, calls) if name in CLOCKS or name.removeprefix("dt.") in CLOCKS]


def engines_named(source: str) -> Iterator[str]:
    """The names of engines that the source compares anything with."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            for each in (node.left, *node.comparators):
                if isinstance(each, ast.Constant) and each.value in ("duckdb", "bigquery", "redis"):
                    yield each.value


def test_the_search_for_clocks_finds_a_clock() -> None:
    assert clock_reads("began = datetime.now(UTC)\nlater = time.time() + 1\n") == ["datetime.now", "time.time"]


def test_operations_get_the_clock_as_an_argument() -> None:
    found = {
        str(path.relative_to(PACKAGE)): reads
        for room in ("operations", "domain")
        for path in (PACKAGE / room).rglob("*.py")
        if (reads := clock_reads(path.read_text())) and path.name != "time.py"
    }
    assert found == {}


def test_the_search_for_engines_finds_an_engine() -> None:
    assert list(engines_named('if store.engine == "duckdb": ...')) == ["duckdb"]


def test_no_engine_is_named_in_a_condition_outside_its_folder() -> None:
    rooms = ("operations", "orchestration", "serving", "domain", "cli")
    paths = [path for room in rooms for path in (PACKAGE / room).rglob("*.py")]
    found = {str(path.relative_to(PACKAGE)): list(engines_named(path.read_text())) for path in paths}
    # Dagster's resources are made for the clients that the table of stores asks for, by the client's name.
    assert {name for name, engines in found.items() if engines} == {"orchestration/resources.py"}
