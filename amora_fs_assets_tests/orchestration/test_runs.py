"""Dagster runs: what they publish, what they record, and what they say of themselves."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.records import SourceColumn
from amora_fs_assets.domain.time import Interval
from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.project import (
    BOUGHT,
    FEBRUARY,
    JANUARY,
    MARCH,
    ONLINE,
    RAW,
    VIEW,
    Project,
    error_of,
    in_a_process,
    in_progress,
    metadata_of,
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dg.ExecuteInProcessResult]:
    """Everything, over all partitions, in one run."""
    project = Project(tmp_path_factory.mktemp("ran"))
    return project, project.run()


def test_one_run_computes_a_range_of_partitions_at_once(ran: tuple[Project, dg.ExecuteInProcessResult]) -> None:
    project, result = ran
    assert result.success
    assert project.instance.get_materialized_partitions(VIEW) == {JANUARY, FEBRUARY, MARCH}
    published = project.offline.publications("spending")
    assert [(p.start, p.end, p.rows) for p in published] == [(small.at(1), small.at(1, month=3), 5)]


def test_every_check_passes_and_counts(ran: tuple[Project, dg.ExecuteInProcessResult]) -> None:
    checks = ran[1].get_asset_check_evaluations()
    assert {check.check_name for check in checks} == {
        "customer",
        "event_timestamp",
        "amount",
        "unique_key",
        "parity",
        "coverage",
    }
    assert all(check.passed for check in checks)
    amount = next(check for check in checks if check.check_name == "amount")
    assert {name: value.value for name, value in amount.metadata.items()} == {"not >= 0": 0}


def test_a_materialization_says_rows_interval_publication_and_record(
    ran: tuple[Project, dg.ExecuteInProcessResult],
) -> None:
    project, result = ran
    said = metadata_of(result, VIEW)
    assert said["dagster/row_count"] == 0  # of the last partition, which has just begun
    assert said["interval"] == str(Interval(small.at(1), small.at(1, month=3)))
    assert said["publication"] == project.offline.publications("spending")[-1].sequence
    assert Path(said["registry record"]).is_file()


def test_column_lineage_is_dagsters_own_and_a_table(ran: tuple[Project, dg.ExecuteInProcessResult]) -> None:
    said = metadata_of(ran[1], VIEW)
    assert said["dagster/column_lineage"].deps_by_column["event_timestamp"] == [
        dg.TableColumnDep(asset_key=RAW, column_name="at")
    ]
    assert [record.data for record in said["column lineage"].records] == [
        {"column": "customer", "made from": "orders.customer"},
        {"column": "event_timestamp", "made from": "orders.at"},
        {"column": "amount", "made from": "orders.amount"},
    ]


def test_the_registry_keeps_what_the_run_did(ran: tuple[Project, dg.ExecuteInProcessResult]) -> None:
    project, result = ran
    view = project.code.feature_view("spending")
    (record,) = [each for each in project.records("spending") if each.kind == "compute"]
    assert record.status == "succeeded"
    assert record.run_id == result.run_id
    assert record.rows == 5
    assert record.schema_hash == view.schema_hash
    assert record.code_version
    assert record.sql_hash
    assert record.definition_hash
    assert [(each.name, each.table, each.sequence) for each in record.inputs] == [("orders", "raw.orders", 1)]
    assert [check.name for check in record.checks] == ["customer", "event_timestamp", "amount", "unique_key"]
    assert record.column_lineage["amount"] == (SourceColumn(name="orders", column="amount"),)


@pytest.mark.parametrize(
    ("name", "kind", "rows"),
    [("orders", "load_source", 5), ("spending", "materialize", 3), ("bought", "training_set", 5)],
)
def test_loads_and_training_sets_are_recorded_too(
    ran: tuple[Project, dg.ExecuteInProcessResult], name: str, kind: str, rows: int
) -> None:
    records = [record for record in ran[0].records(name) if record.kind == kind]
    assert [(record.status, record.rows, record.run_id) for record in records] == [("succeeded", rows, ran[1].run_id)]


def test_the_online_asset_says_how_many_entities_it_wrote(ran: tuple[Project, dg.ExecuteInProcessResult]) -> None:
    said = metadata_of(ran[1], ONLINE)
    assert (said["dagster/row_count"], said["entities online"], said["rows written"]) == (3, "3", 3)


def test_a_training_set_says_its_version_table_and_rows(ran: tuple[Project, dg.ExecuteInProcessResult]) -> None:
    project, result = ran
    said = metadata_of(result, BOUGHT)
    assert said["version"] == project.registry.manifests("bought")[-1]
    assert said["table"] == (project.registry.manifest("bought", said["version"]) or {})["table"]
    assert said["dagster/row_count"] == 5


def test_the_running_partition_is_computed_up_to_the_clock(tmp_path: Path) -> None:
    project = Project(tmp_path, now="2020-02-02T12:00Z")
    assert project.run(RAW, VIEW, first=FEBRUARY, last=FEBRUARY).success
    (publication,) = project.offline.publications("spending")
    assert (publication.start, publication.end, publication.rows) == (
        small.at(1, month=2),
        small.at(2, hour=12, month=2),
        1,
    )


def test_a_single_partition_replaces_that_partition_alone(project: Project) -> None:
    assert project.run(RAW, VIEW).success
    project.use(small.catalogue([(1, small.at(5), 1.0), (1, small.at(5, month=2), 2.0)]))
    assert project.run(RAW, VIEW, first=FEBRUARY, last=FEBRUARY).success
    rows = project.load(VIEW).sort_values("event_timestamp")
    assert rows["amount"].tolist() == [10.0, 20.0, 30.0, 2.0]


def test_rows_outside_the_interval_are_clipped_and_counted(project: Project) -> None:
    project.use(small.catalogue(lookback=timedelta(days=40)))
    result = project.run(RAW, VIEW, first=FEBRUARY, last=FEBRUARY)
    assert metadata_of(result, VIEW)["clipped rows"] == 3
    assert metadata_of(result, VIEW)["dagster/row_count"] == 2


def test_a_definition_that_is_not_applied_stops_and_is_recorded(project: Project) -> None:
    assert project.run(RAW, VIEW).success
    project.use(small.catalogue(lookback=timedelta(days=1)), applied=False)
    result = project.run(VIEW)
    assert not result.success
    assert "'spending': its definition differs from the one in the registry. Run `amora-fs apply` first." in error_of(
        result
    )
    assert project.records("spending")[0].status == "failed"
    assert "amora-fs apply" in project.records("spending")[0].error
    assert len(project.offline.publications("spending")) == 1


@pytest.mark.parametrize(("key", "name"), [(ONLINE, "spending"), (BOUGHT, "bought")])
def test_nothing_else_of_it_runs_either(project: Project, key: dg.AssetKey, name: str) -> None:
    head = project.registry.head()
    assert head is not None
    project.registry.apply(Catalogue(), parent=head.hash, clock=datetime.now(UTC))
    result = project.run(key)
    assert "is not in the registry. Run `amora-fs apply` first." in error_of(result)
    assert project.records(name)[0].status == "failed"


def test_a_source_that_was_never_filled_is_named_with_the_fix(project: Project) -> None:
    result = project.run(VIEW)
    assert "Source 'orders': there is no table raw.orders; fill it, or materialize asset raw/orders" in error_of(result)
    assert project.records("spending")[0].status == "failed"


def test_two_runs_at_once_wait_for_each_other(project: Project) -> None:
    project.run(RAW)
    start = multiprocessing.get_context("fork").Barrier(2)

    def run(month: str) -> bool:
        own = Project(project.settings.home)
        start.wait(30)
        return own.run(VIEW, first=month, last=month).success

    runs = [in_a_process(partial(run, month)) for month in (JANUARY, FEBRUARY)]
    for each in runs:
        each.join(timeout=60)
    assert [each.exitcode for each in runs] == [0, 0]
    assert sorted(project.load(VIEW)["amount"]) == [10.0, 20.0, 30.0, 40.0, 50.0]
    recorded = {record.run_id for record in project.records("spending") if record.status == "succeeded"}
    assert len(recorded) == 2


class Conditions:
    """What the automation conditions ask for, tick by tick."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.cursor = dg.evaluate_automation_conditions(project.defs, project.instance).cursor

    def asked_for(self) -> set[dg.AssetKey]:
        evaluated = dg.evaluate_automation_conditions(self.project.defs, self.project.instance, cursor=self.cursor)
        self.cursor = evaluated.cursor
        return {key for key in (VIEW, ONLINE) if evaluated.get_num_requested(key)}


