"""A plan names the severity of each change, the definitions that it affects, and the intervals to compute."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.changes import Severity
from amora_fs_assets.domain.comparison import compare
from amora_fs_assets.domain.errors import BreakingChanges, RegistryConflict
from amora_fs_assets.domain.time import Interval, utc
from amora_fs_assets.operations.registry.apply import apply, apply_plan
from amora_fs_assets.operations.registry.plan import Plan, plan
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from amora_fs_assets_tests.operations.catalogues import (
    CLOCK,
    NO_CATALOGUE,
    Plain,
    applied,
    catalogue,
    column,
    projection,
    view,
)
from amora_fs_assets_tests.operations.registry.changes import (
    AMOUNT,
    CASES,
    ORDERS,
    features,
    rename_amount,
    service,
    spending,
)

COMPATIBLE, RECOMPUTE, BREAKING = Severity

START = datetime.fromisoformat("2020-01-01T00:00:00+00:00")


def planned(code: Catalogue, registry: ObjectRegistry, *, prune: bool = False) -> Plan:
    return plan(code, registry, clock=CLOCK, dataset="shop", prune=prune)


@pytest.fixture
def registry(tmp_path: Path) -> ObjectRegistry:
    return applied(catalogue(), tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_change_is_classed_with_whom_it_hits(registry: ObjectRegistry, case: str) -> None:
    change, name, severity, hits, computed = CASES[case]
    found = planned(catalogue(change), registry)
    (changed,) = [each for each in found.changes if str(each) == name]
    assert changed.severity is severity
    assert {str(hit) for hit in found.hits[changed]} == hits
    assert {each.view for each in found.recompute} == computed


def test_what_equals_the_registry_is_no_change(registry: ObjectRegistry) -> None:
    found = planned(catalogue(), registry)
    assert found.empty
    assert found.exit_code == 0


@pytest.mark.parametrize(
    ("change", "exit_code"), [("a view's owner", 2), ("a view's code_hash", 2), ("a feature's type", 3)]
)
def test_the_exit_code_says_whether_something_changes_or_breaks(
    registry: ObjectRegistry, change: str, exit_code: int
) -> None:
    assert planned(catalogue(CASES[change][0]), registry).exit_code == exit_code


@settings(deadline=None)  # the first example imports what the others find imported
@given(st.sets(st.sampled_from(sorted(set(CASES) - {"a view's sources", "a training set's service"})), max_size=4))
def test_a_plan_of_what_was_applied_is_empty(tmp_path_factory: pytest.TempPathFactory, cases: set[str]) -> None:
    registry = applied(catalogue(), tmp_path_factory.mktemp("registry"))

    def change(plain: Plain) -> None:
        for case in sorted(cases):
            CASES[case][0](plain)

    try:
        code = catalogue(change)
    except NO_CATALOGUE:  # two changes that exclude each other
        return
    apply(code, registry, clock=CLOCK, allow_breaking=True)
    again = planned(code, registry)
    assert again.empty
    assert (again.recompute, again.infrastructure) == ((), ())


@st.composite
def altered(draw: st.DrawFn) -> Callable[[Plain], None]:
    """Any one value anywhere in the JSON form, replaced by another of its type."""
    kind = draw(st.sampled_from(["entities", "sources", "feature_views", "feature_services", "training_sets"]))

    def change(plain: Plain) -> None:
        places: list[tuple[Any, Any]] = []

        def walk(node: Any) -> None:
            for key, value in list(node.items()) if isinstance(node, dict) else list(enumerate(node)):
                places.append((node, key))
                if isinstance(value, dict | list):
                    walk(value)

        walk(plain[kind])
        node, key = places[index % len(places)]
        node[key] = replaced(node[key])

    def replaced(value: Any) -> Any:
        match value:
            case bool():
                return not value
            case int() | float():
                return value + 1
            case str():
                return "string" if value in {"int64", "float64"} else f"{value}x"
            case list():
                return value[:-1]
            case dict():
                return {**value, "a": "b"}
            case _:
                return "at"

    index = draw(st.integers(0, 10_000))
    return change


@given(altered())
def test_nothing_that_differs_escapes_a_comparison(change: Callable[[Plain], None]) -> None:
    old = catalogue()
    try:
        new = catalogue(change)
    except NO_CATALOGUE:  # not a catalogue any more
        return
    assert bool(compare(old, new)) == (old.hash != new.hash)


def test_a_feature_that_was_renamed_is_said_to_be(registry: ObjectRegistry) -> None:
    found = planned(catalogue(rename_amount), registry)
    said = [difference.what for change in found.changes for difference in change.differences]
    assert "feature 'amount' was removed; new 'paid_amount' has the same type and rules: renamed?" in said


def test_only_services_that_pick_a_feature_are_hit_by_its_end(registry: ObjectRegistry) -> None:
    picked = service(features=[projection("spending", "orders"), projection("payments", "paid")])
    apply(catalogue(picked), registry, clock=CLOCK, allow_breaking=True)

    def without_amount(plain: Plain) -> None:
        picked(plain)
        features(ORDERS)(plain)

    (changed,) = planned(catalogue(without_amount), registry).changes
    assert {str(hit) for hit in planned(catalogue(without_amount), registry).hits[changed]} == {
        "feature view 'totals'",
        "online generation 'spending'",
    }


def test_an_earlier_start_is_computed_up_to_the_old_one(registry: ObjectRegistry) -> None:
    found = planned(catalogue(spending(start="2019-12-01T00:00:00+00:00")), registry)
    intervals = {each.view: each.interval for each in found.recompute}
    assert intervals["spending"] == Interval("2019-12-01", START)
    assert intervals["totals"] == Interval(START, CLOCK)


def test_other_code_is_computed_from_the_start_to_the_clock(registry: ObjectRegistry) -> None:
    found = planned(catalogue(spending(code_hash="2")), registry)
    assert [(each.view, each.interval, each.because) for each in found.recompute] == [
        ("spending", Interval(START, CLOCK), "code changed"),
        ("totals", Interval(START, CLOCK), "it reads 'spending'"),
    ]


def test_tables_and_generations_that_come_and_go_are_named(registry: ObjectRegistry) -> None:
    def change(plain: Plain) -> None:
        plain["feature_views"].append(view("visits", column("n"), sources=["orders"]))
        plain["feature_views"] = [each for each in plain["feature_views"] if each["name"] != "totals"]
        features(AMOUNT, ORDERS, column("new"))(plain)

    found = planned(catalogue(change), registry, prune=True)
    assert {(each.action, each.what, each.name) for each in found.infrastructure} == {
        ("make", "table", "shop.visits"),
        ("make", "generation", "visits"),
        ("leave", "table", "shop.totals"),
        ("leave", "generation", "totals"),
        ("leave", "generation", "spending"),
        ("make", "generation", "spending"),
    }


def test_what_is_gone_from_the_code_stays_until_it_is_pruned(registry: ObjectRegistry) -> None:
    def change(plain: Plain) -> None:
        plain["feature_services"], plain["training_sets"] = [], []

    code = catalogue(change)
    kept = planned(code, registry)
    assert kept.empty
    assert kept.kept == ("feature service 'shopping'", "training set 'bought'")
    apply(code, registry, clock=CLOCK)
    assert "shopping" in registry.catalogue().feature_services
    pruned = planned(code, registry, prune=True)
    assert pruned.exit_code == 3
    apply(code, registry, clock=CLOCK, prune=True)
    assert registry.catalogue().feature_services == {}
    assert planned(code, registry, prune=True).empty


def test_what_is_gone_from_the_code_and_cannot_stand_beside_it_breaks(registry: ObjectRegistry) -> None:
    def change(plain: Plain) -> None:
        plain["feature_services"], plain["training_sets"] = [], []
        features(ORDERS)(plain)

    code = catalogue(change)
    found = planned(code, registry)
    (gone,) = [each for each in found.changes if str(each) == "feature service 'shopping'"]
    assert gone.action == "removed"
    assert "does not fit the code: Feature 'spending:amount' is not known" in gone.differences[0].what
    with pytest.raises(BreakingChanges, match="feature service 'shopping'"):
        apply(code, registry, clock=CLOCK)
    apply(code, registry, clock=CLOCK, allow_breaking=True)
    assert planned(code, registry).empty


def test_a_breaking_change_is_refused_with_whom_it_hits_and_the_way_on(registry: ObjectRegistry) -> None:
    before = registry.head()
    with pytest.raises(BreakingChanges, match=r"'orders': int64 -> float64.*'shopping'.*--allow-breaking"):
        apply(catalogue(CASES["a feature's type"][0]), registry, clock=CLOCK)
    assert registry.head() == before
    apply(catalogue(CASES["a feature's type"][0]), registry, clock=CLOCK, allow_breaking=True)
    assert registry.head() != before


def test_a_plan_that_somebody_overtook_is_not_applied(registry: ObjectRegistry) -> None:
    mine = planned(catalogue(spending(owner="me@example.com")), registry)
    apply(catalogue(spending(owner="you@example.com")), registry, clock=CLOCK)
    with pytest.raises(RegistryConflict, match="another apply came first"):
        apply_plan(mine, registry, clock=CLOCK)
    assert registry.catalogue().feature_view("spending").owner == "you@example.com"


def test_nothing_is_to_be_computed_before_a_view_has_begun(tmp_path: Path) -> None:
    future = catalogue(spending(start=utc(CLOCK + timedelta(days=31)).isoformat()))
    registry = ObjectRegistry(applied(Catalogue(), tmp_path)._objects)
    assert {each.view for each in planned(future, registry).recompute} == {"totals"}
