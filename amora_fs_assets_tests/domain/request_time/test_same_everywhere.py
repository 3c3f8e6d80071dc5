"""A formula has one value, wherever it is computed."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amora_fs_assets.domain.request_time.formula import Formula
from amora_fs_assets_tests.domain.request_time.evaluators import Values, in_duckdb, in_python, same
from amora_fs_assets_tests.domain.request_time.formulas import formulas, rows

QUICK = settings(
    deadline=None, max_examples=15, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)  # fmt: skip
MANY = st.lists(formulas(steps=6), min_size=10, max_size=20)


def compare(made: dict[str, Formula], table: pa.Table, one: Values, other: Values) -> None:
    """Assert that the values are the same, row by row."""
    for name, formula in made.items():
        for place, (left, right) in enumerate(zip(one[name], other[name], strict=True)):
            row = {column: table[column][place].as_py() for column in formula.inputs}
            assert same(left, right), f"{formula} of {row}: {left!r}, {right!r}"


@given(MANY, st.integers(0, 2**32))
@QUICK
def test_a_formula_has_the_same_value_in_duckdb_and_online(made: list[Formula], seed: int) -> None:
    table, named = rows(30, seed), {f"f{number}": formula for number, formula in enumerate(made)}
    compare(named, table, in_duckdb(named, table), in_python(named, table))
