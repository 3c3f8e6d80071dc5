"""What a test leaves out: values of columns, and an interval of a view."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.time import Interval, Period
from amora_fs_assets.domain.types import DataType

LONGEST = timedelta(days=40)  # of a longer lookback only this part counts for intervals and generated rows
_VALUES: dict[DataType, Any] = {
    DataType.INT64: 0,
    DataType.FLOAT64: 0.0,
    DataType.STRING: "",
    DataType.BOOLEAN: False,
    DataType.BYTES: b"",
    DataType.TIMESTAMP: datetime(1970, 1, 1, tzinfo=UTC),
    DataType.DATE: datetime(1970, 1, 1, tzinfo=UTC).date(),
}


def interval_of(view: FeatureView) -> Interval:
    """Two periods of the view, after its start and lookback."""
    period = view.partitions or Period.DAY
    assert view.start is not None, "every computed view has a start"
    begin = period.floor(view.start + min(view.lookback, LONGEST) + 2 * period.shortest)
    return Interval(begin, period.next(period.next(begin)))


def default_of(column: Column) -> Any:
    """The value of a column that a row lacks: null if the schema allows it; else the simplest value that it allows."""
    if column.nullable:
        return None
    if column.type.is_list:
        return []
    if (values := allowed(column)) is not None:
        return values[0]
    value: Any = _VALUES.get(column.type)
    if column.type in (DataType.INT64, DataType.FLOAT64):
        low, high = bounds(column)
        least = value if low is None else max(low, value)
        return type(value)(least if high is None else min(high, least))
    return value


def allowed(column: Column) -> Sequence[Any] | None:
    """The values of the schema's `isin`; None if all values are allowed."""
    return next((list(rule.arguments["allowed_values"]) for rule in column.rules if rule.name == "isin"), None)


def bounds(column: Column) -> tuple[float | None, float | None]:
    """The least and the greatest number that the schema allows; a number beside a bound that is excluded."""
    low: float | None = None
    high: float | None = None
    for rule in column.rules:
        given = rule.arguments
        if rule.name in {"greater_than_or_equal_to", "greater_than", "in_range"} and "min_value" in given:
            low = given["min_value"] + (rule.name == "greater_than")
        if rule.name in {"less_than_or_equal_to", "less_than", "in_range"} and "max_value" in given:
            high = given["max_value"] - (rule.name == "less_than")
    return low, high
