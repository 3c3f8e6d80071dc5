"""Arrow tables as data frames: integers stay what they are, whatever nulls stand beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amora_fs_assets.operations.frames import to_pandas

INTEGERS = st.none() | st.integers(-(2**63), 2**63 - 1)
LISTS = st.lists(st.none() | st.lists(INTEGERS, max_size=4), max_size=6)


def plain(value: Any) -> Any:
    return None if value is None else [None if item is None else int(item) for item in value]


@settings(deadline=None)  # the first example imports pandas
@given(LISTS, st.sampled_from([pa.list_, pa.large_list]), st.integers(1, 3))
def test_each_integer_of_a_list_comes_back(lists: list[list[int | None] | None], kind: Any, chunks: int) -> None:
    column = pa.chunked_array([pa.array(lists, kind(pa.int64()))] * chunks)
    frame = to_pandas(pa.table({"ids": column, "x": pa.array([1] * len(column), pa.int64())}))
    assert list(frame.columns) == ["ids", "x"]
    assert [plain(value) for value in frame["ids"]] == lists * chunks
    whole = [value for value in frame["ids"] if value is not None and None not in list(value)]
    assert all(value.dtype == np.int64 for value in whole if len(value))


@pytest.mark.parametrize("type_", [pa.int8(), pa.int32(), pa.uint64(), pa.int64()])
def test_each_integer_beside_a_null_comes_back(type_: pa.DataType) -> None:
    greatest = 2 ** (type_.bit_width - 1) - 1
    frame = to_pandas(pa.table({"x": pa.array([greatest, None], type_)}))
    assert int(frame["x"][0]) == greatest
    assert frame["x"][1] is pd.NA


def test_a_sliced_list_keeps_its_own_items() -> None:
    column = pa.array([[1], [2, None], [], None, [5]], pa.list_(pa.int64()))
    for start in range(5):
        frame = to_pandas(pa.table({"x": column.slice(start)}))
        assert [plain(value) for value in frame["x"]] == column.slice(start).to_pylist()


def test_lists_of_lists_keep_their_integers() -> None:
    rows = [[[2**53 + 1, None], None], None, []]
    frame = to_pandas(pa.table({"x": pa.array(rows, pa.list_(pa.list_(pa.int64())))}))
    assert frame["x"][0][0][0] == 2**53 + 1
