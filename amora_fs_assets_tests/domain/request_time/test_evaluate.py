"""The evaluator of online reads: light for few rows, and the same for many."""

from __future__ import annotations

import subprocess
import sys

from amora_fs_assets.domain.request_time.evaluate import MANY, Evaluator
from amora_fs_assets.domain.request_time.formula import Formula

RATIO = [["column", [], "a", "int64"], ["literal", [], "int64", 2], ["floor_divide", [0, 1]]]


def test_few_rows_import_neither_ibis_nor_arrow_nor_numpy() -> None:
    code = f"""
import sys
from amora_fs_assets.domain.request_time.evaluate import Evaluator
from amora_fs_assets.domain.request_time.formula import Formula
print(Evaluator({{"half": Formula.from_plain({RATIO})}}).values({{"a": [7, None]}}, 0, 2))
print([m for m in ("ibis", "numpy", "pyarrow", "pandas", "dagster") if m in sys.modules])
"""
    answer = subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()
    assert answer == ["{'half': ([3, None], False)}", "[]"]


def test_many_rows_are_answered_like_few() -> None:
    evaluator = Evaluator({"half": Formula.from_plain(RATIO), "same": Formula.from_plain(RATIO[:1])})
    column = [*range(MANY), None]
    many = evaluator.values({"a": column}, 0, len(column))
    few = [evaluator.values({"a": [value]}, 0, 1) for value in column]
    assert many == {name: ([each[name][0][0] for each in few], False) for name in ("half", "same")}
    assert many["same"][0] is not column


def test_no_formulas_and_no_columns_have_answers() -> None:
    now = Formula.from_plain([["request_time", []], ["year", [0]]])
    for count in (0, 2, MANY):
        assert Evaluator({}).values({}, 0, count) == {}
        assert Evaluator({"year": now}).values({}, 0, count) == {"year": ([1970] * count, True)}
