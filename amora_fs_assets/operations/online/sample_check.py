"""Compares a sample of a new generation's keys with the offline store before the generation goes live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ibis
from ibis.expr.types import BooleanValue, Table

from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.expiry import may_be_collected, oldest_kept
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import Key, OnlineRows
from amora_fs_assets.domain.row_order import newest_by
from amora_fs_assets.operations.online.parity import collecting_clock, online_rows, same

SAMPLE = 200
"""The number of compared keys."""


def check_sample(
    view: FeatureView,
    rows: Table,
    read: Callable[[Sequence[Key]], OnlineRows],
    *,
    store: OfflineStore,
    published_through: int,
    expire: bool,
) -> None:
    """Compare the newest of `rows` of a sample of keys with the rows that `read` finds in a new generation.

    `expire`: Redis may have collected rows because of their age, so keys without a younger row are not compared.
    Raises OnlineStoreError for differences, unless the offline store got newer publications meanwhile.
    """
    names = list(view.join_keys)
    oldest = oldest_kept(view, collecting_clock(expire=expire))
    if oldest is not None:
        rows = rows.filter(rows[EVENT_TIMESTAMP] >= ibis.literal(oldest))
    if names:
        rows = rows.filter(*(rows[name].notnull() for name in names))
    some = rows.semi_join(rows.select(names).limit(SAMPLE).distinct(), names) if names else rows
    wrong, compared = _wrong(view, some, read, store, expire=expire)
    if wrong and view.table is not None:  # an external table may have changed since the load read its rows
        again, _ = _wrong(view, some.filter(_among(some, names, wrong)) if names else some, read, store, expire=expire)
        wrong = {key: row for key, row in again.items() if same(row, wrong.get(key))}
    if wrong and max((each.sequence for each in store.publications(view.name)), default=0) <= published_through:
        raise OnlineStoreError(
            f"{view}: {len(wrong)} of {compared} sampled keys of the new generation differ from the offline store, "
            f"such as {dict(zip(names, next(iter(wrong)), strict=True))}. The new generation does not go live, and the "
            "old one stays live. Run the load again."
        )


def _wrong(
    view: FeatureView,
    rows: Table,
    read: Callable[[Sequence[Key]], OnlineRows],
    store: OfflineStore,
    *,
    expire: bool,
) -> tuple[dict[Key, dict[str, Any]], int]:
    """The newest rows that differ from the rows that `read` finds, by key, and the number of compared keys.

    Rows that were pushed during the load, and rows that may be collected, do not count as differences.
    """
    names = list(view.join_keys)
    with store.read(newest_by(rows, view, names).select([c.name for c in view.row_columns])) as batches:
        expected = batches.read_all().to_pylist()
    keys = [tuple(row[name] for name in names) for row in expected]
    online = read(keys)
    now = collecting_clock(expire=expire)
    wrong = {
        key: row
        for key, row, there, pushed in zip(keys, expected, online_rows(view, online), online.pushed, strict=True)
        if not same(row, there)
        and not pushed
        and not (there is None and may_be_collected(view, row[EVENT_TIMESTAMP], now))
    }
    return wrong, len(keys)


def _among(rows: Table, names: Sequence[str], keys: Iterable[Key]) -> BooleanValue:
    """Whether a row has one of the keys."""
    return ibis.or_(*(ibis.and_(*(rows[n] == value for n, value in zip(names, key, strict=True))) for key in keys))
