"""Parity: compares online rows with the point-in-time rows of the offline store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ibis
import pyarrow as pa
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.expiry import may_be_collected
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import NEVER, Generation, Key, OnlineRequest, OnlineRows, OnlineStore
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.row_order import newest_by
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.time import Clock, from_microseconds, wall_clock
from amora_fs_assets.operations.expressions.tables import dropped_keys, rows_there, unbound

_EXAMPLES = 10
_SAMPLE = "asked_keys"
FAULTS = ("missing", "extra", "stale", "different")
"""Verdicts for wrong online rows; see the fields of `Parity`."""
NO_FAULTS = ("ahead", "behind", "outside", "aged_out")
"""Verdicts for online rows that rightly differ from the newest offline row; see the fields of `Parity`."""
_AT_A_TIME = 20_000  # the number of keys per online read


@dataclass(frozen=True, kw_only=True)
class Parity:
    """The result of comparing online rows with the newest offline rows, as numbers of keys."""

    view: str
    published_through: int  # the newest publication that is online
    sampled: int
    equal: int
    missing: int  # only offline has a row
    extra: int  # only online has a row
    stale: int  # the online row is older
    different: int  # equal times but other values, or the online row is newer, not pushed and not offline
    ahead: int  # no fault: the online row is newer, and was pushed only online, or is offline after the load's clock
    behind: int  # no fault: published after the cursor, so not online yet
    outside: int  # no fault: only offline has a row; the generation is partial and no window has loaded the key
    aged_out: int  # no fault: only offline has a row, and Redis may collect rows of its age
    examples: tuple[dict[str, Any], ...]  # of faults: key, verdict, both rows

    @property
    def passed(self) -> bool:
        """Whether there are no faults."""
        return not (self.missing or self.extra or self.stale or self.different)


def parity(
    view: FeatureView, store: OfflineStore, online: OnlineStore, *, sample: int | None = 1_000, expire: bool = True
) -> Parity:
    """Compare the online rows of a sample of keys with the newest offline rows as of the load's clock.

    The sample has keys with offline rows, keys with online rows, and keys that lost all their offline rows. With None
    all keys are compared, and the newest rows of the view are held in memory. `expire`: Redis may have collected rows
    because of their age; False under a fixed clock. Raises OnlineStoreError if the view was never loaded.
    """
    live = online.state(view.name).live
    if live is None or live.view_id != view.view_id:
        raise OnlineStoreError(f"{view} was never loaded. Run `amora-fs materialize-incremental` first.")
    names = list(view.join_keys)
    all_rows = rows_there(view, store)
    # A null key identifies no entity and cannot be read.
    all_rows = all_rows.filter(*(all_rows[name].notnull() for name in names)) if names else all_rows
    rows = all_rows.filter(all_rows[EVENT_TIMESTAMP] <= ibis.literal(live.clock))
    compared = _Comparison(view, all_rows, store, online, live, expire=expire)
    newest = _newest(view, rows, store, sample)
    for start in range(0, newest.num_rows, _AT_A_TIME):
        compared.add(_by_key(view, newest.slice(start, _AT_A_TIME)))
    dropped_keys_ = dict.fromkeys(key for key in _dropped(view, store, sample) if key not in compared.keys)
    online_keys = [
        key for key in online.sample_keys(view, sample) if key not in compared.keys and key not in dropped_keys_
    ]
    if sample is not None:
        online_keys = online_keys[: sample // 10]  # if the sample covers the view, these keys are only online
    without = [*dropped_keys_, *online_keys]
    for start in range(0, len(without), _AT_A_TIME):
        some = without[start : start + _AT_A_TIME]
        compared.add(dict.fromkeys(some) | _of_keys(view, rows, some, store))
    return compared.result()


class _Comparison:
    """The verdicts so far, counted by kind."""

    def __init__(
        self,
        view: FeatureView,
        rows: Table,
        store: OfflineStore,
        online: OnlineStore,
        live: Generation,
        *,
        expire: bool,
    ) -> None:
        self.keys: set[Key] = set()  # the compared keys
        self._view, self._rows, self._store, self._online, self._live = view, rows, store, online, live
        self._expire = expire
        self._counts = dict.fromkeys(("equal", *FAULTS, *NO_FAULTS), 0)
        self._examples: list[dict[str, Any]] = []
        self._later: list[Publication] = []
        self._changed: set[Key] | None = set()  # keys that later publications may have changed; None: all keys

    def add(self, expected: Mapping[Key, Mapping[str, Any] | None]) -> None:
        """Compare these keys, each with its newest row offline."""
        view, live, keys, now = self._view, self._live, list(expected), collecting_clock(expire=self._expire)
        (read,) = self._online.read([OnlineRequest(view, _by_column(keys, len(view.join_keys)), len(keys))])
        found = online_rows(view, read)
        # Read after both sides, so that a write during the comparison is not reported as a fault.
        self._look_for_later_publications()
        past = _past_the_clock(view, self._rows, live, keys, found, read.pushed, self._store)
        for key, served, alone, created in zip(keys, found, read.unpublished, read.created_timestamps, strict=True):
            offline = expected[key]
            verdict = _verdict(offline, served, unpublished=alone, created=created)
            if verdict == "missing" and offline is not None and may_be_collected(view, offline[EVENT_TIMESTAMP], now):
                verdict = "aged_out"
            elif verdict != "equal" and (self._changed is None or key in self._changed):
                verdict = "behind"
            elif verdict == "missing" and live.partial:
                verdict = "outside"
            elif verdict in ("different", "extra") and same(past.get(key), served):
                verdict = "ahead"
            self._counts[verdict] += 1
            if verdict in FAULTS and len(self._examples) < _EXAMPLES:
                named = dict(zip(view.join_keys, key, strict=True))
                self._examples.append({**named, "wrong": verdict, "offline": offline, "online": served})
        self.keys.update(keys)

    def result(self) -> Parity:
        """The result."""
        return Parity(
            view=self._view.name,
            published_through=self._live.published_through,
            sampled=len(self.keys),
            examples=tuple(self._examples),
            **self._counts,
        )

    def _look_for_later_publications(self) -> None:
        later = [p for p in self._store.publications(self._view.name) if p.sequence > self._live.published_through]
        if later != self._later:
            self._later, self._changed = later, _changed_since(self._view, self._rows, later, self._store)


def _verdict(
    offline: Mapping[str, Any] | None, served: Mapping[str, Any] | None, *, unpublished: bool, created: int | None
) -> str:
    if same(offline, served):
        return "equal"
    if served is None:
        return "missing"
    if offline is None:
        return "ahead" if unpublished else "extra"
    then, now = offline[EVENT_TIMESTAMP], served[EVENT_TIMESTAMP]
    known = offline.get(CREATED_TIMESTAMP) or then
    if now > then or (now == then and created is not None and from_microseconds(created) > known):
        return "ahead" if unpublished else "different"
    return "different" if then == now else "stale"


def _newest(view: FeatureView, rows: Table, store: OfflineStore, sample: int | None) -> pa.Table:
    """The newest row of each key, or of a sample of keys."""
    query = newest_by(rows, view, list(view.join_keys))
    if sample is not None:
        query = query.order_by(ibis.random()).limit(sample)
    with store.read(query.select([column.name for column in view.row_columns])) as batches:
        return batches.read_all()


def _by_key(view: FeatureView, rows: pa.Table) -> dict[Key, dict[str, Any]]:
    return {tuple(row[name] for name in view.join_keys): row for row in rows.to_pylist()}


def _of_keys(view: FeatureView, rows: Table, keys: Sequence[Key], store: OfflineStore) -> dict[Key, dict[str, Any]]:
    """The newest row of each of these keys."""
    names = list(view.join_keys)
    if not keys or not names:
        return {}
    frame = pa.table(
        {name: pa.array([key[place] for key in keys], type=IBIS_TYPES[view.key_columns[place].type].to_pyarrow())
         for place, name in enumerate(names)}
    )  # fmt: skip
    sampled = ibis.table(ibis.Schema.from_pyarrow(frame.schema), name=_SAMPLE)
    query = newest_by(rows.semi_join(sampled, names), view, names).select([c.name for c in view.row_columns])
    with store.read(query, {_SAMPLE: frame}) as batches:
        return _by_key(view, batches.read_all())


def _dropped(view: FeatureView, store: OfflineStore, sample: int | None) -> list[Key]:
    dropped = dropped_keys(view, store) if view.table is None else None
    if dropped is None:
        return []
    names = list(view.join_keys)
    rest = unbound(view.key_columns, table_name(view, store.dataset))
    query = dropped.distinct().anti_join(rest, names)
    if sample is not None:
        query = query.limit(sample)
    with store.read(query) as batches:
        return [tuple(row[name] for name in names) for row in batches.read_all().to_pylist()]


def _changed_since(
    view: FeatureView, rows: Table, later: Sequence[Publication], store: OfflineStore
) -> set[Key] | None:
    """The keys that the publications may have changed; None for all."""
    if not view.join_keys or any(each.start is None for each in later):
        return None if later else set()
    names, time = list(view.join_keys), rows[EVENT_TIMESTAMP]
    touched = [(time >= ibis.literal(each.start)) & (time < ibis.literal(each.end)) for each in later]
    with store.read(rows.filter(ibis.or_(*touched)).select(names).distinct()) as batches:
        found = {tuple(row[name] for name in names) for row in batches.read_all().to_pylist()}
    dropped = dropped_keys(view, store, after=min(each.sequence for each in later) - 1)
    if dropped is not None:
        with store.read(dropped.distinct()) as batches:
            found |= {tuple(row[name] for name in names) for row in batches.read_all().to_pylist()}
    return found


def _past_the_clock(
    view: FeatureView,
    rows: Table,
    live: Generation,
    keys: Sequence[Key],
    found: Sequence[Mapping[str, Any] | None],
    pushed: Sequence[bool],
    store: OfflineStore,
) -> dict[Key, dict[str, Any]]:
    """The offline rows with the times of online rows that are later than the load's clock, by key.

    Window loads bring rows up to the generation's reach, and pushes up to their own clock.
    """
    names, time = list(view.join_keys), rows[EVENT_TIMESTAMP]
    past = {
        key: row[EVENT_TIMESTAMP]
        for key, row, by_push in zip(keys, found, pushed, strict=True)
        if row is not None and row[EVENT_TIMESTAMP] > live.clock and (by_push or row[EVENT_TIMESTAMP] <= live.reached)
    }
    if not past:
        return {}
    of_the_keys = rows.filter(time.isin(sorted(set(past.values()))))
    with store.read(newest_by(of_the_keys, view, [*names, EVENT_TIMESTAMP])) as batches:
        online_keys = batches.read_all().to_pylist()
    return {
        key: row for row in online_keys if past.get(key := tuple(row[name] for name in names)) == row[EVENT_TIMESTAMP]
    }


def _by_column(keys: Sequence[Key], width: int) -> list[list[Any]]:
    return [[key[place] for key in keys] for place in range(width)]


def collecting_clock(*, expire: bool, now: Clock = wall_clock) -> datetime | None:
    """The wall clock, by which Redis collects rows; None if Redis collects no rows."""
    return now() if expire else None


def online_rows(view: FeatureView, found: OnlineRows) -> list[dict[str, Any] | None]:
    """The online rows in the offline store's form, without keys; None for a missing row.

    Features that were added after the load are left out of the comparison.
    """
    names = [column.name for column in view.online_columns if column.name not in found.added]
    columns = [found.columns[name] for name in names]
    rows = zip(*columns, strict=True) if columns else [()] * len(found.event_timestamps)
    return [
        None if time == NEVER else {EVENT_TIMESTAMP: from_microseconds(time), **dict(zip(names, row, strict=True))}
        for time, row in zip(found.event_timestamps, rows, strict=True)
    ]


def same(offline: Mapping[str, Any] | None, online: Mapping[str, Any] | None) -> bool:
    """Whether times and features are equal. NaN equals NaN."""
    if offline is None or online is None:
        return offline is online
    return all(_equal(offline[name], value) for name, value in online.items())


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, list) and isinstance(other, dict):  # a map, as the offline store has it
        one = {entry["key"]: entry["value"] for entry in one}
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    return bool(one == other) or (one != one and other != other)
