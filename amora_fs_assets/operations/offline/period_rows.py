"""The number of rows in each period of a view after a computation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import pyarrow as pa

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.time import Interval, Period, utc
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.tables import unbound, within
from amora_fs_assets.operations.offline.compute import StagedRows


def rows_by_period(computed: StagedRows, store: OfflineStore) -> Mapping[datetime, int]:
    """The number of rows of each period of the interval once the staged rows are published, by the period's start.

    Empty for a view without partitions. Runs one aggregate query over the times if the interval has several periods,
    and one for each end of the interval that lies inside a period, for the rows of this period that stay.
    """
    period, interval = computed.view.partitions, computed.interval
    if period is None or interval is None:
        return {}
    found = {period.floor(part.start): 0 for part in period.parts(interval)}
    kept = _kept(computed.view, period, interval, store)
    if len(found) == 1:
        return {begin: computed.checked.rows + kept.get(begin, 0) for begin in found}
    staged = unbound(computed.view.row_columns, computed.staged)
    # Engines begin weeks on different days, so days are counted and added up here.
    unit = staged[EVENT_TIMESTAMP].truncate("h" if period is Period.HOUR else "D")
    inside = staged.filter(within(staged[EVENT_TIMESTAMP], interval))
    with store.read(inside.group_by(begin=unit).aggregate(rows=inside.count())) as batches:
        counted: pa.Table = batches.read_all()
    for begin, rows in zip(counted["begin"].to_pylist(), counted["rows"].to_pylist(), strict=True):
        found[period.floor(utc(begin, "begin"))] += rows
    return {begin: rows + kept.get(begin, 0) for begin, rows in found.items()}


def _kept(view: FeatureView, period: Period, interval: Interval, store: OfflineStore) -> Mapping[datetime, int]:
    """The number of rows in the view's table before and after the interval, by the period that contains them."""
    first, last = period.floor(interval.start), period.floor(interval.end - timedelta.resolution)
    around = {Interval(first, interval.start): first, Interval(interval.end, period.next(last)): last}
    table, kept = table_name(view, store.dataset), dict.fromkeys(around.values(), 0)
    if all(each.empty for each in around) or EVENT_TIMESTAMP not in (store.columns(table) or ()):
        return kept
    rows = unbound([Column(EVENT_TIMESTAMP, DataType.TIMESTAMP)], table)
    for each, begin in around.items():
        if not each.empty:
            inside = rows.filter(within(rows[EVENT_TIMESTAMP], each))
            # Named, since BigQuery does not accept the column name `CountStar()`.
            with store.read(inside.aggregate(rows=inside.count())) as batches:
                kept[begin] += batches.read_all()["rows"][0].as_py()
    return kept
