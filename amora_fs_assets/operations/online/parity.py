"""Parity: what is served equals the point-in-time truth of the offline store."""

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
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import NEVER, Generation, Key, OnlineRequest, OnlineRows, OnlineStore
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.schema import IBIS_TYPES
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.time import Clock, from_microseconds, wall_clock
from amora_fs_assets.operations.expressions.row_order import newest_by
from amora_fs_assets.operations.expressions.tables import dropped_keys, rows_there, unbound

_EXAMPLES = 10
_ASKED = "asked_keys"
FAULTS = ("missing", "extra", "stale", "different")
"""What is wrong with what is served of a key, in the words of `Parity`."""
NO_FAULTS = ("ahead", "behind", "outside", "aged_out")
"""Why what is served of a key may differ from the newest row offline, and is right."""
_AT_A_TIME = 20_000  # keys that are read online at once


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How what is served of some keys compares with the offline store's newest rows."""

    view: str
    published_through: int  # the newest publication that is online
    sampled: int
    equal: int
    missing: int  # offline has a row, online has none
    extra: int  # online has a row of a key that offline has none of
    stale: int  # online's row is older
    different: int  # of the same time with other values, or newer and neither pushed nor offline
    ahead: int  # online's row is newer: pushed to readers alone, or offline too but after the load's clock: no fault
    behind: int  # published after the cursor, so not online yet: no fault
    outside: int  # online has none, since the generation is partial and its windows do not hold the key: no fault
    aged_out: int  # online has none since Redis may collect rows as old as offline's: no fault
    examples: tuple[dict[str, Any], ...]  # of faults: keys, what is wrong, both rows

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with what is served."""
        return not (self.missing or self.extra or self.stale or self.different)


def parity(
    view: FeatureView, store: OfflineStore, online: OnlineStore, *, sample: int | None = 1_000, expire: bool = True
) -> Parity:
    """Compare what readers get of a sample of keys with the newest rows of the offline store, as of the load's clock.

    The sample is of keys with rows offline, of keys with rows online, and of keys that lost all of theirs offline. With
    None all of them are compared, and the newest rows of the view are held in memory. `expire`: Redis may have
    collected rows because of their age; not under a fixed clock. Raises OnlineStoreError where the view was never
    loaded.
    """
    live = online.state(view.name).live
    if live is None or live.view_id != view.view_id:
        raise OnlineStoreError(f"{view} was never loaded. Run `amora-fs materialize-incremental` first.")
    names = list(view.join_keys)
    all_rows = rows_there(view, store)
    # A null key is nobody's: nothing can be asked of it.
    all_rows = all_rows.filter(*(all_rows[name].notnull() for name in names)) if names else all_rows
    rows = all_rows.filter(all_rows[EVENT_TIMESTAMP] <= ibis.literal(live.clock))
    compared = _Comparison(view, all_rows, store, online, live, expire=expire)
    newest = _newest(view, rows, store, sample)
    for start in range(0, newest.num_rows, _AT_A_TIME):
        compared.add(_by_key(view, newest.slice(start, _AT_A_TIME)))
    others = dict.fromkeys(key for key in _dropped(view, store, sample) if key not in compared.keys)
    there = [key for key in online.sample_keys(view, sample) if key not in compared.keys and key not in others]
    if sample is not None:
        there = there[: sample // 10]  # of a view that the sample covers, these are the keys that offline has not
    without = [*others, *there]
    for start in range(0, len(without), _AT_A_TIME):
        some = without[start : start + _AT_A_TIME]
        compared.add(dict.fromkeys(some) | _of_keys(view, rows, some, store))
    return compared.result()


class _Comparison:
    """What was found so far, with the reasons counted apart."""

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
        self.keys: set[Key] = set()  # that were compared
        self._view, self._rows, self._store, self._online, self._live = view, rows, store, online, live
        self._expire = expire
        self._counts = dict.fromkeys(("equal", *FAULTS, *NO_FAULTS), 0)
        self._examples: list[dict[str, Any]] = []
        self._later: list[Publication] = []
        self._changed: set[Key] | None = set()  # by the later publications; None: all keys

    def add(self, expected: Mapping[Key, Mapping[str, Any] | None]) -> None:
        """Compare these keys, each with its newest row offline."""
        view, live, keys, now = self._view, self._live, list(expected), collecting_clock(expire=self._expire)
        (read,) = self._online.read([OnlineRequest(view, _by_column(keys, len(view.join_keys)), len(keys))])
        found = online_rows(view, read)
        # Asked for after both sides were read: a write during the comparison is among them, and is not a fault.
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
        """What was found."""
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
    """The newest row of each key, or of a sample of them."""
    query = newest_by(rows, view, list(view.join_keys))
    if sample is not None:
        query = query.order_by(ibis.random()).limit(sample)
    with store.read(query.select([column.name for column in view.row_columns])) as batches:
        return batches.read_all()


def _by_key(view: FeatureView, rows: pa.Table) -> dict[Key, dict[str, Any]]:
    return {tuple(row[name] for name in view.join_keys): row for row in rows.to_pylist()}


def _of_keys(view: FeatureView, rows: Table, keys: Sequence[Key], store: OfflineStore) -> dict[Key, dict[str, Any]]:
    """The newest of the rows of these keys."""
    names = list(view.join_keys)
    if not keys or not names:
        return {}
    frame = pa.table(
        {name: pa.array([key[place] for key in keys], type=IBIS_TYPES[view.key_columns[place].type].to_pyarrow())
         for place, name in enumerate(names)}
    )  # fmt: skip
    asked = ibis.table(ibis.Schema.from_pyarrow(frame.schema), name=_ASKED)
    query = newest_by(rows.semi_join(asked, names), view, names).select([c.name for c in view.row_columns])
    with store.read(query, {_ASKED: frame}) as batches:
        return _by_key(view, batches.read_all())


def _dropped(view: FeatureView, store: OfflineStore, sample: int | None) -> list[Key]:
    gone = dropped_keys(view, store) if view.table is None else None
    if gone is None:
        return []
    names = list(view.join_keys)
    rest = unbound(view.key_columns, table_name(view, store.dataset))
    query = gone.distinct().anti_join(rest, names)
    if sample is not None:
        query = query.limit(sample)
    with store.read(query) as batches:
        return [tuple(row[name] for name in names) for row in batches.read_all().to_pylist()]


def _changed_since(
    view: FeatureView, rows: Table, later: Sequence[Publication], store: OfflineStore
) -> set[Key] | None:
    """The keys that the publications may have touched; None for all."""
    if not view.join_keys or any(each.start is None for each in later):
        return None if later else set()
    names, time = list(view.join_keys), rows[EVENT_TIMESTAMP]
    touched = [(time >= ibis.literal(each.start)) & (time < ibis.literal(each.end)) for each in later]
    with store.read(rows.filter(ibis.or_(*touched)).select(names).distinct()) as batches:
        found = {tuple(row[name] for name in names) for row in batches.read_all().to_pylist()}
    gone = dropped_keys(view, store, after=min(each.sequence for each in later) - 1)
    if gone is not None:
        with store.read(gone.distinct()) as batches:
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
    """The offline rows of the times that are served of the keys, where these lie after the load's clock.

    Windows bring rows up to the reach, and pushes up to their own clock.
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
        there = batches.read_all().to_pylist()
    return {key: row for row in there if past.get(key := tuple(row[name] for name in names)) == row[EVENT_TIMESTAMP]}


def _by_column(keys: Sequence[Key], width: int) -> list[list[Any]]:
    return [[key[place] for key in keys] for place in range(width)]


def collecting_clock(*, expire: bool, now: Clock = wall_clock) -> datetime | None:
    """The wall clock, by which Redis collects rows; None if Redis collects no rows."""
    return now() if expire else None


def online_rows(view: FeatureView, found: OnlineRows) -> list[dict[str, Any] | None]:
    """The rows as the offline store would give them, without keys; None where there is none.

    Without the features that were added since the load: parity compares the others.
    """
    names = [feature.name for feature in view.features if feature.name not in found.added]
    columns = [found.columns[name] for name in names]
    rows = zip(*columns, strict=True) if columns else [()] * len(found.event_timestamps)
    return [
        None if time == NEVER else {EVENT_TIMESTAMP: from_microseconds(time), **dict(zip(names, row, strict=True))}
        for time, row in zip(found.event_timestamps, rows, strict=True)
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
