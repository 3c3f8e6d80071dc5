"""On-demand views that read features of other on-demand views: the formulas take the places of the features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amora_fs_assets import FeatureService, FeatureStore, Settings, elapsed, on_demand_feature_view
from amora_fs_assets.domain.arrow import arrow_type
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.on_demand_inputs import substituted
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.request_time.formula import Formula
from amora_fs_assets_tests.domain.request_time.evaluators import in_python, same
from amora_fs_assets_tests.domain.request_time.formulas import COLUMNS, formulas, rows
from amora_fs_assets_tests.operations.on_demand.shop import TABLES, basket, profile, spend
from amora_fs_assets_tests.operations.stores import fill
from amora_fs_assets_tests.small import at


@on_demand_feature_view(
    inputs=[basket["share", "orders"], elapsed(spend["last_order"]), spend["spend_30d"], profile["birth_date"]],
    request={"basket": float, "tip": float},
)
def offer(
    share: Any, orders: Any, since_last_order: Any, spend_30d: Any, birth_date: Any, basket: Any, tip: Any
) -> dict[str, Any]:
    """Read two on-demand views beside stored features and the request."""
    return {
        "again": share * spend_30d - basket,
        "many": (orders > 3) & (since_last_order < 90_000.0),
        "born": birth_date.year(),
        "tipped": tip / basket,
    }


def test_the_view_reads_stored_features_and_the_request_alone() -> None:
    assert [(part.name, part.features) for part in offer.inputs] == [
        ("spend", ("spend_30d", "orders_30d", "last_order")), ("profile", ("city", "birth_date")),
    ]  # fmt: skip
    assert [column.name for column in offer.request] == ["basket", "tip", "shop_city"]
    assert {name: str(formula) for name, formula in offer.formulas.items()} == {
        "again": "((basket / spend_30d) * spend_30d) - basket",
        "many": "(3 < coalesce(orders_30d, 0)) and ((float(microseconds(request_time() - last_order)) / 1000000.0) "
        "< 90000.0)",
        "born": "year(birth_date)",
        "tipped": "tip / basket",
    }
    assert [column.name for column in offer["again"].request] == ["basket"]
    assert offer["born"].request == ()


def test_values_are_those_of_the_views_one_after_the_other(tmp_path: Path) -> None:
    fill(tmp_path, TABLES)
    asked: dict[str, list[Any]] = {"customer": [1, 2, 9], "basket": [50.0, 5.0, 5.0], "tip": [5.0, 1.0, None]}
    right = {
        "again": [0.0, None, None], "many": [True, False, False], "born": [2000, None, None], "tipped": [0.1, 0.2, None]
    }  # fmt: skip
    with FeatureStore(Settings(home=tmp_path, now=at(3)), Catalogue.of([FeatureService("offers", [offer])])) as store:
        store.apply()
        assert [view.name for view in store.list_on_demand_feature_views()] == ["offer"]
        store.materialize_incremental()
        served = FeatureStore(store.settings).get_online_features("offers", asked).to_dict()
        spine = pd.DataFrame({**asked, "event_timestamp": [at(3)] * 3})
        joined = store.get_historical_features("offers", spine).to_arrow().to_pydict()
    assert {name: served[name] for name in right} == right
    assert {name: joined[name] for name in right} == right


def test_a_view_of_a_view_of_a_view() -> None:
    @on_demand_feature_view(inputs=[offer["tipped"], basket["share"]])
    def third(tipped: Any, share: Any) -> dict[str, Any]:
        return {"both": tipped + share}

    assert str(third.formulas["both"]) == "(tip / basket) + (basket / spend_30d)"
    assert third.join_keys == ("customer",)


def test_features_of_one_name_are_told_apart_by_their_view() -> None:
    @on_demand_feature_view(inputs=[spend["spend_30d"]])
    def doubled(spend_30d: Any) -> dict[str, Any]:
        return {"spend_30d": spend_30d * 2}

    @on_demand_feature_view(inputs=[spend["spend_30d"], doubled])
    def made(spend__spend_30d: Any, doubled__spend_30d: Any) -> dict[str, Any]:
        return {"rest": doubled__spend_30d - spend__spend_30d}

    assert str(made.formulas["rest"]) == "(spend_30d * 2.0) - spend_30d"


def over(inputs: list[Any], **request: type) -> OnDemandFeatureView:
    def function(**columns: Any) -> dict[str, Any]:
        raise AssertionError

    return OnDemandFeatureView("made", None, inputs, function, request=request)


@pytest.mark.parametrize(
    ("inputs", "request_", "message"),
    [
        ([basket], {"basket": int}, "request column 'basket' is int64, and float64 in the request of an input. Rename"),
        ([basket["share"]], {"share": float}, "request column 'share' has the name of an input. Rename"),
        ([basket["share"]], {"spend_30d": float}, "request column 'spend_30d' has the name of an input. Rename"),
        ([basket["share"], basket["idle"]], {}, "inputs: 'basket' is listed twice"),
        (
            [basket["share"], profile.alias("spend")["birth_date"]], {},
            "inputs: 'spend' is spend by customer, and elsewhere profile by customer. Give one of them another alias",
        ),
    ],
)  # fmt: skip
def test_a_name_that_means_two_things_is_refused(inputs: list[Any], request_: dict[str, type], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        over(inputs, **request_)


def test_a_formula_that_becomes_too_nested_is_refused() -> None:
    def one_more(view: OnDemandFeatureView, number: int) -> OnDemandFeatureView:
        return OnDemandFeatureView(f"v{number}", None, [view["share"]], lambda share: {"share": share + 1})

    view = basket
    for number in range(98):
        view = one_more(view, number)
    with pytest.raises(
        DefinitionError, match="feature 'share': with the formulas of its inputs .* is nested more than"
    ):
        one_more(view, 98)


@settings(max_examples=40, deadline=None)
@given(outer=formulas(steps=6), inner=st.lists(formulas(steps=3), min_size=1, max_size=4), seed=st.integers(0, 999))
def test_substituted_formulas_have_the_values_of_the_formulas_in_turn(
    outer: Formula, inner: list[Formula], seed: int
) -> None:
    given_rows = rows(20, seed)
    by = {name: Formula.from_plain([["column", [], name, type_.value]]) for name, type_ in COLUMNS.items()}
    for formula in inner:
        by.update({name: formula for name, type_ in COLUMNS.items() if type_ is formula.type and name.endswith("a")})
    between = in_python({name: by[name] for name in outer.inputs}, given_rows)
    types = {name: arrow_type(COLUMNS[name]) for name in between}
    in_turn = in_python(
        {"value": outer},
        pa.table({name: pa.array(values, types[name]) for name, values in between.items()})
        if between else given_rows,
    )  # fmt: skip
    at_once = in_python({"value": substituted(outer, by)}, given_rows)
    for one, other in zip(in_turn["value"], at_once["value"], strict=True):
        assert same(one, other)
