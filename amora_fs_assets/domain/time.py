"""UTC time: aware instants, half-open intervals, calendar periods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from amora_fs_assets.domain.errors import InvalidRequest, shown

Instant = datetime | date | str
"""The types of an instant in the public API. Naive values are UTC. A pandas Timestamp is a datetime."""

Clock = Callable[[], datetime]
"""A function that returns the current instant, aware, in UTC."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def from_microseconds(value: int) -> datetime:
    """The instant `value` microseconds after 1970-01-01, UTC."""
    return EPOCH + timedelta(microseconds=value)


def wall_clock() -> datetime:
    """The current instant of this machine's clock, in UTC."""
    return datetime.now(UTC)


def utc(value: Instant, argument: str = "") -> datetime:
    """Convert `value` to an aware UTC datetime.

    A date is its first instant. A naive datetime and a string without an offset are UTC. Nanoseconds are cut off.
    Raises InvalidRequest, with the name of the `argument`, for any other value and outside the years 1 to 9999.
    """
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        elif isinstance(value, datetime):
            if type(value) is not datetime:  # a pandas Timestamp or NaT, or another subclass
                value = _plain(value)
        elif isinstance(value, date):
            value = datetime(value.year, value.month, value.day, tzinfo=UTC)
        else:
            raise TypeError
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        label = f"{argument}={shown(value)}" if argument else shown(value)
        raise InvalidRequest(
            f"{label} is not an instant of the years 1 to 9999 in UTC. Give a datetime, a date, a pandas Timestamp, or "
            "text in ISO 8601, such as '2013-01-01' or '2013-01-01T05:00Z'."
        ) from None


def _plain(value: datetime) -> datetime:
    date_ = (value.year, value.month, value.day)
    time = (value.hour, value.minute, value.second, value.microsecond)
    return datetime(*date_, *time, tzinfo=value.tzinfo, fold=value.fold)


def before(instant: datetime, duration: timedelta) -> datetime:
    """`instant - duration`, but not before the first instant of datetime."""
    try:
        return instant - duration
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def after(instant: datetime, duration: timedelta) -> datetime:
    """`instant + duration`, but not after the last instant of datetime."""
    try:
        return instant + duration
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, init=False)
class Interval:
    """The half-open interval [start, end), in UTC."""

    start: datetime
    end: datetime

    def __init__(self, start: Instant, end: Instant) -> None:
        """Take any value that `utc` takes. Raises InvalidRequest if the end is before the start."""
        vars(self).update(start=utc(start, "start"), end=utc(end, "end"))
        if self.end < self.start:
            raise InvalidRequest(f"An interval ends at or after its start; this one is {self}. Swap start and end.")

    def __str__(self) -> str:
        """Mathematical notation: `[2013-01-01T00:00:00+00:00, 2013-02-01T00:00:00+00:00)`."""
        return f"[{self.start.isoformat()}, {self.end.isoformat()})"

    @property
    def empty(self) -> bool:
        """Whether the interval contains no instant."""
        return self.start == self.end

    def contains(self, instant: Instant) -> bool:
        """Whether `instant` lies in [start, end)."""
        return self.start <= utc(instant) < self.end

    def until(self, instant: datetime) -> Interval:
        """The part of the interval before `instant`; an empty interval at `start` if there is no such part."""
        return Interval(self.start, max(self.start, min(self.end, instant)))


class Period(StrEnum):
    """The calendar period of a view's partitions, aligned to UTC. Weeks begin on Sunday, as in Dagster."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def shortest(self) -> timedelta:
        """The length of the shortest period of this kind."""
        return {
            Period.HOUR: timedelta(hours=1),
            Period.DAY: timedelta(days=1),
            Period.WEEK: timedelta(days=7),
            Period.MONTH: timedelta(days=28),
        }[self]

    def floor(self, instant: datetime) -> datetime:
        """The start of the period that contains `instant`."""
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
        """The interval, split at the starts of periods, in order."""
        start = interval.start
        while start < interval.end:
            end = min(self.next(self.floor(start)), interval.end)
            yield Interval(start, end)
            start = end
