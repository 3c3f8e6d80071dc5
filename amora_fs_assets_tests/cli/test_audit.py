"""amora-fs audit: its report and its exit code."""

from __future__ import annotations

import fcntl
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import ibis
import pytest
from click.testing import CliRunner
from ibis.expr.types import Table

from amora_fs_assets import FeatureStore, FeatureView, Settings
from amora_fs_assets.cli.main import main
from amora_fs_assets.domain.errors import InvalidRequest, LeaksFound
from amora_fs_assets_tests import small


def leaking(orders: Table) -> Table:
    amount = orders.amount.lead().over(ibis.window(group_by="customer", order_by=orders["at"]))
    return orders.select("customer", amount=amount, event_timestamp=orders["at"])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureStore:
    orders = small.orders()
    views = [
        FeatureView(name, small.Spending, [small.customer], [orders], transform=transform, partitions="month",
                    start="2020-01-01")
        for name, transform in (("honest", small._spending), ("leaking", leaking))
    ]  # fmt: skip
    module = ModuleType("audited_features")
    vars(module).update(customer=small.customer, orders=orders, honest=views[0], leaking=views[1])
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for name, value in (("HOME", str(tmp_path)), ("NOW", small.CLOCK), ("DEFINITIONS", module.__name__)):
        monkeypatch.setenv(f"AMORA_FS_{name}", value)
    store = FeatureStore(Settings(home=tmp_path, now=small.at(1, month=3)), module)
    store.apply()
    list(store.compute_missing(["honest"]))
    return store


def test_a_view_that_looks_ahead_is_shown_and_the_exit_code_is_1(project: FeatureStore) -> None:
    result = CliRunner().invoke(main, ["audit"])
    assert result.exit_code == 1
    assert (
        "honest: 5 rows of [2020-01-01T00:00:00+00:00, 2020-03-01T00:00:00+00:00), nothing looks ahead."
        in result.output
    )
    assert "leaking: 5 rows" in result.output
    assert "looks ahead:" in result.output
    assert "the value uses this row of source 'orders': customer=1" in result.output
    assert "The rows of leaking depend on more than was known" in result.output


def test_a_view_and_an_interval_can_be_chosen(project: FeatureStore) -> None:
    result = CliRunner().invoke(main, ["audit", "honest", "--start", "2020-02-01", "--end", "2020-03-01"])
    assert (result.exit_code, result.output) == (
        0, "honest: 2 rows of [2020-02-01T00:00:00+00:00, 2020-03-01T00:00:00+00:00), nothing looks ahead.\n",
    )  # fmt: skip


def test_half_an_interval_is_refused(project: FeatureStore) -> None:
    result = CliRunner().invoke(main, ["audit", "--start", "2020-02-01"])
    assert result.exit_code == 1
    assert "give both start and end" in result.output


@pytest.mark.parametrize("number", [{"instants": 0}, {"parts": -1}])
def test_numbers_that_would_test_nothing_are_refused(number: dict[str, int], project: FeatureStore) -> None:
    with pytest.raises(InvalidRequest, match="; give a whole number from "):
        list(project.audit(**number))  # type: ignore[arg-type]


def halved(orders: Table) -> Table:
    return orders.select("customer", amount=orders.amount / 2, event_timestamp=orders["at"])


def _redefined(transform: object, name: str = "honest") -> None:
    """The view's definition is another one now."""
    module = sys.modules["audited_features"]
    old: FeatureView = getattr(module, name)
    view = FeatureView(name, small.Spending, [small.customer], old.sources, transform=transform,  # type: ignore[arg-type]
                       partitions="month", start="2020-01-01")  # fmt: skip
    setattr(module, name, view)


