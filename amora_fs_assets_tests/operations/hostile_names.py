"""The names that the package's own code writes into SQL, Redis, Arrow and Dagster: what users must be able to use."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import amora_fs_assets

ROOMS = ("domain", "operations", "stores", "orchestration")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
COLUMN, NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}"), re.compile(r"[a-z][a-z0-9_]{0,127}")
# What the code does not spell out: Ibis' aliases of tables, numbered names, and words of Python, Ibis and SQL.
SPELLED = (
    *(f"t{number}" for number in range(12)), *(f"m{number}" for number in range(4)),
    "c0", "c1", "s0_nulls", "s0_min", "sum0", "sum1", "k0", "f1", "_0_k0", "_0_time", "_0_f_x", "self", "cls", "name",
    "names", "columns", "count", "schema", "select", "filter", "table", "order", "group", "having", "window", "rank",
    "row_number", "n", "a", "b", "x", "key", "kind", "index", "level_0", "__index_level_0__", "_file", "_name", "_path",
    "min", "max", "sum", "mean", "interval", "timestamp", "date", "time", "old", "new", "sequence", "rows",
    "unique_key", "newest", "publications", "entity_rows", "duplicate_rows",
)  # fmt: skip


def names() -> list[str]:
    """Each word of each text of the code, docstrings left out, and those that it composes."""
    found = set(SPELLED)
    for room in ROOMS:
        for path in sorted((Path(amora_fs_assets.__file__).parent / room).rglob("*.py")):
            for text in _texts(ast.parse(path.read_text())):
                found.update(word for word in _WORD.findall(text) if len(word) <= 40)
    return sorted(found)


def _texts(tree: ast.Module) -> Iterator[str]:
    said = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)  # docstrings
    } | {id(each) for node in ast.walk(tree) if isinstance(node, ast.Raise) for each in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value
        if isinstance(node, ast.keyword) and node.arg:
            yield node.arg


def apart(words: list[str]) -> list[str]:
    """Those that an engine tells apart: the first of each spelling."""
    return list({word.casefold(): word for word in reversed(words)}.values())
