"""A view that is kept up to date: which stretch of time is computed next, and when one that failed is tried again.

A run computes one stretch, whole or not at all. So that one bad day does not keep a year from being computed, a stretch
that failed is halved at the bounds of the view's periods, until what fails is one period; that one waits longer after
each try, and everything else goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.time import EPOCH, Interval
from amora_fs_assets.operations.offline.coverage import Coverage, State, Upstream, merged, without

LONGEST_WAIT = timedelta(hours=1)
"""A period that failed is tried again at least this often, or as often as its view is computed, if that is rarer."""


@dataclass(frozen=True)
class Piece:
    """A stretch of a view that is computed by one run."""

    interval: Interval
    tries: int = 0  # how often a run of it failed
    due: datetime | None = None  # when it may be tried again; None: now


@dataclass(frozen=True)
class Upkeep:
    """What was asked for of a view until now."""

    newest: datetime | None = None  # when its newest rows were asked for last
    asked: Piece | None = None  # what was asked for last, until it is known how that ended
    seen: int = 0  # the newest publication of the store at that time
    failed: tuple[Piece, ...] = ()  # whole periods, to be tried by themselves

    def settled(
        self, view: FeatureView, gaps: Sequence[Interval], published: Iterable[Publication], clock: datetime,
        every: timedelta,
    ) -> Upkeep:  # fmt: skip
        """The same after the run of `asked` has ended. `gaps` is what is not current, `published` is of the table."""
        failed = [each for each in self.failed if _within(gaps, each.interval)]
        if self.asked is not None:
            done = any(each.sequence > self.seen and _covers(each, self.asked.interval) for each in published)
            left = _within(gaps, self.asked.interval)
            if left is not None and not done:
                failed += _again(view, left, self.asked.tries + 1, clock, every)
        return replace(self, asked=None, failed=tuple(sorted(failed, key=lambda each: each.interval.start)))

    def next(self, gaps: Sequence[Interval], clock: datetime, every: timedelta) -> Piece | None:
        """What to ask for now of the gaps: the newest rows as often as `every` says, then the others."""
        held = [each.interval for each in self.failed]
        rest = merged(left for gap in gaps for left in without(gap, held))
        newest = rest[-1] if rest and rest[-1].end == clock else None
        if newest is not None and is_due(self.newest, clock, every):
            return Piece(newest)
        for each in self.failed:
            left = _within(gaps, each.interval)
            if left is not None and (each.due is None or each.due <= clock):
                return Piece(left, each.tries)
        others = [each for each in rest if each is not newest]
        return Piece(others[-1]) if others else None

    def asking(self, piece: Piece, clock: datetime, seen: int) -> Upkeep:
        """The same after `piece` was asked for."""
        return Upkeep(
            newest=clock if piece.interval.end == clock else self.newest,
            asked=piece,
            seen=seen,
            failed=tuple(each for each in self.failed if _within([piece.interval], each.interval) is None),
        )

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "newest": self.newest.isoformat() if self.newest else None,
            "asked": _plain(self.asked) if self.asked else None,
            "seen": self.seen,
            "failed": [_plain(each) for each in self.failed],
        }

    @staticmethod
    def of(plain: Mapping[str, Any]) -> Upkeep:
        """What `plain` wrote."""
        return Upkeep(
            newest=datetime.fromisoformat(plain["newest"]) if plain["newest"] else None,
            asked=_piece(plain["asked"]) if plain["asked"] else None,
            seen=plain["seen"],
            failed=tuple(map(_piece, plain["failed"])),
        )


def is_due(last: datetime | None, clock: datetime, every: timedelta) -> bool:
    """Whether a slot has begun since `last`. Slots are `every` long and aligned to UTC, so one begins at midnight."""
    return last is None or slot(last, every) < slot(clock, every)


def slot(instant: datetime, every: timedelta) -> datetime:
    """The start of the slot that `instant` lies in."""
    return EPOCH + (instant - EPOCH) // every * every


def awaiting(view: FeatureView, coverages: Mapping[str, Coverage], clock: datetime) -> tuple[Interval, ...]:
    """The stretches of the view that wait for views which it reads, since those are not current there."""
    spans = (
        Interval(start, max(start, min(end, clock)))
        for source in view.sources
        if isinstance(source, FeatureView) and source.name in coverages
        for start, end, *_ in Upstream(source, (), coverages[source.name]).gaps(view.lookback)
        if start < clock
    )
    return merged(spans)


def costly(coverage: Coverage, *, published: bool) -> tuple[Interval, ...]:
    """What may be far more than time going by brings: other definitions, other inputs, and a view never computed."""
    return merged(each.interval for each in coverage.gaps if each.state is State.STALE or not published)


def _again(view: FeatureView, left: Interval, tries: int, clock: datetime, every: timedelta) -> list[Piece]:
    if view.partitions is None:
        return [Piece(Interval(left.start, datetime.max.replace(tzinfo=UTC)), tries, _later(tries, clock, every))]
    first, last = view.partitions.floor(left.start), view.partitions.floor(left.end - timedelta.resolution)
    end = view.partitions.next(last)
    if first == last:
        return [Piece(Interval(first, end), tries, _later(tries, clock, every))]
    middle = max(view.partitions.floor(first + (end - first) / 2), view.partitions.next(first))
    return [Piece(Interval(first, middle)), Piece(Interval(middle, end))]


def _later(tries: int, clock: datetime, every: timedelta) -> datetime:
    wait: timedelta = every * int(2 ** min(tries - 1, 20))
    return clock + min(wait, max(every, LONGEST_WAIT))


def _within(gaps: Iterable[Interval], interval: Interval) -> Interval | None:
    """From the first to the last instant of the gaps in the interval; None where there is none."""
    inside = [
        (max(each.start, interval.start), min(each.end, interval.end))
        for each in gaps
        if each.start < interval.end and each.end > interval.start
    ]
    return Interval(inside[0][0], inside[-1][1]) if inside else None


def _covers(publication: Publication, interval: Interval) -> bool:
    computed = publication.computed
    return computed is not None and computed.start <= interval.start and computed.end >= interval.end


def _plain(piece: Piece) -> list[Any]:
    due = piece.due.isoformat() if piece.due else None
    return [piece.interval.start.isoformat(), piece.interval.end.isoformat(), piece.tries, due]


def _piece(plain: Sequence[Any]) -> Piece:
    start, end, tries, due = plain
    return Piece(Interval(start, end), tries, datetime.fromisoformat(due) if due else None)
