"""Rows for a view of an external table, with the names of the table's columns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from amora_fs_assets import Entity, FeatureSchema, FeatureView
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.operations.online.pushed_rows import table_of

AT = datetime(2026, 1, 2, tzinfo=UTC)
OWN = {"driver_id": [1], "event_timestamp": [AT], "created_timestamp": [AT], "trips": [3]}


class Stats(FeatureSchema):
    driver_id: int
    trips: int


VIEW = FeatureView(
    "stats", Stats, [Entity("driver", "driver_id")], table="shop.stats", timestamp_field="happened_at",
    created_timestamp_column="created", field_mapping={"driver": "driver_id", "Trip-Count": "trips"},
)  # fmt: skip


@pytest.mark.parametrize(
    "rows",
    [
        OWN,
        {"driver": [1], "happened_at": [AT], "created": [AT], "Trip-Count": [3]},
        {"driver_id": [1], "event_timestamp": [AT], "created": [AT], "trips": [3]},
    ],
)
def test_a_name_of_the_table_stands_for_the_schemas(rows: dict[str, list[Any]]) -> None:
    assert table_of(VIEW, rows).to_pydict() == OWN


def test_a_column_under_both_names_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="has no column 'created'"):
        table_of(VIEW, {**OWN, "created": [AT]})
