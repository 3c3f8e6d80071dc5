"""The truth about point-in-time joins: plain Python, row by row, for anyone to verify."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

Row = dict[str, Any]
NEVER = datetime(9999, 12, 31, tzinfo=UTC)


def brute_force(
    moments: Sequence[Row], rows: Sequence[Row], keys: dict[str, str], features: Sequence[str],
    ttl: timedelta | None, known_time: bool,
) -> list[Row | None]:  # fmt: skip
    """For each moment the row of a view that held then. `keys` are the view's join keys and the moments' columns."""
    found: list[Row | None] = []
    rows_of: dict[tuple[Any, ...], list[Row]] = {}  # the rows of a key, the one that counts before others first
    for row in sorted(rows, key=lambda row: _rank(row, features), reverse=True):
        rows_of.setdefault(tuple(row[key] for key in keys), []).append(row)
    for moment in moments:
        t, best = moment["event_timestamp"], None
        asked = tuple(moment[column] for column in keys.values())
        for row in [] if None in asked or t is None else rows_of.get(asked, []):
            visible = row["event_timestamp"], row.get("created_timestamp") if known_time else None
            if all(time is None or time <= t for time in visible):
                best = row
                break
        end = None if best is None else best.get("valid_to")
        too_old = best is not None and ttl is not None and best["event_timestamp"] < t - ttl
        found.append(None if too_old or (end is not None and end <= t) else best)
    return found


def _rank(row: Row, features: Sequence[str]) -> list[Any]:
    time, end = row["event_timestamp"], row.get("valid_to")  # a null created_timestamp is event_timestamp
    ends = [end is None or end > time, end is not None, NEVER - (end or NEVER)]
    return [time, row.get("created_timestamp") or time, *ends, *(_order(row[feature]) for feature in features)]


def _order(value: Any) -> tuple[Any, ...]:
    """Null lowest, then NaN; lists by their length, then by their items as text, with separators escaped."""
    if value is None:
        return (0,)
    if value != value:
        return (1,)
    if isinstance(value, dict):  # any order: no case has two rows of a key that differ in a struct or map alone
        return (2, repr(value))
    return (2, len(value), "\x1f".join(map(_text, value))) if isinstance(value, list) else (2, value)


def _text(item: Any) -> str:
    if item is None:
        return "\x1e2"
    return item.hex() if isinstance(item, bytes) else str(item).replace("\x1e", "\x1e0").replace("\x1f", "\x1e1")
