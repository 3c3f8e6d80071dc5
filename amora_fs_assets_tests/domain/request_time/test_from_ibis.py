"""Formulas are read from Ibis expressions, and anything else is refused with the fix."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import ibis
import pytest
from ibis.expr.types import Table, Value

from amora_fs_assets import request_time
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.request_time.formula import Formula
from amora_fs_assets.domain.request_time.from_ibis import formula_of

TABLE = ibis.table(
    {"basket": "float64", "spend": "float64", "orders": "int64", "name": "string", "last": "timestamp('UTC')",
     "born": "date", "flag": "boolean", "seen": "array<string>"}, name="inputs")  # fmt: skip
OTHER = ibis.table({"basket": "float64"}, name="other")
Made = Callable[[Any], Value]


def read(made: Made, table: Table = TABLE) -> Formula:
    return formula_of("view.feature", made(table), table)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (lambda t: t.basket / t.spend, "basket / spend"),
        (lambda t: t.orders + 1, "orders + 1"),
        (lambda t: t.orders / 2, "float(orders) / 2.0"),
        (lambda t: (t.orders + 1) * (t.orders - 1), "(orders + 1) * (orders - 1)"),
        (
            lambda t: request_time().delta(t.last, unit="second") / 86400,
            "float(seconds(request_time() - last)) / 86400.0",
        ),
        (lambda t: t.orders.between(1, 3), "(1 <= orders) and (orders <= 3)"),
        (lambda t: t.name.isin(["a", "b"]), "(name == 'a') or (name == 'b')"),
        (lambda t: ibis.coalesce(t.spend, 0), "coalesce(spend, 0.0)"),
        (lambda t: t.spend.nullif(0), "(null if spend == 0.0 else spend)"),
        (lambda t: (t.spend > 5).ifelse("high", "low"), "('high' if 5.0 < spend else 'low')"),
        (lambda t: t.born > "2000-01-01", "2000-01-01 < born"),
    ],
)
def test_an_expression_becomes_a_formula_that_people_can_read(made: Made, text: str) -> None:
    assert str(read(made)) == text


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda t: t.basket.mean(), "Mean cannot be computed at request time"),
        (lambda t: t.basket.sum().over(), "cannot be computed at request time"),
        (lambda t: ibis.random(), "RandomScalar cannot be computed"),
        (lambda t: ibis.now(), "TimestampNow cannot be computed"),
        (lambda t: OTHER.basket, "column 'basket' is of another table"),
        (lambda t: ibis.param("float64") + t.basket, "Use request_time\\(\\), or a request field"),
        (lambda t: t.basket.cast("string"), "Cast of a float to text differs between engines"),
        (lambda t: t.orders.cast("int8"), "Cast to int8 is not supported"),
        (lambda t: ibis.null(), "null has no type here"),
        (lambda t: 5, "is not an Ibis expression"),
    ],
)
def test_anything_else_is_refused_with_the_feature_and_the_fix(made: Made, says: str) -> None:
    with pytest.raises(DefinitionError, match=f"view.feature: .*{says}"):
        read(made)


def test_equal_expressions_are_equal_data_which_survive_json() -> None:
    def made(t: Any) -> Any:
        return ibis.cases((t.basket / t.spend > 1, t.basket / t.spend), else_=t.orders * 2)

    formula = read(made)
    assert formula.plain == read(made, ibis.table(TABLE.schema(), name="inputs")).plain
    assert Formula.from_plain(json.loads(json.dumps(formula.plain))) == formula
    assert formula.inputs == {"basket", "spend", "orders"}
    assert not formula.uses_request_time


def test_an_operation_of_a_newer_release_is_named() -> None:
    with pytest.raises(ValueError, match="no operation 'tomorrow' of float64.*upgrade"):
        Formula.from_plain([["column", [], "x", "float64"], ["tomorrow", [0]]])
