"""The witness: a process with Google's own analyzer and reference implementation of GoogleSQL."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Self

import pyarrow as pa

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import FeatureStoreError
from amora_fs_assets.stores.bigquery.tables import type_of
from amora_fs_assets.testing.values import decoded, encoded

_PROCESS = Path(__file__).with_name("reference.py")
Tables = Mapping[str, Iterable[Column]]
"""The columns of each table, by `dataset.table`."""
Parameter = int | str | None


class WitnessUnavailable(FeatureStoreError):
    """No Python with the package zetasql was found."""


class RefusedByGoogleSQL(FeatureStoreError):
    """GoogleSQL refuses the SQL, or its run fails. The message is GoogleSQL's error."""


class Witness:
    """GoogleSQL's reference implementation in a process. A context manager, which ends the process.

    `python` may be another Python that has zetasql. Raises WitnessUnavailable.
    """

    def __init__(self, python: Path | None = None) -> None:
        if python is None and importlib.util.find_spec("zetasql") is None:
            raise WitnessUnavailable(
                "The check of BigQuery's semantics needs the package zetasql. Run "
                "pip install 'amora_fs_assets[bigquery-semantics]'."
            )
        if python is not None and not python.exists():
            raise WitnessUnavailable(f"There is no Python at {python}.")
        command = [str(python or sys.executable), str(_PROCESS)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._lock = Lock()
        self.analyzed = self.executed = 0  # numbers of statements
        self.cells = 0  # number of values in the answers

    def __enter__(self) -> Self:
        """The witness itself."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def analyze(self, sql: str, tables: Tables, texts: Iterable[str] = ()) -> int:
        """Analyze a script and return its number of statements. `texts` are its parameters of type STRING.

        Raises RefusedByGoogleSQL with the analyzer's error.
        """
        types = {name: {column.name: type_of(column) for column in columns} for name, columns in tables.items()}
        return self.analyze_types(sql, types, dict.fromkeys(texts, "STRING"))

    def analyze_types(self, sql: str, tables: Mapping[str, Mapping[str, str]], parameters: Mapping[str, str]) -> int:
        """As `analyze`, with GoogleSQL types, such as `ARRAY<INT64>`, for the tables' columns and the parameters."""
        types = {name: {"columns": columns} for name, columns in tables.items()}
        found = self._ask(sql, types, {name: [type_, None] for name, type_ in parameters.items()}, execute=False)
        if found["fault"] is not None:
            raise RefusedByGoogleSQL(f"statement {found['statements'] + 1}: {found['fault']}\n{sql}")
        self.analyzed += found["statements"]
        return int(found["statements"])

    def execute(
        self, sql: str, tables: Mapping[str, pa.Table], parameters: Mapping[str, Parameter] | None = None
    ) -> pa.Table:
        """The rows of a query over the tables, named `dataset.table` or without a dataset. Parameters are numbers or
        texts. Raises RefusedByGoogleSQL.
        """
        given = {
            name: ["INT64" if isinstance(value, int) else "STRING", value] for name, value in (parameters or {}).items()
        }
        found = self._ask(sql, {name: encoded(table) for name, table in tables.items()}, given, execute=True)
        if found["fault"] is not None:
            raise RefusedByGoogleSQL(f"{found['fault']}\n{sql}")
        try:
            answer = decoded([tuple(column) for column in found["columns"]], found["rows"])
        except ValueError as error:
            raise RefusedByGoogleSQL(f"{error}\n{sql}") from error
        self.executed += 1
        self.cells += answer.num_rows * answer.num_columns
        return answer

    def _ask(
        self, sql: str, tables: Mapping[str, Any], parameters: Mapping[str, Any], *, execute: bool
    ) -> dict[str, Any]:
        question = {"sql": sql, "tables": tables, "parameters": parameters, "execute": execute}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            raise WitnessUnavailable("The process of the reference implementation ended. Its error is on stderr.")
        found: dict[str, Any] = json.loads(answer)
        return found
