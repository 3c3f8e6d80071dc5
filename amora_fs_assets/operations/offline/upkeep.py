"""Keeps a view up to date: picks the next stretch to compute, and decides when a failed stretch is tried again.

A run computes one stretch, all of it or nothing. So that one bad day does not block a year, a failed stretch is halved
at the bounds of the view's periods until the failed stretch is one period. This period waits longer after each try,
while the rest goes on.
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
"""The longest wait before a failed period is tried again, unless the view is computed more rarely."""


@dataclass(frozen=True)
class Piece:
    """A stretch of a view that one run computes."""

    interval: Interval
    tries: int = 0  # the number of failed runs
    due: datetime | None = None  # when the stretch may be tried again; None: now


@dataclass(frozen=True)
class Upkeep:
    """The state of a view's requests."""

    newest: datetime | None = None  # the time of the last request for the newest rows
    asked: Piece | None = None  # the last request, until its result is known
    seen: int = 0  # the newest publication of the store at the time of this request
    failed: tuple[Piece, ...] = ()  # failed stretches of whole periods, each requested separately

    def settled(
        self, view: FeatureView, gaps: Sequence[Interval], published: Iterable[Publication], clock: datetime,
        every: timedelta,
    ) -> Upkeep:  # fmt: skip
        """The state after the run of `asked` has ended. `gaps` are not current; `published` are of the view's table."""
        failed = [each for each in self.failed if _within(gaps, each.interval)]
        if self.asked is not None:
            done = any(each.sequence > self.seen and _covers(each, self.asked.interval) for each in published)
            left = _within(gaps, self.asked.interval)
            if left is not None and not done:
                failed += _retries(view, left, self.asked.tries + 1, clock, every)
        return replace(self, asked=None, failed=tuple(sorted(failed, key=lambda each: each.interval.start)))

    def next(self, gaps: Sequence[Interval], clock: datetime, every: timedelta) -> Piece | None:
        """The gap to request now: the newest rows once per `every`, then failed stretches that are due, then others."""
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
        """The state after a request for `piece`."""
        return Upkeep(
            newest=clock if piece.interval.end == clock else self.newest,
            asked=piece,
            seen=seen,
            failed=tuple(each for each in self.failed if _within([piece.interval], each.interval) is None),
        )

    def plain(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "newest": self.newest.isoformat() if self.newest else None,
            "asked": _plain(self.asked) if self.asked else None,
            "seen": self.seen,
            "failed": [_plain(each) for each in self.failed],
        }

    @staticmethod
    def of(plain: Mapping[str, Any]) -> Upkeep:
        """Read the JSON form."""
        return Upkeep(
            newest=datetime.fromisoformat(plain["newest"]) if plain["newest"] else None,
            asked=_piece(plain["asked"]) if plain["asked"] else None,
            seen=plain["seen"],
            failed=tuple(map(_piece, plain["failed"])),
        )


def is_due(last: datetime | None, clock: datetime, every: timedelta) -> bool:
    """Whether a slot has begun since `last`. Slots last `every`, aligned to UTC, so a slot begins at midnight."""
    return last is None or slot(last, every) < slot(clock, every)


def slot(instant: datetime, every: timedelta) -> datetime:
    """The start of the slot that contains `instant`."""
    return EPOCH + (instant - EPOCH) // every * every


def awaiting(view: FeatureView, coverages: Mapping[str, Coverage], clock: datetime) -> tuple[Interval, ...]:
    """The stretches of the view that wait for views that it reads, which are not current there."""
    spans = (
        Interval(start, max(start, min(end, clock)))
        for source in view.sources
        if isinstance(source, FeatureView) and source.name in coverages
        for start, end, *_ in Upstream(source, (), coverages[source.name]).gaps(view.lookback)
        if start < clock
    )
    return merged(spans)


def costly(coverage: Coverage, *, published: bool) -> tuple[Interval, ...]:
    """Gaps that may be much longer than the time since the last run: stale stretches, and a view never computed."""
    return merged(each.interval for each in coverage.gaps if each.state is State.STALE or not published)


def _retries(view: FeatureView, left: Interval, tries: int, clock: datetime, every: timedelta) -> list[Piece]:
    if view.partitions is None:
        return [Piece(Interval(left.start, datetime.max.replace(tzinfo=UTC)), tries, _due_after(tries, clock, every))]
    first, last = view.partitions.floor(left.start), view.partitions.floor(left.end - timedelta.resolution)
    end = view.partitions.next(last)
    if first == last:
        return [Piece(Interval(first, end), tries, _due_after(tries, clock, every))]
    middle = max(view.partitions.floor(first + (end - first) / 2), view.partitions.next(first))
    return [Piece(Interval(first, middle)), Piece(Interval(middle, end))]


def _due_after(tries: int, clock: datetime, every: timedelta) -> datetime:
    wait: timedelta = every * int(2 ** min(tries - 1, 20))
    return clock + min(wait, max(every, LONGEST_WAIT))


def _within(gaps: Iterable[Interval], interval: Interval) -> Interval | None:
    """The span of the gaps in the interval, from the first to the last instant; None without gaps."""
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
