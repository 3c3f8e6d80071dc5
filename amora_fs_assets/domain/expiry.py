"""When Redis may collect a row because of its age: one rule for all that write rows and all that compare them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from amora_fs_assets.domain.feature_view import FeatureView

KEPT_BEYOND_TTL = timedelta(days=1)
"""Redis keeps a row for at least this long after event_timestamp + ttl."""
SLACK = timedelta(hours=1)
"""By how much the clocks of two machines may differ, and how long a comparison may take."""
_FIRST = datetime.min.replace(tzinfo=UTC)


def oldest_kept(view: FeatureView, now: datetime | None) -> datetime | None:
    """Redis may have collected the view's rows with an earlier event_timestamp; None: it collects no row.

    `now` is the real clock at the moment of the comparison. None: rows were loaded under a fixed clock (AMORA_FS_NOW),
    so they do not expire.
    """
    if view.ttl is None or now is None or view.ttl >= now - _FIRST - KEPT_BEYOND_TTL:
        return None
    return now - view.ttl - KEPT_BEYOND_TTL + SLACK


def may_be_collected(view: FeatureView, event_timestamp: datetime, now: datetime | None) -> bool:
    """Whether Redis may have dropped the row because of its age: then its absence is not a difference."""
    oldest = oldest_kept(view, now)
    return oldest is not None and event_timestamp < oldest


def kept(view: FeatureView, *, expire: bool) -> float | None:
    """The age from which on Redis may collect rows that are written now [s], but for what it keeps beyond it.

    None: it collects none.
    """
    return view.ttl.total_seconds() if view.ttl is not None and expire else None
