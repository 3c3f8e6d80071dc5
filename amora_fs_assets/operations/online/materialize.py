"""Offline store -> online store: the newest row of each entity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import ibis
import pyarrow as pa
from ibis.expr.types import Table

from amora_fs_assets.domain.expiry import kept
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import Generation, OnlineStore, Origin
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.expressions.row_order import newest_by
from amora_fs_assets.operations.expressions.tables import dropped_keys, rows_there
from amora_fs_assets.operations.online.sample_check import check_sample


@dataclass(frozen=True, kw_only=True)
class Materialized:
    """What a load did."""

    rows: int  # sent to the online store, tombstones included
    new_generation: bool
    published_through: int  # the newest publication that is online now
    because: str = field(default="", compare=False)  # why a new generation was filled


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """What a load is to bring."""

    query: Table | None  # the view's `row_columns`, a row for each key; None where nothing is new
    rows: Table  # of the view, as far as their time has come
    new_generation: bool
    published_through: int  # the newest publication that the rows are of
    clock: datetime
    origin: Origin
    because: str = ""  # why a new generation is filled
    window: bool = False  # some keys alone, into the generation that is there where there is one


def materialize(
    view: FeatureView,
    *,
    store: OfflineStore,
    online: OnlineStore,
    clock: datetime,
    since: datetime | None = None,
    full: bool = False,
    expire: bool = True,
) -> Materialized:
    """Bring the online store up to the newest rows with event_timestamp up to `clock`.

    With `since` only the keys with rows in [since, clock] are brought; the others stay as they are. Each gets its
    newest row up to the later of `clock` and of what was loaded before, so never an older one than is there. The
    generation's cursor and clock stay. Where there is no generation one starts; it is partial until the next load
    without `since`.
    """
    asked = wanted(view, store=store, online=online, clock=clock, since=since, full=full, expire=expire)
    sent = 0
    if asked.query is not None:
        sent = online.load(
            view,
            streamed(asked.query, store),
            published_through=asked.published_through,
            clock=asked.clock,
            new_generation=asked.new_generation,
            window=asked.window,
            origin=asked.origin,
            expire=expire,
            check=partial(
                check_sample, view, asked.rows, store=store, published_through=asked.published_through, expire=expire
            ),
        )
    published_through = asked.published_through
    if asked.window and (newest := online.generation(view)) is not None:
        published_through = newest.published_through
    return Materialized(
        rows=sent, new_generation=asked.new_generation, published_through=published_through, because=asked.because
    )


def wanted(
    view: FeatureView,
    *,
    store: OfflineStore,
    online: OnlineStore,
    clock: datetime,
    since: datetime | None = None,
    full: bool = False,
    expire: bool = True,
) -> LoadPlan:
    """What a load has to send: the keys published since the last load and the rows whose time has come.

    Everything is sent, as a new generation that goes live at once, for the reasons that docs/protocol.md lists under
    "Loads", and when asked to (`full`). With `since` the keys with rows in [since, clock] are sent, unless one of the
    reasons holds.
    """
    live = online.generation(view)
    written = online.written(view.name)
    published = store.publications(view.name)
    # The columns are read after the publications: one that adds a column is then in the cursor only if it was seen.
    held = rows_there(view, store)
    newest = published[-1] if published else None
    published_through = newest.sequence if newest else 0
    origin = Origin(
        incarnation=(newest.incarnation or "") if newest else "",
        published_id=(newest.publication_id or "") if newest else "",
        generation=live.number if live else None,
        written=tuple(sorted(written)),
    )
    columns = [column.name for column in view.row_columns]
    other = "" if live is None else _another(view, live, published, origin, expire=expire)
    until = clock
    if since is not None and live is not None:
        clock = max(clock, live.reached)
    if since is not None and not other:
        rows = _of_window(view, _until(held, clock), since, until)
        query = newest_by(rows, view, list(view.join_keys)).select(columns)
        return LoadPlan(
            query=query,
            rows=rows,
            new_generation=live is None,
            published_through=published_through,
            clock=clock,
            origin=origin,
            window=True,
            because="the view was never loaded" if live is None else "",
        )
    new = [each for each in published if live is None or each.sequence > live.published_through]
    rows = _until(held, clock)
    because = "it was asked for" if full else other or _whole(view, live, new, clock)
    if because or live is None:
        query = newest_by(rows, view, list(view.join_keys))
    elif not new and live.clock == clock:
        return LoadPlan(
            query=None,
            rows=rows,
            new_generation=False,
            published_through=live.published_through,
            clock=clock,
            origin=origin,
        )
    else:
        query = _changed(view, held, live, new, clock, store)
    return LoadPlan(
        query=query.select(columns),
        rows=rows,
        new_generation=bool(because),
        published_through=published_through,
        clock=clock,
        origin=origin,
        because=because,
    )


def _another(
    view: FeatureView, live: Generation, published: Sequence[Publication], origin: Origin, *, expire: bool
) -> str:
    """Why the generation is of something else than the table holds now; "" where it is not."""
    if live.view_id != view.view_id:
        return "what is online is of an earlier view of this name"
    if live.schema_hash != view.schema_hash:
        return "the columns are others"
    if view.table is None and live.incarnation != origin.incarnation:
        return "the table was made anew"
    if live.published_through and not any(
        each.sequence == live.published_through and (each.publication_id or "") == live.published_id
        for each in published
    ):
        return "the offline store does not have the publication that was loaded last: it was restored or begun anew"
    if set(origin.written).difference(each.publication_id or "" for each in published):
        return "the offline store does not have a publication of which rows are online: it was restored or begun anew"
    kept_for = kept(view, expire=expire)
    if live.kept is not None and (kept_for is None or kept_for > live.kept):
        return "the ttl is longer, and Redis may have collected rows that count again"
    return ""


def _whole(view: FeatureView, live: Generation | None, new: Sequence[Publication], clock: datetime) -> str:
    """Why all rows have to be sent although the generation is of this table; "" where they have not."""
    reasons = (
        (live is None, "the view was never loaded"),
        (live is not None and live.partial, "the generation holds the entities of some windows alone"),
        (live is not None and live.reached > clock, "the clock went back"),
        (view.table is not None, "somebody else fills its table"),
        (not view.join_keys, "the view has no entity"),
        (any(each.start is None for each in new), "the whole table was replaced"),
    )
    return next((because for holds, because in reasons if holds), "")


def rows_until(view: FeatureView, clock: datetime, store: OfflineStore) -> Table:
    """The view's rows whose time has come."""
    return _until(rows_there(view, store), clock)


