"""Alerts and freshness: what a notifier is told, and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.orchestration.alerts import FAILED_CHECKS, FAILED_RUNS
from amora_fs_assets.orchestration.code_location import Alert, Automation
from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.automated import Shop, after_midnight, view

HOUR = timedelta(hours=1)


class Alerted(Shop):
    """A shop whose alerts are kept."""

    def __init__(self, home: Path) -> None:
        self.alerts: list[Alert] = []
        self.checked: str | None = None
        watched = Automation(notify=self.alerts.append, fresh={"daily": 2 * HOUR})
        super().__init__(home, Catalogue.of([view()]), after_midnight(1), watched)

    def check_sensor(self) -> list[str]:
        """Let the sensor of failed checks look; the alerts' titles since."""
        repository = self.project.defs.get_repository_def()
        before = len(self.alerts)
        with dg.build_sensor_context(
            instance=self.project.instance, cursor=self.checked, repository_def=repository, sensor_name=FAILED_CHECKS
        ) as context:
            self.checked = repository.get_sensor_def(FAILED_CHECKS).evaluate_tick(context).cursor
        return [alert.title for alert in self.alerts[before:]]

    def tell(self) -> None:
        """What a daemon does with the events that the sensor of the automation found."""
        while self.events:
            self.project.instance.report_runless_asset_event(self.events.pop(0))


@pytest.fixture
def alerted(tmp_path: Path) -> Iterator[Alerted]:
    made = Alerted(tmp_path)
    made.sell((1, after_midnight(1, seconds=1), 1.0))
    made.check_sensor()
    yield made
    made.project.close()


def test_a_check_that_begins_to_fail_is_told_once_until_it_has_passed(alerted: Alerted) -> None:
    alerted.go_on()
    assert alerted.check_sensor() == []
    for hour, amount, told in (1, -1.0, True), (2, -1.0, False), (3, 1.0, False), (4, -1.0, True):
        alerted.at(small.at(1, hour=hour, month=2))
        alerted.orders = [(1, after_midnight(1, seconds=1), 1.0), (1, alerted.now - timedelta(minutes=5), amount)]
        alerted.fill()
        alerted.go_on()
        assert alerted.check_sensor() == ["feature_view/daily: check 'amount' fails"] * told


def test_a_failed_check_says_what_is_wrong_and_where(alerted: Alerted) -> None:
    alerted.sell((1, after_midnight(1, seconds=2), -1.0))
    alerted.go_on()
    alerted.check_sensor()
    (alert,) = alerted.alerts
    assert "not >= 0" in alert.text
    assert alert.assets == ("feature_view/daily",)


def test_a_run_that_failed_is_told_with_the_words_of_its_steps(alerted: Alerted) -> None:
    alerted.sell((1, after_midnight(1, seconds=2), -1.0))
    (request,) = alerted.look()
    result = alerted.run(request)
    sensor = alerted.project.defs.get_repository_def().get_sensor_def(FAILED_RUNS)
    event = next(each for each in result.all_events if each.is_run_failure)
    context = dg.build_run_status_sensor_context(
        sensor_name=FAILED_RUNS, dagster_event=event, dagster_instance=alerted.project.instance,
        dagster_run=result.dagster_run, context=None,
    ).for_run_failure()  # fmt: skip
    sensor(context)
    (alert,) = alerted.alerts
    assert alert.title.endswith(": a run failed")
    assert "was not published, since amount: 1 row not" in alert.text
    assert alert.run_id == result.run_id


def test_the_newest_row_that_is_served_must_not_be_older_than_allowed(alerted: Alerted) -> None:
    alerted.go_on()
    alerted.look()
    alerted.tell()
    assert alerted.check_sensor() == []
    alerted.at(after_midnight(1) + 3 * HOUR)
    alerted.go_on()
    alerted.tell()
    assert alerted.check_sensor() == ["online/daily: check 'freshness' fails"]
    assert alerted.alerts[-1].text == (
        "The newest row is of 2020-02-01T00:00:01+00:00, 3:00:29 ago; the limit is 2:00:00."
    )
    alerted.sell((1, alerted.now - timedelta(minutes=1), 2.0))
    alerted.at(alerted.now + HOUR)
    alerted.go_on()
    alerted.tell()
    assert alerted.check_sensor() == []


def test_an_online_store_out_of_reach_is_said_and_stops_no_computation(tmp_path: Path) -> None:
    made = Shop(tmp_path, Catalogue.of([view()]), after_midnight(1))
    made.project.settings = replace(made.project.settings, online_store_url="redis://127.0.0.1:1/0")
    made.at(made.now)
    made.sell((1, small.at(31), 1.0))
    (request,) = made.look()
    assert not made.run(request).success
    assert made.look() == []
    assert "The online store does not answer: " in made.said
    assert made.store().coverage()["daily"].complete