def test_apply_refuses_a_changed_view_that_looks_ahead(project: FeatureStore) -> None:
    head = project.registry.head()
    _redefined(leaking)
    result = CliRunner().invoke(main, ["apply"])
    assert result.exit_code == 1
    assert "2020-03-01T00:00:00+00:00): the view looks ahead" in result.output
    assert "Nothing was applied, since rows depend on more than was known" in result.output
    assert "from all source rows, None otherwise" in result.output
    assert "the value uses this row of source 'orders': customer=1" in result.output
    assert "amora-fs apply --allow-leaks" in result.output
    assert project.registry.head() == head


def test_leaks_can_be_applied_on_request_and_are_still_shown(project: FeatureStore) -> None:
    head = project.registry.head()
    _redefined(leaking)
    result = CliRunner().invoke(main, ["apply", "--allow-leaks"])
    assert result.exit_code == 0, result.output
    assert "These views are applied all the same, since --allow-leaks was given:\nhonest: looks ahead" in result.output
    assert project.registry.head() != head


def test_a_setting_turns_the_audit_at_apply_off(project: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    _redefined(leaking)
    monkeypatch.setenv("AMORA_FS_AUDIT_AT_APPLY", "false")
    result = CliRunner().invoke(main, ["apply"])
    assert (result.exit_code, "look" in result.output) == (0, False)


def test_apply_audits_only_what_changes_and_says_so(project: FeatureStore) -> None:
    _redefined(halved)
    result = CliRunner().invoke(main, ["apply"])
    assert result.exit_code == 0, result.output
    (audited,) = [line for line in result.output.splitlines() if "look" in line]
    assert audited == "honest: 5 rows of [2020-01-01T00:00:00+00:00, 2020-03-01T00:00:00+00:00), nothing looks ahead."


def test_a_view_that_cannot_be_audited_is_named_and_applied(project: FeatureStore) -> None:
    def lacking(orders: Table) -> Table:
        return orders.select("customer", amount=orders.amout, event_timestamp=orders["at"])

    _redefined(lacking)
    result = CliRunner().invoke(main, ["apply"])
    assert result.exit_code == 0, result.output
    assert "honest: not audited: Feature view 'honest': its transform failed" in result.output
    assert "did you mean 'amount' of 'orders'?" in result.output


def test_a_store_that_another_process_holds_stops_the_audit_and_not_the_apply(
    project: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _redefined(halved)
    _redefined(halved, "leaking")
    monkeypatch.setenv("AMORA_FS_LOCK_TIMEOUT", "0.1")
    with (project.settings.home / "offline.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = CliRunner().invoke(main, ["apply"])
    assert result.exit_code == 0, result.output
    assert result.output.count("not audited: Another process") == 1


def test_new_views_without_rows_are_applied_in_silence(project: FeatureStore, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["apply"], env={"AMORA_FS_HOME": str(tmp_path / "new")})
    assert result.exit_code == 0, result.output
    assert "audit" not in result.output


def test_apply_in_python_refuses_leaks_too(project: FeatureStore) -> None:
    head = project.registry.head()
    _redefined(leaking)
    store = FeatureStore(project.settings, sys.modules["audited_features"])
    for planned in (None, store.plan()):
        with pytest.raises(LeaksFound, match="honest: looks ahead"):
            store.apply(planned=planned)
    assert project.registry.head() == head
    store.apply(allow_leaks=True)
    assert project.registry.head() != head


def test_apply_in_python_audits_only_if_the_setting_is_on(project: FeatureStore) -> None:
    _redefined(leaking)
    FeatureStore(replace(project.settings, audit_at_apply=False), sys.modules["audited_features"]).apply()


def test_apply_in_python_warns_of_views_that_cannot_be_audited(
    project: FeatureStore, caplog: pytest.LogCaptureFixture
) -> None:
    def lacking(orders: Table) -> Table:
        return orders.select("customer", amount=orders.amout, event_timestamp=orders["at"])

    _redefined(lacking)
    FeatureStore(project.settings, sys.modules["audited_features"]).apply()
    assert "Feature view 'honest' was not audited: Feature view 'honest': its transform failed" in caplog.text