def test_the_online_asset_follows_its_view_by_itself(project: Project) -> None:
    conditions = Conditions(project)
    assert conditions.asked_for() == set()
    project.run(RAW, VIEW)
    assert conditions.asked_for() == {ONLINE}
    assert conditions.asked_for() == set()


def test_a_load_is_not_lost_while_another_run_of_the_view_goes_on(project: Project) -> None:
    conditions = Conditions(project)
    with in_progress(project, VIEW, partition=MARCH):
        project.run(RAW, VIEW, first=JANUARY, last=JANUARY)
        assert conditions.asked_for() == set()
        assert conditions.asked_for() == set()
    assert conditions.asked_for() == {ONLINE}


def test_the_runs_of_a_backfill_ask_for_one_load(project: Project) -> None:
    conditions = Conditions(project)
    with in_progress(project, VIEW, partition=MARCH):
        project.run(RAW)
        for month in (JANUARY, FEBRUARY) * 2:
            project.run(VIEW, first=month, last=month)
            assert conditions.asked_for() == set()
    assert conditions.asked_for() == {ONLINE}
    project.run(ONLINE)
    assert conditions.asked_for() == set()


def test_what_is_not_current_is_shown_until_it_is(project: Project) -> None:
    def shown(result: dg.ExecuteInProcessResult) -> tuple[bool, str]:
        (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "coverage"]
        return check.passed, str(check.metadata["coverage"].value)

    first = project.run(RAW, VIEW, first=JANUARY, last=JANUARY)
    assert shown(first) == (False, "29 d missing")
    assert "missing [2020-02-01" in metadata_of(first, VIEW)["coverage"]
    then = project.run(VIEW, first=FEBRUARY, last=FEBRUARY)
    assert shown(then) == (True, "current")
    assert metadata_of(then, VIEW)["coverage"] == "current"
