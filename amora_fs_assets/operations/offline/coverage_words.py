"""Coverage as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from amora_fs_assets.operations.offline.coverage import Coverage, State

_UNITS = (
    (timedelta(days=1), "d"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "min"),
    (timedelta(seconds=1), "s"),
)


def summary(found: Coverage) -> str:
    """The length of time in each state, such as `3 d stale, 5 h part-computed`; `current` if all is current."""
    if not found.stretches:
        return "nothing to compute yet"
    if found.complete:
        return str(State.CURRENT)
    lengths = {
        state: sum((each.interval.end - each.interval.start for each in found.gaps if each.state is state), timedelta())
        for state in State
    }
    return ", ".join(f"{_length(length)} {state}" for state, length in lengths.items() if length)


def lines(found: Iterable[Coverage]) -> list[str]:
    """A line for each stretch that is not current."""
    return [f"{each.view.name}: {gap}" for each in found for gap in each.gaps]


def plain(found: Coverage) -> list[dict[str, Any]]:
    """The stretches in their JSON form."""
    return [
        {
            "start": each.interval.start.isoformat(),
            "end": each.interval.end.isoformat(),
            "state": str(each.state),
            "because": each.because,
        }
        for each in found.stretches
    ]


def _length(length: timedelta) -> str:
    """The length in its greatest unit and, if not zero, the next smaller unit; at least `1 s`."""
    for (unit, word), (smaller, smaller_word) in zip(_UNITS, (*_UNITS[1:], _UNITS[-1]), strict=True):
        if length >= unit:
            rest = (length % unit) // smaller if smaller != unit else 0
            return f"{length // unit} {word}" + (f" {rest} {smaller_word}" if rest else "")
    return "1 s"
