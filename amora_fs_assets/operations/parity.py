"""Parity: what is served equals the point-in-time truth of the offline store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ibis.expr.types import Table

from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports import NEVER, Key, OfflineStore, OnlineRows
from amora_fs_assets.operations.newest import newest_by

SAMPLE = 200
"""Keys that are looked at before a generation goes live."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def check_sample(
    view: FeatureView,
    rows: Table,
    read: Callable[[Sequence[Key]], OnlineRows],
    *,
    store: OfflineStore,
    cursor: int,
) -> None:
    """Compare the newest of `rows`, of some keys, with what `read` finds of them in a new generation.

    Raises OnlineStoreError where they differ, unless the offline store has moved on since.
    """
    names = list(view.join_keys)
    some = rows.semi_join(rows.select(names).limit(SAMPLE).distinct(), names) if names else rows
    with store.read(newest_by(some, view, names).select([c.name for c in view.row_columns])) as batches:
        expected = batches.read_all().to_pylist()
    keys = [tuple(row[name] for name in names) for row in expected]
    found = online_rows(view, read(keys))
    wrong = [key for key, row, there in zip(keys, expected, found, strict=True) if not same(row, there)]
    if wrong and max((each.sequence for each in store.publications(view.name)), default=0) <= cursor:
        raise OnlineStoreError(
            f"{view}: {len(wrong)} of {len(keys)} sampled keys of the new generation differ from the offline store, "
            f"{dict(zip(names, wrong[0], strict=True))} for one. It does not go live; the old one goes on serving. "
            "Run the load again."
        )


def online_rows(view: FeatureView, found: OnlineRows) -> list[dict[str, Any] | None]:
    """The rows as the offline store would give them, without keys; None where there is none."""
    names = [feature.name for feature in view.features]
    columns = [found.columns[name] for name in names]
    return [
        None
        if time == NEVER
        else {EVENT_TIMESTAMP: _EPOCH + timedelta(microseconds=time), **dict(zip(names, row, strict=True))}
        for time, row in zip(found.event_timestamps, zip(*columns, strict=True), strict=True)
    ]


def same(offline: Mapping[str, Any] | None, online: Mapping[str, Any] | None) -> bool:
    """Whether time and features are equal, NaN being equal to itself."""
    if offline is None or online is None:
        return offline is online
    return all(_equal(offline[name], value) for name, value in online.items())


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other) or (one != one and other != other)
