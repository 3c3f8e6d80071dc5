"""Assets' values through Dagster's loader."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from ibis.expr.types import Table

from amora_fs_assets import FeatureView
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import TableNotFound, TrainingSetNotFound
from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.project import (
    BOUGHT,
    FEBRUARY,
    JANUARY,
    MARCH,
    RAW,
    VIEW,
    Project,
    in_a_process,
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Source, view and training set, materialized."""
    project = Project(tmp_path_factory.mktemp("ran"))
    assert project.run(RAW, VIEW, BOUGHT).success
    return project


def test_a_view_comes_as_a_data_frame_by_default(ran: Project) -> None:
    rows = ran.load(VIEW)
    assert isinstance(rows, pd.DataFrame)
    assert list(rows.columns) == ["customer", "event_timestamp", "amount"]
    assert sorted(rows["amount"]) == [10.0, 20.0, 30.0, 40.0, 50.0]
    assert str(rows["customer"].dtype) == "Int64"
    assert str(rows["event_timestamp"].dtype) == "datetime64[us, UTC]"


def test_a_view_comes_as_an_arrow_table(ran: Project) -> None:
    rows = ran.load(VIEW, pa.Table)
    assert isinstance(rows, pa.Table)
    assert rows.schema.field("event_timestamp").type == pa.timestamp("us", tz="UTC")
    assert rows.num_rows == 5


def test_a_view_comes_as_a_lazy_ibis_table(ran: Project) -> None:
    rows = ran.load(VIEW, Table)
    assert isinstance(rows, Table)
    assert rows.filter(rows.amount > 25).count().execute() == 3


def test_another_type_is_refused_by_name(ran: Project) -> None:
    with pytest.raises(dg.DagsterInvariantViolationError, match=r"spending.*pandas.DataFrame, pyarrow.Table or ibis"):
        ran.load(VIEW, dict)


def test_a_source_is_loaded_too(ran: Project) -> None:
    assert ran.load(RAW, pa.Table).column_names == ["customer", "at", "amount"]


def test_a_training_set_comes_in_its_newest_version(ran: Project) -> None:
    rows = ran.defs.load_asset_value(BOUGHT, python_type=pd.DataFrame, instance=ran.instance)
    assert isinstance(rows, pd.DataFrame)
    assert list(rows.columns) == ["customer", "event_timestamp", "label", "amount"]
    rows = rows.sort_values("event_timestamp")
    assert rows["amount"].tolist() == [10.0, 20.0, 30.0, 40.0, 50.0]
    assert rows["label"].tolist() == [False, False, True, True, True]


def test_one_partition_is_that_partition(ran: Project) -> None:
    assert sorted(ran.load(VIEW, partition_key=FEBRUARY)["amount"]) == [40.0, 50.0]


def test_a_range_of_partitions_is_all_of_them(ran: Project) -> None:
    rows = ran.load(VIEW, partition_key_range=dg.PartitionKeyRange(JANUARY, FEBRUARY))
    assert len(rows) == 5
    assert len(ran.load(VIEW, partition_key_range=dg.PartitionKeyRange(MARCH, MARCH))) == 0


@pytest.mark.parametrize("python_type", [Table, pa.Table, pd.DataFrame])
def test_what_was_loaded_holds_no_lock(ran: Project, python_type: type) -> None:
    rows = ran.load(VIEW, python_type)
    before = len(ran.offline.publications("spending"))
    writer = in_a_process(lambda: Project(ran.settings.home).run(VIEW).success)
    writer.join(timeout=60)
    assert writer.exitcode == 0
    assert len(ran.offline.publications("spending")) == before + 1
    assert (rows.count().execute() if isinstance(rows, Table) else len(rows)) == 5


@pytest.mark.parametrize("asked", [(FEBRUARY, FEBRUARY), (JANUARY, MARCH)])
def test_a_partition_that_was_never_computed_is_refused_with_the_fix(project: Project, asked: tuple[str, str]) -> None:
    project.run(RAW, VIEW, first=JANUARY, last=JANUARY)
    with pytest.raises(
        TableNotFound,
        match=r"'spending': nothing was published in \[2020-02-01.*Materialize .* asset feature_view/spending",
    ):
        project.load(VIEW, partition_key_range=dg.PartitionKeyRange(*asked))


def test_a_view_that_was_never_computed_is_refused_with_the_fix(project: Project) -> None:
    with pytest.raises(TableNotFound, match=r"'spending': there is no table .*amora-fs compute"):
        project.load(VIEW)


def test_a_training_set_that_was_never_built_is_refused_with_the_fix(project: Project) -> None:
    with pytest.raises(
        TrainingSetNotFound, match=r"'bought' has no version yet: materialize asset training_set/bought"
    ):
        project.load(BOUGHT)


def test_an_unknown_asset_is_named(project: Project) -> None:
    with pytest.raises(Exception, match=r"spendings.* not found"):
        project.load(dg.AssetKey(["feature_view", "spendings"]))


def test_an_external_table_is_loaded_by_the_views_names(tmp_path: Path) -> None:
    view = FeatureView("listed", small.Spending, [small.customer], table="raw.orders", timestamp_field="at")
    project = Project(tmp_path, Catalogue.of([small.orders(), view]))
    assert project.run(RAW, dg.AssetKey(["feature_view", "listed"])).success
    assert project.load(dg.AssetKey(["feature_view", "listed"]), pa.Table).column_names == [
        "customer", "event_timestamp", "amount",
    ]  # fmt: skip
    assert project.offline.publications("listed") == ()


def test_an_asset_of_the_teams_own_takes_a_view_by_annotation(project: Project) -> None:
    @dg.asset(ins={"spending": dg.AssetIn(VIEW)})
    def report(spending: Table) -> None:
        assert isinstance(spending, Table)
        seen.append(spending.amount.sum().execute())

    seen: list[float] = []
    project.run(RAW, VIEW)
    defs = dg.Definitions.merge(project.defs, dg.Definitions(assets=[report]))
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=project.instance, asset_selection=[report.key]
    )
    assert result.success
    assert seen == [150.0]


def test_a_downstream_partition_reads_the_upstream_partitions_of_its_lookback(tmp_path: Path) -> None:
    project = Project(tmp_path, small.catalogue(lookback=timedelta(days=1)))
    project.run(RAW, VIEW)

    @dg.asset(
        ins={"spending": dg.AssetIn(VIEW, partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1))},
        partitions_def=project.defs.resolve_asset_graph().get(VIEW).partitions_def,
    )
    def report(spending: pd.DataFrame) -> None:
        seen.append(sorted(spending["amount"]))

    seen: list[list[float]] = []
    defs = dg.Definitions.merge(project.defs, dg.Definitions(assets=[report]))
    defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=project.instance, asset_selection=[report.key], partition_key=FEBRUARY
    )
    assert seen == [[10.0, 20.0, 30.0, 40.0, 50.0]]
