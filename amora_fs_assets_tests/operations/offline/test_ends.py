"""Transforms over rows that end: the end is not known before it comes."""

from __future__ import annotations

from typing import Any

import pytest
from ibis.expr.types import Table

from amora_fs_assets import Entity, FeatureSchema, FeatureView, Field, Interval
from amora_fs_assets.testing import assert_causal, assert_splits, compute
from amora_fs_assets_tests.small import at

DAYS = Interval(at(5), at(8))


class Tariff(FeatureSchema):
    driver: int
    price: float = Field(nullable=True)


class Days(FeatureSchema):
    driver: int
    days: int = Field(nullable=True)


driver = Entity("driver")
tariffs = FeatureView("tariffs", Tariff, [driver], table="dim.tariffs", timestamp_field="begin", valid_to_field="end")


def _until_the_end(tariffs: Table) -> Table:
    return tariffs.select(
        "driver", "event_timestamp", days=tariffs["valid_to"].delta(tariffs["event_timestamp"], unit="day")
    )


VIEW = FeatureView("days", Days, [driver], [tariffs], transform=_until_the_end, start="2020-01-01")


def row(begin: Any, end: Any) -> dict[str, Any]:
    return {"driver": 1, "event_timestamp": begin, "valid_to": end, "price": 1.0}


def days(interval: Interval, *rows: dict[str, Any]) -> list[Any]:
    return [each["days"] for each in compute(VIEW, interval, tariffs=list(rows)).to_pylist()]


def test_a_later_computation_gives_the_rows_of_one_on_time() -> None:
    day = Interval(at(5), at(6))
    on_time, later = [row(at(5), at(5, 9)), row(at(5, 9), None)], [row(at(5), at(5, 9)), row(at(5, 9), at(6))]
    assert days(day, *on_time) == days(day, *later) == [0, None]


def test_the_audit_finds_a_value_that_knows_when_a_row_will_end() -> None:
    rows = [row(at(5), at(6)), row(at(6), at(7)), row(at(7), None)]
    with pytest.raises(AssertionError, match="looks ahead"):
        assert_causal(VIEW, DAYS, tariffs=rows)
    with pytest.raises(AssertionError, match="differs in parts"):
        assert_splits(VIEW, DAYS, tariffs=rows)
