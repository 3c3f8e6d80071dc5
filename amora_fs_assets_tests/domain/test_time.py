"""UTC instants, half-open intervals, calendar periods."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amora_fs_assets import Interval
from amora_fs_assets.domain.time import Period, utc

instants = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    "value",
    [
        date(2020, 1, 2),
        "2020-01-02",
        datetime(2020, 1, 2),
        "2020-01-02T02:00+02:00",
        datetime(2020, 1, 1, 19, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_every_way_to_write_an_instant_means_the_same(value: date | datetime | str) -> None:
    assert utc(value) == datetime(2020, 1, 2, tzinfo=UTC)
    assert utc(value).tzinfo is UTC


def test_an_observation_at_the_closing_instant_belongs_to_the_next_interval() -> None:
    january = Interval("2020-01-01", "2020-02-01")
    assert january.contains("2020-01-01")
    assert january.contains("2020-01-31T23:59:59.999999Z")
    assert not january.contains("2020-02-01")


def test_an_interval_does_not_end_before_its_start() -> None:
    with pytest.raises(ValueError, match="ends at or after its start"):
        Interval("2020-02-01", "2020-01-01")


@given(start=instants, end=instants, clock=instants)
def test_until_gives_what_lies_before_the_clock(start: datetime, end: datetime, clock: datetime) -> None:
    interval = Interval(min(start, end), max(start, end))
    part = interval.until(clock)
    assert interval.start <= part.start <= part.end <= interval.end
    assert part.empty or part.end <= clock
    assert part.end == min(interval.end, max(clock, interval.start))


@given(period=st.sampled_from(Period), instant=instants)
def test_an_instant_lies_between_its_periods_start_and_the_next(period: Period, instant: datetime) -> None:
    start = period.floor(instant)
    assert start <= instant < period.next(start)
    assert period.floor(start) == start
    assert period.floor(period.next(start)) == period.next(start)
    assert period.next(start) - start >= period.shortest


def test_a_week_begins_on_sunday() -> None:
    assert Period.WEEK.floor(utc("2013-01-05T12:00")) == utc("2012-12-30")
    assert utc("2012-12-30").isoweekday() == 7


@given(period=st.sampled_from([Period.DAY, Period.WEEK, Period.MONTH]), start=instants, days=st.integers(0, 100))
def test_the_parts_of_an_interval_make_it_up_and_lie_in_one_period_each(
    period: Period, start: datetime, days: int
) -> None:
    whole = Interval(start, start + timedelta(days=days))
    parts = list(period.parts(whole))
    assert [part.end for part in parts[:-1]] == [part.start for part in parts[1:]]
    assert (parts[0].start, parts[-1].end) == (whole.start, whole.end) if parts else whole.empty
    assert all(part.end <= period.next(period.floor(part.start)) for part in parts)
