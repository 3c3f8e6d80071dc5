"""Generated rows of a source keep its schema and its times."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amora_fs_assets import Field, Interval, Source, SourceSchema, Timestamp
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.testing.strategies import source_rows
from amora_fs_assets_tests.small import at

DAY = Interval("2020-01-02", "2020-01-03")


class Orders(SourceSchema):
    customer: str = Field(isin=["ann", "bob"])
    paid_at: Timestamp
    loaded_at: Timestamp
    shipped_at: Timestamp = Field(nullable=True)
    amount: float = Field(ge=5, le=9)
    items: int = Field(gt=0)
    note: str = Field(nullable=True)


orders = Source("orders", Orders, timestamp_field="paid_at", available_at="loaded_at")
quick = settings(max_examples=50, deadline=None)


@quick
@given(source_rows(orders, DAY, timedelta(days=3)))
def test_values_keep_the_checks_and_times_the_interval(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert row["customer"] in ("ann", "bob")
        assert 5 <= row["amount"] <= 9
        assert row["items"] >= 1
        assert at(2) - timedelta(days=3) <= row["paid_at"] < at(3)
        assert timedelta(0) <= row["loaded_at"] - row["paid_at"] <= timedelta(days=2)
        assert row["shipped_at"] in (None, row["paid_at"])


@quick
@given(source_rows(orders, DAY, customer=st.just("eve"), shipped_at=st.just(at(9)), loaded_at=st.just(at(8))))
def test_columns_may_have_strategies_of_the_user(rows: list[dict[str, Any]]) -> None:
    assert {(row["customer"], row["shipped_at"], row["loaded_at"]) for row in rows} <= {("eve", at(9), at(8))}


def test_an_unknown_column_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"Source 'orders' has no column \['custmer'\]"):
        source_rows(orders, DAY, custmer=st.just("a"))
