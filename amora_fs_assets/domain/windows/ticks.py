"""The ticks at which a call has rows."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.operations import Alias, Unnest
from ibis.expr.types import IntegerValue, Table

from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.windows.call import Call
from amora_fs_assets.domain.windows.durations import Window


def ticks_of(call: Call, hops: Table) -> Table:
    """The ticks of the interval at which a window changes: keys, `_enter` (the tick's number), event_timestamp."""
    ticks = changes_of(call, hops, call.changing)
    return ticks.mutate(**{EVENT_TIMESTAMP: call.scale.instant(ticks["_enter"])})


def changes_of(call: Call, hops: Table, windows: Sequence[Window], *, at_hops: bool = False) -> Table:
    """The ticks of the interval at which one of the windows changes: keys, `_enter` (the tick's number).

    With `at_hops`: without those at which a hop enters a window, and perhaps several times.
    """
    if call.windows.at.at_events:
        happened = hops["_enter"] - int(call.windows.closed == "left")
        number = happened if call.on_time else ibis.greatest(happened, hops["_known"])
    else:
        changes = [tick for window in windows for tick in _changes(call, hops, window, at_hops=at_hops)]
        number = Unnest(ibis.array(changes or [ibis.null(dt.int64)])).to_expr()
    # The name is new: in BigQuery, an unnested column shares the scope of the columns of `hops`. Ibis' own `unnest()`
    # and `name()` first find the name that a deep expression has by default, which takes seconds for a zone.
    ticks = hops.select(*call.keys, Alias(number, "_number").to_expr()).rename(_enter="_number")
    ticks = ticks.filter(*call.inside(ticks["_enter"]))
    return ticks if at_hops else ticks.distinct()


def _changes(call: Call, hops: Table, window: Window, *, at_hops: bool) -> list[IntegerValue]:
    unit, enter = call.scale.unit, hops["_enter"] + window.ending * call.scale.unit
    left = None if window.length is None else call.scale.tick_of_hop(enter + window.length * unit)
    if call.on_time:
        entered = [] if at_hops else [call.scale.tick_of_hop(enter)]
        return [*entered, *([] if left is None else [left])]
    entered_at = ibis.greatest(call.scale.tick_of_hop(enter), hops["_known"])
    if left is None:
        return [entered_at]
    never = ibis.null(dt.int64)
    return [(entered_at < left).ifelse(each, never) for each in (entered_at, left)]
