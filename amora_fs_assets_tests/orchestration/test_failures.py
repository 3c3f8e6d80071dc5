"""Runs that fail or die: each leaves a record, and the old data."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from ibis.expr.types import Table

from amora_fs_assets import Source
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.ports.offline import Draft
from amora_fs_assets.domain.records import Publication, RunRecord
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.project import BOUGHT, ONLINE, RAW, VIEW, Project, error_of, in_a_process


class Breaking(DuckDBOfflineStore):
    """A store that gives up when something is published, staged, or read."""

    def __init__(self, home: Path, *, publishing: str = "", staging: str = "", reading: str = "") -> None:
        super().__init__(home)
        self._publishing, self._staging, self._reading = publishing, staging, reading

    @contextmanager
    def read(self, query: Table, frames: Mapping[str, pa.Table] | None = None) -> Iterator[pa.RecordBatchReader]:
        if self._reading and self._reading in self.sql(query):
            raise MemoryError("the engine ran out")
        with super().read(query, frames) as batches:
            yield batches

    def publish(self, staged: str, draft: Draft) -> Publication:
        if draft.name == self._publishing:
            raise KeyError("amount")
        return super().publish(staged, draft)

    def stage(self, data: Table | pa.Table, *, name: str, run_id: str, clustered_by: str = "") -> str:
        if name == self._staging:
            raise OSError("no space left on device")
        return super().stage(data, name=name, run_id=run_id)

    def tables(self) -> list[str]:
        with self._open() as connection:
            return [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]


@pytest.mark.parametrize(("key", "name"), [(VIEW, "spending"), (BOUGHT, "bought"), (RAW, "orders")])
def test_a_publication_that_fails_is_recorded_and_leaves_nothing_staged(project: Project, key: Any, name: str) -> None:
    assert project.run(RAW, VIEW).success
    broken = Breaking(project.settings.home, publishing=name)
    project.use(project.code, offline=broken)
    assert not project.run(key).success
    record = project.records(name)[0]
    assert (record.status, record.error) == ("failed", "KeyError: 'amount'")
    assert [table for table in broken.tables() if table.startswith("_staged")] == []


@pytest.mark.parametrize(("key", "name"), [(VIEW, "spending"), (BOUGHT, "bought"), (RAW, "orders")])
def test_an_error_that_nobody_foresaw_is_recorded_with_its_kind(project: Project, key: Any, name: str) -> None:
    assert project.run(RAW, VIEW).success
    project.use(project.code, offline=Breaking(project.settings.home, staging=name))
    result = project.run(key)
    assert "no space left on device" in error_of(result)
    record = project.records(name)[0]
    assert (record.status, record.error) == ("failed", "OSError: no space left on device")


def test_a_gate_that_cannot_be_asked_is_recorded_and_leaves_nothing_staged(project: Project) -> None:
    assert project.run(RAW).success
    broken = Breaking(project.settings.home, reading="_staged")
    project.use(project.code, offline=broken)
    assert not project.run(VIEW).success
    assert project.records("spending")[0].error == "MemoryError: the engine ran out"
    assert [table for table in broken.tables() if table.startswith("_staged")] == []


def test_a_transform_that_fails_is_recorded(project: Project) -> None:
    project.use(small.catalogue(transform=lambda orders: orders.nosuch))
    result = project.run(RAW, VIEW)
    assert "'spending': its transform failed: AttributeError" in error_of(result)
    assert "AttributeError" in project.records("spending")[0].error


def test_a_loader_that_fails_is_recorded(tmp_path: Path) -> None:
    def unreachable() -> pa.Table:
        raise ConnectionError("the shop's database is away")

    source = Source("orders", small.Orders, timestamp_field="at", loader=unreachable)
    project = Project(tmp_path, Catalogue.of([source, small.spending(source)]))
    assert not project.run(RAW, VIEW).success
    assert project.records("orders")[0].error == "ConnectionError: the shop's database is away"
    assert project.offline.publications() == ()


def test_a_loader_of_other_columns_is_named(tmp_path: Path) -> None:
    source = Source("orders", small.Orders, timestamp_field="at", loader=lambda: pa.table({"customer": [1]}))
    project = Project(tmp_path, Catalogue.of([source, small.spending(source)]))
    assert "Source 'orders': its loader returned no column ['at', 'amount']" in error_of(project.run(RAW))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (small.orders_table(small.ORDERS).to_pandas(), "its loader returned a DataFrame. Return a pyarrow.Table"),
        (
            small.orders_table(small.ORDERS).set_column(2, "amount", pa.array([["1"]] * 5)),
            "its loader's rows do not fit the schema: Unsupported cast",
        ),
    ],
)
def test_a_loader_of_other_rows_is_told_what_to_return(tmp_path: Path, rows: Any, said: str) -> None:
    source = Source("orders", small.Orders, timestamp_field="at", loader=lambda: rows)
    project = Project(tmp_path, Catalogue.of([source, small.spending(source)]))
    assert f"Source 'orders': {said}" in error_of(project.run(RAW))


def test_a_server_out_of_reach_is_recorded(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.run(RAW, VIEW).success
    project.settings = replace(project.settings, online_store_url="redis://127.0.0.1:1/0")
    project.use(project.code)
    result = project.run(ONLINE)
    assert "127.0.0.1:1" in error_of(result)
    record = project.records("spending")[0]
    assert (record.kind, record.status) == ("materialize", "failed")


class Dying(ObjectRegistry):
    """A registry whose process is killed when it would keep the record of `name`, or the manifest."""

    def __init__(self, home: Path, name: str, *, manifest: bool) -> None:
        super().__init__(FolderObjectStore(home / "registry"))
        self._name, self._manifest = name, manifest

    def record(self, run: RunRecord) -> str:
        if run.name == self._name and not self._manifest:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().record(run)

    def put_manifest(self, name: str, version: str, manifest: dict[str, Any]) -> str:
        if self._manifest:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().put_manifest(name, version, manifest)


def killed(home: Path, name: str, *, manifest: bool = False) -> None:
    """A run whose process is killed when it would record what it has published."""

    def run() -> bool:
        project = Project(home)
        project.use(project.code, registry=Dying(home, name, manifest=manifest))
        return project.run(RAW, VIEW, BOUGHT).success

    process = in_a_process(run)
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("key", "name", "kind"),
    [(RAW, "orders", "load_source"), (VIEW, "spending", "compute"), (BOUGHT, "bought", "training_set")],
)
def test_a_process_killed_between_publication_and_record_is_completed_by_the_next_run(
    project: Project, key: Any, name: str, kind: str
) -> None:
    killed(project.settings.home, name)
    (published,) = project.offline.publications(name)
    assert project.records(name) == []
    assert project.run(key).success
    completed = project.records(name)[-1]
    assert (completed.kind, completed.status, completed.run_id) == (kind, "succeeded", published.run_id)
    assert (completed.sequence, completed.rows) == (published.sequence, published.rows)
    assert (completed.interval_start, completed.interval_end) == (published.start, published.end)
    assert "wrote it from _publications" in completed.details["completed"]
    assert len(project.records(name)) == 2


def test_a_training_set_killed_before_its_manifest_is_no_version_and_the_next_run_says_so(project: Project) -> None:
    killed(project.settings.home, "bought", manifest=True)
    assert project.registry.manifests("bought") == []
    assert project.run(BOUGHT).success
    newest, completed = project.records("bought")
    assert (newest.status, completed.status) == ("succeeded", "failed")
    assert "killed before it wrote the manifest" in completed.error
    assert len(project.registry.manifests("bought")) == 1


def test_what_is_recorded_is_not_recorded_again(project: Project) -> None:
    for _ in range(2):
        assert project.run(RAW, VIEW).success
    assert [record.kind for record in project.records("spending")] == ["compute", "compute"]
