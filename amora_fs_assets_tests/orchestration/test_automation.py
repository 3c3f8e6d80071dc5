"""Automation: what is requested under a clock that moves, and that what is online is then what the definitions say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from ibis.expr.types import Table

from amora_fs_assets import FeatureView, TrainingSet
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.orchestration.code_location import Automation, build_definitions
from amora_fs_assets.orchestration.late import LATE
from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.automated import ORDERS, Shop, after_midnight, shop, view
from amora_fs_assets_tests.orchestration.project import QUIET, error_of, in_progress

MINUTE = timedelta(minutes=1)
DAILY, ONLINE = dg.AssetKey(["feature_view", "daily"]), dg.AssetKey(["online", "daily"])


@pytest.fixture
def daily(tmp_path: Path) -> Iterator[Shop]:
    """One view by the day, kept up to date until five seconds after a midnight."""
    made = Shop(tmp_path, Catalogue.of([view()]), after_midnight(1, seconds=5))
    made.sell((1, small.at(31), 1.0), (2, after_midnight(1, seconds=1), 2.0))
    assert made.go_on() == 1
    yield made
    made.project.close()


def gaps(made: Shop, name: str = "daily") -> list[str]:
    return [str(each) for each in made.store().coverage()[name].gaps]


def test_a_day_that_was_computed_just_after_midnight_is_completed(daily: Shop) -> None:
    daily.check_online()
    daily.sell((1, small.at(1, hour=20, month=2), 10.0), (3, small.at(2, month=2), 20.0))
    daily.at(after_midnight(2))
    (request,) = daily.look()
    assert request.run_config["ops"]["feature_view__daily"]["config"] == {
        "start": "2020-02-01T00:00:05+00:00", "end": "2020-02-02T00:00:30+00:00"
    }  # fmt: skip
    assert "2020-02-01" not in daily.project.instance.get_materialized_partitions(DAILY)
    assert daily.run(request).success
    daily.check_online()
    assert gaps(daily) == []
    events = daily.project.instance.fetch_materializations(DAILY, limit=2).records
    rows = {each.partition_key: each.asset_materialization.metadata["dagster/row_count"].value for each in events
            if each.asset_materialization}  # fmt: skip
    assert rows == {None: 2, "2020-02-01": 2}
    assert daily.project.instance.get_materialized_partitions(DAILY) == {"2020-01-30", "2020-01-31", "2020-02-01"}
    assert daily.look() == []
    assert daily.said == "Everything is up to date."
    daily.at(after_midnight(2, seconds=60))
    assert daily.look() == []


def test_a_check_that_fails_in_between_holds_its_day_alone(daily: Shop) -> None:
    bad = (1, small.at(1, hour=20, month=2), -1.0)
    daily.sell(bad, (2, small.at(2, hour=1, month=2), 5.0))
    daily.at(small.at(3, month=2) + MINUTE)
    assert daily.go_on() <= 5
    (left,) = gaps(daily)
    assert left.startswith("part-computed [2020-02-01T00:00:05+00:00, 2020-02-02T00:00:00+00:00)")
    daily.orders.remove(bad)
    daily.check_online()
    daily.sell((1, bad[1], 1.5))
    daily.at(small.at(3, month=2) + timedelta(hours=2))
    daily.go_on()
    assert gaps(daily) == []
    daily.check_online()


def test_what_another_run_is_at_work_on_is_not_asked_for_until_it_has_ended(daily: Shop) -> None:
    daily.sell((1, small.at(1, hour=20, month=2), 10.0))
    daily.at(after_midnight(2))
    with in_progress(daily.project, DAILY):
        assert daily.look() == []
    assert daily.go_on() == 1
    daily.check_online()


def test_a_run_that_is_orphaned_holds_nothing_for_ever(daily: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    daily.automation = Automation(longest=timedelta(seconds=1))
    daily.at(after_midnight(2))
    with in_progress(daily.project, DAILY):
        records = daily.project.instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        began = records[0].update_timestamp
        monkeypatch.setattr("amora_fs_assets.orchestration.in_progress._now", lambda: began + timedelta(seconds=2))
        assert len(daily.look()) == 1


def test_what_was_computed_by_hand_is_loaded_and_several_such_runs_cost_one_load(daily: Shop) -> None:
    daily.automation = Automation(every=timedelta(days=1))
    daily.at(after_midnight(2))
    daily.go_on()
    daily.at(after_midnight(2, seconds=600))
    daily.sell((1, after_midnight(2, seconds=400), 10.0))
    with in_progress(daily.project, DAILY), daily.store() as store:
        for _ in range(4):
            store.compute("2020-02-02", "2020-02-03", ["daily"])
            assert daily.look() == []
    (request,) = daily.look()
    assert request.asset_selection == [ONLINE]
    assert daily.run(request).success
    daily.check_online()
    assert daily.look() == []


def test_late_rows_are_computed_again_and_go_online(daily: Shop) -> None:
    daily.at(after_midnight(3))
    daily.go_on()
    daily.sell((1, small.at(2, hour=3, month=2), 33.0))
    assert daily.look() == []
    result = daily.project.defs.resolve_job_def(LATE).execute_in_process(
        instance=daily.project.instance, run_config=QUIET, raise_on_error=False
    )
    assert result.success, error_of(result)
    assert daily.go_on() == 1
    daily.check_online()


def negated(orders: Table) -> Table:
    return orders.select("customer", amount=0 - orders.amount, event_timestamp=orders["at"])


def test_a_changed_definition_beyond_the_budget_waits_for_a_person(daily: Shop) -> None:
    daily.automation = Automation(budget=1)
    daily.orders = [(customer, when, 0 - (amount or 0)) for customer, when, amount in daily.orders]
    daily.fill()
    daily.use(Catalogue.of([view(transform=negated)]))
    assert daily.look() == []
    assert "[2020-01-30T00:00:00+00:00, 2020-02-01T00:00:05+00:00) is not computed by automation" in daily.said
    assert (
        "it reads 2 rows, but the budget is 1. To compute it anyway: `amora-fs compute --feature-views daily`"
        in daily.said
    )
    daily.at(after_midnight(2))
    assert daily.go_on() == 1
    assert gaps(daily) == ["stale [2020-01-30T00:00:00+00:00, 2020-02-01T00:00:05+00:00): another definition"]
    with daily.store() as store:
        store.compute()
    assert daily.go_on() == 1
    assert gaps(daily) == []


def test_views_that_are_due_for_the_same_partitions_share_a_run_and_none_stops_another(tmp_path: Path) -> None:
    def failing(orders: Table) -> Table:
        return orders.select("customer", amount=0 - orders.amount, event_timestamp=orders["at"])

    code = Catalogue.of([view("a"), view("b", transform=failing), view("c"), view("hourly", partitions="hour")])
    made = Shop(tmp_path, code, after_midnight(1), Automation(together=2))
    made.sell((1, small.at(31), 1.0))
    requests = made.look()
    shared = [{key.path[-1] for key in each.asset_selection or ()} for each in requests]
    assert shared == [{"a", "b"}, {"c", "hourly"}]
    assert not made.run(requests[0]).success
    found = made.store().coverage()
    assert (found["a"].complete, found["b"].complete) == (True, False)
    made.project.close()


def test_a_view_that_was_never_applied_says_so(daily: Shop) -> None:
    daily.use(Catalogue.of([view(), view("other")]), applied=False)
    daily.at(after_midnight(2))
    assert [each.asset_selection for each in daily.look()] == [[DAILY, ONLINE]]
    daily.at(after_midnight(2))
    daily.go_on()
    assert "Feature view 'other': its definition is not in the registry. Run `amora-fs apply` first." in daily.said


def test_a_source_that_cannot_be_read_is_named_and_tried_again_later(tmp_path: Path) -> None:
    made = Shop(tmp_path, Catalogue.of([view()]), after_midnight(1))
    assert made.look() == []
    assert "raw.orders does not exist yet" in made.said
    made.sell((1, small.at(31), 1.0))
    assert made.go_on() == 1
    made.check_online()


def asked(made: Shop) -> list[str]:
    """What is asked for until nothing is: the assets, and parity where a run brings it."""
    found = []
    while requests := made.look():
        for each in requests:
            checks = [key.name for key in each.asset_check_keys or ()]
            found += [key.to_user_string() for key in each.asset_selection or ()] + ["parity"] * ("parity" in checks)
            assert made.run(each).success
    return sorted(found)


@pytest.mark.parametrize("partitions", ["month", pytest.param(None, marks=pytest.mark.slow)])
def test_sources_training_sets_and_parity_come_once_a_day(tmp_path: Path, partitions: str | None) -> None:
    made = Shop(tmp_path, small.catalogue(start="2020-01-01", partitions=partitions), after_midnight(10))
    everything = ["feature_view/spending", "online/spending", "parity", "raw/orders", "training_set/bought"]
    assert asked(made) == everything
    made.at(after_midnight(10, seconds=3600))
    assert asked(made) == (["feature_view/spending", "online/spending"] if partitions else [])
    made.at(after_midnight(11))
    assert asked(made) == everything
    assert len(made.project.registry.manifests("bought")) == 2
    made.project.close()


def test_an_external_table_is_checked_and_loaded_once_a_day(tmp_path: Path) -> None:
    theirs = FeatureView("orders_now", small.Spending, [small.customer], table="raw.orders", timestamp_field="at")
    made = Shop(tmp_path, Catalogue.of([theirs]), after_midnight(10))
    made.sell((1, small.at(31), 1.0))
    both = ["feature_view/orders_now", "online/orders_now"]
    assert asked(made) == [*both, "parity"]
    made.sell((1, small.at(1, month=2), 2.0))
    made.at(after_midnight(10, seconds=3600))
    assert asked(made) == []
    made.at(after_midnight(11))
    assert asked(made) == [*both, "parity"]
    made.check_online()
    made.orders[-1] = (1, small.at(1, month=2), -1.0)
    made.fill()
    made.at(after_midnight(12))
    (request,) = made.look()
    assert not made.run(request).success
    assert made.look() == []
    made.orders[-1] = (1, small.at(1, month=2), 3.0)
    made.fill()
    made.at(after_midnight(12, seconds=3600))
    assert asked(made) == both
    made.check_online()
    made.project.close()


def test_a_training_set_waits_for_its_views_and_says_so(daily: Shop) -> None:
    both = Catalogue.of([view(), TrainingSet("bought", view(), [ORDERS], spine=small._spine)])
    daily.use(both)
    daily.at(after_midnight(2))
    daily.sell((1, small.at(1, hour=3, month=2), -1.0))
    daily.go_on()
    daily.look()
    assert "Training set 'bought' waits for Feature view 'daily': part-computed [2020-02-01T00:00:05" in daily.said
    daily.orders[-1] = (1, small.at(1, hour=3, month=2), 1.0)
    daily.fill()
    daily.at(after_midnight(2, seconds=7200))
    daily.go_on()
    assert len(daily.project.registry.manifests("bought")) == 1


def test_what_a_run_leaves_behind_the_clock_is_a_fault_after_two_slots(daily: Shop) -> None:
    daily.at(daily.now + 15 * MINUTE)
    for minutes, passed in ((29, True), (31, False)):
        (request,) = daily.look()
        daily.at(daily.now + minutes * MINUTE)
        result = daily.run(request)
        (found,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "coverage"]
        assert (found.passed, found.severity) == (passed, dg.AssetCheckSeverity.WARN)


def test_a_run_takes_a_part_of_its_partitions_and_refuses_any_other(daily: Shop) -> None:
    daily.at(small.at(3, month=2))
    request = daily.look()[0]
    part = {"start": "2020-02-01T06:00Z", "end": "2020-02-01T07:00Z"}
    assert daily.run(request._replace(run_config={"ops": {"feature_view__daily": {"config": part}}})).success
    assert daily.project.offline.publications("daily")[-1].computed == Interval(part["start"], part["end"])
    wrong = {"ops": {"feature_view__daily": {"config": {"start": "2019-01-01"}}}}
    assert "is not inside the time of its partitions" in error_of(daily.run(request._replace(run_config=wrong)))


def test_single_views_have_a_cadence_of_their_own() -> None:
    automation = Automation(views={"daily": MINUTE})
    assert automation.cadence(view()) == MINUTE
    assert automation.cadence(view("other")) == 15 * MINUTE
    assert automation.cadence(view("whole", partitions=None)) == timedelta(days=1)


@pytest.mark.parametrize(("wrong", "said"), [
    ({"every": 15}, "Automation: every is 15. Give a timedelta of one second or more."),
    ({"views": {"daily": timedelta(0)}}, "views['daily'] is datetime.timedelta(0)"),
    ({"budget": -1}, "budget is -1. Give a whole number of bytes"),
    ({"notify": "mail"}, "notify is 'mail'. Give a function"),
    ({"fresh": {"dayly": MINUTE}}, "fresh names 'dayly', but there is no such feature view"),
])  # fmt: skip
def test_what_is_no_automation_is_refused(tmp_path: Path, wrong: dict[str, object], said: str) -> None:
    made = Shop(tmp_path, Catalogue.of([view()]), after_midnight(1))
    with pytest.raises(DefinitionError, match=said.replace("(", r"\(").replace(")", r"\)").replace("[", r"\[")):
        build_definitions(made.project.settings, definitions=made.project.code, automation=Automation(**wrong))  # type: ignore[arg-type]


@pytest.mark.slow
def test_three_midnights_with_a_late_source_a_check_that_fails_and_runs_that_overlap(tmp_path: Path) -> None:
    made = Shop(tmp_path, shop(), after_midnight(1))
    hourly = dg.AssetKey(["feature_view", "hourly"])

    def settle() -> None:
        made.go_on()
        made.check_online()
        assert all(each.complete for each in made.store().coverage().values())

    def pass_midnight(day: int) -> None:
        """Five seconds after a midnight: rows of the last minute of the day and of its end are there."""
        midnight = small.at(day, month=2)
        made.at(midnight - 10 * MINUTE)
        made.sell((1, midnight - 15 * MINUTE, day * 10.0))
        settle()
        made.sell((1, midnight - MINUTE, day * 10.0 + 1), (day, midnight, day * 10.0 + 2))
        made.at(midnight + timedelta(seconds=5))

    made.sell((1, small.at(31), 1.0))
    settle()

    pass_midnight(2)
    settle()
    made.sell((10, small.at(1, hour=12, month=2), 1.0))  # half a day late
    assert made.look() == []
    late = made.project.defs.resolve_job_def(LATE)
    assert late.execute_in_process(instance=made.project.instance, run_config=QUIET).success
    settle()

    pass_midnight(3)
    bad = (11, small.at(2, hour=23, month=2) + 58 * MINUTE, -1.0)
    made.sell(bad)
    made.go_on()
    assert gaps(made, "hourly")[0].startswith("part-computed [2020-02-02T23:50")
    assert len(gaps(made, "hourly")) == 1
    made.orders.remove(bad)
    made.fill()
    made.at(small.at(3, hour=2, month=2))
    settle()

    pass_midnight(4)
    with in_progress(made.project, hourly):
        assert made.look() == []
        with made.store() as store:
            store.compute("2020-02-03T23:00Z", "2020-02-04", ["hourly"])  # what that run does
    settle()
    made.project.close()
