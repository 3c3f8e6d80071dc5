"""Coverage: which intervals of a view are current, stale, missing or part-computed.

Coverage is derived from `_publications` and the clock alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.definition import computing_identity, definition_hash, hash_before_meanings
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.time import Interval, after
from amora_fs_assets.operations.offline.layers import Layer

_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class State(StrEnum):
    """The state of the rows in a stretch of a view's time."""

    CURRENT = "current"
    """The rows of the present definition, computed from the newest publications of its inputs."""
    STALE = "stale"
    """Rows of another definition, or computed before a newer publication of an input."""
    MISSING = "missing"
    """No computation covers the stretch."""
    PART = "part-computed"
    """The rest of a period whose first part was computed before the clock moved on."""


@dataclass(frozen=True)
class Stretch:
    """A stretch of a view's time with one state."""

    interval: Interval
    state: State
    because: str = ""  # the reason if it is not current

    def __str__(self) -> str:
        """The stretch in one line."""
        return f"{self.state} {self.interval}{f': {self.because}' if self.because else ''}"


@dataclass(frozen=True)
class Upstream:
    """A view that another view reads."""

    view: FeatureView
    publications: Sequence[Publication]  # of its table
    coverage: Coverage

    def changes(self, lookback: timedelta) -> Iterator[tuple[datetime, datetime, int, Publication]]:
        """For each publication, the time of the reading view whose rows it may change."""
        for each in self.publications:
            yield *self._reach(each.start or _FIRST, each.end or _LAST, lookback), each.sequence, each

    def gaps(self, lookback: timedelta) -> Iterator[tuple[datetime, datetime, int, Stretch]]:
        """For each stretch that is not current, the time of the reading view whose rows may change later."""
        for each in self.coverage.gaps:
            yield *self._reach(each.interval.start, each.interval.end, lookback), 0, each

    def _reach(self, start: datetime, end: datetime, lookback: timedelta) -> tuple[datetime, datetime]:
        """Computations read a row for its time and for `lookback` after it.

        A row with created_timestamp may become known at any later time.
        """
        return start, _LAST if self.view.has_created_timestamp else after(end, lookback)


@dataclass(frozen=True)
class Coverage:
    """A view from its start to the clock, as adjacent stretches in order of time."""

    view: FeatureView
    stretches: tuple[Stretch, ...]

    @property
    def gaps(self) -> tuple[Stretch, ...]:
        """The stretches that are not current."""
        return tuple(each for each in self.stretches if each.state is not State.CURRENT)

    @property
    def complete(self) -> bool:
        """Whether all stretches are current."""
        return not self.gaps

    @property
    def to_compute(self) -> tuple[Interval, ...]:
        """The intervals to compute: the gaps, or the whole time of a view without partitions."""
        if self.complete or not self.stretches:
            return ()
        if self.view.partitions is None:
            return (Interval(self.stretches[0].interval.start, self.stretches[-1].interval.end),)
        return merged(each.interval for each in self.gaps)


def adopted(view: FeatureView, identity: str) -> Mapping[str, str]:
    """The computing identity by definition hash, for publications of earlier releases, which have no identity.

    Such a publication has the present identity if its definition hash is the present one, in the form of releases with
    or without meanings.
    """
    return {definition_hash(view): identity, hash_before_meanings(view): identity}


def identity_of(publication: Publication, old: Mapping[str, str]) -> str | None:
    """The computing identity of the published rows; None if unknown. `old` is the result of `adopted`."""
    return publication.identity if publication.identity is not None else old.get(publication.definition_hash)


def sequence_read(publication: Publication, name: str) -> int:
    """The newest publication of the input that the computation has certainly read; 0 for none.

    Publications of earlier releases do not keep it: they count as having read every earlier publication.
    """
    read = _sequences(publication.inputs) if publication.inputs else {}
    return read.get(name, publication.sequence)


@lru_cache(maxsize=1024)
def _sequences(inputs: str) -> Mapping[str, int]:
    return {name: each["sequence"] or 0 for name, each in json.loads(inputs).items()}


def coverage(
    view: FeatureView,
    publications: Iterable[Publication],
    *,
    identity: str,
    upstream: Mapping[str, Upstream],
    clock: datetime,
) -> Coverage:
    """The coverage of a view by the publications of its table.

    `identity` is the view's present computing identity. `upstream` has the views that the view reads, by name. A push
    covers no interval of its own view, but changes the rows that other views read.
    """
    whole = view.interval(clock)
    if view.table is not None or whole.empty:
        return Coverage(view, ())
    layer = _holders(publications)
    changed = {name: Layer.of(each.changes(view.lookback)) for name, each in upstream.items()}
    awaited = {name: Layer.of(each.gaps(view.lookback)) for name, each in upstream.items()}
    cuts = {whole.start, whole.end}
    starts = [*layer.starts]
    for name in upstream:
        starts += changed[name].starts + awaited[name].starts
    cuts.update(start for start in starts if whole.start < start < whole.end)
    old, stretches = adopted(view, identity), list[Stretch]()
    begin: datetime = whole.start
    state_before: State | None = None
    reason_before = ""
    for start in sorted(cuts):  # equal neighbours are joined at once, since years of short computations make many cuts
        state, because = State.CURRENT, ""
        publication = layer.at(start)
        if publication is None or not _holds(publication, start):
            state, because = State.MISSING, "never computed"
        elif identity_of(publication, old) != identity:
            state, because = State.STALE, "another definition"
        else:
            for name in upstream:
                newest = changed[name].at(start)
                if newest is not None and newest.sequence > sequence_read(publication, name):
                    state, because = State.STALE, f"'{name}' was published again"
                elif awaited[name].at(start) is not None:
                    state, because = State.STALE, f"'{name}' must be computed first"
        if start == whole.end or (state, because) != (state_before, reason_before):
            if state_before is not None and begin < start:
                stretches.append(Stretch(Interval(begin, start), state_before, reason_before))
            begin, state_before, reason_before = start, state, because
    return Coverage(view, tuple(_with_parts(view, stretches)))


