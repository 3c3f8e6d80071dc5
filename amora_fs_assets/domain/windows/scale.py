"""Instants as whole numbers: the units in which windows are counted, equal in every engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import cast

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.types import IntegerValue, TimestampValue, Value

from amora_fs_assets.domain.time import Interval, after, before
from amora_fs_assets.domain.windows.durations import Windows, zone_of

UTC_TIME = dt.Timestamp("UTC", 6)
_DAY = 86_400


class Scale(ABC):
    """A unit of time. Hops, windows and ticks are whole numbers of it.

    Args:
        windows: The windows that are counted.

    """

    unit = 1
    """How many units a second has; for local days, windows are already in days."""

    def __init__(self, windows: Windows) -> None:
        self.hop = max(windows.hop * self.unit, 1)
        self.hops_are_ticks = False

    @abstractmethod
    def floor(self, instant: Value) -> IntegerValue:
        """The last whole number at or before the instant."""

    @abstractmethod
    def instant(self, number: Value) -> TimestampValue:
        """The instant of a tick's number."""

    def tick(self, number: IntegerValue) -> IntegerValue:
        """The first tick at or after the number."""
        return number

    def tick_of_hop(self, hop: IntegerValue) -> IntegerValue:
        """As `tick`, for the number of a hop."""
        return hop if self.hops_are_ticks else self.tick(hop)

    def enters(self, happened: Value, *, closed: str) -> IntegerValue:
        """The first hop at which a row of this instant counts."""
        instant = happened if closed == "left" else happened - ibis.interval(microseconds=1)
        return cast("IntegerValue", (self.floor(instant) // self.hop + 1) * self.hop)

    def known(self, known: Value) -> IntegerValue:
        """The first tick at which a row is known that becomes known at this instant."""
        return self.tick(self.floor(known - ibis.interval(microseconds=1)) + 1)


class Events(Scale):
    """Microseconds: each event is a tick."""

    unit = 1_000_000

    def floor(self, instant: Value) -> IntegerValue:
        """Microseconds since 1970."""
        time = cast("TimestampValue", instant)
        fraction = time.delta(time.truncate("s").cast(UTC_TIME), unit="microsecond")
        return cast("IntegerValue", _seconds(instant) // 1 * self.unit + fraction)

    def instant(self, number: Value) -> TimestampValue:
        """The instant of a number of microseconds."""
        seconds = number // self.unit
        rest = (number - seconds * self.unit).as_interval("us")
        return cast("TimestampValue", seconds.as_timestamp("s").cast(UTC_TIME) + rest)


class Seconds(Scale):
    """Seconds, with ticks at the multiples of a number of seconds."""

    def __init__(self, windows: Windows) -> None:
        super().__init__(windows)
        self._every = windows.at.seconds
        self.hops_are_ticks = windows.at.tz is None and self.hop == self._every

    def floor(self, instant: Value) -> IntegerValue:
        """Seconds since 1970."""
        return cast("IntegerValue", _seconds(instant) // 1)

    def instant(self, number: Value) -> TimestampValue:
        """The instant of a number of seconds."""
        return cast("TimestampValue", number.as_timestamp("s").cast(UTC_TIME))

    def tick(self, number: IntegerValue) -> IntegerValue:
        """The first multiple of the ticks' distance at or after the number."""
        return cast("IntegerValue", ((number - 1) // self._every + 1) * self._every)


class _Zone(Seconds):
    """The local days of a zone around an interval.

    The zone's offsets are constant pieces: from `since` on, local time is UTC plus `offset` [s].
    """

    def __init__(self, windows: Windows, interval: Interval) -> None:
        super().__init__(windows)
        assert windows.at.tz is not None, "only ticks of a zone have local days"
        reach = timedelta(days=2) + windows.lookback
        self._pieces = _without_skipped_days(
            offsets(windows.at.tz, before(interval.start, reach), after(interval.end, reach))
        )

    def _day(self, seconds: Value) -> IntegerValue:
        return cast("IntegerValue", (seconds + self._by_piece(seconds, [each.offset for each in self._pieces])) // _DAY)

    def _by_piece(self, seconds: Value, results: list[int]) -> Value:
        if len(results) == 1:
            return ibis.literal(results[0], "int64")
        until = [each.since for each in self._pieces[1:]]
        cases = [(seconds < end, ibis.literal(value, "int64")) for end, value in zip(until, results, strict=False)]
        return ibis.cases(*cases, else_=ibis.literal(results[-1], "int64"))

    def _midnight(self, day: Value) -> IntegerValue:
        """The first second of a local day. If clocks skip midnight, the day begins at the change."""
        first, *later = self._pieces
        starts = [day * _DAY - first.offset, *(ibis.greatest(day * _DAY - each.offset, each.since) for each in later)]
        if not later:
            return cast("IntegerValue", starts[0])
        ends = [each.since for each in later]
        cases = [(start < end, start) for start, end in zip(starts, ends, strict=False)]
        return cast("IntegerValue", ibis.cases(*cases, else_=starts[-1]))


class Midnights(_Zone):
    """Seconds, with ticks at the midnights of a zone."""

    def tick(self, number: IntegerValue) -> IntegerValue:
        """The first local midnight at or after the number."""
        return self._midnight(self._day(number - 1) + 1)


class LocalDays(_Zone):
    """The local days of a zone, with a tick at each midnight."""

    def __init__(self, windows: Windows, interval: Interval) -> None:
        super().__init__(windows, interval)
        self.hops_are_ticks = True

    def floor(self, instant: Value) -> IntegerValue:
        """The number of the local day that contains the instant."""
        return self._day(_seconds(instant) // 1)

    def instant(self, number: Value) -> TimestampValue:
        """The first instant of a local day."""
        return super().instant(self._midnight(number))

    def tick(self, number: IntegerValue) -> IntegerValue:
        """Each local day begins with a tick."""
        return number


def scale_of(windows: Windows, interval: Interval) -> Scale:
    """The unit in which the windows are counted."""
    if windows.at.at_events:
        return Events(windows)
    if windows.at.tz is None:
        return Seconds(windows)
    return LocalDays(windows, interval) if windows.local else Midnights(windows, interval)


@dataclass(frozen=True)
class Piece:
    """A time with one offset from UTC."""

    since: int  # seconds since 1970
    offset: int  # seconds

    @cached_property
    def start(self) -> datetime:
        """The first instant."""
        return datetime.fromtimestamp(self.since, UTC)


def offsets(tz: str, start: datetime, end: datetime) -> list[Piece]:
    """The offsets of a zone between two instants, from the one that holds at `start`."""
    zone = zone_of(tz)

    def offset(second: int) -> int:
        found = datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset()
        assert found is not None, "a zone has an offset at each instant"
        return int(found.total_seconds())

    first, last = (int(each.timestamp()) for each in (max(start, _FIRST), min(end, _LAST)))
    pieces = [Piece(first, offset(first))]
    for day in range(first + _DAY, last + _DAY, _DAY):
        low, high = day - _DAY, min(day, last)
        while offset(high) != pieces[-1].offset:
            below, above = low, high
            while above - below > 1:
                middle = (below + above) // 2
                below, above = (middle, above) if offset(middle) == pieces[-1].offset else (below, middle)
            pieces.append(Piece(above, offset(above)))
            low = above
    return pieces


def _without_skipped_days(pieces: list[Piece]) -> list[Piece]:
    """The pieces with offsets by which a local day that the zone skips has no number (Samoa, 2011-12-30)."""
    found, skipped = pieces[:1], 0
    for earlier, later in pairwise(pieces):
        last, next_ = (later.since - 1 + earlier.offset) // _DAY, (later.since + later.offset) // _DAY
        skipped += max(next_ - last - 1, 0)
        found.append(Piece(later.since, later.offset - skipped * _DAY))
    return found


_FIRST = datetime(1900, 1, 1, tzinfo=UTC)
_LAST = datetime(2400, 1, 1, tzinfo=UTC)


def _seconds(instant: Value) -> Value:
    return cast("TimestampValue", instant).truncate("s").epoch_seconds()
