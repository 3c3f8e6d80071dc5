"""Which stretch of a view is asked for next: all that can be computed is, whatever fails beside it."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.offline.coverage import merged, without
from amora_fs_assets.operations.offline.upkeep import LONGEST_WAIT, Upkeep, is_due
from amora_fs_assets_tests import small
from amora_fs_assets_tests.small import at

VIEW = small.spending(small.orders(), partitions="day", start="2020-01-01")
MINUTES = timedelta(minutes=15)


def published(sequence: int, interval: Interval) -> Publication:
    return Publication(
        sequence=sequence, name="spending", table="feature_store.spending", start=interval.start, end=interval.end,
        rows=1, run_id="", definition_hash="", schema_hash="", sql_hash="", published_at=interval.end,
        computed_from=interval.start, computed_until=interval.end,
    )  # fmt: skip


class Life:
    """A view whose runs fail where they touch a bad day."""

    def __init__(self, view: FeatureView, bad: set[int], now: datetime) -> None:
        self.view, self.bad, self.now = view, bad, now
        self.upkeep = Upkeep()
        self.publications: list[Publication] = []
        self.runs: list[Interval] = []

    @property
    def gaps(self) -> tuple[Interval, ...]:
        held = [each.computed for each in self.publications if each.computed]
        return without(Interval(at(1), self.now), held)

    def look(self) -> Interval | None:
        """Ask, and run what is asked for."""
        state = Upkeep.of(self.upkeep.plain())
        assert state == self.upkeep
        state = state.settled(self.view, self.gaps, self.publications, self.now, MINUTES)
        piece = state.next(self.gaps, self.now, MINUTES)
        self.upkeep = state
        if piece is None:
            return None
        seen = len(self.publications)
        self.upkeep = state.asking(piece, self.now, seen)
        self.runs.append(piece.interval)
        if not any(Interval(at(day), at(day + 1)).start < piece.interval.end and at(day + 1) > piece.interval.start
                   for day in self.bad):  # fmt: skip
            self.publications.append(published(seen + 1, piece.interval))
        return piece.interval

    def go_on(self) -> int:
        number = 0
        while self.look() is not None:
            number += 1
            assert number < 200, "it asks for ever"
        return number


@given(bad=st.sets(st.integers(1, 27), max_size=4), hours=st.integers(1, 24 * 27))
def test_every_day_that_can_be_computed_is_and_a_bad_one_costs_few_runs(bad: set[int], hours: int) -> None:
    life = Life(VIEW, bad, at(1) + timedelta(hours=hours))
    runs = life.go_on()
    whole = Interval(at(1), life.now)
    broken = [each for each in (Interval(at(day), at(day + 1)).until(life.now) for day in bad) if each.start < life.now]
    assert life.gaps == tuple(each for each in merged(broken) if not each.empty and each.start < whole.end)
    assert runs <= 1 + 12 * len(bad)


def test_a_bad_day_is_tried_again_later_each_time_and_at_least_each_hour() -> None:
    life = Life(VIEW, {3}, at(6))
    life.go_on()
    tries = []
    for _ in range(300):
        life.now += timedelta(minutes=1)
        if any(each.start < at(4) for each in [life.look()] if each is not None):
            tries.append(life.now)
    waits = [later - earlier for earlier, later in pairwise(tries)]
    assert waits[0] < waits[1]
    assert LONGEST_WAIT <= waits[-1] <= LONGEST_WAIT + timedelta(minutes=2)  # newest rows may come first
    life.bad = set()
    life.now += LONGEST_WAIT
    life.go_on()
    assert life.gaps == ()


def test_the_rest_of_a_bad_day_waits_with_it_and_the_next_day_does_not() -> None:
    life = Life(VIEW, {3}, at(3, hour=6))
    life.go_on()
    life.now = at(3, hour=6) + timedelta(minutes=16)
    assert life.look() == Interval(at(3), life.now)
    life.now += timedelta(minutes=1)
    assert life.look() is None
    life.now = at(4, hour=1)
    life.go_on()
    assert life.gaps == (Interval(at(3), at(4)),)


def test_newest_rows_come_before_old_ones_and_once_in_a_slot() -> None:
    life = Life(VIEW, set(), at(10))
    life.publications = [published(1, Interval(at(1), at(4))), published(2, Interval(at(5), at(9)))]
    assert life.look() == Interval(at(9), at(10))
    assert life.look() == Interval(at(4), at(5))
    life.now += timedelta(minutes=14)
    assert life.look() is None
    life.now += timedelta(minutes=1)
    assert life.look() == Interval(at(10), at(10) + MINUTES)


def test_a_run_that_published_what_is_stale_again_has_not_failed() -> None:
    state = Upkeep().asking(Upkeep().next([Interval(at(1), at(2))], at(2), MINUTES), at(2), 7)  # type: ignore[arg-type]
    gaps = [Interval(at(1), at(2))]
    assert state.settled(VIEW, gaps, [published(8, gaps[0])], at(2), MINUTES).failed == ()
    (failed,) = state.settled(VIEW, gaps, [published(7, gaps[0])], at(2), MINUTES).failed
    assert (failed.interval, failed.tries) == (gaps[0], 1)


def test_a_view_without_partitions_is_tried_again_as_a_whole() -> None:
    view = small.spending(small.orders(), partitions=None, start="2020-01-01")
    life = Life(view, {3}, at(6))
    assert life.go_on() == 1
    life.now += MINUTES
    assert life.look() == Interval(at(1), life.now)


@pytest.mark.parametrize(("before", "after", "due"), [
    (at(1, hour=23), at(2), True),
    (at(2), at(2) + timedelta(minutes=14), False),
    (None, at(2), True),
])  # fmt: skip
def test_a_slot_begins_at_midnight(before: datetime | None, after: datetime, due: bool) -> None:
    assert is_due(before, after, MINUTES) is due
