"""Empty offline stores of both engines."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.stores.bigquery.jobs import JobOptions
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator

ENGINES = ["duckdb", pytest.param("bigquery", marks=[pytest.mark.google, pytest.mark.slow])]
_numbers = itertools.count()


@contextmanager
def engine_store(
    request: pytest.FixtureRequest, home: Path, options: JobOptions | None = None
) -> Iterator[OfflineStore]:
    """A store of the engine `request.param`: in `home`, or in a dataset of its own on the emulator."""
    if request.param == "duckdb":
        yield DuckDBOfflineStore(home)
        return
    emulator: BigQueryEmulator = request.getfixturevalue("bigquery_emulator")
    with emulator.client() as client:
        reader = emulator.read_client()
        yield BigQueryOfflineStore(client, dataset=f"engine_{next(_numbers)}", options=options, storage_client=reader)
