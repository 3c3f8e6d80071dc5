"""When a row is old enough for Redis to collect: one rule for writing and for comparing rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from amora_fs_assets.domain.feature_view import FeatureView

KEPT_BEYOND_TTL = timedelta(days=1)
"""Redis keeps a row for at least this long after event_timestamp + ttl."""
SLACK = timedelta(hours=1)
"""Allowance for different clocks of two machines and for the duration of a comparison."""
_FIRST = datetime.min.replace(tzinfo=UTC)


def oldest_kept(view: FeatureView, now: datetime | None) -> datetime | None:
    """Redis may have collected the view's rows with an earlier event_timestamp; None: Redis collects no row.

    `now` is the real clock at the moment of the comparison. None: rows were loaded under a fixed clock (AMORA_FS_NOW),
    so they do not expire.
    """
    if view.ttl is None or now is None or view.ttl >= now - _FIRST - KEPT_BEYOND_TTL:
        return None
    return now - view.ttl - KEPT_BEYOND_TTL + SLACK


def may_be_collected(view: FeatureView, event_timestamp: datetime, now: datetime | None) -> bool:
    """Whether Redis may have collected the row because of its age. Then a missing row is not a difference."""
    oldest = oldest_kept(view, now)
    return oldest is not None and event_timestamp < oldest


def kept(view: FeatureView, *, expire: bool) -> float | None:
    """The ttl of rows that are written now [s]; Redis keeps the rows KEPT_BEYOND_TTL longer. None: no expiry."""
    return view.ttl.total_seconds() if view.ttl is not None and expire else None
