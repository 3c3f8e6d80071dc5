"""A function's hash says what it does, and nothing else."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from amora_fs_assets.domain.identity.fingerprint import content_hash, function_hash

CODE = '''
LIMIT = 15


def helper(x):
    return x + LIMIT


def transform(rows):
    """Words."""
    return [helper(row) for row in rows]  # why
'''
Load = Callable[[str], ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Makes a module `views` of a text, anew each time."""
    numbers = iter(range(100))

    def loaded(text: str) -> ModuleType:
        path = tmp_path / f"{next(numbers)}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location("views", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "views", module)
        spec.loader.exec_module(module)
        return module

    return loaded


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # why", ""),
        ('"""Words."""', '"""Other words."""'),
        ("\n\ndef transform", "\n\n\n\ndef transform"),
        ("[helper(row) for row in rows]", "[helper(row)\n        for row in rows]"),
    ],
    ids=["comment", "docstring", "empty lines", "formatting"],
)
def test_what_changes_no_result_changes_no_hash(load: Load, old: str, new: str) -> None:
    before = function_hash(load(CODE).transform)
    assert old in CODE
    assert function_hash(load(CODE.replace(old, new)).transform) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [("for row in rows]", "for row in rows if row]"), ("x + LIMIT", "x - LIMIT"), ("LIMIT = 15", "LIMIT = 16")],
    ids=["its body", "a function that it calls", "a constant behind that"],
)
def test_what_changes_a_result_changes_the_hash(load: Load, old: str, new: str) -> None:
    before = function_hash(load(CODE).transform)
    assert function_hash(load(CODE.replace(old, new)).transform) != before


def test_a_value_that_is_bound_when_the_function_is_made_counts(load: Load) -> None:
    module = load("def make(limit):\n    def transform(rows):\n        return rows[:limit]\n    return transform\n")
    assert function_hash(module.make(1)) != function_hash(module.make(2))
    assert function_hash(module.make(1)) == function_hash(module.make(1))


def test_functions_that_call_each_other_come_to_an_end(load: Load) -> None:
    module = load("def even(n):\n    return n == 0 or odd(n - 1)\n\n\ndef odd(n):\n    return n and even(n - 1)\n")
    assert function_hash(module.even) != function_hash(module.odd)


def test_equal_data_have_equal_hashes_whatever_their_order() -> None:
    assert content_hash({"a": 1, "b": [1, "ü"]}) == content_hash({"b": [1, "ü"], "a": 1})
    assert content_hash([1]) != content_hash(["1"])
