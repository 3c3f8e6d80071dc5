"""Partitions of a BigQuery table, from rows of INFORMATION_SCHEMA.PARTITIONS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from amora_fs_assets.domain.time import Interval

_FORMATS = {"HOUR": "%Y%m%d%H", "DAY": "%Y%m%d", "MONTH": "%Y%m", "YEAR": "%Y"}
_LONGEST = {"HOUR": timedelta(hours=1), "DAY": timedelta(days=1), "MONTH": timedelta(days=31)}
_NULL = "__NULL__"
_BUFFER = "__UNPARTITIONED__"


def changed_late(rows: Sequence[Mapping[str, Any]], period: str, lateness: timedelta) -> tuple[Interval, ...] | None:
    """The partitions that changed later than `lateness` after their end.

    Includes partitions without a time of change. None while streamed rows are not in their partitions yet.
    """
    found = []
    for row in rows:
        if row["partition_id"] == _BUFFER:
            return None
        if row["partition_id"] in (None, _NULL):  # rows without a time never count
            continue
        start = datetime.strptime(row["partition_id"], _FORMATS[period]).replace(tzinfo=UTC)
        end = start + _LONGEST.get(period, timedelta(days=366))
        if period in ("MONTH", "YEAR"):
            end = end.replace(day=1) if period == "MONTH" else end.replace(month=1, day=1)
        changed = row.get("last_modified_time")
        if changed is None or changed > end + lateness:
            found.append(Interval(start, end))
    return tuple(found)
