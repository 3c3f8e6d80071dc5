"""Every query that an operation reads of DuckDB is run by the reference implementation, too, in BigQuery's SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import ibis
import pyarrow as pa
import pytest
from ibis.expr.operations import UnboundTable
from ibis.expr.types import Table

from amora_fs_assets.domain.places.external import as_declared, sql_of
from amora_fs_assets.stores.bigquery.dialect import BIGQUERY
from amora_fs_assets.stores.duckdb.dialect import DUCKDB
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.testing import Witness
from amora_fs_assets.testing.reference_store import ReferenceStore
from amora_fs_assets_tests.witness.tally import TALLY

_read = DuckDBOfflineStore.read


@pytest.fixture(autouse=True)
def mirrored(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """DuckDB's store, asked with BigQuery's expressions, whose answers have to be the reference implementation's.

    Inputs are counted and not hashed: each engine has a hash of its own.
    """
    asked = 0

    @contextmanager
    def read(
        self: DuckDBOfflineStore, query: Table, frames: Mapping[str, pa.Table] | None = None
    ) -> Iterator[pa.RecordBatchReader]:
        nonlocal asked
        asked += 1
        with _read(self, query, frames) as batches:
            expected = batches.read_all()
        tables = dict(frames or {})
        for node in as_declared(query).op().find(UnboundTable):
            if node.namespace.database:
                stored = ibis.table(node.schema, name=node.name, database=node.namespace.database)
                with _read(self, stored) as batches:
                    tables[f"{node.namespace.database}.{node.name}"] = batches.read_all()
        with ReferenceStore(witness, tables).read(query) as batches:
            TALLY.same("what operations read", batches.read_all(), expected)
        yield expected.to_reader()

    monkeypatch.setattr(DuckDBOfflineStore, "read", read)
    monkeypatch.setattr(DuckDBOfflineStore, "dialect", BIGQUERY)
    monkeypatch.setattr(DuckDBOfflineStore, "sql", lambda self, query: sql_of(query, self._held_columns, DUCKDB))
    monkeypatch.setattr(DuckDBOfflineStore, "hashing", "")
    yield
    assert asked, "the test read nothing"
