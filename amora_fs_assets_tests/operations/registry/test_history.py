"""The registry remembers: what counted at a time and for a run, versions, and services of an old version."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.cli.main import main
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import FeatureServiceNotFound, InvalidRequest, NotFound
from amora_fs_assets.domain.identity.definition import definition_hash
from amora_fs_assets.domain.ports.registry import StoredObject
from amora_fs_assets.domain.records import RunRecord, Snapshot
from amora_fs_assets.operations.registry.apply import apply
from amora_fs_assets.operations.registry.history import PastRegistry, between, service_version, snapshot_as_of, versions
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from amora_fs_assets_tests.operations.catalogues import Plain, catalogue, column, find, projection
from amora_fs_assets_tests.small import at

OWNERS = ["one@example.com", "two@example.com", "three@example.com"]


def owned(owner: str, **changes: Any) -> Catalogue:
    return catalogue(lambda plain: find(plain, "feature_views", "spending").update(owner=owner, **changes))


@pytest.fixture
def registry(tmp_path: Path) -> ObjectRegistry:
    return ObjectRegistry(FolderObjectStore(tmp_path / "registry"))


@pytest.fixture
def applied(registry: ObjectRegistry) -> list[Snapshot]:
    """Three states, applied on the first three days of the year."""
    return [apply(owned(owner), registry, clock=at(day)) for day, owner in enumerate(OWNERS, start=1)]


def run(run_id: str, moment: datetime, **changes: Any) -> RunRecord:
    return RunRecord(kind="compute", name="spending", run_id=run_id, status="succeeded", started_at=moment,
                     finished_at=moment + timedelta(minutes=1), **changes)  # fmt: skip


def test_history_goes_from_the_head_to_the_first_apply(registry: ObjectRegistry, applied: list[Snapshot]) -> None:
    assert list(registry.history()) == applied[::-1]
    owners = [registry.catalogue_of(each).feature_view("spending").owner for each in registry.history()]
    assert owners == OWNERS[::-1]


class CountingStore(FolderObjectStore):
    """A folder that counts what is read of it."""

    reads = 0

    def read(self, name: str) -> StoredObject | None:
        """As ever, and counted."""
        self.reads += 1
        return super().read(name)


def test_the_past_is_found_in_few_reads_of_a_long_history(tmp_path: Path) -> None:
    objects = CountingStore(tmp_path)
    registry = ObjectRegistry(objects)
    clock = (at(1) + timedelta(minutes=number // 3 - 40 * (number % 7 == 6)) for number in range(300))  # and back
    states = [apply(owned(f"{number}@example.com"), registry, clock=next(clock)) for number in range(300)]
    assert [each.number for each in states] == list(range(1, 301))
    assert [each.applied_at for each in states] == sorted(each.applied_at for each in states)
    for minute in range(-1, 102):
        moment = at(1) + timedelta(minutes=minute)
        objects.reads = 0
        found = snapshot_as_of(ObjectRegistry(objects), moment)
        assert objects.reads <= 2 + 2 * 9, "head, its snapshot, and twice the binary logarithm"
        assert found == next((each for each in reversed(states) if each.applied_at <= moment), None)
        assert list(PastRegistry(registry, moment).history())[-1:] == states[:1] * (found is not None)


@pytest.mark.parametrize(
    ("when", "expected"), [(at(1), 0), (at(1, 23), 0), ("2020-01-02", 1), ("2020-01-02T12:00Z", 1), (at(9), 2)]
)
def test_as_of_a_time_is_what_had_been_applied_by_then(
    registry: ObjectRegistry, applied: list[Snapshot], when: datetime | str, expected: int
) -> None:
    assert snapshot_as_of(registry, when) == applied[expected]


def test_before_the_first_apply_nothing_counted(registry: ObjectRegistry, applied: list[Snapshot]) -> None:
    assert snapshot_as_of(registry, at(1) - timedelta(seconds=1)) is None


def test_a_snapshot_is_named_by_its_first_digits(registry: ObjectRegistry, applied: list[Snapshot]) -> None:
    assert snapshot_as_of(registry, applied[1].hash[:12]) == applied[1]


def test_as_of_a_run_is_what_counted_when_it_began(registry: ObjectRegistry, applied: list[Snapshot]) -> None:
    registry.record(run("run-of-the-second-day", at(2, 6)))
    assert snapshot_as_of(registry, "run-of-the-second-day") == applied[1]


def test_as_of_a_run_that_was_recorded_late_is_the_definition_that_it_ran(
    registry: ObjectRegistry, applied: list[Snapshot]
) -> None:
    ran = definition_hash(registry.catalogue_of(applied[0]).feature_view("spending"))
    registry.record(run("completed-later", at(3, 6), definition_hash=ran))
    assert snapshot_as_of(registry, "completed-later") == applied[0]


@pytest.mark.parametrize("when", ["no-such-run", "2020-13-45", "deadbeefdeadbeef", "now"])
def test_what_is_neither_time_nor_run_nor_snapshot_is_refused(
    registry: ObjectRegistry, applied: list[Snapshot], when: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"as_of='{when}' is neither a time.*amora-fs history"):
        snapshot_as_of(registry, when)


def test_versions_of_a_view_are_those_states_that_changed_it(registry: ObjectRegistry) -> None:
    first = apply(owned(OWNERS[0]), registry, clock=at(1))

    def other_service(plain: Plain) -> None:
        find(plain, "feature_views", "spending")["owner"] = OWNERS[0]
        find(plain, "feature_services", "shopping")["owner"] = "else@example.com"

    apply(catalogue(other_service), registry, clock=at(2))
    third = apply(owned(OWNERS[0], ttl_seconds=60.0), registry, clock=at(3))
    found = list(versions(registry, "spending"))
    assert [each.snapshot for each in found] == [third, first]
    assert [[d.what for c in each.changes for d in c.differences] for each in found] == [
        ["ttl [s]: 864000.0 -> 60.0"],
        [],
    ]
    assert len({each.version for each in found}) == 2


def test_a_version_changes_with_what_the_view_reads(registry: ObjectRegistry, applied: list[Snapshot]) -> None:
    def other_source(plain: Plain) -> None:
        find(plain, "feature_views", "spending")["owner"] = OWNERS[-1]
        find(plain, "sources", "orders")["table"] = "raw.other"

    apply(catalogue(other_source), registry, clock=at(4))
    newest = next(versions(registry, "spending"))
    assert [str(change) for change in newest.changes] == ["source 'orders'"]


def test_the_same_content_again_is_the_same_version(registry: ObjectRegistry) -> None:
    for day, owner in enumerate([OWNERS[0], OWNERS[1], OWNERS[0]], start=1):
        apply(owned(owner), registry, clock=at(day))
    newest, middle, oldest = versions(registry, "spending")
    assert newest.version == oldest.version != middle.version


def test_what_changed_between_two_states(registry: ObjectRegistry, applied: list[Snapshot]) -> None:
    assert [str(each) for each in between(registry, "2020-01-01", applied[2].hash)] == ["feature view 'spending'"]
    assert between(registry, at(2), at(2, 1)) == ()


def test_a_name_that_never_was_is_not_found(registry: ObjectRegistry, applied: list[Snapshot]) -> None:
    with pytest.raises(NotFound, match="Did you mean 'spending'"):
        list(versions(registry, "spendin"))


def test_a_service_is_found_in_the_version_that_a_model_was_trained_with(registry: ObjectRegistry) -> None:
    then = apply(catalogue(), registry, clock=at(1))
    version = registry.catalogue().feature_service("shopping").version

    def more(plain: Plain) -> None:
        find(plain, "feature_views", "spending")["ttl_seconds"] = 60.0
        find(plain, "feature_views", "spending")["columns"].append(column("new"))
        picks = [projection("spending", "new", "amount"), projection("totals", "total")]
        find(plain, "feature_services", "shopping")["features"] = picks

    apply(catalogue(more), registry, clock=at(2), allow_breaking=True)
    old = service_version(registry, "shopping", version)
    assert old.version == version
    assert (
        old.projections[0].features == registry.catalogue_of(then).feature_service("shopping").projections[0].features
    )
    # It reads the rows that are there today, which have one column more.
    assert old.projections[0].view.schema_hash == registry.catalogue().feature_view("spending").schema_hash
    assert old.projections[0].view.ttl == timedelta(days=10)


def test_a_version_whose_features_are_gone_says_which(registry: ObjectRegistry) -> None:
    apply(catalogue(), registry, clock=at(1))
    version = registry.catalogue().feature_service("shopping").version

    def without(plain: Plain) -> None:
        find(plain, "feature_views", "spending")["columns"].pop(1)
        find(plain, "feature_services", "shopping")["features"] = [projection("spending", "orders")]

    apply(catalogue(without), registry, clock=at(2), allow_breaking=True)
    with pytest.raises(FeatureServiceNotFound, match="needs spending:amount, which no longer exists"):
        service_version(registry, "shopping", version)


def test_a_version_that_never_was_is_refused_with_those_that_were(registry: ObjectRegistry) -> None:
    apply(catalogue(), registry, clock=at(1))
    version = registry.catalogue().feature_service("shopping").version
    with pytest.raises(FeatureServiceNotFound, match=f"no version 'x'. Its versions: {version}"):
        service_version(registry, "shopping", "x")


def test_a_store_as_of_then_reads_what_counted_then_and_changes_nothing(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    registry = FeatureStore(settings).registry
    for day, owner in enumerate(OWNERS, start=1):
        apply(owned(owner), registry, clock=at(day))
    then = FeatureStore(settings, as_of=at(2))
    assert then.get_feature_view("spending").owner == OWNERS[1]
    assert [each.owner for each in then.list_feature_views() if each.name == "spending"] == [OWNERS[1]]
    for work in (
        then.apply,
        lambda: then.compute(at(1), at(2)),
        lambda: then.materialize(at(1), at(2)),
        then.materialize_incremental,
        lambda: then.push("spending", []),
    ):
        with pytest.raises(InvalidRequest, match=r"as_of|as of 2020-01-02"):
            work()
    assert len(list(registry.history())) == 3


def test_the_command_shows_a_views_versions_and_runs(tmp_path: Path) -> None:
    registry = FeatureStore(Settings(home=tmp_path)).registry
    for day, owner in enumerate(OWNERS, start=1):
        apply(owned(owner), registry, clock=at(day))
    registry.record(run("the-run", at(2, 6), rows=1234))
    environment = {"AMORA_FS_HOME": str(tmp_path), "COLUMNS": "160"}
    shown = CliRunner().invoke(main, ["history", "spending"], env=environment)
    assert shown.exit_code == 0, shown.output
    assert shown.output.count("changed feature view 'spending': owner changed") == 2
    assert "1,234" in shown.output
    plain = json.loads(CliRunner().invoke(main, ["history", "--format", "json"], env=environment).output)
    assert [each["applied_at"][:10] for each in plain["versions"]] == ["2020-01-03", "2020-01-02", "2020-01-01"]
    two = CliRunner().invoke(main, ["history", "--between", "2020-01-01", "2020-01-02"], env=environment)
    assert "feature view 'spending': owner changed" in two.output
    past = CliRunner().invoke(main, ["--as-of", "the-run", "history"], env=environment)
    assert "2020-01-02" in past.output
    assert "2020-01-03" not in past.output


@pytest.mark.parametrize("command", [["apply"], ["rollback", "spending"], ["compute", "2020-01-01", "2020-02-01"]])
def test_commands_that_act_do_not_act_on_the_past(tmp_path: Path, command: list[str]) -> None:
    shown = CliRunner().invoke(main, ["--as-of", "2020-01-01", *command], env={"AMORA_FS_HOME": str(tmp_path)})
    assert shown.exit_code == 2
    assert f"'{command[0]}' changes the present state" in shown.output
