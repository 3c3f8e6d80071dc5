"""Which intervals of a view hold what its definition says: current, stale, missing or part-computed.

All of it is told from `_publications`, which is the truth about what was published, and from the clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

from amora_fs_assets.domain.catalogue import Catalogue, computing_identity, definition_hash, hash_before_meanings
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.time import Interval, after
from amora_fs_assets.operations.offline.layers import Layer

_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class State(StrEnum):
    """What a stretch of time of a view holds."""

    CURRENT = "current"
    """The rows that the definition gives, of inputs as they were published last."""
    STALE = "stale"
    """Rows of another definition, or of an input that was published again since."""
    MISSING = "missing"
    """Nothing: no computation covers it."""
    PART = "part-computed"
    """Nothing, in a period whose first part was computed: the clock has moved on since."""


@dataclass(frozen=True)
class Stretch:
    """A stretch of time of a view that is in one state."""

    interval: Interval
    state: State
    because: str = ""  # why it is not current

    def __str__(self) -> str:
        """As messages name it."""
        return f"{self.state} {self.interval}{f': {self.because}' if self.because else ''}"


@dataclass(frozen=True)
class Upstream:
    """A view that another one reads."""

    view: FeatureView
    publications: Sequence[Publication]  # of its table
    coverage: Coverage

    def changes(self, lookback: timedelta) -> Iterator[tuple[datetime, datetime, int, Publication]]:
        """For each publication the stretch of time of a reader that may have other rows by it."""
        for each in self.publications:
            yield *self._reach(each.start or _FIRST, each.end or _LAST, lookback), each.sequence, each

    def gaps(self, lookback: timedelta) -> Iterator[tuple[datetime, datetime, int, Stretch]]:
        """For each stretch that is not current the stretch of a reader that will have other rows once it is."""
        for each in self.coverage.gaps:
            yield *self._reach(each.interval.start, each.interval.end, lookback), 0, each

    def _reach(self, start: datetime, end: datetime, lookback: timedelta) -> tuple[datetime, datetime]:
        """A row is read by what is computed for its time and for as long after it as readers look back.

        A row that says when it became known may have become known at any time since.
        """
        return start, _LAST if self.view.has_created_timestamp else after(end, lookback)


@dataclass(frozen=True)
class Coverage:
    """A view from its start to the clock, in stretches, in order of time, that touch each other."""

    view: FeatureView
    stretches: tuple[Stretch, ...]

    @property
    def gaps(self) -> tuple[Stretch, ...]:
        """The stretches that are not current."""
        return tuple(each for each in self.stretches if each.state is not State.CURRENT)

    @property
    def complete(self) -> bool:
        """Whether all of it is current."""
        return not self.gaps

    @property
    def to_compute(self) -> tuple[Interval, ...]:
        """The intervals that make it complete: the whole of a view without partitions, the gaps of others."""
        if self.complete or not self.stretches:
            return ()
        if self.view.partitions is None:
            return (Interval(self.stretches[0].interval.start, self.stretches[-1].interval.end),)
        return merged(each.interval for each in self.gaps)


def adopted(view: FeatureView, identity: str) -> Mapping[str, str]:
    """The computing identity by definition hash, for publications of earlier releases, which wrote no identity.

    What was published under the very definition of today is of today's identity, also where a release before
    meanings published it, whose hash of that definition was another one.
    """
    return {definition_hash(view): identity, hash_before_meanings(view): identity}


def identity_of(publication: Publication, old: Mapping[str, str]) -> str | None:
    """The computing identity of the rows that were published; None where nobody knows. `old` is of `adopted`."""
    return publication.identity if publication.identity is not None else old.get(publication.definition_hash)


def sequence_read(publication: Publication, name: str) -> int:
    """The newest publication of the input that the computation has surely read; 0 where it has read none.

    Of what earlier releases published that is not known: whatever was published before counts as read.
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

    `identity` is the view's computing identity now. `upstream` has the views that it reads, by name. Pushed rows cover
    nothing, but they change what others read.
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
    begun: datetime = whole.start
    was: State | None = None
    why = ""
    for start in sorted(cuts):  # years of short computations are many: what joins is one Stretch from the beginning
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
                    state, because = State.STALE, f"'{name}' is to be computed"
        if start == whole.end or (state, because) != (was, why):
            if was is not None and begun < start:
                stretches.append(Stretch(Interval(begun, start), was, why))
            begun, was, why = start, state, because
    return Coverage(view, tuple(_with_parts(view, stretches)))


def coverages(
    catalogue: Catalogue | FeatureView, publications: Iterable[Publication], *, clock: datetime, dataset: str
) -> dict[str, Coverage]:
    """The coverage of every computed view of a catalogue, or of a view and those that it reads."""
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
    """The publications that decide the view's coverage: its own, and those of the views that it reads, at any depth."""
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
    """The coverage of one view, whatever is still to be computed of those that it reads."""
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
    """The instants of the interval that lie in none of the others."""
    left, start = [], interval.start
    for each in merged(others):
        if each.end > start and each.start < interval.end:
            left.append(Interval(start, max(start, each.start)))
            start = each.end
    left.append(Interval(start, max(start, interval.end)))
    return tuple(each for each in left if not each.empty)


def merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """The same instants in as few intervals as hold them, in order."""
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
    """The stretches of time that each publication still holds: those that no later one replaced, in order."""
    whole, layer = view.interval(clock), _holders(publications)
    for start, end, publication in zip(layer.starts, [*layer.starts, _LAST][1:], layer.tops, strict=True):
        inside = Interval(max(start, whole.start), max(start, whole.start, min(end, whole.end)))
        if publication is not None and not inside.empty and _holds(publication, inside.start):
            yield inside, publication


def _holders(publications: Iterable[Publication]) -> Layer[Publication]:
    """Which publication wrote the rows of each instant last; cut, too, where what was computed begins and ends."""
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
    """Up to where its rows were computed. Of a whole table that an earlier release published: when it was published."""
    return publication.computed_until or publication.end or publication.published_at


def _holds(publication: Publication, instant: datetime) -> bool:
    return _from(publication) <= instant < _until(publication)


def _with_parts(view: FeatureView, stretches: Sequence[Stretch]) -> Iterator[Stretch]:
    """Missing stretches, but for the rest of a period whose first part was computed: that is a part-computed one."""
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
