"""Formulas of request-time features have the same value by GoogleSQL's reference implementation as online."""

from __future__ import annotations

from hypothesis import given, settings

from amora_fs_assets.domain.request_time.formula import Formula
from amora_fs_assets.domain.request_time.from_ibis import formula_of
from amora_fs_assets.testing import Witness
from amora_fs_assets_tests.domain.request_time.evaluators import in_bigquery, in_python
from amora_fs_assets_tests.domain.request_time.expressions import EXPRESSIONS, ROWS, TABLE
from amora_fs_assets_tests.domain.request_time.formulas import each_form, rows
from amora_fs_assets_tests.domain.request_time.test_same_everywhere import MANY, RANDOM, SEED, compare
from amora_fs_assets_tests.witness.tally import TALLY


def _compare(made: dict[str, Formula], seed: int, count: int, witness: Witness) -> None:
    table = rows(count, seed)
    with TALLY.comparing("formulas", count * len(made)):
        compare(made, table, in_bigquery(made, table, witness), in_python(made, table))


def test_each_operation_has_the_same_value_in_bigquery_and_online(witness: Witness) -> None:
    _compare(each_form(), 1, 300, witness)


def test_each_expression_that_is_read_has_the_same_value_in_bigquery_and_online(witness: Witness) -> None:
    made = {f"feature_{name}": formula_of(name, expression(TABLE), TABLE) for name, expression in EXPRESSIONS.items()}
    with TALLY.comparing("formulas", ROWS.num_rows * len(made)):
        compare(made, ROWS, in_bigquery(made, ROWS, witness), in_python(made, ROWS))


@given(made=MANY, seed=SEED)
@settings(RANDOM, max_examples=25)
def test_a_formula_has_the_same_value_in_bigquery_and_online(
    made: dict[str, Formula], seed: int, witness: Witness
) -> None:
    _compare(made, seed, 30, witness)
