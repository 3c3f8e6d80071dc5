"""The domain knows which owners and tags Dagster takes, without Dagster: the rules are held equal to Dagster's own."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
import pytest
from dagster._core.definitions.utils import is_valid_owner
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._utils.tags import is_valid_strict_tag_value, is_valid_tag_key
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amora_fs_assets.domain.arguments import owner_of, tags_of
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets_tests.orchestration.project import ONLINE, RAW, VIEW, Project

letters = st.sampled_from("aZ09._%+-@|/: é\n")
plain = st.text(letters, max_size=12)
owners = st.one_of(
    plain,
    st.builds("{}@{}.{}".format, plain, plain, st.text(letters, max_size=9)),
    plain.map("team:{}".format),
    st.emails(),
)
names = st.one_of(plain, st.text(letters, min_size=62, max_size=65), st.builds("{}/{}".format, plain, plain))


def _takes(check: Callable[[], object]) -> bool:
    try:
        check()
    except DefinitionError:
        return False
    return True


@settings(max_examples=300, deadline=None)
@given(owner=owners)
@example(owner="team:")
@example(owner="team: \n")
@example(owner="a@b.c|")
@example(owner="a@b.c|d")
@example(owner=".a@b.cd")
@example(owner="a@b.abcdefgh")
def test_the_owners_that_are_taken_are_dagsters(owner: str) -> None:
    assert _takes(lambda: owner_of("x", owner)) == (not owner or is_valid_owner(owner))


@settings(max_examples=300, deadline=None)
@given(name=names)
@example(name="dagster/kind/a")
@example(name="a" * 64)
@example(name=f"{'a' * 63}/{'b' * 63}")
def test_the_names_of_tags_that_are_taken_are_dagsters_but_for_its_own(name: str) -> None:
    ours = is_valid_tag_key(name) and not name.startswith("dagster/") and not name.endswith("\n")
    assert _takes(lambda: tags_of("x", {name: "a"})) == ours


@settings(max_examples=300, deadline=None)
@given(value=names)
def test_the_values_of_tags_that_are_taken_are_dagsters(value: str) -> None:
    assert _takes(lambda: tags_of("x", {"a": value})) == (is_valid_strict_tag_value(value) and not value.endswith("\n"))


@settings(max_examples=200, deadline=None)
@given(owner=owners, name=names, value=names)
def test_an_asset_of_dagster_takes_what_is_taken(owner: str, name: str, value: str) -> None:
    if owner and _takes(lambda: (owner_of("x", owner), tags_of("x", {name: value}))):
        dg.AssetSpec("key", owners=[owner], tags={name: value})


def test_an_asset_that_reads_a_partitioned_one_cannot_be_run_without_a_partition() -> None:
    """Why automation names partitions for views that read views: where it can, it need not."""
    days = dg.DailyPartitionsDefinition("2020-01-01")

    @dg.asset(partitions_def=days)
    def read() -> None: ...

    @dg.asset(partitions_def=days, deps=[read])
    def reads() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([read], instance=instance, partition_key="2020-01-01").success
        job = dg.Definitions([read, reads]).resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, asset_selection=[reads.key], raise_on_error=False)
    (failed,) = result.get_step_failure_events()
    assert "Cannot access partition_key for a non-partitioned run" in str(failed.event_specific_data)


def test_a_misspelt_config_is_refused_before_there_is_a_run(project: Project) -> None:
    job = project.defs.resolve_job_def("feature_store")
    config = {"ops": {"feature_view__spending": {"config": {"strat": "2020-01-01"}}}}
    with pytest.raises(dg.DagsterInvalidConfigError, match='Received unexpected config entry "strat" at path root:ops'):
        job.execute_in_process(instance=project.instance, run_config=config)
    assert project.instance.get_runs() == []


def planned(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> int:
    """Rows of the check that Dagster planned and that no result came for: it shows them as skipped."""
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
    return sum(record.status is AssetCheckExecutionRecordStatus.PLANNED for record in records)


def test_a_range_that_ends_with_the_online_asset_leaves_no_skipped_checks(project: Project) -> None:
    check = dg.AssetCheckKey(VIEW, "amount")
    assert project.run(RAW, VIEW, ONLINE).success
    assert planned(project.instance, check) == 0
    assert project.run(VIEW).success  # Dagster's own: see docs/decisions/0150
    assert planned(project.instance, check) == 3
