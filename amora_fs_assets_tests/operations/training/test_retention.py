"""Versions of training sets that go, and those that never do."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from amora_fs_assets import FeatureStore
from amora_fs_assets.cli.main import main
from amora_fs_assets.domain.errors import InvalidRequest, OfflineStoreError, TrainingSetNotFound
from amora_fs_assets.domain.table_names import version_table
from amora_fs_assets.operations.training import retention
from amora_fs_assets.operations.training.versions import pruned
from amora_fs_assets.orchestration.code_location import build_definitions
from amora_fs_assets.stores.open import open_offline_store
from amora_fs_assets_tests import small
from amora_fs_assets_tests.operations.offline.test_compute import feature_store
from amora_fs_assets_tests.operations.training.test_build import build
from amora_fs_assets_tests.orchestration.project import BOUGHT, Project, metadata_of

DAYS = 5


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a version a day."""
    home = tmp_path_factory.mktemp("built")
    store = feature_store(home, small.catalogue())
    store.compute("2020-01-01", "2020-03-01")
    for day in range(DAYS):
        build(store, now=small.at(1 + day, month=4), run_id=f"run-{day}")
    return home


@pytest.fixture
def store(built: Path, tmp_path: Path) -> FeatureStore:
    """A store of its own for each test: a copy."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return feature_store(tmp_path, small.catalogue(), apply=False)


@pytest.fixture
def versions(store: FeatureStore) -> list[str]:
    """The newest last."""
    return store.registry.manifests("bought")


def there(store: FeatureStore, version: str) -> bool:
    return store.offline.columns(version_table("bought", version, store.offline.dataset)) is not None


def test_a_dry_run_says_what_would_go_and_removes_nothing(store: FeatureStore, versions: list[str]) -> None:
    found = store.prune_training_set("bought", keep=2)
    assert (found.removed, found.done) == (tuple(versions[:3]), False)
    assert found.kept == dict.fromkeys(versions[3:], "one of the newest 2")
    assert all(there(store, version) for version in versions)
    assert pruned("bought", store.registry) == {}


def test_all_but_the_newest_go_and_are_recorded_while_manifests_stay(store: FeatureStore, versions: list[str]) -> None:
    store.prune_training_set("bought", keep=2, dry_run=False)
    assert [there(store, version) for version in versions] == [False, False, False, True, True]
    assert store.registry.manifests("bought") == versions
    records = pruned("bought", store.registry)
    assert sorted(records) == versions[:3]
    assert records[versions[0]].details["table"] == version_table("bought", versions[0], store.offline.dataset)
    assert len(store.load_training_set("bought")) == 5
    assert store.prune_training_set("bought", keep=2).removed == ()


def test_a_removed_version_says_when_it_went_and_what_is_left_of_it(store: FeatureStore, versions: list[str]) -> None:
    store.prune_training_set("bought", keep=1, dry_run=False)
    said = rf"the rows of version '{versions[0]}' were removed on {datetime.now(UTC):%Y}.*run prune-.*sets show"
    with pytest.raises(TrainingSetNotFound, match=said):
        store.load_training_set("bought", versions[0])
    with pytest.raises(TrainingSetNotFound, match="were removed"):
        store.load_training_set("bought", as_of=small.at(2, 12, month=4))


def test_a_version_that_a_model_needs_is_held(store: FeatureStore, versions: list[str]) -> None:
    store.hold_training_set("bought", versions[0], "model 7")
    found = store.prune_training_set("bought", keep=1, dry_run=False)
    assert found.kept == {versions[0]: "held: model 7", versions[4]: "one of the newest 1"}
    assert len(store.load_training_set("bought", versions[0])) == 5
    store.release_training_set("bought", versions[0])
    assert store.prune_training_set("bought", keep=1, dry_run=False).removed == (versions[0],)
    with pytest.raises(InvalidRequest, match="was removed, and cannot be held"):
        store.hold_training_set("bought", versions[0], "model 8")
    with pytest.raises(InvalidRequest, match="is not held"):
        store.release_training_set("bought", versions[0])


def test_a_version_that_somebody_may_be_reading_stays(store: FeatureStore, versions: list[str]) -> None:
    now = datetime.now(UTC)
    young = [build(store, now=now - timedelta(hours=hours), run_id=f"{hours}") for hours in (25, 23, 0)]
    found = store.prune_training_set("bought", keep=1)
    assert found.removed == (*versions, young[0])
    assert found.kept == {young[1]: "built less than a day ago", young[2]: "one of the newest 1"}


def test_the_table_of_another_store_stays(store: FeatureStore, versions: list[str], tmp_path: Path) -> None:
    """Two stores may share a registry, and have tables of the same names."""
    other = open_offline_store(replace(store.settings, home=tmp_path / "other"))
    found = retention.prune(
        "bought", keep=1, store=other, registry=store.registry, run_id="p", now=datetime.now(UTC), dry_run=False
    )
    assert found.removed == ()
    assert set(found.kept.values()) == {"its table is not of this store", "one of the newest 1"}
    assert all(there(store, version) for version in versions)


def test_what_was_cut_short_is_ended_by_the_next_pruning(
    store: FeatureStore, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    discard = store.offline.discard

    def killed(table: str) -> None:
        discard(table)
        raise OfflineStoreError("the network went")

    with monkeypatch.context() as broken:
        broken.setattr(store.offline, "discard", killed)
        with pytest.raises(OfflineStoreError):
            store.prune_training_set("bought", keep=1, dry_run=False)
    assert pruned("bought", store.registry) == {}
    store.prune_training_set("bought", keep=1, dry_run=False)
    assert sorted(pruned("bought", store.registry)) == versions[:4]


@pytest.mark.parametrize("keep", [0, -1])
def test_the_newest_version_always_stays(store: FeatureStore, versions: list[str], keep: int) -> None:
    with pytest.raises(InvalidRequest, match="keep"):
        store.prune_training_set("bought", keep=keep)


def test_a_name_without_versions_is_said(store: FeatureStore) -> None:
    with pytest.raises(TrainingSetNotFound, match="'nosuch' has no version yet"):
        store.prune_training_set("nosuch", keep=1)


def test_the_commands_prune_hold_and_say_so(
    store: FeatureStore, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMORA_FS_HOME", str(store.settings.home))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> str:
        ran = CliRunner().invoke(main, ["training-sets", *words])
        assert ran.exit_code == 0, ran.output
        return ran.output

    run("hold", "bought", versions[0], "--because", "model 7")
    assert "Nothing was removed. To remove these versions, add --yes." in run("prune", "bought", "--keep", "1")
    assert all(there(store, version) for version in versions)
    assert f"bought {versions[1]}: removed" in run("prune", "bought", "--keep", "1", "--yes")
    listed = run("list", "bought")
    assert "held: model 7" in " ".join(listed.split())
    assert listed.count("removed") == 3
    assert "rows: 5" in run("show", "bought", versions[1])
    run("release", "bought", versions[0])


def test_a_build_in_dagster_removes_what_the_setting_says(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.run().success
    (first,) = project.registry.manifests("bought")
    old = feature_store(tmp_path, small.catalogue())
    days = [build(old, now=small.at(day, month=4), run_id=f"{day}") for day in (1, 2)]
    project.settings = replace(project.settings, training_set_versions=1)
    project.defs = build_definitions(project.settings, definitions=project.code)
    result = project.run(BOUGHT)
    assert result.success
    said = str(metadata_of(result, BOUGHT)["versions"])
    assert [f"bought {day}: removed" in said for day in days] == [True, True]
    assert f"bought {first}: kept, built less than a day ago" in said
