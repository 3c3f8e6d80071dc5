"""Rows that became known later than their source's `max_lateness` says: found, so that no computation loses them.

The bound decides what a computation scans, not what is right. Before a computation scans, the store is asked which
partitions of the source were changed later than the bound allows; BigQuery knows that from metadata. Rows of these
partitions that became known in the interval make its scan reach back to the first of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import ibis
from ibis.expr.types import BooleanValue, Table, TimestampValue

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.known import times_of
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.time import MICROSECOND, Interval, before
from amora_fs_assets.operations.expressions.tables import all_rows

_MOST_BOUNDS = 50  # of stretches of time in one query; more of them are looked at from the first to the last


@dataclass(frozen=True)
class Overdue:
    """Rows of a source that became known later than its max_lateness says."""

    source: str
    known: Interval  # from the first instant at which one of them became known to just after the last
    rows: int
    since: datetime  # when the first of them happened
    lateness: timedelta  # of the latest of them

    def __str__(self) -> str:
        """As messages name them."""
        return (
            f"source '{self.source}': {self.rows:,} row{'s' * (self.rows != 1)} became known later than max_lateness "
            f"says, up to {self.lateness} after they happened. Set max_lateness to at least that"
        )


def overdue(source: Source | FeatureView, known: Interval, store: OfflineStore) -> Overdue | None:
    """The source's rows that became known in an interval, later than its max_lateness says; None where there are none.

    Scans the two time columns of the partitions that were changed later than max_lateness after their end, of all where
    the store does not know. A source without max_lateness has no such rows.
    """
    found = _rows(source, known, store)
    if found is None:
        return None
    query = found.aggregate(
        rows=found.count(),
        first=found.available.min(),
        last=found.available.max(),
        since=found.happened.min(),
        late=found.available.delta(found.happened, unit="microsecond").max(),
    )
    with store.read(query) as batches:
        (row,) = batches.read_all().to_pylist()
    if not row["rows"]:
        return None
    interval = Interval(row["first"], row["last"] + MICROSECOND)
    return Overdue(source.name, interval, row["rows"], row["since"], row["late"] * MICROSECOND)


def overdue_instants(source: Source | FeatureView, known: Interval, store: OfflineStore) -> dict[datetime, int]:
    """The number of such rows by the instant at which they became known, in order of time. Scans as `overdue` does."""
    found = _rows(source, known, store)
    if found is None:
        return {}
    query = found.group_by("available").aggregate(rows=found.count()).order_by("available")
    with store.read(query) as batches:
        return {row["available"]: row["rows"] for row in batches.read_all().to_pylist()}


def _rows(source: Source | FeatureView, known: Interval, store: OfflineStore) -> Table | None:
    """The timestamps `happened` and `available` of such rows; None for a source that cannot have such rows."""
    times = times_of(source)
    if not isinstance(source, Source) or source.max_lateness is None or times is None or times.available is None:
        return None
    changed = store.changed_late(source.table, times.happened, source.max_lateness)
    if changed is not None and not changed:
        return None
    rows = all_rows(source, store.dataset)
    happened, available = rows[times.happened], rows[times.available]
    late = available.delta(happened, unit="microsecond")
    kept = [
        happened < ibis.literal(before(known.end, source.max_lateness)),
        available >= ibis.literal(known.start),
        available < ibis.literal(known.end),
        late > ibis.literal(source.max_lateness // MICROSECOND),
    ]
    if changed is not None:
        kept.append(_within_any(happened, changed))
    return rows.filter(*kept).select(happened=happened, available=available)


def overdue_of(view: FeatureView, interval: Interval, store: OfflineStore) -> tuple[Overdue, ...]:
    """What a computation of the interval has to reach back for, of all sources of the view."""
    known = Interval(before(interval.start, view.lookback), interval.end)
    found = (overdue(source, known, store) for source in view.sources)
    return tuple(each for each in found if each is not None)


def _within_any(happened: TimestampValue, intervals: Sequence[Interval]) -> BooleanValue:
    joined: list[Interval] = []
    for each in sorted(intervals, key=lambda each: each.start):
        if joined and each.start <= joined[-1].end:
            joined[-1] = Interval(joined[-1].start, max(each.end, joined[-1].end))
        else:
            joined.append(each)
    if len(joined) > _MOST_BOUNDS:
        joined = [Interval(joined[0].start, joined[-1].end)]
    within = ((happened >= ibis.literal(each.start)) & (happened < ibis.literal(each.end)) for each in joined)
    return ibis.or_(*within)
