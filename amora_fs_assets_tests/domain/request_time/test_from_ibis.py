"""Formulas are read from Ibis expressions, and anything else is refused with the fix."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import duckdb
import ibis
import ibis.expr.operations as ops
import pytest
from ibis.expr.operations import Node
from ibis.expr.types import Table, Value

from amora_fs_assets import distance_km, request_time
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.request_time.formula import Formula
from amora_fs_assets.domain.request_time.from_ibis import formula_of
from amora_fs_assets.domain.request_time.rules import RULES
from amora_fs_assets_tests.domain.request_time.evaluators import in_columns, in_duckdb, in_python
from amora_fs_assets_tests.domain.request_time.expressions import EXPRESSIONS, ROWS
from amora_fs_assets_tests.domain.request_time.expressions import TABLE as TAME

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
        (lambda t: t.last - t.last, "gives a duration, which is no feature. Write a.delta"),
        (lambda t: t.last.delta(t.last, unit="month"), "has the unit 'month'. .*cast both to date"),
        (lambda t: t.born.delta(t.born, unit="week"), "Use one of day, month, year"),
        (lambda t: t.last.cast("timestamp('Europe/Berlin')"), "databases of time zones differ"),
        (lambda t: t.basket.round(t.orders), "digits that are not a literal"),
        (lambda t: t.basket % 2, "remainder of float64, float64 cannot be computed"),
        (lambda t: t.name[t.orders :], "Use substr"),
        (lambda t: t.name.re_search("a"), "RegexSearch cannot be computed"),
        (lambda t: t.name.replace("a", "\0"), "no text with the character 0"),
        (lambda t: t.born == t.last, "types date and timestamp. Cast one of them"),
        (lambda t: ibis.literal(["a"]).contains(t.name), "no literals of type list<string>"),
        (lambda t: t.seen.map(lambda each: each), "cannot be computed"),
        (lambda t: t.seen.isnull(), "is_null of list<string> cannot be computed"),
        (lambda t: 5, "is not an Ibis expression"),
    ],
)
def test_anything_else_is_refused_with_the_feature_and_the_fix(made: Made, says: str) -> None:
    with pytest.raises(DefinitionError, match=f"view.feature: .*{says}"):
        read(made)


@pytest.fixture(scope="module")
def in_ibis() -> dict[str, list[Any]]:
    """What Ibis itself computes in DuckDB."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("given", ROWS)
        query = TAME.select(**{name: made(TAME) for name, made in EXPRESSIONS.items()})
        found: dict[str, list[Any]] = connection.sql(str(ibis.to_sql(query))).to_arrow_table().to_pydict()
    return found


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_formula_means_what_ibis_means_where_engines_agree(name: str, in_ibis: dict[str, list[Any]]) -> None:
    formula = formula_of(name, EXPRESSIONS[name](TAME), TAME)
    for ours, theirs in zip(in_python({name: formula}, ROWS)[name], in_ibis[name], strict=True):
        if type(ours) is date:
            theirs = theirs.date() if isinstance(theirs, datetime) else theirs  # DuckDB has no date there
        assert ours == pytest.approx(theirs, rel=1e-12, abs=0) if isinstance(ours, float) else ours == theirs


def test_each_operation_of_ibis_that_is_read_is_tested() -> None:
    tested = {type(node) for made in EXPRESSIONS.values() for node in made(TAME).op().find(Node)}
    assert set(RULES) - tested == {ops.ScalarParameter, ops.TimestampDiff, ops.DateDiff}


def test_the_distance_of_two_cities_is_right() -> None:
    berlin_munich = formula_of("km", distance_km(TAME.x * 0 + 52.52, TAME.x * 0 + 13.405, 48.137, 11.575), TAME)
    assert in_python({"km": berlin_munich}, ROWS)["km"][0] == pytest.approx(504.4, abs=1)


def squared(value: Any, times: int) -> Any:
    """A value whose text, written out, has 2 ** times parts."""
    for _ in range(times):
        value = value * value - 1
    return value


def test_a_formula_grows_with_its_steps_and_not_with_their_uses() -> None:
    made = {"deep": formula_of("deep", squared(TAME.x, 40), TAME), "sum": formula_of("sum", sum([TAME.y] * 40), TAME)}
    assert len(made["deep"].plain) == 82
    assert len(str(made["deep"])) < 2_000
    assert in_duckdb(made, ROWS) == in_python(made, ROWS) == in_columns(made, ROWS)
    with pytest.raises(DefinitionError, match="deeper: the formula is nested more than 100 deep"):
        formula_of("deeper", squared(TAME.x, 60), TAME)


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


@pytest.mark.parametrize(
    "plain",
    [
        [], "x", None, [["column"]], [["column", [], "x"]], [["column", [], "x", "number"]], [["add", [0, 1]]],
        [["column", [], "x", "int64"], ["add", [0]]], [["request_time", [], 1]], [["not", [-1]]], [[1, []]],
        [["column", [], "x", "int64"], ["add", [0, 0], "more"]], [["literal", [], "int64"]], [{"column": []}],
    ],
)  # fmt: skip
def test_malformed_data_is_no_formula(plain: Any) -> None:
    with pytest.raises(ValueError, match="formula|operation"):
        Formula.from_plain(plain)
