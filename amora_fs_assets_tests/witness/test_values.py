"""Values of every type go to the reference implementation and come back as they were."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.testing import RefusedByGoogleSQL, Witness, WitnessUnavailable
from amora_fs_assets_tests.operations.offline.test_types_on_engines import EXTREMES, same

VALUES: dict[DataType, list[Any]] = {type_: [*values, None] for type_, values in EXTREMES.items()}
VALUES |= {type_: [[], VALUES[type_.item][:-1]] for type_ in DataType if type_.is_list}


@pytest.mark.parametrize("type_", DataType)
def test_a_value_comes_back_as_it_was(witness: Witness, type_: DataType) -> None:
    column = pa.array(VALUES[type_], IBIS_TYPES[type_].to_pyarrow())
    given = pa.table({"place": range(len(column)), "x": column})
    got = witness.execute("SELECT place, x FROM d.`t` ORDER BY place", {"d.t": given})
    assert got.schema.field("x").type == column.type
    assert same(got["x"].to_pylist()) == same(given["x"].to_pylist())


def test_a_null_list_is_an_empty_one_and_a_null_item_is_refused(witness: Witness) -> None:
    lists = {"t": pa.table({"x": pa.array([None, [1]], pa.list_(pa.int64()))})}
    assert witness.execute("SELECT x FROM t ORDER BY ARRAY_LENGTH(x)", lists)["x"].to_pylist() == [[], [1]]
    with pytest.raises(RefusedByGoogleSQL, match="null item"):
        witness.execute("SELECT [1, NULL] AS x", {})


def test_parameters_are_numbers_and_texts(witness: Witness) -> None:
    got = witness.execute("SELECT @n + 1 AS n, @Text AS t", {}, {"n": 2**62, "Text": "é'"})
    assert got.to_pylist() == [{"n": 2**62 + 1, "t": "é'"}]


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT 1 / 0", "division by zero"),
        ("SELECT nothing FROM t", "Unrecognized name"),
        ("SELECT x + 9223372036854775807 FROM t", "overflow"),
    ],
)
def test_what_is_refused_is_said_and_the_next_query_is_answered(witness: Witness, sql: str, says: str) -> None:
    tables = {"t": pa.table({"x": [1]})}
    with pytest.raises(RefusedByGoogleSQL, match=says):
        witness.execute(sql, tables)
    assert witness.execute("SELECT x FROM t", tables).to_pylist() == [{"x": 1}]


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(WitnessUnavailable, match=r"pip install 'amora_fs_assets\[bigquery-semantics\]'"):
        Witness()
    with pytest.raises(WitnessUnavailable, match="There is no"):
        Witness(Path("no-such-python"))


def test_the_corners_in_which_engines_differ_are_googles(witness: Witness) -> None:
    """What the reference implementation is asked for: of these DuckDB answers some otherwise."""
    got = witness.execute(
        "SELECT GREATEST(1, NULL) AS g, CAST(2.5 AS INT64) AS r, DIV(-7, 2) AS d, MOD(-7, 2) AS m, "
        "IEEE_DIVIDE(1, 0) AS i, SAFE_DIVIDE(1, 0) AS s, REGEXP_CONTAINS('abc\\n', '^[a-z]+$') AS x, "
        "CAST('nan' AS FLOAT64) >= 0 AS n, TIMESTAMP '2020-01-01' AS t, DATE '2020-01-01' AS y, NUMERIC '0.1' AS p", {}
    )  # fmt: skip
    assert got.to_pylist() == [
        {
            "g": None, "r": 3, "d": -3, "m": -1, "i": math.inf, "s": None, "x": False, "n": False,
            "t": datetime(2020, 1, 1, tzinfo=UTC), "y": date(2020, 1, 1), "p": Decimal("0.1"),
        }
    ]  # fmt: skip
