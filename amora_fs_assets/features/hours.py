"""Hours as whole numbers: what trailing windows are ordered by, in every engine."""

import ibis
from ibis.expr.types import IntegerColumn, Table, TimestampColumn, Value


def hour_end(instant: TimestampColumn) -> TimestampColumn:
    """The end of the hour that an instant lies in: when a count of that hour is complete."""
    return instant.truncate("h") + ibis.interval(hours=1)


def hour_number(instant: TimestampColumn) -> IntegerColumn:
    """Hours since 1970."""
    return instant.epoch_seconds() // 3600


def trailing(rows: Table, value: Value, *, hours: int, keys: list[str]) -> Value:
    """The sum of `value` over the row's hour and the hours before it; `rows` has `event_timestamp` at hours' ends."""
    window = ibis.range_window(
        preceding=hours - 1, following=0, group_by=keys or None, order_by=hour_number(rows.event_timestamp)
    )
    return value.sum().over(window)
