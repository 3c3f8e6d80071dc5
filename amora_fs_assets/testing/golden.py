"""The SQL of a view for both engines, and its comparison with reviewed files."""

from __future__ import annotations

import difflib
from pathlib import Path

import ibis

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.places.external import as_declared
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.offline.transform import query_of
from amora_fs_assets.testing.defaults import interval_of

ENGINES = ("duckdb", "bigquery")
updating = False
"""Whether files are written rather than compared: `pytest --amora-update-golden`."""


def sql_of(view: FeatureView, engine: str, interval: Interval | None = None) -> str:
    """The SQL of a view's transform for an engine, "duckdb" or "bigquery". Raises TransformError.

    The interval is by default the two periods after the view's start and lookback.
    """
    query = query_of(view, interval or interval_of(view), "feature_store")
    return f"{ibis.to_sql(as_declared(query), dialect=engine)}\n"


def assert_golden_sql(view: FeatureView, folder: str | Path, *, interval: Interval | None = None) -> None:
    """Assert that the view's SQL is that of the files `<folder>/<view>.duckdb.sql` and `<folder>/<view>.bigquery.sql`.

    `pytest --amora-update-golden` writes the files: review them like code. `interval` is as in `sql_of`. Raises
    AssertionError with the lines that differ.
    """
    texts = {Path(folder) / f"{view.name}.{engine}.sql": sql_of(view, engine, interval) for engine in ENGINES}
    if updating:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            file.write_text(text)
    found = [_difference(file, text) for file, text in texts.items()]
    if differing := [text for text in found if text]:
        raise AssertionError(
            f"{view}: its SQL is not as reviewed.\n" + "\n".join(differing) + "\n"
            "If the change is meant, run `pytest --amora-update-golden` and review the files."
        )


def _difference(file: Path, text: str) -> str:
    if not file.exists():
        return f"There is no file {file}."
    lines = difflib.unified_diff(file.read_text().splitlines(), text.splitlines(), str(file), "now", lineterm="", n=1)
    return "\n".join(lines)
