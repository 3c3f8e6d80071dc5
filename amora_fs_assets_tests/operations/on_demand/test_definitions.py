"""Definitions of on-demand views: mistakes said at import, and the registry's view of changes, uses and lineage."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import random
from typing import Any

import pytest

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureService,
    FeatureView,
    Field,
    SourceSchema,
    TrainingSet,
    on_demand_feature_view,
    request_time,
)
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.changes import Severity
from amora_fs_assets.domain.comparison import compare
from amora_fs_assets.domain.errors import (
    DefinitionError,
    FeatureNotFound,
    FeatureViewNotFound,
    InvalidRequest,
    RegistryCorrupt,
)
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.point_in_time import output_names
from amora_fs_assets.operations.online.read import OnlineReader
from amora_fs_assets.operations.registry.history import service_version
from amora_fs_assets.operations.registry.impact import hits
from amora_fs_assets.operations.registry.lineage_graph import Node, lineage
from amora_fs_assets.operations.registry.plan import plan
from amora_fs_assets.operations.registry.removal import deletable
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from amora_fs_assets_tests.operations.on_demand.shop import basket, checkout, customer, profile, spend
from amora_fs_assets_tests.small import at


class Share(FeatureSchema):
    """A share."""

    share: float


def view(
    function: Callable[..., Any], schema: type[FeatureSchema] | None = Share, **arguments: Any
) -> OnDemandFeatureView:
    given = {"inputs": [spend["spend_30d"]], "request": {"basket": float}, **arguments}
    return on_demand_feature_view(schema=schema, name="made", **given)(function)


def share(spend_30d: Any, basket: Any) -> dict[str, Any]:
    return {"share": basket / spend_30d}


def test_without_a_schema_the_features_have_the_names_and_types_of_the_expressions() -> None:
    def made(spend_30d: Any, basket: Any) -> dict[str, Any]:
        """Basket and spend."""
        return {"share": basket / spend_30d, "whole": basket.cast("int64"), "large": basket > 100, "unit": "EUR"}

    found = view(made, schema=None)
    assert [(each.name, each.type, each.nullable) for each in found.features] == [
        ("share", DataType.FLOAT64, True), ("whole", DataType.INT64, True), ("large", DataType.BOOLEAN, True),
        ("unit", DataType.STRING, True),
    ]  # fmt: skip
    assert found.description == "Basket and spend."
    assert found.formulas["share"] == view(share).formulas["share"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({}, "returns no expression"),
        ({1: 2.0}, "returns 1, which cannot be a feature"),
        ({"event_timestamp": 2.0}, "returns 'event_timestamp', which cannot be a feature"),
        ({"a b": 2.0}, "column 'a b' starts with a letter"),
        ({"nothing": None}, "feature 'nothing' is always null. Give the type in a schema"),
    ],
)
def test_without_a_schema_names_and_values_that_cannot_be_features_are_refused(made: Any, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        view(lambda spend_30d, basket: made, schema=None)


class WithCheck(FeatureSchema):
    share: float = Field(ge=0)


class Checked(SourceSchema):
    basket: float = Field(ge=0)


class ByBasket(FeatureSchema):
    basket: int
    size: int


other_keys = FeatureView("by_basket", ByBasket, [Entity("basket")], table="theirs.x")


MISTAKES: dict[str, tuple[Callable[[], Any], str]] = {
    "an aggregate": (
        lambda: view(lambda spend_30d, basket: {"share": basket / spend_30d.sum()}),
        "feature 'share': .*Sum.* cannot be computed at request time. Compute it in a feature view",
    ),
    "a wrong parameter": (
        lambda: view(lambda spend_30d, basked: {"share": basked}),
        "parameter 'basked' is neither an input nor a request column. Columns: spend_30d, basket",
    ),
    "a missing parameter": (
        lambda: view(lambda spend_30d: {"share": spend_30d}),
        "no parameter takes 'basket'. Add the parameter, or drop the column",
    ),
    "a missing feature": (lambda: view(lambda spend_30d, basket: {}), "does not return feature 'share'"),
    "another feature": (
        lambda: view(lambda spend_30d, basket: {"share": basket, "x": basket}),
        "returns 'x', which its schema does not have. Features: share",
    ),
    "a condition of Python": (
        lambda: view(lambda spend_30d, basket: {"share": basket if basket > 1 else spend_30d}),
        "its function failed: ValueError: .* write condition.ifelse\\(a, b\\) for a Python `if`",
    ),
    "a function of Python": (
        lambda: view(lambda spend_30d, basket: {"share": math.log(basket)}),
        "its function failed: TypeError: .* a.ln\\(\\) for math.log\\(a\\)",
    ),
    "a value of the import": (
        lambda: view(lambda spend_30d, basket: {"share": basket * random()}),
        "'share': a second call of the function gives another expression: .* write request_time\\(\\)",
    ),
    "a request that is a list": (
        lambda: view(share, request=["basket"]), "request=.*'basket'.* is of type list. Give the types by column",
    ),
    "no dict": (lambda: view(lambda spend_30d, basket: basket), "returns FloatingColumn. Return a dict"),
    "an error in the function": (
        lambda: view(lambda spend_30d, basket: {"share": basket.lenght()}),
        "its function failed: AttributeError: .*'lenght'",
    ),
    "an object": (lambda: view(lambda spend_30d, basket: {"share": object()}), "is neither an expression nor a"),
    "another type": (
        lambda: view(lambda spend_30d, basket: {"share": basket > 1}),
        "'share' is float64 in the schema, and its expression is boolean. Cast the expression",
    ),
    "a check of a feature": (lambda: view(share, WithCheck), "feature 'share' has check .*, so no check runs. Drop"),
    "a check of a request": (lambda: view(share, request=Checked), "'basket' has a check, and none runs. Drop it"),
    "a time in the request": (
        lambda: view(share, request={"basket": float, "event_timestamp": float}),
        "is the time of a row, which a caller does not choose. Use request_time",
    ),
    "a request with the name of an input": (
        lambda: view(share, request={"spend_30d": float}), "'spend_30d' has the name of an input. Rename",
    ),
    "a request of a type that is none": (lambda: view(share, request={"basket": set}), "unsupported type"),
    "a view twice": (lambda: view(share, inputs=[spend, spend]), "'spend' is listed twice"),
    "nothing to read": (lambda: view(lambda: {"share": 1.0}, inputs=[], request=None), "neither inputs nor request"),
    "a request with a join key's name and another type": (
        lambda: view(share, request={"basket": float, "customer": str}), "the join key of this name is int64",
    ),
    "a service with one column of two types": (
        lambda: FeatureService(
            "s", [view(share), on_demand_feature_view(schema=Share, name="b", request={"basket": int})(_whole)]
        ),
        "request column 'basket' is int64 for 'b', and float64 elsewhere",
    ),
    "a service with a column that is a key of another view": (
        lambda: FeatureService("s", [other_keys, view(share)]), "'basket' is float64 for 'made', and int64",
    ),
    "the name of a view": (lambda: Catalogue.of([replace_name("spend")]), "has the name of a feature view. Rename one"),
}  # fmt: skip


def _whole(basket: Any) -> dict[str, Any]:
    return {"share": basket}


def replace_name(name: str) -> OnDemandFeatureView:
    return on_demand_feature_view(schema=Share, inputs=[spend["spend_30d"]], request={"basket": float}, name=name)(
        share
    )


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_said_at_import_with_its_fix(mistake: str) -> None:
    make, message = MISTAKES[mistake]
    with pytest.raises(DefinitionError, match=message):
        make()


def test_features_of_one_name_are_told_apart_by_their_view() -> None:
    made = view(
        lambda spend__spend_30d, other__spend_30d, basket: {"share": spend__spend_30d / other__spend_30d},
        inputs=[spend["spend_30d"], spend.alias("other", {"customer": "friend"})["spend_30d"]],
    )
    assert made.join_keys == ("customer", "friend")
    assert str(made.formulas["share"]) == "spend__spend_30d / other__spend_30d"


def test_an_integer_expression_becomes_the_schemas_float() -> None:
    assert view(lambda spend_30d, basket: {"share": 1}).formulas["share"].type is DataType.FLOAT64
    assert view(lambda spend_30d, basket: {"share": None}).formulas["share"].type is DataType.FLOAT64


def test_the_registry_holds_the_expressions_without_the_code() -> None:
    code = Catalogue.of([checkout])
    text = code.to_json()
    assert json.loads(text)["format"] == 2
    read = Catalogue.from_json(text)
    assert read == code
    assert read.hash == code.hash
    assert read.on_demand_feature_view("basket").expressions is None
    assert read.feature_service("checkout").version == checkout.version


def test_a_catalogue_without_on_demand_views_is_as_before() -> None:
    plain = Catalogue.of([spend]).to_plain()
    assert plain["format"] == 1
    assert "on_demand_feature_views" not in plain


def test_an_operation_of_a_newer_release_is_named() -> None:
    plain = Catalogue.of([checkout]).to_plain()
    plain["on_demand_feature_views"][0]["columns"][0]["formula"][-1][0] = "guess"
    with pytest.raises(RegistryCorrupt, match="On-demand feature view 'basket' cannot be read.*'guess'.*upgrade"):
        Catalogue.from_json(json.dumps(plain))


def test_features_are_asked_for_by_view_service_and_reference() -> None:
    code = Catalogue.of([checkout])
    assert code.resolve("basket").references == [f"basket:{each}" for each in ("share", "idle", "local", "orders")]
    assert code.resolve(["basket:idle", "profile:city"]).references == ["profile:city", "basket:idle"]
    assert code.resolve(basket["share"]).request == {"basket": DataType.FLOAT64}
    assert code.resolve(["basket:idle"]).request == {}
    with pytest.raises(FeatureNotFound, match="'basket:shaer' is not known. Did you mean 'basket:share'"):
        code.resolve(["basket:shaer"])
    with pytest.raises(FeatureViewNotFound):
        code.on_demand_feature_view("spend")
    with pytest.raises(FeatureViewNotFound, match="computed at request time, so it has no rows. It reads: spend, prof"):
        code.feature_view("basket")
    with pytest.raises(FeatureViewNotFound, match="'baskt' is not known. Did you mean 'basket'"):
        code.resolve(["baskt:idle"])
    with pytest.raises(InvalidRequest):
        code.on_demand_feature_view(5)  # type: ignore[arg-type]


def test_two_features_of_one_name_are_refused_in_joins_and_online() -> None:
    clashing = FeatureService("s", [view(share), replace_name("another")])
    message = "Feature 'another:share' has the name of .*'(made:)?share'. Use full_feature_names=True"
    with pytest.raises(InvalidRequest, match=message):
        OnlineReader(clashing)
    with pytest.raises(InvalidRequest, match=message):
        output_names(clashing, full=False)
    OnlineReader(clashing, full_feature_names=True)
    assert list(output_names(clashing, full=True).values()) == ["made__share", "another__share"]


def test_names_that_engines_do_not_tell_apart_are_refused_in_joins() -> None:
    class Capital(FeatureSchema):
        SHARE: float

    upper = view(lambda spend_30d, basket: {"SHARE": basket}, Capital)
    with pytest.raises(InvalidRequest, match="Feature 'made:SHARE' has the name of feature 'another:share'"):
        output_names(FeatureService("s", [replace_name("another"), upper]), full=False)


def test_a_read_needs_the_hidden_inputs_and_a_shared_view_once() -> None:
    both = FeatureService("both", [profile["birth_date"], basket["local", "idle"]])
    assert [(part.view.name, part.features) for part in both.reads] == [
        ("profile", ("birth_date", "city")), ("spend", ("last_order",)),
    ]  # fmt: skip
    assert both.join_keys == ("customer",)


def changed(function: Callable[..., Mapping[str, Any]] = share, **arguments: Any) -> Any:
    old = Catalogue.of([FeatureService("s", [view(share)])])
    new = Catalogue.of([FeatureService("s", [view(function, **arguments)])])
    return old, new, compare(old, new)


def test_a_plan_shows_the_expressions() -> None:
    old, new, (change,) = changed(lambda spend_30d, basket: {"share": spend_30d / basket})
    assert str(change) == "on-demand feature view 'made'"
    (difference,) = change.differences
    assert difference.what == "feature 'share': basket / spend_30d -> spend_30d / basket"
    assert change.severity is Severity.RECOMPUTE
    assert [str(hit) for hit in hits(change, old, new)] == ["feature service 's'"]


def test_a_new_request_column_is_breaking_and_one_less_is_not() -> None:
    _, _, changes = changed(
        lambda spend_30d, basket, tip: {"share": (basket + tip) / spend_30d}, request={"basket": float, "tip": float}
    )
    assert {each.name: each.severity for each in changes} == {"made": Severity.BREAKING, "s": Severity.BREAKING}
    assert "new request column 'tip': requests must bring it" in [d.what for c in changes for d in c.differences]
    _, _, changes = changed(lambda spend_30d: {"share": spend_30d}, request=None)
    assert max(each.severity for each in changes) is Severity.RECOMPUTE


def test_other_inputs_are_named_and_a_new_join_key_is_breaking() -> None:
    _, _, changes = changed(lambda orders_30d, basket: {"share": basket / orders_30d}, inputs=[spend["orders_30d"]])
    (change,) = changes
    assert change.differences[0].what == "inputs: spend:spend_30d -> spend:orders_30d"
    assert change.severity is Severity.RECOMPUTE
    friend = spend.alias("friend", {"customer": "friend_id"})["spend_30d"]
    _, _, (change, *_) = changed(inputs=[friend])
    assert [each.what for each in change.differences] == [
        "inputs: spend:spend_30d -> friend:spend_30d (spend by friend_id)",
        "new join key 'friend_id': requests must bring it",
    ]
    assert change.severity is Severity.BREAKING


def test_a_change_of_an_input_affects_what_is_computed_from_it() -> None:
    old = Catalogue.of([checkout, TrainingSet("t", checkout, [], code_hash="1")])
    new = Catalogue.of([FeatureView("spend", spend.schema or FeatureSchema, [customer], table="theirs.other")])
    moved = replace(old, feature_views={**old.feature_views, **new.feature_views})
    (change,) = (each for each in compare(old, moved) if each.name == "spend")
    assert {str(hit) for hit in hits(change, old, moved)} >= {
        "on-demand feature view 'basket'", "feature service 'checkout'", "training set 't'",
    }  # fmt: skip


@pytest.fixture
def registry(tmp_path: Any) -> ObjectRegistry:
    registry = ObjectRegistry(FolderObjectStore(tmp_path))
    registry.apply(Catalogue.of([checkout]), parent=None, clock=at(1))
    return registry


def test_lineage_goes_through_the_expressions(registry: ObjectRegistry) -> None:
    graph = lineage(registry, "basket", "share")
    assert graph.above(Node("on-demand feature view", "basket", "share")) == [
        Node("feature view", "spend", "spend_30d")
    ]
    assert Node("feature service", "checkout", "basket:share") in graph.below(
        Node("on-demand feature view", "basket", "share")
    )
    whole = lineage(registry, "spend")
    assert whole.below(Node("feature view", "spend")) == [Node("on-demand feature view", "basket")]


def test_inputs_cannot_be_deleted_before_what_reads_them(registry: ObjectRegistry) -> None:
    catalogue = registry.catalogue()
    with pytest.raises(InvalidRequest, match="'spend' is used by service 'checkout', On-demand feature view 'basket'"):
        deletable("spend", catalogue)
    with pytest.raises(InvalidRequest, match="'basket' is used by service 'checkout'"):
        deletable("basket", catalogue)


def test_an_old_version_of_a_service_keeps_its_expressions(registry: ObjectRegistry) -> None:
    @on_demand_feature_view(schema=Share, inputs=[spend["spend_30d"]], request={"basket": float})
    def other(spend_30d: Any, basket: Any) -> dict[str, Any]:
        return {"share": spend_30d - basket}

    named = {"name": "basket", "schema": Share, "inputs": [spend["spend_30d"]], "request": {"basket": float}}
    renamed = on_demand_feature_view(**named)(other.expressions)  # type: ignore[arg-type]
    new = Catalogue.of([FeatureService("checkout", [profile["birth_date"], renamed])])
    registry.apply(new, parent=registry.head().hash, clock=at(2))  # type: ignore[union-attr]
    (old,) = service_version(registry, "checkout", checkout.version).on_demand
    assert str(old.formulas["share"]) == "basket / spend_30d"
    assert str(registry.catalogue().on_demand_feature_view("basket").formulas["share"]) == "spend_30d - basket"


def test_a_kept_definition_whose_input_has_another_type_is_dropped(registry: ObjectRegistry) -> None:
    class Spend(FeatureSchema):
        customer: int
        spend_30d: int = Field(nullable=True)

    code = Catalogue.of([FeatureView("spend", Spend, [customer], table="theirs.spend")])
    planned = plan(code, registry, clock=at(2), dataset="feature_store")
    removed = {each.name: each.differences[0].what for each in planned.changes if each.action == "removed"}
    assert removed["basket"].startswith("it does not fit the code: Feature 'spend:orders_30d' is not known.")
    assert removed["checkout"] == (
        "it does not fit the code: it needs on-demand feature view 'basket', which no longer exists"
    )


def test_the_time_of_the_request_is_no_argument() -> None:
    made = view(lambda spend_30d, basket: {"share": request_time().delta(request_time(), unit="second")})
    assert made.formulas["share"].uses_request_time
    assert made.whole.request == ()
