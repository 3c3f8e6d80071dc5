"""Runs of one partition, of many, and of none: what they compute, and what Dagster shows of each partition."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._cli.asset import asset_cli

from amora_fs_assets.domain.time import Interval
from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.project import (
    BOUGHT,
    FEBRUARY,
    JANUARY,
    MARCH,
    ONLINE,
    QUIET,
    RAW,
    VIEW,
    Project,
    error_of,
)
from amora_fs_assets_tests.orchestration.test_definitions import mixed


def counts(result: dg.ExecuteInProcessResult, key: dg.AssetKey = VIEW) -> dict[str | None, Any]:
    """The row count that each materialization of the asset says, by partition."""
    return {
        event.partition: event.step_materialization_data.materialization.metadata["dagster/row_count"].value
        for event in result.get_asset_materialization_events()
        if event.asset_key == key
    }


def run(project: Project, tags: Mapping[str, str] | None = None, **ops: Any) -> dg.ExecuteInProcessResult:
    """A run of the job, without a partition unless the tags say one."""
    job = project.defs.resolve_job_def("feature_store")
    config = {**QUIET, "ops": {name: {"config": each} for name, each in ops.items()}}
    return job.execute_in_process(
        instance=project.instance, tags=dict(tags or {}), run_config=config, raise_on_error=False
    )


def test_a_run_without_a_partition_computes_all_that_is_missing_of_every_view(tmp_path: Path) -> None:
    project = Project(tmp_path, mixed())
    result = run(project)
    assert result.success, error_of(result)
    assert counts(result) == {JANUARY: 3, FEBRUARY: 2, None: 5}
    daily, hourly = (dg.AssetKey(["feature_view", name]) for name in ("daily", "hourly"))
    assert {day: rows for day, rows in counts(result, daily).items() if rows} == {
        "2020-01-01": 1, "2020-01-02": 1, "2020-01-03": 1, "2020-02-02": 1, "2020-02-03": 1, None: 5
    }  # fmt: skip
    assert len(project.instance.get_materialized_partitions(daily)) == 60
    assert len(project.instance.get_materialized_partitions(hourly)) == 42
    assert counts(result, dg.AssetKey(["feature_view", "whole"])) == {None: 5}
    assert len(project.registry.manifests("bought")) == 1


def test_a_run_without_a_partition_leaves_what_is_current_alone(tmp_path: Path) -> None:
    before = Project(tmp_path, now="2020-02-03T00:00Z")
    assert before.run(RAW, VIEW, last=FEBRUARY).success
    project = Project(tmp_path)
    project.instance = before.instance
    result = run(project)
    assert counts(result) == {FEBRUARY: 2, None: 1}
    assert project.offline.publications("spending")[-1].start == small.at(3, month=2)
    assert sorted(project.load(VIEW)["amount"]) == [10.0, 20.0, 30.0, 40.0, 50.0]


def test_a_run_without_a_partition_of_a_current_view_computes_its_running_period(project: Project) -> None:
    assert project.run(RAW, VIEW).success
    result = run(project)
    assert result.success
    assert counts(result) == {FEBRUARY: 2, None: 2}


def test_a_run_without_a_partition_computes_the_time_that_its_config_says(project: Project) -> None:
    result = run(project, feature_view__spending={"start": "2020-01-02", "end": "2020-02-01"})
    assert result.success
    assert counts(result) == {None: 2}
    assert [Interval(p.start, p.end) for p in project.offline.publications("spending") if p.start and p.end] == [
        Interval(small.at(2), small.at(1, month=2))
    ]


def test_a_range_says_the_rows_of_each_partition(project: Project) -> None:
    assert counts(project.run(RAW, VIEW)) == {JANUARY: 3, FEBRUARY: 2, MARCH: 0}
    (publication,) = project.offline.publications("spending")
    assert publication.rows == 5


@pytest.mark.parametrize(
    ("period", "start", "first", "last", "said"),
    [
        ("day", "2020-01-01", "2020-01-02", "2020-01-04", {"2020-01-02": 1, "2020-01-03": 2, "2020-01-04": 0}),
        ("week", "2019-12-29", "2019-12-29", "2020-01-05", {"2019-12-29": 3, "2020-01-05": 1}),
        ("hour", "2020-01-03", "2020-01-03-00:00", "2020-01-03-23:00",
         {f"2020-01-03-{hour:02}:00": int(hour in (0, 23)) for hour in range(24)}),
    ],
)  # fmt: skip
def test_rows_are_counted_by_the_views_own_periods(
    tmp_path: Path, period: str, start: str, first: str, last: str, said: dict[str, int]
) -> None:
    rows: list[Any] = [(1, small.at(2), 1.0), (1, small.at(3), 1.0), (1, small.at(3, 23), 1.0), (1, small.at(5), 1.0)]
    project = Project(tmp_path, small.catalogue(rows, partitions=period, start=start))
    assert counts(project.run(RAW, VIEW, first=first, last=last)) == said


def test_views_without_partitions_take_part_in_the_run_of_a_partition(tmp_path: Path) -> None:
    project = Project(tmp_path, small.catalogue(partitions=None))
    assert run(project, {"dagster/partition": FEBRUARY}).success


@pytest.mark.parametrize("partition", ["2019-12-01", "2020-02-02", "2020-04-01"])
def test_a_partition_that_the_view_does_not_have_is_refused_in_words(project: Project, partition: str) -> None:
    assert project.run(RAW).success
    result = run(project, {"dagster/partition": partition})
    said = f"has no partition '{partition}'. It has one partition per month, from '2020-01-01' to '2020-03-01'"
    assert said in error_of(result)
    assert project.records("spending")[0].error.startswith(f"Feature view 'spending' has no partition '{partition}'")


def test_a_config_that_names_no_time_is_refused_in_words(project: Project) -> None:
    result = run(project, feature_view__spending={"start": "yesterday"})
    assert "start" in error_of(result)
    assert "'yesterday'" in error_of(result)


def test_a_misspelt_config_says_what_there_is(project: Project) -> None:
    with pytest.raises(
        dg.DagsterInvalidConfigError, match=r'unexpected config entry "strat".*feature_view__spending.*start\?: String'
    ):
        run(project, feature_view__spending={"strat": "2020-01-01"})


def test_a_range_on_the_command_line_takes_any_selection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path / "home")
    (tmp_path / "location.py").write_text(
        "from pathlib import Path\n"
        "from amora_fs_assets_tests.orchestration.project import Project\n"
        f"defs = Project(Path({str(tmp_path / 'home')!r})).defs\n"
    )
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    words = [
        "materialize",
        "-f",
        str(tmp_path / "location.py"),
        "--select",
        "*",
        "--partition-range",
        "2020-01-01...2020-02-01",
    ]
    ran = CliRunner().invoke(asset_cli, words, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    with dg.DagsterInstance.get() as instance:
        assert instance.get_materialized_partitions(VIEW) == {JANUARY, FEBRUARY}
        for key in (RAW, ONLINE, BOUGHT):
            assert instance.get_latest_materialization_event(key) is not None
    assert len(project.registry.manifests("bought")) == 1
