"""UTC time, once and for all: aware instants, half-open intervals, calendar periods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from amora_fs_assets.domain.errors import InvalidRequest, shown

Instant = datetime | date | str
"""What is taken where an instant is meant; naive ones are UTC. A pandas Timestamp is a datetime."""


def utc(value: Instant, argument: str = "") -> datetime:
    """The aware UTC datetime that `value` means.

    Dates mean their first instant; naive datetimes and strings without an offset are UTC; nanoseconds are cut off.
    Raises InvalidRequest, which names the `argument`, for what is no instant of the years 1 to 9999.
    """
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        elif isinstance(value, datetime):
            if type(value) is not datetime:  # a pandas Timestamp, which NaT is too, or another subclass
                value = _plain(value)
        elif isinstance(value, date):
            value = datetime(value.year, value.month, value.day, tzinfo=UTC)
        else:
            raise TypeError
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        said = f"{argument}={shown(value)}" if argument else shown(value)
        raise InvalidRequest(
            f"{said} is no instant of the years 1 to 9999 in UTC. Give a datetime, a date, a pandas Timestamp, or text "
            "in ISO 8601, such as '2013-01-01' or '2013-01-01T05:00Z'."
        ) from None


def _plain(value: datetime) -> datetime:
    date_ = (value.year, value.month, value.day)
    time = (value.hour, value.minute, value.second, value.microsecond)
    return datetime(*date_, *time, tzinfo=value.tzinfo, fold=value.fold)


def before(instant: datetime, duration: timedelta) -> datetime:
    """`instant - duration`, or the first instant that there is."""
    try:
        return instant - duration
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def after(instant: datetime, duration: timedelta) -> datetime:
    """`instant + duration`, or the last instant that there is."""
    try:
        return instant + duration
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, init=False)
class Interval:
    """The half-open stretch of time [start, end), in UTC."""

    start: datetime
    end: datetime

    def __init__(self, start: Instant, end: Instant) -> None:
        """Take anything that `utc` takes. Raises InvalidRequest where the end is before the start."""
        vars(self).update(start=utc(start, "start"), end=utc(end, "end"))
        if self.end < self.start:
            raise InvalidRequest(f"An interval ends at or after its start; this one is {self}. Swap start and end.")

    def __str__(self) -> str:
        """In mathematical notation: `[2013-01-01T00:00:00+00:00, 2013-02-01T00:00:00+00:00)`."""
        return f"[{self.start.isoformat()}, {self.end.isoformat()})"

    @property
    def empty(self) -> bool:
        """Whether no instant lies in it."""
        return self.start == self.end

    def contains(self, instant: Instant) -> bool:
        """Whether `instant` lies in [start, end)."""
        return self.start <= utc(instant) < self.end

    def until(self, instant: datetime) -> Interval:
        """The part of it before `instant`; empty at its start when there is none."""
        return Interval(self.start, max(self.start, min(self.end, instant)))


class Period(StrEnum):
    """The calendar unit in which a view is computed: aligned to UTC, weeks begin on Sunday as Dagster's do."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def shortest(self) -> timedelta:
        """The length of its shortest instance."""
        return {
            Period.HOUR: timedelta(hours=1),
            Period.DAY: timedelta(days=1),
            Period.WEEK: timedelta(days=7),
            Period.MONTH: timedelta(days=28),
        }[self]

    def floor(self, instant: datetime) -> datetime:
        """The start of the period that `instant` lies in."""
        hour = utc(instant).replace(minute=0, second=0, microsecond=0)
        day = hour.replace(hour=0)
        match self:
            case Period.HOUR:
                return hour
            case Period.DAY:
                return day
            case Period.WEEK:
                return day - timedelta(days=day.isoweekday() % 7)
            case Period.MONTH:
                return day.replace(day=1)

    def next(self, start: datetime) -> datetime:
        """The start of the period after the one that begins at `start`."""
        return self.floor(start + (timedelta(days=31) if self is Period.MONTH else self.shortest))

    def parts(self, interval: Interval) -> Iterator[Interval]:
        """The parts of `interval` that lie in one period each, in order."""
        start = interval.start
        while start < interval.end:
            end = min(self.next(self.floor(start)), interval.end)
            yield Interval(start, end)
            start = end
