"""The registry, over a folder and over a bucket: nothing lost, nothing torn, nothing altered unnoticed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from amora_fs_assets import Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import InvalidRequest, RegistryConflict, RegistryCorrupt, SettingsError
from amora_fs_assets.domain.records import CheckResult, Input, RuleResult, RunRecord, SourceColumn
from amora_fs_assets.stores.open import open_registry
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from amora_fs_assets_tests import small
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.stores.at_once import at_once, killed_at
from amora_fs_assets_tests.stores.conftest import OpenObjects


@pytest.fixture
def registry(objects: OpenObjects) -> ObjectRegistry:
    return ObjectRegistry(objects())


def catalogues() -> Iterator[Catalogue]:
    """Different ones without end."""
    for days in range(1, 1_000):
        yield small.catalogue(ttl=timedelta(days=days))


def record(run_id: str = "run", *, minute: int = 0, **changes: Any) -> RunRecord:
    moment = datetime(2020, 1, 1, 0, minute, tzinfo=UTC)
    fields: dict[str, Any] = {
        "kind": "compute",
        "name": "spending",
        "run_id": run_id,
        "status": "succeeded",
        "started_at": moment,
        "finished_at": moment + timedelta(seconds=1),
        **changes,
    }
    return RunRecord(**fields)


def test_before_the_first_apply_there_is_nothing(registry: ObjectRegistry) -> None:
    assert registry.head() is None
    assert registry.catalogue() == Catalogue()
    assert list(registry.records()) == []
    assert registry.manifests("bought") == []


def test_what_was_applied_is_read_by_another_process(registry: ObjectRegistry, objects: OpenObjects) -> None:
    code = small.catalogue()
    applied = registry.apply(code, parent=None, clock=at(1))
    other = ObjectRegistry(objects())
    assert other.head() == applied
    assert other.catalogue().hash == code.hash
    assert other.catalogue().feature_view("spending") == code.feature_view("spending")


def test_applying_the_same_again_changes_nothing(registry: ObjectRegistry, objects: OpenObjects) -> None:
    first = registry.apply(small.catalogue(), parent=None, clock=at(1))
    before = list(objects().names(""))
    assert registry.apply(small.catalogue(), parent=first.hash, clock=at(2)) == first
    assert list(objects().names("")) == before


def test_each_snapshot_names_its_parent(registry: ObjectRegistry) -> None:
    one, two = (next_ for _, next_ in zip(range(2), catalogues(), strict=False))
    first = registry.apply(one, parent=None, clock=at(1))
    second = registry.apply(two, parent=first.hash, clock=at(2))
    assert (first.parent, second.parent) == (None, first.hash)
    again = registry.apply(one, parent=second.hash, clock=at(3))
    assert again.catalogue_hash == first.catalogue_hash
    assert again.hash != first.hash


def test_of_two_that_applied_on_one_head_the_later_is_refused(registry: ObjectRegistry, objects: OpenObjects) -> None:
    one, two = (next_ for _, next_ in zip(range(2), catalogues(), strict=False))
    registry.apply(one, parent=None, clock=at(1))
    with pytest.raises(RegistryConflict, match="another apply came first.*amora-fs apply"):
        ObjectRegistry(objects()).apply(two, parent=None, clock=at(1))
    assert registry.catalogue().hash == one.hash


def test_processes_that_apply_at_once_lose_nothing_that_was_acknowledged(objects: OpenObjects) -> None:
    variants = [next_ for _, next_ in zip(range(6), catalogues(), strict=False)]

    def apply(number: int) -> str:
        registry = ObjectRegistry(objects())
        while True:
            head = registry.head()
            try:
                return registry.apply(variants[number], parent=head.hash if head else None, clock=at(1)).hash
            except RegistryConflict:
                continue

    acknowledged = set(at_once(apply, len(variants)))
    chain = [snapshot.hash for snapshot in ObjectRegistry(objects()).history()]
    assert set(chain) == acknowledged
    assert len(chain) == len(variants)


def test_an_apply_killed_at_any_line_leaves_the_old_head_or_the_new(tmp_path: Path) -> None:
    old, new = (next_ for _, next_ in zip(range(2), catalogues(), strict=False))
    line, killed = 1, True
    while killed:
        folder = tmp_path / str(line)
        registry = ObjectRegistry(FolderObjectStore(folder))
        first = registry.apply(old, parent=None, clock=at(1))

        def apply(registry: ObjectRegistry = registry, parent: str = first.hash) -> None:
            registry.apply(new, parent=parent, clock=at(2))

        killed = killed_at(line, apply, ["stores/registry/object_registry.py", "stores/registry/folder.py"])
        after = ObjectRegistry(FolderObjectStore(folder))
        assert after.catalogue().hash in {old.hash, new.hash}
        head = after.head()
        assert head is not None
        assert after.apply(new, parent=head.hash, clock=at(3)).catalogue_hash == new.hash
        line += 5
    assert line > 50


def test_a_snapshot_altered_by_hand_is_noticed(registry: ObjectRegistry, objects: OpenObjects) -> None:
    applied = registry.apply(small.catalogue(), parent=None, clock=at(1))
    store, name = objects(), f"snapshots/{applied.hash}.json"
    stored = store.read(name)
    assert stored is not None
    assert store.replace(name, stored.data.replace(b"shop@", b"shep@"), generation=stored.generation)
    with pytest.raises(RegistryCorrupt, match=f"{name}: it was changed.*Restore it"):
        ObjectRegistry(objects()).catalogue()


def test_a_head_that_points_at_nothing_is_reported(registry: ObjectRegistry, objects: OpenObjects) -> None:
    objects().create(
        "head.json", json.dumps({"format": 1, "snapshot": "0" * 64, "applied_at": "2020-01-01T00:00:00Z"}).encode()
    )
    with pytest.raises(
        RegistryCorrupt,
        match="it is referenced, but does not exist. Restore it, or point head.json at",
    ):
        registry.catalogue()


@pytest.mark.parametrize("head", [b"", b"{", b"[]", b'{"format": 1}'])
def test_a_head_that_is_no_head_is_reported_and_not_overwritten(
    registry: ObjectRegistry, objects: OpenObjects, head: bytes
) -> None:
    objects().create("head.json", head)
    with pytest.raises(RegistryCorrupt, match="head.json"):
        registry.apply(small.catalogue(), parent=None, clock=at(1))
    stored = objects().read("head.json")
    assert stored is not None
    assert stored.data == head


def test_a_newer_format_is_refused_with_the_fix(registry: ObjectRegistry, objects: OpenObjects) -> None:
    objects().create("head.json", b'{"format": 99, "snapshot": "x", "applied_at": "2020-01-01T00:00:00Z"}')
    with pytest.raises(RegistryCorrupt, match=r"format 99; this release reads up to 1\. Upgrade amora_fs_assets"):
        registry.head()


def test_a_record_is_read_back_whole(registry: ObjectRegistry) -> None:
    run = record(
        interval_start=at(1),
        interval_end=at(1, month=2),
        rows=3,
        clipped_rows=1,
        sequence=7,
        inputs=(Input(name="orders", table="raw.orders", sequence=6),),
        checks=(
            CheckResult(name="amount", rules=(RuleResult(rule="not null", failed_rows=2),), failing_rows=({"a": 1},)),
        ),
        column_lineage={"amount": (SourceColumn(name="orders", column="amount"),)},
        details={"a": [1, None, "x"]},
        error="why",
    )
    registry.record(run)
    assert list(registry.records("spending")) == [run]
    assert list(registry.records("other")) == []


def test_records_come_newest_first_over_all_names(registry: ObjectRegistry) -> None:
    runs = [record(str(minute), minute=minute, name=("a", "b")[minute % 2]) for minute in range(5)]
    for run in runs:
        registry.record(run)
    assert [run.run_id for run in registry.records()] == ["4", "3", "2", "1", "0"]
    assert [run.run_id for run in registry.records("a", limit=2)] == ["4", "2"]


def test_recording_the_same_again_changes_nothing(registry: ObjectRegistry) -> None:
    assert registry.record(record()) == registry.record(record())
    assert len(list(registry.records())) == 1


def test_processes_that_record_at_once_lose_no_record(objects: OpenObjects) -> None:
    def record_five(number: int) -> None:
        registry = ObjectRegistry(objects())
        for each in range(5):
            registry.record(record(f"{number}-{each}", minute=each))

    at_once(record_five, 6)
    assert len(list(ObjectRegistry(objects()).records("spending"))) == 30


def test_a_record_altered_by_hand_is_noticed(registry: ObjectRegistry, objects: OpenObjects) -> None:
    name = registry.record(record(rows=3))
    store = objects()
    stored = store.read(name)
    assert stored is not None
    store.replace(name, stored.data.replace(b'"rows":3', b'"rows":4'), generation=stored.generation)
    with pytest.raises(RegistryCorrupt, match="it was changed"):
        list(registry.records())


def test_a_record_of_a_newer_release_is_kept_as_it_stands(registry: ObjectRegistry) -> None:
    newer = replace(record(), kind="something_new")  # type: ignore[arg-type]
    registry.record(newer)
    assert list(registry.records()) == [newer]


def test_a_manifest_is_written_once(registry: ObjectRegistry) -> None:
    registry.put_manifest("bought", "v1", {"rows": 1})
    registry.put_manifest("bought", "v1", {"rows": 1})
    with pytest.raises(RegistryConflict, match="another manifest"):
        registry.put_manifest("bought", "v1", {"rows": 2})
    registry.put_manifest("bought", "v2", {"rows": 2})
    assert registry.manifests("bought") == ["v1", "v2"]
    assert registry.manifest("bought", "v1") == {"rows": 1}
    assert registry.manifest("bought", "v3") is None


@pytest.mark.parametrize("name", ["../head", "a/b", "", ".hidden"])
def test_a_name_that_could_leave_its_folder_is_refused(registry: ObjectRegistry, name: str) -> None:
    with pytest.raises(InvalidRequest):
        registry.record(record(name=name))
    with pytest.raises(InvalidRequest):
        registry.put_manifest("bought", name, {})


@pytest.mark.parametrize("where", ["s3://bucket/prefix", "gs://", "gs://user:hush@bucket/x"])
def test_a_registry_that_is_neither_folder_nor_bucket_is_refused_without_its_secret(where: str) -> None:
    with pytest.raises(SettingsError, match="folder or gs://bucket/prefix") as caught:
        open_registry(Settings(registry=where))
    assert "hush" not in str(caught.value)