def _until(rows: Table, clock: datetime) -> Table:
    return rows.filter(rows[EVENT_TIMESTAMP] <= ibis.literal(clock))


def _of_window(view: FeatureView, rows: Table, start: datetime, end: datetime) -> Table:
    """All rows of the keys that have a row with event_timestamp in [start, end]."""
    time = rows[EVENT_TIMESTAMP]
    inside = rows.filter((time >= ibis.literal(start)) & (time <= ibis.literal(end)))
    if not view.join_keys:
        return rows.semi_join(inside.limit(1).select(any=ibis.literal(1)), True)
    keys = list(view.join_keys)
    return rows.semi_join(inside.select(keys).distinct(), keys)


def streamed(query: Table, store: OfflineStore) -> Iterator[pa.RecordBatch]:
    """The query's rows; the store is given back once all were read."""
    with store.read(query) as batches:
        yield from batches


def _changed(
    view: FeatureView,
    rows: Table,
    live: Generation,
    new: Sequence[Publication],
    clock: datetime,
    store: OfflineStore,
) -> Table:
    """The newest row of each key that may have another one now; only keys, no time, where there is none any more.

    A key whose new rows all lie after the clock may have lost the ones before it.
    """
    keys = list(view.join_keys)
    time = rows[EVENT_TIMESTAMP]
    intervals = [Interval(each.start, each.end) for each in new if each.start is not None and each.end is not None]
    touched = [(time >= ibis.literal(each.start)) & (time < ibis.literal(each.end)) for each in intervals]
    touched.append((time > ibis.literal(live.clock)) & (time <= ibis.literal(clock)))
    changed = rows.filter(ibis.or_(*touched)).select(keys)
    gone = dropped_keys(view, store, after=live.published_through)
    if gone is not None:
        changed = changed.union(gone)
    changed = changed.distinct()
    newest = newest_by(rows.filter(time <= ibis.literal(clock)).semi_join(changed, keys), view, keys)
    joined = changed.left_join(newest, keys)
    return joined.select([column.name for column in view.row_columns])
