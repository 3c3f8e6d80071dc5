"""Which code may run: what computes the same as was applied, however it is written and whoever owns it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from ibis.expr.types import Table

from amora_fs_assets import Entity, FeatureSchema, FeatureView, Field
from amora_fs_assets.domain.applied import check_applied
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionNotApplied
from amora_fs_assets.domain.identity.definition import definition_hash
from amora_fs_assets_tests import small


def selected(orders: Table) -> Table:
    return orders.select("customer", "amount", event_timestamp=orders["at"])


def view(transform: Any = selected, *, more: bool = False, **rules: Any) -> FeatureView:
    fields = {"amount": Field(nullable=True, **rules)} | ({"more": Field(nullable=True)} if more else {})
    types = {"customer": int, "amount": float, **({"more": float} if more else {})}
    schema = type("Drawn", (FeatureSchema,), {"__annotations__": types, "__module__": __name__, **fields})
    return FeatureView("v", schema, [Entity("customer")], [small.orders()], transform=transform, start="2020-01-01")


def read(applied: FeatureView) -> Catalogue:
    """The catalogue as the registry gives it back."""
    return Catalogue.from_json(Catalogue.of([applied]).to_json())


def test_the_hash_is_that_of_what_was_applied() -> None:
    applied = small.spending(small.orders(), owner="others@example.com", tags={})
    assert check_applied(small.spending(small.orders()), read(applied)) == definition_hash(applied)


@pytest.mark.parametrize(
    "changes",
    [{"ttl": None}, {"partitions": "day"}, {"start": "2019-01-01"}, {"start": "2020-02-01"}, {"tags": {"a": "b"}}],
    ids=str,
)
def test_code_runs_on_where_it_makes_the_rows_that_were_applied(changes: dict[str, Any]) -> None:
    here, applied = small.spending(small.orders()), small.spending(small.orders(), **changes)
    assert check_applied(here, read(applied)) == definition_hash(applied)
    assert check_applied(applied, read(here)) == definition_hash(here)


def test_code_runs_on_after_a_rule_was_dropped_from_what_is_applied() -> None:
    assert check_applied(view(ge=0), read(view()))


@pytest.mark.parametrize(
    ("here", "applied", "said"),
    [
        (view(), view(ge=0), "new rule greater_than_or_equal_to"),
        (view(), view(lambda orders: selected(orders).mutate(more=orders.amount), more=True), "new feature 'more'"),
        (
            view(lambda orders: selected(orders).mutate(more=orders.amount), more=True),
            view(),
            "feature 'more' was removed",
        ),
        (view(), view(lambda orders: selected(orders.filter(orders.amount > 1))), "other rows"),
        (small.spending(small.orders()), small.spending(small.orders(), lookback=timedelta(days=1)), "lookback"),
        (
            small.spending(small.orders(), partitions=None),
            small.spending(small.orders(), partitions=None, start="2019-01-01"),
            "start",
        ),
    ],
    ids=[
        "a rule that the code lacks",
        "a feature that it lacks",
        "a feature that is gone",
        "another filter",
        "lookback",
        "a whole table that begins earlier",
    ],
)
def test_code_that_makes_something_else_is_stopped(here: FeatureView, applied: FeatureView, said: str) -> None:
    with pytest.raises(DefinitionNotApplied, match=rf"Run `amora-fs apply` first\. Differences: .*{said}"):
        check_applied(here, read(applied))


def test_a_training_set_stops_for_another_ttl_by_which_its_rows_are_joined() -> None:
    applied = Catalogue.from_json(small.catalogue(ttl=None).to_json())
    with pytest.raises(DefinitionNotApplied, match="ttl"):
        check_applied(small.catalogue().training_set("bought"), applied)


def test_a_training_set_stops_for_another_spine_and_not_for_another_owner() -> None:
    applied = Catalogue.from_json(small.catalogue(owner="others@example.com").to_json())
    assert check_applied(small.catalogue().training_set("bought"), applied)
