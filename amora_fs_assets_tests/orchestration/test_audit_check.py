"""The leak audit as an asset check, in real Dagster runs; and its schedule."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import ibis
import pytest
from ibis.expr.types import Table

from amora_fs_assets import FeatureStore, FeatureView, Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.orchestration.code_location import JOB, Automation, build_definitions
from amora_fs_assets.orchestration.names import NAMES
from amora_fs_assets_tests import small


def _leaking(orders: Table) -> Table:
    amount = orders.amount.lead().over(ibis.window(group_by="customer", order_by=orders["at"]))
    return orders.select("customer", amount=amount, event_timestamp=orders["at"])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """An honest view and one that looks ahead; the rows of their source are loaded."""
    orders = small.orders()
    views = [
        FeatureView(name, small.Spending, [small.customer], [orders], transform=transform, partitions="month",
                    start="2020-01-01")
        for name, transform in (("honest", small._spending), ("leaking", _leaking))
    ]  # fmt: skip
    home: Path = tmp_path_factory.mktemp("audited")
    store = FeatureStore(Settings(home=home, now=small.at(1, month=3)), Catalogue.of([small.customer, orders, *views]))
    store.apply()
    store.compute(small.at(1), small.CLOCK, ["honest"])
    return store


def test_the_scheduled_job_says_which_view_looks_ahead(store: FeatureStore) -> None:
    defs = build_definitions(store.settings, definitions=store.code, audit="0 4 * * 1")
    (schedule,) = defs.schedules or []
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert (schedule.name, schedule.cron_schedule, schedule.execution_timezone) == (
        "feature_store_audit", "0 4 * * 1", "UTC",
    )  # fmt: skip
    result = defs.resolve_job_def(schedule.job_name).execute_in_process(instance=dg.DagsterInstance.ephemeral())
    found = {each.asset_key.path[-1]: each for each in result.get_asset_check_evaluations()}
    assert {each.check_name for each in found.values()} == {"audit"}
    assert {name: (each.passed, each.severity, each.blocking) for name, each in found.items()} == {
        "honest": (True, dg.AssetCheckSeverity.ERROR, False),
        "leaking": (False, dg.AssetCheckSeverity.ERROR, False),
    }
    assert "nothing looks ahead" in (found["honest"].description or "")
    assert "the view looks ahead" in (found["leaking"].description or "")
    text = str(found["leaking"].metadata["findings"].value)
    assert "the value uses this row of source 'orders': customer=1" in text
    assert found["leaking"].metadata["rows"].value == 5


def test_runs_of_the_assets_do_not_audit(store: FeatureStore) -> None:
    job = build_definitions(store.settings, definitions=store.code, audit=True).resolve_job_def(JOB)
    checks = {key.name for key in job.asset_layer.asset_graph.asset_check_keys}
    assert "coverage" in checks
    assert "audit" not in checks


def test_automation_does_not_audit(store: FeatureStore) -> None:
    defs = build_definitions(store.settings, definitions=store.code, audit=True, automation=Automation(sources=None))
    repository = defs.get_repository_def()
    sensor = repository.get_sensor_def(NAMES.automation)
    with dg.build_sensor_context(
        instance=dg.DagsterInstance.ephemeral(),
        repository_def=repository,
        sensor_name=sensor.name,
        resources=repository.get_top_level_resources(),
    ) as context:
        requests = sensor.evaluate_tick(context).run_requests or []
    checks = {key.name for each in requests for key in each.asset_check_keys or ()}
    assert "coverage" in checks
    assert "audit" not in checks


def test_without_a_time_there_is_no_schedule_and_by_default_no_audit(store: FeatureStore) -> None:
    by_hand = build_definitions(store.settings, definitions=store.code, audit=True)
    names = [key.name for each in by_hand.asset_checks or [] for key in each.check_keys]
    assert (names.count("audit"), list(by_hand.schedules or [])) == (2, [])
    default = build_definitions(store.settings, definitions=store.code)
    assert not [key for each in default.asset_checks or [] for key in each.check_keys if key.name == "audit"]
