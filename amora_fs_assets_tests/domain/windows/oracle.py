"""Rolling windows by plain Python: each row of the result is computed from the definition, without hops or frames."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from amora_fs_assets import Interval
from amora_fs_assets.domain.windows.durations import Window, Windows


@dataclass(frozen=True)
class Event:
    """A row of the table."""

    customer: int | None
    at: datetime | None
    loaded: datetime | None = None  # when it became available; None: at once
    amount: int | None = None
    price: float | None = None
    product: str | None = None

    @property
    def known(self) -> datetime:
        assert self.at is not None
        return self.at if self.loaded is None else max(self.at, self.loaded)


Compute = Callable[[Sequence[Event]], Any]


def number(rows: Sequence[Event]) -> int:
    return len(rows)


def total(rows: Sequence[Event]) -> int:
    return sum(each.amount for each in rows if each.amount is not None)


def average(rows: Sequence[Event]) -> float | None:
    found = [each.price for each in rows if each.price is not None]
    return sum(found) / len(found) if found else None


def least(rows: Sequence[Event]) -> float | None:
    found = [each.price for each in rows if each.price is not None]
    return math.nan if any(map(math.isnan, found)) else min(found, default=None)


def greatest(rows: Sequence[Event]) -> str | None:
    return max((each.product for each in rows if each.product is not None), default=None)


def deviation(rows: Sequence[Event]) -> float | None:
    found = [each.price for each in rows if each.price is not None]
    if len(found) > 1 and not all(map(math.isfinite, found)):
        return math.nan
    return statistics.stdev(found) if len(found) > 1 else None


def different(rows: Sequence[Event]) -> int:
    return len({each.product for each in rows} - {None})


def newest(rows: Sequence[Event], k: int = 3) -> list[int]:
    found = sorted(((each.at, each.amount) for each in rows if each.amount is not None), reverse=True)
    return [amount for _, amount in found[:k]]


def last(rows: Sequence[Event]) -> int | None:
    return next(iter(newest(rows)), None)


def last_price(rows: Sequence[Event]) -> float | None:
    found = [(each.at, math.isnan(each.price), each.price) for each in rows if each.price is not None]
    return max(found)[2] if found else None


def first(rows: Sequence[Event]) -> int | None:
    found = sorted((each.at, -each.amount) for each in rows if each.amount is not None)
    return -found[0][1] if found else None


def latest(rows: Sequence[Event]) -> datetime | None:
    return max((each.at for each in rows if each.at is not None), default=None)


def frequent(rows: Sequence[Event]) -> list[str]:
    found = Counter(each.product for each in rows if each.product is not None)
    return sorted(found, key=lambda product: (found[product], product), reverse=True)[:2]


def quantile_of(q: float) -> Compute:
    def compute(rows: Sequence[Event]) -> float | None:
        found = [each.price for each in rows if each.price is not None]
        if any(map(math.isnan, found)):
            return math.nan
        return float(np.quantile(found, q)) if found else None

    return compute


def begins(windows: Windows, window: Window, tick: datetime) -> tuple[datetime | None, datetime]:
    """The edges of a window at a tick."""
    if not window.local:
        end = tick - timedelta(seconds=window.ending)
        return None if window.length is None else end - timedelta(seconds=window.length), end
    assert windows.at.tz is not None
    day = tick.astimezone(ZoneInfo(windows.at.tz)).date()
    end = midnight(day - timedelta(days=window.ending), windows.at.tz)
    assert window.reach is not None
    return midnight(day - timedelta(days=window.reach), windows.at.tz), end


def midnight(day: date, tz: str) -> datetime:
    """The first instant of a local day."""
    found = datetime.combine(day, time(), ZoneInfo(tz)).astimezone(UTC)
    while found.astimezone(ZoneInfo(tz)).date() < day:  # clocks skip midnight
        found += timedelta(minutes=15)
    return found


def inside(windows: Windows, window: Window, tick: datetime, rows: Sequence[Event]) -> list[Event]:
    start, end = begins(windows, window, tick)
    found = []
    for each in rows:
        assert each.at is not None
        if each.known > tick:
            continue
        if windows.closed == "left" and (start is None or start <= each.at) and each.at < end:
            found.append(each)
        if windows.closed == "right" and (start is None or start < each.at) and each.at <= end:
            found.append(each)
    return found


def ticks(windows: Windows, interval: Interval) -> Iterator[datetime]:
    """The ticks of the interval, after the last tick before the interval."""
    if windows.at.tz is not None:
        day = interval.start.astimezone(ZoneInfo(windows.at.tz)).date() - timedelta(days=3)
        found = [midnight(day + timedelta(days=number), windows.at.tz) for number in range(interval_days(interval) + 8)]
    else:
        step = windows.at.seconds
        first = int(interval.start.timestamp()) // step * step - step
        found = [datetime.fromtimestamp(each, UTC) for each in range(first, int(interval.end.timestamp()) + 1, step)]
    before = [each for each in found if each < interval.start]
    yield before[-1]
    yield from (each for each in found if interval.contains(each))


def interval_days(interval: Interval) -> int:
    return (interval.end - interval.start).days


def expected(
    events: Sequence[Event],
    windows: Windows,
    interval: Interval,
    features: dict[str, Compute],
    of_widest: Mapping[str, Compute],
) -> dict[tuple[int, datetime], dict[str, Any]]:
    """By customer and tick: the features' values in each window, and those of the widest window."""
    result: dict[tuple[int, datetime], dict[str, Any]] = {}
    reaches = [each.reach for each in windows.windows]
    widest = Window("", None if None in reaches else max(filter(None, reaches)), 0, windows.local)
    changing = [*windows.windows, *([widest] if of_widest else [])]
    for customer in {each.customer for each in events if each.customer is not None}:
        rows = [each for each in events if each.customer == customer and each.at is not None]
        if windows.at.at_events:
            at = sorted({each.known for each in rows if interval.contains(each.known)})
        else:
            at, earlier = [], None
            for tick in ticks(windows, interval):
                members = [inside(windows, window, tick, rows) for window in changing]
                if earlier is not None and members != earlier:
                    at.append(tick)
                earlier = members
        for tick in at:
            result[customer, tick] = {
                f"{name}_{window.name}": compute(inside(windows, window, tick, rows))
                for name, compute in features.items()
                for window in windows.windows
            } | {name: compute(inside(windows, widest, tick, rows)) for name, compute in of_widest.items()}
    return result


def same(found: Any, right: Any) -> bool:
    """Whether two values are equal; floats within 1e-9."""
    if isinstance(found, float) and isinstance(right, float):
        return (math.isnan(found) and math.isnan(right)) or math.isclose(found, right, rel_tol=1e-9, abs_tol=1e-9)
    return bool(found == right)
