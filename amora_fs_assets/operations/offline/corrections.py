"""Corrections: rows of sources that changed after a computation read them, were deleted, or came too late."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

import ibis
import pyarrow as pa

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.time import Interval, Period, after, before
from amora_fs_assets.operations.offline import inputs
from amora_fs_assets.operations.offline.coverage import held, merged
from amora_fs_assets.operations.offline.inputs import Count, Fingerprint
from amora_fs_assets.operations.offline.lateness import overdue_instants


@dataclass(frozen=True)
class Correction:
    """An interval of a view that was computed from rows of a source that have changed since."""

    view: str
    interval: Interval  # the interval of the view to compute again
    source: str
    then: int  # the number of rows that were read in the changed periods of the source
    now: int  # the number of rows in these periods now

    @property
    def what(self) -> str:
        """The change in words."""
        if self.then == self.now:
            return f"has other values now, in periods with {self.now:,} rows"
        return f"had {self.then:,} rows when it was read, and has {self.now:,} now"

    def __str__(self) -> str:
        """The correction in one line."""
        return f"feature view '{self.view}' {self.interval}: source '{self.source}' {self.what}"


@dataclass(frozen=True)
class _Read:
    """The rows of a source that became known in a period, counted as a publication read them."""

    stretch: Interval | None  # the period; None: all rows of a source without times
    count: Count
    hashing: str
    affected: Interval  # of the view

    def changed(self, now: Count, hashing: str) -> bool:
        return not self.count.equals(now if self.hashing == hashing else Count(now.rows))


@dataclass(frozen=True)
class _Change:
    """Rows of a source that differ from the rows that a computation read."""

    of: object  # identifies the rows, so that rows which two intervals read count once
    affected: Interval  # of the view
    then: int
    now: int


def corrections(
    views: Iterable[FeatureView], publications: Iterable[Publication], *, store: OfflineStore, clock: datetime
) -> tuple[Correction, ...]:
    """Changes of the views' sources since they were read, in order of views, sources and time.

    Runs one aggregate query per source and view over the times that were read, and a second one for a source with
    max_lateness, for rows that became known later than it allows. Skips tables whose time of modification, if the
    engine has one, is unchanged. Publications of earlier releases have no fingerprints, so their changes are not found.
    """
    published = list(publications)
    found: list[Correction] = []
    for view in views:
        table = table_name(view, store.dataset)
        own_publications = list(held(view, (each for each in published if each.table == table), clock))
        for source in view.sources:
            if inputs.is_fingerprinted(source):
                found += _of_source(view, source, own_publications, store)
    return tuple(found)


def _of_source(
    view: FeatureView,
    source: Source | FeatureView,
    own_publications: list[tuple[Interval, Publication]],
    store: OfflineStore,
) -> Iterator[Correction]:
    modified = inputs.modified_of(source, store)
    prints = [(held, publication, inputs.fingerprints_of(publication.inputs).get(source.name))
              for held, publication in own_publications]  # fmt: skip
    checked = [
        (interval, publication, print_) for interval, publication, print_ in prints
        if print_ is not None and not (modified and print_.modified == modified)
    ]  # fmt: skip
    reads = [read for interval, publication, print_ in checked for read in _reads(view, interval, publication, print_)]
    if not reads:
        return
    now = _counts_now(source, {each.stretch for each in reads}, store)
    changed = [
        _Change(each.stretch, each.affected, each.count.rows, now.get(each.stretch, Count(0)).rows)
        for each in reads if each.changed(now.get(each.stretch, Count(0)), store.hashing)
    ] + _overdue(view, source, checked, store)  # fmt: skip
    intervals = merged(each.affected for each in changed)
    if changed and view.partitions is None:
        intervals = (Interval(own_publications[0][0].start, own_publications[-1][0].end),)
    for interval in intervals:
        inside = {each.of: each for each in changed if interval.contains(each.affected.start)}
        yield Correction(
            view=view.name,
            interval=interval,
            source=source.name,
            then=sum(each.then for each in inside.values()),
            now=sum(each.now for each in inside.values()),
        )


def _overdue(
    view: FeatureView,
    source: Source | FeatureView,
    checked: Iterable[tuple[Interval, Publication, Fingerprint]],
    store: OfflineStore,
) -> list[_Change]:
    """Changes of rows that became known later than max_lateness allows."""
    reads = {
        publication.sequence: Interval(before(publication.computed.start, view.lookback), publication.computed.end)
        for _, publication, _ in checked if publication.computed is not None
    }  # fmt: skip
    if not reads:
        return []
    span = Interval(min(each.start for each in reads.values()), max(each.end for each in reads.values()))
    instants = overdue_instants(source, span, store)
    changes = []
    for interval, publication, print_ in checked:
        known = [each for each in instants if reads[publication.sequence].contains(each)]
        now = sum(instants[each] for each in known)
        if now == print_.overdue:
            continue
        affected = interval
        if now > print_.overdue:  # so `known` is not empty
            end = min(interval.end, after(known[-1], view.lookback) + timedelta(microseconds=1))
            affected = Interval(min(max(interval.start, known[0]), end), end)
        if not affected.empty:
            changes.append(_Change(publication.sequence, affected, print_.overdue, now))
    return changes


def _reads(view: FeatureView, interval: Interval, publication: Publication, print_: Fingerprint) -> Iterator[_Read]:
    """The reads of the publication for the interval that it still holds, including periods without rows."""
    if print_.unit is None:
        yield _Read(None, print_.periods.get(None, Count(0, 0)), print_.hashing, interval)
        return
    computed = publication.computed
    assert computed is not None, "a publication with fingerprints says what was computed"
    read = Interval(print_.unit.floor(before(computed.start, view.lookback)), computed.end)
    for stretch in print_.unit.parts(read):
        end = min(interval.end, after(stretch.end, view.lookback))
        start = min(max(interval.start, stretch.start), end)
        if start < end:
            count = print_.periods.get(stretch.start, Count(0, 0))
            yield _Read(stretch, count, print_.hashing, Interval(start, end))


def _counts_now(
    source: Source | FeatureView, stretches: AbstractSet[Interval | None], store: OfflineStore
) -> dict[Interval | None, Count]:
    """The present rows of the source by the stretch in which they became known; stretches without rows are absent."""
    known = [each for each in stretches if each is not None]
    if not known:
        rows = inputs.rows_read(source, None, store)
        with store.read(inputs.counted(rows, known=rows.known)) as batches:
            return {row["known"]: Count(row["rows"], row["content"]) for row in batches.read_all().to_pylist()}
    daily = all(Period.DAY.floor(each.start) == each.start for each in known)
    unit = Period.DAY if daily else Period.HOUR
    parts = [(inputs.number(part.start, unit), each.start, each.end) for each in known for part in unit.parts(each)]
    times = pa.timestamp("us", "UTC")
    types = (("number", pa.int64()), ("since", times), ("until", times))
    columns = [pa.array(values, type_) for values, (_, type_) in zip(zip(*parts, strict=True), types, strict=True)]
    frame = pa.table(columns, names=[name for name, _ in types])
    checked = ibis.table(ibis.Schema.from_pyarrow(frame.schema), name="_amora_fs_stretches")
    span = Interval(min(each.start for each in known), max(each.end for each in known))
    rows = inputs.rows_read(source, span, store)
    rows = rows.mutate(number=inputs.number_of(rows.known, unit, store))
    joined = rows.inner_join(checked, "number").filter(lambda t: t.known < t.until)
    found = inputs.counted(joined, since=joined.since, until=joined.until)
    with store.read(found, {"_amora_fs_stretches": frame}) as batches:
        return {
            Interval(row["since"], row["until"]): Count(row["rows"], row["content"])
            for row in batches.read_all().to_pylist()
        }
