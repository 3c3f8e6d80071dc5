"""A plan of what was applied is empty, whatever a schema's rules have for arguments: JSON gives back what it took."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import ibis.expr.datatypes as dt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amora_fs_assets import Entity, FeatureSchema, FeatureView, Field, Timestamp
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.identity.definition import computing_identity
from amora_fs_assets.operations.registry.apply import apply
from amora_fs_assets.operations.registry.plan import plan
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry

CLOCK = datetime(2020, 3, 1, tzinfo=UTC)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False),
    str: st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    bool: st.booleans(),
    date: st.dates(),
    Timestamp: st.datetimes(timezones=st.just(UTC)),
}
ORDERED = {int, float, date, Timestamp}


@st.composite
def rules(draw: st.DrawFn, type_: Any) -> dict[str, Any]:
    """The checks of a column of this type, each with arguments of any kind that Python has for them."""
    values = VALUES[type_]
    collected = st.lists(values, min_size=1, max_size=4).map(
        lambda items: draw(st.sampled_from([list, tuple, set, frozenset]))(items)
    )
    checks: dict[str, st.SearchStrategy[Any]] = {"isin": collected, "notin": collected, "eq": values, "ne": values}
    if type_ in ORDERED:
        bounds = st.tuples(values, values).map(sorted).filter(lambda pair: pair[0] < pair[1])
        checks |= {"ge": values, "gt": values, "le": values, "lt": values}
        checks["in_range"] = st.tuples(bounds, st.booleans(), st.booleans()).map(
            lambda given: {
                "include_max": given[2], "max_value": given[0][1], "min_value": given[0][0], "include_min": given[1]
            }
        )  # fmt: skip
    if type_ is str:
        texts = st.text("ab.", min_size=1, max_size=4)
        checks |= dict.fromkeys(("str_matches", "str_contains", "str_startswith", "str_endswith"), texts)
        checks["str_length"] = st.just({"max_value": 7, "min_value": 1})
    names = draw(st.sets(st.sampled_from(sorted(checks)), max_size=3))
    return {name: draw(checks[name]) for name in names}


@st.composite
def views(draw: st.DrawFn) -> FeatureView:
    """A view whose columns have checks."""
    types = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=4))
    names = [f"c{number}" for number in range(len(types))]
    fields = {
        name: Field(nullable=draw(st.booleans()), **draw(rules(type_)))
        for name, type_ in zip(names, types, strict=True)
    }
    annotations = {"customer": int, **dict(zip(names, types, strict=True))}
    schema = type("Drawn", (FeatureSchema,), {"__annotations__": annotations, "__module__": __name__, **fields})
    return FeatureView("drawn", schema, [Entity("customer")], table="theirs.drawn")


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_plan_of_what_was_applied_is_empty_for_every_rule(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    try:
        view = data.draw(views())
    except DefinitionError:  # a bound that no value of the column can be compared with
        return
    code = Catalogue.of([view])
    objects = FolderObjectStore(tmp_path_factory.mktemp("registry"))
    apply(code, ObjectRegistry(objects), clock=CLOCK)
    fresh = ObjectRegistry(objects)
    found = plan(code, fresh, clock=CLOCK, dataset="x")
    assert found.changes == ()
    assert computing_identity(fresh.catalogue().feature_view("drawn")) == computing_identity(view)


@pytest.mark.parametrize("bound", [math.inf, -math.inf, 0.1, 10**18, -0.0])
def test_a_bound_comes_back_as_it_was(tmp_path: Any, bound: float) -> None:
    class Bounded(FeatureSchema):
        customer: int
        amount: float = Field(le=bound)

    code = Catalogue.of([FeatureView("bounded", Bounded, [Entity("customer")], table="theirs.bounded")])
    objects = FolderObjectStore(tmp_path)
    apply(code, ObjectRegistry(objects), clock=CLOCK)
    assert plan(code, ObjectRegistry(objects), clock=CLOCK, dataset="x").changes == ()


def test_decimals_too(tmp_path: Any) -> None:
    class Priced(FeatureSchema):
        customer: int
        price: dt.Decimal(38, 9) = Field(ge=Decimal("0.10"), isin={Decimal("1.5"), Decimal(2)})  # type: ignore[valid-type]

    code = Catalogue.of([FeatureView("priced", Priced, [Entity("customer")], table="theirs.priced")])
    objects = FolderObjectStore(tmp_path)
    apply(code, ObjectRegistry(objects), clock=CLOCK)
    assert plan(code, ObjectRegistry(objects), clock=CLOCK, dataset="x").changes == ()
