"""The ticks of an interval as a table, for transforms that are written by hand."""

from __future__ import annotations

from datetime import timedelta

import ibis
from ibis.expr.types import Table

from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.windows.durations import Windows, every, local_days
from amora_fs_assets.domain.windows.scale import scale_of


def ticks(interval: Interval, length: str | timedelta, *, tz: str | None = None) -> Table:
    """The ticks in an interval: a table with the column `event_timestamp` (UTC), one row per tick.

    `ticks(interval, "1h")` are the multiples of an hour since 1970-01-01, UTC. `ticks(interval, "1d",
    tz="Europe/Berlin")` are the first instants of local days, 23 to 25 hours apart. Join a source to the ticks with
    `known_at(source)` at or before `event_timestamp`, so that no row counts before it is known. Raises DefinitionError.
    """
    at = every(length, tz=tz)
    scale = scale_of(Windows(length if tz is None else local_days(1), at=at), interval)
    step = at.seconds if tz is None else 1
    start, end = ibis.literal(interval.start), ibis.literal(interval.end)
    bounds = (
        ibis.literal(0).name("_").as_table().select(first=scale.floor(start) // step, last=scale.floor(end) // step)
    )
    numbers = bounds.select(_number=ibis.range(bounds["first"], bounds["last"] + 1)).unnest("_number")
    instants = numbers.select(**{EVENT_TIMESTAMP: scale.instant(numbers["_number"] * step)})
    return instants.filter(instants[EVENT_TIMESTAMP] >= start, instants[EVENT_TIMESTAMP] < end)
