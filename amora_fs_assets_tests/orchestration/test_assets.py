"""The gate: what fails a check is not published, and everybody can see why."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from ibis.expr.types import Table

from amora_fs_assets import FeatureView
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.project import (
    FEBRUARY,
    JANUARY,
    ONLINE,
    RAW,
    VIEW,
    Project,
    error_of,
)

BAD: list[tuple[int, datetime, float | None]] = [(1, small.at(4), 11.0), (7, small.at(5), -5.0)]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dg.ExecuteInProcessResult]:
    """A good run, then one with a negative amount."""
    project = Project(tmp_path_factory.mktemp("stopped"))
    assert project.run().success
    project.use(small.catalogue(BAD))
    return project, project.run(RAW, VIEW, ONLINE, first=JANUARY, last=JANUARY)


def test_the_run_fails_and_says_which_rows_broke_which_rule(
    stopped: tuple[Project, dg.ExecuteInProcessResult],
) -> None:
    _, result = stopped
    assert not result.success
    said = error_of(result)
    assert "Feature view 'spending': [2020-01-01T00:00:00+00:00, 2020-02-01T00:00:00+00:00) was not published" in said
    assert "amount: 1 row not greater_than_or_equal_to(min_value=0)" in said
    assert "'customer': 7" in said
    assert "Fix the source, the transform or the schema" in said


def test_nothing_is_published_and_the_old_partition_is_still_there(
    stopped: tuple[Project, dg.ExecuteInProcessResult],
) -> None:
    project, _ = stopped
    assert len(project.offline.publications("spending")) == 1
    assert sorted(project.load(VIEW, partition_key=JANUARY)["amount"]) == [10.0, 20.0, 30.0]


def test_the_check_is_red_with_a_table_of_failing_rows(stopped: tuple[Project, dg.ExecuteInProcessResult]) -> None:
    checks = {check.check_name: check for check in stopped[1].get_asset_check_evaluations()}
    assert {name for name, check in checks.items() if not check.passed} == {"amount"}
    red = checks["amount"]
    assert red.severity is dg.AssetCheckSeverity.ERROR
    assert red.metadata["not >= 0"].value == 1
    assert [record.data for record in red.metadata["failing rows"].value.records] == [  # type: ignore[union-attr]
        {"customer": "7", "event_timestamp": "2020-01-05T00:00:00+00:00", "amount": "-5.0"}
    ]


def test_the_registry_says_why(stopped: tuple[Project, dg.ExecuteInProcessResult]) -> None:
    project, result = stopped
    record = project.records("spending")[0]
    assert (record.kind, record.status, record.run_id, record.sequence) == ("compute", "failed", result.run_id, None)
    assert "amount: 1 row not greater_than_or_equal_to(min_value=0)" in record.error
    failed = [check for check in record.checks if not check.passed]
    assert [(check.name, check.failing_rows[0]["amount"]) for check in failed] == [("amount", -5.0)]


def test_the_failure_points_at_the_registry_record(stopped: tuple[Project, dg.ExecuteInProcessResult]) -> None:
    (failed,) = [event for event in stopped[1].all_events if event.is_step_failure]
    data = failed.step_failure_data.user_failure_data
    assert data is not None
    assert Path(str(data.metadata["registry record"].value)).is_file()


def test_what_is_downstream_does_not_run(stopped: tuple[Project, dg.ExecuteInProcessResult]) -> None:
    assert [event.asset_key for event in stopped[1].get_asset_materialization_events()] == [RAW]


def test_nothing_that_was_staged_is_left(stopped: tuple[Project, dg.ExecuteInProcessResult]) -> None:
    with duckdb.connect(str(stopped[0].settings.home / "offline.duckdb"), read_only=True) as connection:
        names = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
    assert [name for name in names if name.startswith("_staged")] == []


def test_the_next_good_run_publishes(tmp_path: Path) -> None:
    project = Project(tmp_path, small.catalogue(BAD))
    assert not project.run(RAW, VIEW).success
    project.use(small.catalogue())
    assert project.run(RAW, VIEW).success
    assert len(project.load(VIEW)) == 5


def null_key(orders: Table) -> Table:
    rows = orders.select("customer", "amount", event_timestamp=orders["at"])
    return rows.mutate(customer=(rows.customer != 3).ifelse(rows.customer, None))


def null_time(orders: Table) -> Table:
    rows = orders.select("customer", "amount", event_timestamp=orders["at"])
    return rows.mutate(event_timestamp=(rows.customer != 3).ifelse(rows.event_timestamp, None))


def twice(orders: Table) -> Table:
    rows = orders.select("customer", "amount", event_timestamp=orders["at"])
    return rows.union(rows.filter(rows.customer == 3))


@pytest.mark.parametrize(
    ("transform", "check", "said"),
    [
        (null_key, "customer", "customer: 1 row null"),
        (null_time, "event_timestamp", "event_timestamp: 1 row null"),
        (twice, "unique_key", "unique_key: 2 rows not unique"),
    ],
)
def test_a_broken_key_is_stopped(tmp_path: Path, transform: object, check: str, said: str) -> None:
    project = Project(tmp_path, small.catalogue(transform=transform))  # type: ignore[arg-type]
    result = project.run(RAW, VIEW, first=FEBRUARY, last=FEBRUARY)
    assert {c.check_name for c in result.get_asset_check_evaluations() if not c.passed} == {check}
    assert said in error_of(result)
    assert project.offline.publications("spending") == ()


def test_an_external_table_is_checked_and_stops_what_is_downstream(tmp_path: Path) -> None:
    view = FeatureView("listed", small.Spending, [small.customer], table="raw.orders", timestamp_field="at")
    project = Project(tmp_path, Catalogue.of([small.orders(BAD), view]))
    listed, online = dg.AssetKey(["feature_view", "listed"]), dg.AssetKey(["online", "listed"])
    result = project.run(RAW, listed, online)
    assert not result.success
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [RAW]
    assert project.records("listed")[0].status == "failed"
