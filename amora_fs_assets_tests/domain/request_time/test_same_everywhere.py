"""A formula has one value, wherever it is computed."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amora_fs_assets.domain.request_time.formula import Formula
from amora_fs_assets.domain.request_time.operations import OPERATIONS
from amora_fs_assets_tests.domain.request_time.evaluators import Values, in_columns, in_duckdb, in_python, same
from amora_fs_assets_tests.domain.request_time.formulas import each_form, formulas, rows

RANDOM = settings(
    deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example,
                           HealthCheck.function_scoped_fixture],
)  # fmt: skip


def several(*, exact: bool) -> st.SearchStrategy[dict[str, Formula]]:
    """Some formulas by name."""
    made = st.lists(formulas(steps=8, exact=exact), min_size=10, max_size=20)
    return made.map(lambda listed: {f"f{number}": formula for number, formula in enumerate(listed)})


MANY = several(exact=True)
SEED = st.integers(0, 2**32)


def compare(made: dict[str, Formula], table: pa.Table, one: Values, other: Values, *, all_exact: bool = False) -> None:
    """Assert that the values are the same, row by row: to the last bit, if all engines compute an operation exactly."""
    for name, formula in made.items():
        exact = all_exact or all(
            step.operation not in OPERATIONS or OPERATIONS[step.operation].exact for step in formula.steps
        )
        for place, (left, right) in enumerate(zip(one[name], other[name], strict=True)):
            row = {column: table[column][place].as_py() for column in formula.inputs}
            assert same(left, right, exact=exact), f"{formula} of {row}: {left!r}, {right!r}"


def test_each_operation_has_the_same_value_in_duckdb_and_online() -> None:
    made, table = each_form(), rows(300, 1)
    values = in_python(made, table)
    compare(made, table, in_duckdb(made, table), values)
    compare(made, table, in_columns(made, table), values, all_exact=True)


def test_an_error_of_one_operation_stays_in_its_formula() -> None:
    """DuckDB computes a subexpression that it sees twice outside of TRY."""
    last = [["literal", [], "int64", 2**62], ["literal", [], "float64", 1e308]]
    made = {}
    for name, formula in each_form().items():
        for literal in last:
            for operation in ("add", "multiply") if literal[2] == formula.type else ():
                place = len(formula.plain)
                made[f"{name}_{operation}"] = Formula.from_plain(
                    [*formula.plain, literal, [operation, [place - 1, place]]]
                )
    table = rows(100, 2)
    compare(made, table, in_duckdb(made, table), in_python(made, table))


def test_a_null_that_the_engine_finds_in_constants_has_the_type_of_the_formula() -> None:
    """9.2e18 does not fit into 64 bits, so the place is null before the query runs."""
    made = Formula.from_plain([
        ["literal", [], "float64", 9.223372036854776e18], ["to_int64", [0]],
        ["column", [], "list_int64_b", "list<int64>"], ["item", [2, 1]],
    ])  # fmt: skip
    table = rows(3, seed=1)
    assert in_duckdb({"value": made}, table) == in_python({"value": made}, table) == {"value": [None] * 3}


@given(MANY, SEED)
@settings(RANDOM, max_examples=8)
def test_a_formula_has_the_same_value_in_duckdb_and_online(made: dict[str, Formula], seed: int) -> None:
    table = rows(30, seed)
    compare(made, table, in_duckdb(made, table), in_python(made, table))


@given(several(exact=False), SEED, st.sampled_from([0.0, 0.1, 1.0]))
@settings(RANDOM, max_examples=20)
def test_a_formula_has_the_same_value_for_few_and_for_many_rows(
    made: dict[str, Formula], seed: int, nulls: float
) -> None:
    table = rows(30, seed, nulls)
    compare(made, table, in_columns(made, table), in_python(made, table), all_exact=True)
