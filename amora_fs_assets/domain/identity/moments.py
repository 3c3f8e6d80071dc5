"""A placeholder interval that detects code which branches on the interval's instants."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from amora_fs_assets.domain.time import Interval

_LIBRARIES = frozenset({"ibis", "dateutil", "pandas", "numpy", "pyarrow", "pytz", "zoneinfo"})
_START = datetime(2201, 3, 5, 7, 11, 13, 171_923, tzinfo=UTC)
_END = datetime(2231, 10, 17, 19, 23, 29, 313_741, tzinfo=UTC)
_NEAR = timedelta(days=13 * 365)  # instants this close to a placeholder instant count as derived from it
_ASKED = frozenset(
    {
        *("year", "month", "day", "hour", "minute", "second", "microsecond", "fold", "weekday", "isoweekday"),
        *("isocalendar", "date", "time", "timetz", "timestamp", "timetuple", "utctimetuple", "toordinal"),
        *("isoformat", "strftime", "ctime", "replace", "astimezone"),
    }
)  # fmt: skip


class Watch:
    """Whether code inspected an instant, rather than only put it into an expression."""

    def __init__(self) -> None:
        self.asked = False

    def interval(self) -> Interval:
        """An interval whose instants report to this watch."""
        interval = object.__new__(Interval)
        vars(interval).update(start=_Moment.of(_START, self), end=_Moment.of(_END, self))
        return interval

    def note(self) -> None:
        """Note an access, unless a library that builds the expression makes it."""
        asking = sys._getframe(2).f_globals.get("__name__", "")  # noqa: SLF001
        if asking.partition(".")[0] not in _LIBRARIES:
            self.asked = True


class _Moment(datetime):
    """An instant that notifies its watch when code compares it or reads its parts."""

    _watch: Watch

    @classmethod
    def of(cls, instant: datetime, watch: Watch) -> _Moment:
        moment = cls(*instant.timetuple()[:6], instant.microsecond, tzinfo=UTC)
        object.__setattr__(moment, "_watch", watch)
        return moment

    def __getattribute__(self, name: str) -> Any:
        if name in _ASKED:
            object.__getattribute__(self, "_watch").note()
            return getattr(_plain(self), name)
        return super().__getattribute__(name)

    def __add__(self, other: timedelta) -> _Moment:
        return self.of(_plain(self) + other, self._watch)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, timedelta):
            return self.of(_plain(self) - other, self._watch)
        self._watch.note()
        return _plain(self) - _plain(other)

    def __rsub__(self, other: datetime) -> timedelta:
        self._watch.note()
        return _plain(other) - _plain(self)

    def __eq__(self, other: object) -> bool:
        self._watch.note()
        return datetime.__eq__(self, other)

    def __lt__(self, other: Any) -> bool:
        self._watch.note()
        return datetime.__lt__(self, other)

    def __le__(self, other: Any) -> bool:
        self._watch.note()
        return datetime.__le__(self, other)

    def __gt__(self, other: Any) -> bool:
        self._watch.note()
        return datetime.__gt__(self, other)

    def __ge__(self, other: Any) -> bool:
        self._watch.note()
        return datetime.__ge__(self, other)

    def __hash__(self) -> int:
        self._watch.note()
        return datetime.__hash__(self)

    def __str__(self) -> str:
        self._watch.note()
        return datetime.__str__(self)

    def __repr__(self) -> str:
        self._watch.note()
        return datetime.__repr__(self)

    def __format__(self, form: str) -> str:
        self._watch.note()
        return datetime.__format__(self, form)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return datetime, (*_plain(self).timetuple()[:6], self.microsecond, UTC)


def _plain(instant: datetime) -> datetime:
    """The instant without a watch."""
    if not isinstance(instant, _Moment):
        return instant
    get = super(_Moment, instant).__getattribute__
    return datetime(
        get("year"), get("month"), get("day"), get("hour"), get("minute"), get("second"), get("microsecond"), UTC
    )


def marker(instant: datetime) -> list[Any] | None:
    """`interval.start` or `interval.end` and the distance [us], for an instant derived from one; otherwise None."""
    aware = instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
    for name, moment in (("interval.start", _START), ("interval.end", _END)):
        if abs(aware - moment) <= _NEAR:
            return [name, (aware - moment) // timedelta(microseconds=1)]
    return None
