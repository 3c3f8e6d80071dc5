"""A look reads the publications since the one before."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from amora_fs_assets.domain.records import Publication
from amora_fs_assets.operations.offline import load_source as sources
from amora_fs_assets.orchestration.published import Published
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def publish(project: Project) -> Publication:
    return sources.load(small.orders(), run_id="theirs", store=project.offline, registry=project.registry)


def test_each_look_reads_what_came_since_the_one_before(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    publications = DuckDBOfflineStore.publications

    def counted(store: DuckDBOfflineStore, name: str | None = None, *, after: int = 0, newest: bool = False) -> object:
        asked.append(after)
        return publications(store, name, after=after, newest=newest)

    monkeypatch.setattr(DuckDBOfflineStore, "publications", counted)
    known = Published()
    assert known.of(project.offline) == ()
    first = [publish(project), publish(project)]
    assert list(known.of(project.offline)) == first
    third = publish(project)
    asked.clear()
    assert list(known.of(project.offline)) == [*first, third] == list(known.of(project.offline))
    assert asked == [1, 2]


def test_an_older_backup_is_read_as_a_whole(project: Project) -> None:
    known = Published()
    first, _ = publish(project), publish(project)
    known.of(project.offline)
    with duckdb.connect(project.settings.home / "offline.duckdb") as connection:
        connection.execute("DELETE FROM feature_store._publications WHERE sequence = 2")
    assert list(known.of(project.offline)) == [first]
    second = publish(project)
    assert second.sequence == 2
    assert list(known.of(project.offline)) == [first, second]


def test_an_emptied_store_has_none(project: Project) -> None:
    known = Published()
    publish(project)
    known.of(project.offline)
    (project.settings.home / "offline.duckdb").unlink()
    assert known.of(project.offline) == ()


def test_what_an_engine_says_has_not_changed_is_not_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    known, first = Published(), publish(project)
    monkeypatch.setattr(DuckDBOfflineStore, "modified", lambda *_: "of today")  # as BigQuery says
    assert list(known.of(project.offline)) == [first]
    publish(project)
    assert list(known.of(project.offline)) == [first]
    monkeypatch.setattr(DuckDBOfflineStore, "modified", lambda *_: "of tomorrow")
    assert len(known.of(project.offline)) == 2
