"""The words for an exception in a transform: the line, and the column that was probably meant."""

from __future__ import annotations

import difflib
import linecache
import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ibis.expr.types import Table

_MISSING = (
    re.compile(r"'\w*Table' object has no attribute '([^']+)'"),
    re.compile(r"Column '([^']+)' is not found in table"),
)
"""Ibis' messages for a column that a table lacks."""


def reason(transform: Any, error: Exception, tables: Mapping[str, Table]) -> str:
    """The exception, the transform's line in which it was raised, and the nearest column for a column that is missing.

    `tables` are those that the transform received, by parameter.
    """
    text = str(error).rstrip(".")
    return f"{type(error).__name__}: {text}{_line(transform, error.__traceback__)}{_near(text, tables)}"


def _line(transform: Any, raised: TracebackType | None) -> str:
    """`, in file.py:12: code`, for the last line in the transform's file; empty if there is none."""
    file = getattr(getattr(transform, "__code__", None), "co_filename", None)
    lines = [frame.lineno for frame in traceback.extract_tb(raised) if frame.filename == file and frame.lineno]
    if not lines or file is None:
        return ""
    code = linecache.getline(file, lines[-1]).strip()
    return f", in {Path(file).name}:{lines[-1]}{f': `{code}`' if code else ''}"


def _near(message: str, tables: Mapping[str, Table]) -> str:
    found = next((read[1] for each in _MISSING if (read := each.search(message))), None)
    if found is None:
        return ""
    owners = {column: name for name, table in tables.items() for column in table.columns}
    near = difflib.get_close_matches(found, owners, 1)
    if near:
        return f". There is no column '{found}'; did you mean '{near[0]}' of '{owners[near[0]]}'?"
    columns = "; ".join(f"'{name}' has {', '.join(table.columns)}" for name, table in tables.items())
    return f". There is no column '{found}': {columns}."
