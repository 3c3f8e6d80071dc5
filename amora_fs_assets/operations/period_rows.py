"""How many rows of a computation lie in each period of its view."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa

from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports import OfflineStore
from amora_fs_assets.domain.time import Period, utc
from amora_fs_assets.operations.compute import Computed
from amora_fs_assets.operations.tables import unbound, within


def rows_by_period(computed: Computed, store: OfflineStore) -> Mapping[datetime, int]:
    """By the start of each period that the interval lies in: the rows that were staged for it, 0 where there are none.

    Empty for a view without partitions. One aggregate query over the times, where the interval has several periods.
    """
    period, interval = computed.view.partitions, computed.interval
    if period is None or interval is None:
        return {}
    found = {period.floor(part.start): 0 for part in period.parts(interval)}
    if len(found) == 1:
        return dict.fromkeys(found, computed.checked.rows)
    staged = unbound(computed.view.row_columns, computed.staged)
    # Weeks begin on other days in other engines: days are counted, and added up here.
    unit = staged[EVENT_TIMESTAMP].truncate("h" if period is Period.HOUR else "D")
    inside = staged.filter(within(staged[EVENT_TIMESTAMP], interval))
    with computed.meter, store.read(inside.group_by(begin=unit).aggregate(rows=inside.count())) as batches:
        counted: pa.Table = batches.read_all()
    for begin, rows in zip(counted["begin"].to_pylist(), counted["rows"].to_pylist(), strict=True):
        found[period.floor(utc(begin, "begin"))] += rows
    return found
