"""Hypothesis strategies: rows of sources, generated from the sources' schemas."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.known import times_of
from amora_fs_assets.domain.names import VALID_TO
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.time import Interval, before
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.testing.defaults import LONGEST, allowed, bounds

_WORDS = st.sampled_from(["a", "b", "c", "d"])
_SIMPLE: dict[DataType, st.SearchStrategy[Any]] = {
    DataType.BOOLEAN: st.booleans(),
    DataType.BYTES: st.binary(max_size=4),
    DataType.DATE: st.dates(date(2020, 1, 1), date(2030, 1, 1)),
}


def source_rows(
    source: Source | FeatureView,
    interval: Interval,
    lookback: timedelta = timedelta(0),
    **values: st.SearchStrategy[Any],
) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Up to 30 rows that a computation of the interval may read: few keys, times up to the interval's end.

    Values keep the checks `ge`, `gt`, `le`, `lt`, `in_range` and `isin` of the schema; a third of the times lie on full
    hours. `available_at` is up to two days after the row's time; other timestamps are the row's time. `values` are
    strategies of your own by column. Raises InvalidRequest for an unknown column.
    """
    start = before(interval.start, min(lookback, LONGEST))
    columns = source.columns if isinstance(source, Source) else source.row_columns
    times = times_of(source)
    happened = None if times is None else times.happened
    available = None if times is None else times.available
    ends = VALID_TO if isinstance(source, FeatureView) and source.has_valid_to else None
    if unknown := sorted(set(values) - {column.name for column in columns}):
        raise InvalidRequest(f"Source '{source.name}' has no column {unknown}.")
    drawn = {
        column.name: _times(start, interval.end) if column.name == happened else _values(column, start, interval.end)
        for column in columns
        if column.name != available
    } | values

    kept = {happened, available, ends, *values}
    others = [column for column in columns if column.type is DataType.TIMESTAMP and column.name not in kept]

    def known(row: dict[str, Any], delay: timedelta | None) -> dict[str, Any]:
        if happened is None:
            return row
        row = row | {column.name: row[happened] for column in others if row[column.name] is not None}
        return (
            row
            if available is None or available in values
            else row | {available: row[happened] + (delay or timedelta(0))}
        )

    delays = st.one_of(st.none(), st.timedeltas(timedelta(0), timedelta(days=2)))
    rows = st.lists(st.builds(known, st.fixed_dictionaries(drawn), delays), max_size=30)
    if isinstance(source, Source):
        return rows
    return rows.map(lambda found: list({tuple(row[name] for name in source.row_key): row for row in found}.values()))


def _times(start: datetime, end: datetime) -> st.SearchStrategy[datetime]:
    hours = int((end - start).total_seconds()) // 3_600
    full = st.integers(0, max(hours - 1, 0)).map(lambda hour: start + timedelta(hours=hour))
    last = end - timedelta(microseconds=1)
    any_time = st.datetimes(start.replace(tzinfo=None), last.replace(tzinfo=None), timezones=st.just(UTC))
    return st.one_of(full, any_time, any_time)


def _values(column: Column, start: datetime, end: datetime) -> st.SearchStrategy[Any]:
    item = _items(column, start, end)
    found = st.lists(item, max_size=3) if column.type.is_list else item
    return st.one_of(found, found, st.none()) if column.nullable else found


def _items(column: Column, start: datetime, end: datetime) -> st.SearchStrategy[Any]:
    type_ = DataType(column.type.item) if column.type.is_list else column.type
    if (values := allowed(column)) is not None:
        return st.sampled_from(values)
    if type_ is DataType.TIMESTAMP:
        return _times(start, end)
    low, high = bounds(column)
    if type_ is DataType.INT64:
        return st.integers(int(low) if low is not None else 0, int(high) if high is not None else 9)
    if type_ is DataType.FLOAT64:
        first = float(low) if low is not None else 0.0
        return st.floats(first, max(float(high) if high is not None else 100.0, first), allow_nan=False, width=32)
    return _SIMPLE.get(type_, _WORDS)