def coverages(
    catalogue: Catalogue | FeatureView, publications: Iterable[Publication], *, clock: datetime, dataset: str
) -> dict[str, Coverage]:
    """The coverage of every computed view of a catalogue, or of a view and the views that it reads."""
    by_table: dict[str, list[Publication]] = {}
    for each in publications:
        by_table.setdefault(each.table, []).append(each)
    found: dict[str, Coverage] = {}
    views = Catalogue.of([catalogue]) if isinstance(catalogue, FeatureView) else catalogue
    for view in views.in_order:
        if view.table is not None:
            continue
        found[view.name] = _coverage_of(view, by_table, found, clock=clock, dataset=dataset)
    return found


def publications_for(view: FeatureView, store: OfflineStore) -> list[Publication]:
    """The publications that determine the view's coverage: of the view and of all views upstream."""
    names = {view.name: view}
    waiting = [view]
    while waiting:
        read = {each.name: each for each in waiting.pop().sources if isinstance(each, FeatureView)}
        waiting += [each for name, each in read.items() if name not in names]
        names |= read
    return sorted(
        (each for name in names for each in store.publications(name)), key=lambda publication: publication.sequence
    )


def coverage_now(view: FeatureView, publications: Iterable[Publication], *, clock: datetime, dataset: str) -> Coverage:
    """The coverage of one view, without the gaps of the views that it reads."""
    by_table: dict[str, list[Publication]] = {}
    for each in publications:
        by_table.setdefault(each.table, []).append(each)
    read = {source.name: Coverage(source, ()) for source in view.sources if isinstance(source, FeatureView)}
    return _coverage_of(view, by_table, read, clock=clock, dataset=dataset)


def _coverage_of(
    view: FeatureView,
    by_table: Mapping[str, Sequence[Publication]],
    found: Mapping[str, Coverage],
    *,
    clock: datetime,
    dataset: str,
) -> Coverage:
    upstream = {
        source.name: Upstream(source, by_table.get(table_name(source, dataset), ()), found[source.name])
        for source in view.sources
        if isinstance(source, FeatureView) and source.name in found
    }
    return coverage(
        view,
        by_table.get(table_name(view, dataset), ()),
        identity=computing_identity(view),
        upstream=upstream,
        clock=clock,
    )


def without(interval: Interval, others: Iterable[Interval]) -> tuple[Interval, ...]:
    """The parts of the interval that lie in none of the others."""
    left, start = [], interval.start
    for each in merged(others):
        if each.end > start and each.start < interval.end:
            left.append(Interval(start, max(start, each.start)))
            start = each.end
    left.append(Interval(start, max(start, interval.end)))
    return tuple(each for each in left if not each.empty)


def merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """The intervals, sorted, with overlapping and adjacent ones joined."""
    found: list[Interval] = []
    for each in sorted(intervals, key=lambda interval: interval.start):
        if found and each.start <= found[-1].end:
            found[-1] = Interval(found[-1].start, max(found[-1].end, each.end))
        elif not each.empty:
            found.append(each)
    return tuple(found)


def held(
    view: FeatureView, publications: Iterable[Publication], clock: datetime
) -> Iterator[tuple[Interval, Publication]]:
    """The stretches that each publication still holds, since no later publication replaced them, in order."""
    whole, layer = view.interval(clock), _holders(publications)
    for start, end, publication in zip(layer.starts, [*layer.starts, _LAST][1:], layer.tops, strict=True):
        inside = Interval(max(start, whole.start), max(start, whole.start, min(end, whole.end)))
        if publication is not None and not inside.empty and _holds(publication, inside.start):
            yield inside, publication


def _holders(publications: Iterable[Publication]) -> Layer[Publication]:
    """The last publication of each instant. Spans are also cut at the start and end of the computed interval."""
    spans: list[tuple[datetime, datetime, int, Publication]] = []
    for each in publications:
        if not each.pushed:
            first, last = each.start or _FIRST, each.end or _LAST
            if (first, last) == (each.computed_from, each.computed_until):
                spans.append((first, last, each.sequence, each))
                continue
            cuts = sorted({first, last, *(min(max(t, first), last) for t in (_from(each), _until(each)))})
            spans += [(start, end, each.sequence, each) for start, end in pairwise(cuts)]
    return Layer.of(spans)


def _from(publication: Publication) -> datetime:
    return publication.computed_from or publication.start or _FIRST


def _until(publication: Publication) -> datetime:
    """The end of the computed time. For a whole table of an earlier release: the time of the publication."""
    return publication.computed_until or publication.end or publication.published_at


def _holds(publication: Publication, instant: datetime) -> bool:
    return _from(publication) <= instant < _until(publication)


def _with_parts(view: FeatureView, stretches: Sequence[Stretch]) -> Iterator[Stretch]:
    """The stretches, with the missing rest of a period whose first part was computed as part-computed."""
    computed = False
    for each in stretches:
        start, end = each.interval.start, each.interval.end
        if each.state is State.MISSING and computed:
            rest = end
            if view.partitions is not None:
                first = view.partitions.floor(start)
                rest = start if first == start else min(end, view.partitions.next(first))
            if rest > start:
                yield Stretch(Interval(start, rest), State.PART, f"computed up to {start.isoformat()}")
            if rest < end:
                yield replace(each, interval=Interval(rest, end))
        else:
            yield each
        computed = each.state is not State.MISSING
