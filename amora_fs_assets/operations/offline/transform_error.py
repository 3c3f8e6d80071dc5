"""The words for an exception in a transform: the line, and the column or method that was probably meant."""

from __future__ import annotations

import difflib
import linecache
import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from ibis.common.annotations import SignatureValidationError
from ibis.expr.types import Expr, Table, Value

from amora_fs_assets.domain.errors import shown

_MISSING = (
    re.compile(r"'\w*Table' object has no attribute '([^']+)'"),
    re.compile(r"Column '([^']+)' is not found in table"),
)
"""Ibis' messages for a column that a table lacks."""
_LIBRARIES = {"amora_fs_assets", "ibis", *sys.stdlib_module_names} - {"__main__"}


def reason(transform: Any, error: Exception, tables: Mapping[str, Table]) -> str:
    """The exception, the transform's line in which it was raised, and the nearest column or method for a missing one.

    `tables` are those that the transform received, by parameter.
    """
    text = _refused(error) if isinstance(error, SignatureValidationError) else str(error).rstrip(".")
    return f"{type(error).__name__}: {text}{_line(transform, error.__traceback__)}{_near(error, text, tables)}"


def _refused(error: SignatureValidationError) -> str:
    """The operation, its arguments by name and type, and what is wrong. Ibis' own text repeats whole expressions."""
    given = ", ".join(_short(each) for each in (*error.args, *error.kwargs.values()))
    wrong = "; ".join(f"{_short(value)} is not {pattern.describe()}" for _, value, pattern in error.errors)
    return f"{error.func.__name__}({given}) is not possible" + (f", since {wrong}" if wrong else "")


def _short(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_short, value))})"
    if isinstance(value, Value):
        return f"{value.get_name()}: {value.type()}"
    return "a table" if isinstance(value, Table) else shown(value)


def _line(transform: Any, raised: TracebackType | None) -> str:
    """`, in file.py:12: code`, for the last line of the author's code; empty if there is none.

    For a helper in another file also the line in the transform's file that called the helper.
    """
    own = getattr(getattr(transform, "__code__", None), "co_filename", None)
    frames = [(frame.f_code.co_filename, _package(frame), line) for frame, line in traceback.walk_tb(raised)]
    lines = [(file, line) for file, package, line in frames if file == own or package not in _LIBRARIES]
    mine = [(file, line) for file, line in lines if file == own]
    if own is None or not mine:
        return ""
    file, line = lines[-1]
    code = linecache.getline(file, line).strip()
    called = "" if file == own else f", called in {Path(own).name}:{mine[-1][1]}"
    return f", in {Path(file).name}:{line}{f': `{code}`' if code else ''}{called}"


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _near(error: Exception, message: str, tables: Mapping[str, Table]) -> str:
    found = next((read[1] for each in _MISSING if (read := each.search(message))), None)
    owners = {column: name for name, table in tables.items() for column in table.columns}
    if found is not None and (near := difflib.get_close_matches(found, owners, 1)):
        return f". There is no column '{found}'; did you mean '{near[0]}' of '{owners[near[0]]}'?"
    if isinstance(error, AttributeError) and isinstance(error.obj, Expr):
        methods = [name for name in dir(error.obj) if not name.startswith("_")]
        if near := difflib.get_close_matches(str(error.name), methods, 1, cutoff=0.75):
            return f". Did you mean '.{near[0]}'?"
    if found is None:
        return ""
    columns = "; ".join(f"'{name}' has {', '.join(table.columns)}" for name, table in tables.items())
    return f". There is no column '{found}': {columns}."
