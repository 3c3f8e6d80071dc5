"""Finds rows that became known later than their source's `max_lateness`, so that computations do not lose them.

`max_lateness` bounds the scan of a computation; it must not change the result. Before the scan, the store tells which
partitions of the source changed later than max_lateness after their end (BigQuery knows this from metadata). If rows of
these partitions became known in the interval, the scan reaches back to the first of these rows.
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

_MOST_BOUNDS = 50  # the maximal number of intervals in one query; more are replaced by one interval over all of them


@dataclass(frozen=True)
class Overdue:
    """Rows of a source that became known later than its max_lateness."""

    source: str
    known: Interval  # contains all instants at which the rows became known
    rows: int
    since: datetime  # the earliest event time of the rows
    lateness: timedelta  # the greatest lateness of the rows

    def __str__(self) -> str:
        """The rows in one sentence, with the fix."""
        return (
            f"source '{self.source}': {self.rows:,} row{'s' * (self.rows != 1)} became known later than max_lateness "
            f"allows, up to {self.lateness} after they happened. Set max_lateness to at least {self.lateness}"
        )


def overdue(source: Source | FeatureView, known: Interval, store: OfflineStore) -> Overdue | None:
    """The source's rows that became known in an interval, later than max_lateness allows; None without such rows.

    Scans the two time columns of the partitions that changed later than max_lateness after their end; of all partitions
    if the store does not know. A source without max_lateness has no such rows.
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
    """The number of overdue rows by the instant at which they became known, in order. Scans as `overdue` does."""
    found = _rows(source, known, store)
    if found is None:
        return {}
    query = found.group_by("available").aggregate(rows=found.count()).order_by("available")
    with store.read(query) as batches:
        return {row["available"]: row["rows"] for row in batches.read_all().to_pylist()}


def _rows(source: Source | FeatureView, known: Interval, store: OfflineStore) -> Table | None:
    """The timestamps `happened` and `available` of overdue rows; None for a source that cannot have such rows."""
    times = times_of(source)
    if not isinstance(source, Source) or source.max_lateness is None or times is None or times.available is None:
        return None
    table, happened_in = source.place.table, source.place.stored_name(times.happened)
    changed = store.changed_late(table, happened_in, source.max_lateness) if table else None
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
    """The overdue rows of all sources of the view, which a computation of the interval must reach back for."""
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
