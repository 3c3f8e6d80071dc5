"""Formulas of request-time features have the same value by GoogleSQL's reference implementation as online."""

from __future__ import annotations

from hypothesis import given, settings

from amora_fs_assets.domain.request_time.formula import Formula
from amora_fs_assets.testing import Witness
from amora_fs_assets_tests.domain.request_time.evaluators import in_bigquery, in_python
from amora_fs_assets_tests.domain.request_time.formulas import each_form, rows
from amora_fs_assets_tests.domain.request_time.test_same_everywhere import MANY, RANDOM, SEED, compare
from amora_fs_assets_tests.witness.tally import TALLY


def _compare(made: dict[str, Formula], seed: int, count: int, witness: Witness) -> None:
    table = rows(count, seed)
    with TALLY.comparing("formulas", count * len(made)):
        compare(made, table, in_bigquery(made, table, witness), in_python(made, table))


def test_each_operation_has_the_same_value_in_bigquery_and_online(witness: Witness) -> None:
    _compare(each_form(), 1, 300, witness)


@given(made=MANY, seed=SEED)
@settings(RANDOM, max_examples=40)
def test_a_formula_has_the_same_value_in_bigquery_and_online(
    made: dict[str, Formula], seed: int, witness: Witness
) -> None:
    _compare(made, seed, 30, witness)
