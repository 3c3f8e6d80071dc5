"""An online response as a frame: the catalogue's types, whatever is missing."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa

from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.online.read import OnlineResponse

RESPONSE = OnlineResponse(
    columns={
        "customer": [1, float("nan")],
        "orders": [2, None],
        "share": [float("nan"), None],
        "loyal": [True, None],
        "since": [date(2020, 1, 1), None],
        "seen": [datetime(2020, 1, 1, tzinfo=UTC), None],
        "paid": [Decimal("1.5"), None],
        "sizes": [[1, 2], None],
        "nothing": [None, None],
    },
    statuses={
        name: ["PRESENT", "NOT_FOUND"]
        for name in ("orders", "share", "loyal", "since", "seen", "paid", "sizes", "nothing")
    },
    types={
        "customer": DataType.INT64,
        "orders": DataType.INT64,
        "share": DataType.FLOAT64,
        "loyal": DataType.BOOLEAN,
        "since": DataType.DATE,
        "seen": DataType.TIMESTAMP,
        "paid": DataType.DECIMAL,
        "sizes": DataType.LIST_INT64,
        "nothing": DataType.STRING,
    },
    views=(),
)


def test_integers_and_truth_values_stay_such_when_null() -> None:
    frame = RESPONSE.to_df()
    assert {name: str(frame[name].dtype) for name in ("customer", "orders", "loyal")} == {
        "customer": "Int64",
        "orders": "Int64",
        "loyal": "boolean",
    }
    assert frame["orders"].tolist() == [2, pd.NA]


def test_arrow_has_the_catalogues_types() -> None:
    table = RESPONSE.to_arrow()
    assert [field.type for field in table.schema] == [
        pa.int64(), pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.timestamp("us", tz="UTC"),
        pa.decimal128(38, 9), pa.list_(pa.int64()), pa.string(),
    ]  # fmt: skip


def test_a_nan_is_a_value_of_a_feature_and_a_missing_join_key() -> None:
    table = RESPONSE.to_arrow()
    assert table["share"].null_count == 1
    assert table["customer"].to_pylist() == [1, None]
