"""A long-lived process of Google's analyzer, and how to ask it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from amora_fs_assets.domain.column import Column
from amora_fs_assets.stores.bigquery_tables import type_of

PYTHON = Path(__file__).parents[2] / ".venv-witness" / "bin" / "python"
_ANALYZER = Path(__file__).with_name("analyzer.py")
Tables = Mapping[str, Iterable[Column]]
"""The columns of each table, by `dataset.table`."""


class WitnessUnavailableError(Exception):
    """There is no environment for the analyzer."""


class Witness:
    """Asks the analyzer."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def analyze(self, sql: str, tables: Tables, texts: Iterable[str] = ()) -> int:
        """How many statements the script has; `texts` are its parameters.

        Raises AssertionError with what the analyzer says against a statement.
        """
        types = {name: {column.name: type_of(column) for column in columns} for name, columns in tables.items()}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"sql": sql, "tables": types, "texts": list(texts)}) + "\n")
        self._process.stdin.flush()
        found = json.loads(self._process.stdout.readline())
        assert found["fault"] is None, f"statement {found['statements'] + 1}: {found['fault']}\n{sql}"
        return int(found["statements"])


@contextmanager
def running_witness() -> Iterator[Witness]:
    """The analyzer, until the context is left. Raises WitnessUnavailableError."""
    if not PYTHON.exists():
        raise WitnessUnavailableError("There is no .venv-witness. Make it: `make witness`.")
    with subprocess.Popen(
        [str(PYTHON), str(_ANALYZER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Witness(process)
        finally:
            process.kill()
