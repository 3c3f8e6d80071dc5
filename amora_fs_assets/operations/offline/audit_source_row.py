"""Finds the source row that a finding's example depends on, by computing the example from fewer source rows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import ibis
from ibis.expr.types import Table

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.known import known_instant, times_of
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.time import MICROSECOND, Interval, after, before, utc
from amora_fs_assets.operations.expressions.tables import all_rows, within
from amora_fs_assets.operations.offline.audit_differences import Pair, differing
from amora_fs_assets.operations.offline.audit_finding import Finding
from amora_fs_assets.operations.offline.lateness import overdue_of
from amora_fs_assets.operations.offline.transform import query_of

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Computed:
    """A computation of an interval of a view."""

    view: FeatureView
    interval: Interval
    store: OfflineStore

    @property
    def begin(self) -> datetime:
        """The instant from which source rows are read."""
        return before(self.interval.start, self.view.lookback)

    def rows(self, *, since: datetime | None = None, until: datetime | None = None) -> Table:
        """The rows that the computation publishes, from the source rows that became known in [since, until)."""
        overdue = {each.source: each.since for each in overdue_of(self.view, self.interval, self.store)}
        seen = Interval(since or self.begin, until or self.interval.end)
        query = query_of(self.view, self.interval, self.store.dataset, overdue, seen=seen)
        return query.filter(within(query[EVENT_TIMESTAMP], self.interval))


def with_source_row(finding: Finding, computed: Computed, whole: Table) -> Finding:
    """The finding with the source row that makes its example differ, if one is found.

    For a row that looks ahead, the first row after the instant without which the example differs; for a row that
    differs in parts, the last such row before those that the computation of the part reads.
    """
    if finding.at is None:
        return finding
    example = _Example(finding, computed, whole)
    if isinstance(finding.at, datetime):
        known = example.first(Interval(after(finding.at, MICROSECOND), computed.interval.end))
    else:
        unread = Interval(computed.begin, replace(computed, interval=finding.at).begin)
        known = example.last(unread) or example.first(Interval(finding.at.end, computed.interval.end))
    found = None if known is None else example.source_row(known)
    return finding if found is None else replace(finding, source=found[0], source_row=found[1])


@dataclass(frozen=True)
class _Example:
    """The example row of a finding."""

    finding: Finding
    computed: Computed
    whole: Table

    def same(self, *, since: datetime | None = None, until: datetime | None = None) -> bool:
        """Whether the row is as in the whole, if it is computed from the source rows known in [since, until)."""
        row, other = (self._only(rows) for rows in (self.whole, self.computed.rows(since=since, until=until)))
        found = differing(self.computed.view, [Pair(row, other)], self.computed.store)
        with self.computed.store.read(found.limit(1)) as batches:
            return bool(batches.read_all().num_rows == 0)

    def _only(self, rows: Table) -> Table:
        keys = [name for name in self.computed.view.row_key if self.finding.row[name] is not None]
        return rows.filter(*(rows[name] == ibis.literal(self.finding.row[name]) for name in keys))

    def first(self, unknown: Interval) -> datetime | None:
        """The first instant of the interval whose source rows, with all earlier ones, make the row as in the whole."""
        if unknown.empty or self.same(until=unknown.start):
            return None
        hour = _first(self._known(unknown, "h"), lambda at: self.same(until=min(at + _HOUR, unknown.end)))
        if hour is None:
            return None
        within_hour = Interval(max(hour, unknown.start), min(hour + _HOUR, unknown.end))
        return _first(self._known(within_hour, "us"), lambda at: self.same(until=after(at, MICROSECOND)))

    def last(self, unread: Interval) -> datetime | None:
        """The last instant of the interval whose source rows, with all later ones, make the row as in the whole."""
        if unread.empty or self.same(since=unread.end):
            return None
        hour = _first(self._known(unread, "h")[::-1], lambda at: self.same(since=max(at, unread.start)))
        if hour is None:
            return None
        within_hour = Interval(max(hour, unread.start), min(hour + _HOUR, unread.end))
        return _first(self._known(within_hour, "us")[::-1], lambda at: self.same(since=at))

    def _known(self, interval: Interval, unit: Literal["h", "us"]) -> list[datetime]:
        """The instants of an interval at which source rows became known, truncated to the unit, in order."""
        found: set[datetime] = set()
        for source in self.computed.view.sources:
            rows = _with_known(source, self.computed.store)
            if rows is not None:
                inside = rows.filter(within(rows["known_"], interval))
                with self.computed.store.read(inside.select(at=inside["known_"].truncate(unit)).distinct()) as batches:
                    found |= {utc(row["at"]) for row in batches.read_all().to_pylist()}
        return sorted(found)

    def source_row(self, known: datetime) -> tuple[str, Mapping[str, Any]] | None:
        """The name of a source and its row that became known at the instant: of the example's keys, if there is one."""
        for source in self.computed.view.sources:
            rows = _with_known(source, self.computed.store)
            if rows is None:
                continue
            there = rows.filter(rows["known_"] == ibis.literal(known)).drop("known_")
            keys = [key for key in self.computed.view.join_keys if key in there.columns]
            mine = there.filter(*(there[key] == ibis.literal(self.finding.row[key]) for key in keys))
            for candidates in (mine, there) if keys else (there,):
                with self.computed.store.read(candidates.limit(1)) as batches:
                    if found := batches.read_all().to_pylist():
                        return source.name, found[0]
        return None


def _with_known(source: Source | FeatureView, store: OfflineStore) -> Table | None:
    """The source's rows with the instant at which they became known, as `known_`; None for a source without times."""
    times = times_of(source)
    if times is None:
        return None
    rows = all_rows(source, store.dataset)
    available = None if times.available is None else rows[times.available]
    return rows.mutate(known_=known_instant(rows[times.happened], available))


def _first(instants: Sequence[datetime], holds: Callable[[datetime], bool]) -> datetime | None:
    """The first of the instants for which `holds`, which stays true for all later ones; None if there is none."""
    place = bisect_left(instants, True, key=holds)
    return instants[place] if place < len(instants) else None
