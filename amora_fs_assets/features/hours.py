"""Hours as whole numbers, by which trailing windows are ordered in every engine."""

import ibis
from ibis.expr.types import IntegerColumn, Table, TimestampColumn, Value


def hour_end(instant: TimestampColumn) -> TimestampColumn:
    """The end of the hour that contains an instant, when a count of the hour is complete."""
    return instant.truncate("h") + ibis.interval(hours=1)


def hour_number(instant: TimestampColumn) -> IntegerColumn:
    """Hours since 1970."""
    return instant.epoch_seconds() // 3600


def trailing(rows: Table, value: Value, *, hours: int, keys: list[str]) -> Value:
    """The sum of `value` over the row's hour and the hours before it. `event_timestamp` of `rows` is an hour's end."""
    window = ibis.range_window(
        preceding=hours - 1, following=0, group_by=keys or None, order_by=hour_number(rows.event_timestamp)
    )
    return value.sum().over(window)
