"""Durations and windows as text, such as `24h`, and the ticks at which windows are evaluated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from math import gcd
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from amora_fs_assets.domain.arguments import LONGEST
from amora_fs_assets.domain.errors import DefinitionError, shown

Closed = Literal["left", "right"]
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_WORDS = {"w": "week", "d": "day", "h": "hour", "m": "minute", "s": "second"}
_TEXT = re.compile(r"([1-9][0-9]*)([smhdw])")
_LONGEST = timedelta(days=36_525)
_QUARTER_HOUR = 900  # all zones' offsets have been multiples of it since 1972


def duration(argument: str, given: str | timedelta) -> timedelta:
    """A duration of whole seconds from text such as `90s`, `5m`, `24h`, `7d` (168 h) or `2w`, or from a timedelta.

    Raises DefinitionError, with the name of the `argument`, for another value.
    """
    if isinstance(given, str) and (read := _TEXT.fullmatch(given)):
        seconds = int(read[1]) * _UNITS[read[2]]
        found = timedelta(seconds=seconds) if seconds <= _LONGEST.total_seconds() else None
    else:
        whole = isinstance(given, timedelta) and given > timedelta(0) and given % timedelta(seconds=1) == timedelta(0)
        found = given if isinstance(given, timedelta) and whole and given <= _LONGEST else None
    if found is None:
        raise DefinitionError(
            f"{argument}={shown(given)} is not a duration of 1 second to 100 years in whole seconds. Give a number and "
            "a unit (s, m, h, d, w), such as '90s', '5m', '24h' or '7d'; a day has 24 hours."
        )
    return found


def text_of(given: timedelta) -> str:
    """A duration in the longest unit up to days that gives a whole number: `7d`, `36h`."""
    seconds = int(given.total_seconds())
    unit = next(unit for unit in "dhms" if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


@dataclass(frozen=True)
class Window:
    """The time [T - ending - length, T - ending) before a tick T.

    Args:
        name: The window in names and texts, such as `24h`.
        length: The length in seconds, or in local days; None: without a beginning (`lifetime`).
        ending: How long before the tick the window ends, in the same unit.
        local: Whether the unit is the local day of the ticks' zone instead of the second.

    """

    name: str
    length: int | None
    ending: int = 0
    local: bool = False

    def __str__(self) -> str:
        """The window in descriptions: `24 hours`, or `7 days, ending 7 days ago`."""
        if self.length is None:
            return "lifetime" if not self.ending else f"lifetime, ending {self._words(self.ending)} ago"
        return self._words(self.length) + (f", ending {self._words(self.ending)} ago" if self.ending else "")

    def _words(self, length: int) -> str:
        if self.local:
            return f"{length} local day{'s' * (length != 1)}"
        named = _TEXT.match(self.name) if length == self.length else None
        text = named[0] if named else text_of(timedelta(seconds=length))
        number, unit = int(text[:-1]), _WORDS[text[-1]]
        return f"{number} {unit}{'s' * (number != 1)}"

    @property
    def reach(self) -> int | None:
        """The distance from the tick back to the beginning of the window; None: unlimited."""
        return None if self.length is None else self.length + self.ending


def window(length: str | timedelta | None, *, ending: str | timedelta | None = None, name: str | None = None) -> Window:
    """A window of this length that ends `ending` before the tick.

    `window("7d", ending="7d")` is the week before the last week, with the name `7d_7d_ago`. A length of None is all
    time before the end of the window, with the name `lifetime`. Raises DefinitionError.
    """
    shift = None if ending is None else duration("ending", ending)
    span = None if length is None else duration("window", length)
    own = "lifetime" if span is None else length if isinstance(length, str) else text_of(span)
    if shift is not None:
        own += f"_{ending if isinstance(ending, str) else text_of(shift)}_ago"
    return Window(name or own, None if span is None else _seconds(span), 0 if shift is None else _seconds(shift))


def local_days(days: int, *, ending: int = 0, name: str | None = None) -> Window:
    """A window of whole local days, for ticks at local midnights: `every("1d", tz="Europe/Berlin")`.

    A local day has 23 to 25 hours. The window has the name `<days>_local_days`. Raises DefinitionError.
    """
    for argument, given, least in (("days", days, 1), ("ending", ending, 0)):
        if type(given) is not int or not least <= given <= _LONGEST.days:
            raise DefinitionError(f"local_days: {argument}={shown(given)} is not a whole number from {least} on.")
    own = f"{days}_local_days" + (f"_{ending}_ago" if ending else "")
    return Window(name or own, days, ending, local=True)


@dataclass(frozen=True)
class Ticks:
    """The instants at which windows are evaluated.

    Args:
        seconds: The distance of two ticks; 0: each event is a tick.
        tz: The zone at whose midnights the ticks lie; None: multiples of the distance since 1970-01-01, UTC.

    """

    seconds: int
    tz: str | None = None

    @property
    def at_events(self) -> bool:
        """Whether each event is a tick."""
        return self.seconds == 0

    def __str__(self) -> str:
        """The ticks in messages."""
        zone = f" (midnights of {self.tz})" if self.tz else ""
        return "events" if self.at_events else f"every {text_of(timedelta(seconds=self.seconds))}{zone}"


EVENTS = Ticks(0)


def every(length: str | timedelta, *, tz: str | None = None) -> Ticks:
    """Ticks at the multiples of a duration since 1970-01-01, UTC; with a zone, at each local midnight of the zone.

    With a zone, the length is `1d`. Raises DefinitionError.
    """
    seconds = _seconds(duration("every", length))
    if tz is not None:
        if seconds != _UNITS["d"]:
            raise DefinitionError(f"every({shown(length)}, tz={tz!r}): ticks of a zone are its midnights. Give '1d'.")
        zone_of(tz)
    return Ticks(seconds, tz)


def zone_of(tz: str) -> ZoneInfo:
    """The time zone of this name. Raises DefinitionError."""
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise DefinitionError(f"tz={shown(tz)} is not a time zone. Give a name such as 'Europe/Berlin'.") from None


def _seconds(given: timedelta) -> int:
    return int(given.total_seconds())


@dataclass(frozen=True, init=False)
class Windows:
    """The windows of a view's features, and the ticks at which they are evaluated.

    `Windows("1h", "24h", "7d", at=every("1h"))`. A window is [T - w, T) for a tick T, or (T - w, T] if
    `closed="right"`. None is a window without a beginning.

    Raises DefinitionError: a window is shorter than the distance of two ticks, two windows have one name, or a window
    of local days has no ticks at local midnights.
    """

    windows: tuple[Window, ...]
    at: Ticks
    closed: Closed

    def __init__(
        self,
        *windows: str | timedelta | Window | None,
        at: str | timedelta | Ticks = "1h",
        closed: Closed = "left",
    ) -> None:
        """Read the texts, and check the windows against the ticks."""
        given = tuple(each if isinstance(each, Window) else window(each) for each in windows)
        ticks = at if isinstance(at, Ticks) else EVENTS if at == "events" else every(at)
        if not given:
            raise DefinitionError("Windows: no window is given. Give at least one, such as '24h'.")
        names = [each.name for each in given]
        for name in names:
            if names.count(name) > 1:
                raise DefinitionError(f"Windows: two windows have the name '{name}'. Drop one, or give it a name=.")
            if not re.fullmatch(r"[a-z0-9_]+", name):
                raise DefinitionError(f"Windows: name {shown(name)} has characters other than a-z, 0-9 and _.")
        if closed not in {"left", "right"}:
            raise DefinitionError(f"Windows: closed={shown(closed)} is not 'left' or 'right'.")
        vars(self).update(windows=given, at=ticks, closed=closed)
        self._check_against_ticks()

    def _check_against_ticks(self) -> None:
        local = {each.local for each in self.windows}
        if local == {True, False}:
            raise DefinitionError("Windows: some windows are local days and others are not. Make a view of each kind.")
        if local == {True} and self.at.tz is None:
            raise DefinitionError(
                "Windows: windows of local days need ticks at local midnights: at=every('1d', tz='Europe/Berlin')."
            )
        for each in self.windows:
            if not each.local and each.length is not None and each.length < self.at.seconds:
                raise DefinitionError(
                    f"Windows: window '{each.name}' is shorter than the time between two ticks ({self.at}), so some "
                    f"events would be in no window. Give at='{each.name}' or a shorter distance of ticks."
                )

    @property
    def local(self) -> bool:
        """Whether the windows are local days."""
        return self.windows[0].local

    @property
    def widest(self) -> Window:
        """The window from the beginning of the longest one up to the tick."""
        reaches = [each.reach for each in self.windows]
        return Window("widest", None if None in reaches else max(each for each in reaches if each), 0, self.local)

    @property
    def hop(self) -> int:
        """The greatest common divisor of ticks, windows and shifts [s; local days]; 0 for ticks at events."""
        if self.local:
            return 1
        if self.at.at_events:
            return 0
        tick = self.at.seconds if self.at.tz is None else _QUARTER_HOUR
        return reduce(gcd, [each for w in self.windows for each in (w.length or 0, w.ending)], tick)

    @property
    def lookback(self) -> timedelta:
        """How far before an interval its computation reads: the longest reach and one tick.

        The tick is added since an event that leaves a window at the interval's first tick was in the window at the
        tick before. A window without a beginning reads everything: LONGEST.
        """
        longest = self.widest.length
        if longest is None:
            return LONGEST
        if self.local:  # a local day has at most 25 hours
            return timedelta(days=longest + 1, hours=longest // 180 + 2)
        tick = self.at.seconds if self.at.tz is None else self.at.seconds + 2 * 3_600
        return timedelta(seconds=longest + tick)

    def __str__(self) -> str:
        """The windows in messages."""
        return f"{', '.join(each.name for each in self.windows)} at {self.at}"
