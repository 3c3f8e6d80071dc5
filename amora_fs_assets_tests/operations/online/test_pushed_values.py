"""A pushed value is stored as exactly what it is, or refused with its row and column."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from amora_fs_assets import Entity, FeatureSchema, FeatureView, Timestamp
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.operations.online.pushed_rows import table_of
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.types import CommonTypes

WIDE = Decimal("12345678901234567890123456789.123456789")
LAST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


class Values(CommonTypes):
    item: int


VIEW = FeatureView("values", Values, [Entity("item")], start="2020-01-01", transform=lambda: None)
ROW: dict[str, Any] = {"item": 1, "event_timestamp": at(1)}


def stored(rows: Any, column: str) -> Any:
    return table_of(VIEW, rows).column(column).to_pylist()


@pytest.mark.parametrize(
    ("column", "value", "kept"),
    [
        ("i", np.int32(5), 5),
        ("i", 5.0, 5),
        ("i", 2**63 - 1, 2**63 - 1),
        ("i", pd.NA, None),
        ("f", 1, 1.0),
        ("f", np.float32(0.5), 0.5),
        ("f", -math.inf, -math.inf),
        ("s", "", ""),
        ("o", np.bool_(True), True),
        ("b", bytearray(b"a"), b"a"),
        ("d", pd.NaT, None),
        ("d", pd.Timestamp("2020-02-29"), date(2020, 2, 29)),
        ("d", "2020-02-29", date(2020, 2, 29)),
        ("d", np.datetime64("2020-02-29"), date(2020, 2, 29)),
        ("t", pd.NaT, None),
        ("t", np.datetime64("NaT"), None),
        ("t", np.datetime64("2020-01-01T00:00:00.000001000", "ns"), at(1) + timedelta(microseconds=1)),
        ("t", pd.Timestamp("2020-01-01", tz="America/New_York"), at(1, 5)),
        ("t", LAST, LAST),
        ("p", WIDE, WIDE),
        ("p", 0.1, Decimal("0.1")),
        ("p", Decimal("1.50000000000000"), Decimal("1.5")),
        ("p", 7, Decimal(7)),
        ("li", [1, None, np.int64(2)], [1, None, 2]),
        ("li", np.array([1, 2]), [1, 2]),
        ("li", (), []),
        ("lf", [1, None, math.inf], [1.0, None, math.inf]),
    ],
)
def test_a_value_is_stored_as_what_it_is(column: str, value: Any, kept: Any) -> None:
    assert stored([{**ROW, column: value}], column) == [kept]
    assert stored({**{name: [each] for name, each in ROW.items()}, column: [value]}, column) == [kept]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("i", True), ("i", 1.5), ("i", "1"), ("i", 2**63), ("i", math.nan), ("i", math.inf), ("i", [1]),
        ("f", True), ("f", "1"), ("f", 10**400),
        ("s", 1), ("s", b"a"), ("s", "a\ud800"), ("s", ["a"]),
        ("o", 1), ("o", "true"),
        ("b", "a"), ("b", 1),
        ("d", datetime(2020, 1, 1, 12)), ("d", "yesterday"), ("d", 1),
        ("t", "yesterday"), ("t", 1), ("t", pd.Timestamp(1)), ("t", np.datetime64(1, "ns")),
        ("t", "0001-01-01T00:00:00+14:00"),
        ("p", Decimal("0.0000000001")), ("p", Decimal("1e29")), ("p", math.nan), ("p", Decimal("NaN")), ("p", "x"),
        ("li", "12"), ("li", b"12"), ("li", 1), ("li", [1.5]), ("li", {1}), ("li", [[1]]), ("li", {"a": 1}),
        ("ls", "ab"), ("ls", ["a", 1]), ("ls", ["\udfff"]),
    ],
)  # fmt: skip
def test_a_value_that_would_not_stay_what_it_is_is_refused_with_its_row_and_column(column: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=rf"'values': column '{column}' takes .*: row 1: .*Nothing was pushed\."):
        table_of(VIEW, [{**ROW, column: None}, {**ROW, column: value}])


def test_nan_is_a_value_in_dicts_and_null_in_a_pandas_frame() -> None:
    rows = [{**ROW, "f": math.nan, "s": "a"}, {**ROW, "f": 1.0, "s": None}]
    assert [str(value) for value in stored(rows, "f")] == ["nan", "1.0"]
    assert stored(pd.DataFrame(rows), "f") == [None, 1.0]


@pytest.mark.parametrize("form", [pd.DataFrame, pl.DataFrame, pa.Table.from_pylist, pa.RecordBatch.from_pylist])
def test_frames_of_all_kinds_are_read(form: Any) -> None:
    rows = [{**ROW, "s": "a", "t": at(2), "li": [1]}, {**ROW, "item": 2, "s": None, "t": None, "li": None}]
    for column in ("item", "s", "t", "li", "event_timestamp"):
        assert stored(form(rows), column) == [row[column] for row in rows]


@pytest.mark.parametrize(
    "rows",
    [
        None,
        5,
        "rows",
        [1],
        ["row"],
        {"item": 1},
        {"item": "12", "event_timestamp": "ab"},
        {"item": [1, 2], "event_timestamp": [at(1)]},
        [{**ROW, "\ud800": 1}],
        [{"item": 1}],
        pd.DataFrame([[1, 1, at(1)]], columns=["item", "item", "event_timestamp"]),
        pa.Table.from_arrays([pa.array([1]), pa.array([1])], names=["item", "item"]),
        pa.table({"item": [1], "event_timestamp": pa.array([2**62], pa.timestamp("us", tz="UTC"))}),
    ],
    ids=str,
)
def test_what_is_no_rows_is_refused(rows: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"Nothing was pushed\.$"):
        table_of(VIEW, rows)


class Known(FeatureSchema):
    item: int
    created_timestamp: Timestamp
    x: int


def test_a_row_that_does_not_say_when_it_was_known_was_known_at_its_time() -> None:
    view = FeatureView("known", Known, [Entity("item")], start="2020-01-01", transform=lambda: None)
    rows = [{**ROW, "x": 1}, {**ROW, "x": 1, "created_timestamp": at(2)}, {**ROW, "x": 1, "created_timestamp": pd.NaT}]
    assert table_of(view, rows).column("created_timestamp").to_pylist() == [at(1), at(2), at(1)]
