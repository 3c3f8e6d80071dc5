"""Which intervals are current, stale, missing or part-computed: against a model that goes instant by instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from amora_fs_assets import FeatureView
from amora_fs_assets.domain.records import Input, Publication
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.offline.coverage import State, Stretch, Upstream, coverage, merged, without
from amora_fs_assets.operations.offline.inputs import as_text
from amora_fs_assets_tests import small
from amora_fs_assets_tests.small import at

HOUR = timedelta(hours=1)
ZERO = at(1)
HOURS = 60
"""Two days and a half: what the histories are about."""


@dataclass(frozen=True)
class Event:
    """A publication, in hours since ZERO."""

    view: str
    start: int | None  # None: of the whole table
    end: int | None
    until: int  # the rows were computed up to here
    identity: str
    pushed: bool
    read: int  # publications that had been read of the other view


@st.composite
def events(draw: st.DrawFn, view: str, others: int) -> Event:
    start = draw(st.integers(-10, HOURS - 1))
    end = draw(st.integers(start + 1, HOURS + 5))
    whole = draw(st.booleans()) and draw(st.booleans())
    return Event(
        view=view,
        start=None if whole else start,
        end=None if whole else end,
        until=end,
        identity=draw(st.sampled_from(["now", "now", "now", "before"])),
        pushed=not whole and draw(st.integers(0, 4)) == 0,
        read=draw(st.integers(0, others)),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    found: list[Event] = []
    for name in draw(st.lists(st.sampled_from(["up", "down"]), max_size=9)):
        found.append(draw(events(name, len(found))))
    return found


def publication(event: Event, sequence: int) -> Publication:
    def instant(hour: int | None) -> object:
        return None if hour is None else ZERO + hour * HOUR

    return Publication(
        sequence=sequence,
        name=event.view,
        table=f"feature_store.{event.view}",
        start=instant(event.start),  # type: ignore[arg-type]
        end=instant(event.end),  # type: ignore[arg-type]
        rows=1,
        run_id=f"push-{sequence}" if event.pushed else f"run-{sequence}",
        definition_hash="",
        schema_hash="",
        sql_hash="",
        published_at=at(1, month=3),
        identity=event.identity,
        inputs=as_text([Input(name="up", table="feature_store.up", sequence=event.read or None)], {}),
        computed_from=instant(event.start if event.start is not None else 0),  # type: ignore[arg-type]
        computed_until=instant(event.until),  # type: ignore[arg-type]
    )


Said = Mapping[int, State]


def model(history: Sequence[Event], view: str, clock: int, above: Said, lookback: int, period: int) -> dict[int, State]:
    """The state of each hour up to the clock, by looking at every publication for every hour."""
    numbered = list(enumerate(history, 1))
    held, said = dict[int, bool](), dict[int, State]()
    for hour in range(clock):
        last = None
        for event in history:
            inside = event.start is None or (event.start <= hour < (event.end or 0))
            if event.view == view and not event.pushed and inside:
                last = event
        held[hour] = last is not None and (last.start or 0) <= hour < last.until
        if not held[hour]:
            first = hour - hour % period if period else 0
            said[hour] = State.PART if any(held[before] for before in range(first, hour)) else State.MISSING
            continue
        assert last is not None
        said[hour] = State.CURRENT
        if last.identity != "now":
            said[hour] = State.STALE
        if view == "down":
            for sequence, event in numbered:
                touched = event.start is None or (event.start <= hour < (event.end or 0) + lookback)
                if event.view == "up" and sequence > last.read and touched:
                    said[hour] = State.STALE
            if any(above[x] is not State.CURRENT for x in range(max(0, hour - lookback), min(hour + 1, len(above)))):
                said[hour] = State.STALE
    # Part-computed is what comes right after what is there, and reaches to the end of the period.
    for hour in range(clock):
        if said[hour] is State.PART and hour and said[hour - 1] is State.MISSING and hour % (period or HOURS * 2):
            said[hour] = State.MISSING
    return said


def expanded(stretches: Sequence[Stretch]) -> dict[int, State]:
    found: dict[int, State] = {}
    for each in stretches:
        start, end = ((instant - ZERO) // HOUR for instant in (each.interval.start, each.interval.end))
        found |= dict.fromkeys(range(start, end), each.state)
    return found


def view(name: str, lookback: int = 0, period: str | None = "day") -> FeatureView:
    source = small.orders()
    return FeatureView(
        name, small.Spending, [small.customer], [source], transform=small._spending, partitions=period,  # type: ignore[arg-type]
        start=ZERO, lookback=lookback * HOUR,
    )  # fmt: skip


@given(histories(), st.integers(1, HOURS), st.integers(0, 8), st.sampled_from(["day", "hour", None]))
@settings(max_examples=150, deadline=None)
def test_each_instant_is_what_the_publications_say_of_it(
    history: list[Event], clock: int, lookback: int, period: str | None
) -> None:
    publications = {
        name: [publication(event, n) for n, event in enumerate(history, 1) if event.view == name]
        for name in ("up", "down")
    }
    hours = {"day": 24, "hour": 1, None: 0}[period]
    now = ZERO + clock * HOUR
    up = view("up", period=period)
    covered = coverage(up, publications["up"], identity="now", upstream={}, clock=now)
    said_up = model(history, "up", clock, {}, 0, hours)
    assert expanded(covered.stretches) == said_up
    found = coverage(
        view("down", lookback, period),
        publications["down"],
        identity="now",
        upstream={"up": Upstream(up, publications["up"], covered)},
        clock=now,
    )
    assert expanded(found.stretches) == model(history, "down", clock, said_up, lookback, hours)
    for each in (covered, found):
        assert all(a.interval.end == b.interval.start for a, b in pairwise(each.stretches))
        gaps = {hour for hour, state in expanded(each.stretches).items() if state is not State.CURRENT}
        computed = {
            hour
            for interval in each.to_compute
            for hour in range((interval.start - ZERO) // HOUR, (interval.end - ZERO) // HOUR)
        }
        assert computed == (gaps if period else set(range(clock)) if gaps else set())


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20))), st.tuples(st.integers(0, 20), st.integers(0, 20)))
def test_intervals_are_merged_and_taken_away_as_sets_of_instants(
    pairs: list[tuple[int, int]], of: tuple[int, int]
) -> None:
    def interval(pair: tuple[int, int]) -> Interval:
        return Interval(ZERO + min(pair) * HOUR, ZERO + max(pair) * HOUR)

    def instants(*intervals: Interval) -> set[int]:
        return {hour for each in intervals for hour in range((each.start - ZERO) // HOUR, (each.end - ZERO) // HOUR)}

    found = [interval(pair) for pair in pairs]
    assert instants(*merged(found)) == instants(*found)
    assert all(a.end < b.start for a, b in pairwise(merged(found)))
    assert instants(*without(interval(of), found)) == instants(interval(of)) - instants(*found)
