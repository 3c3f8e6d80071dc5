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
from amora_fs_assets.domain.names import EVENT_TIMESTAMP, VALID_TO
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import Generation, OnlineStore, Origin
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.row_order import newest_by
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.expressions.tables import dropped_keys, rows_there
from amora_fs_assets.operations.online.sample_check import check_sample


@dataclass(frozen=True, kw_only=True)
class Materialized:
    """The result of a load."""

    rows: int  # sent to the online store, tombstones included
    new_generation: bool
    published_through: int  # the newest publication that is online now
    because: str = field(default="", compare=False)  # the reason for a new generation


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """The rows of a load, and how they are loaded."""

    query: Table | None  # the view's `row_columns`, one row per key; None: nothing is new
    rows: Table  # the view's rows with event_timestamp up to the clock
    new_generation: bool
    published_through: int  # the newest publication in the rows
    clock: datetime
    origin: Origin
    because: str = ""  # the reason for a new generation
    window: bool = False  # only the keys of a window, into the existing generation if there is one


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
    """Load the newest row of each key with event_timestamp up to `clock` into the online store.

    With `since` only the keys with rows in [since, clock] are loaded; rows of other keys stay. Each key gets its newest
    row up to `clock` or, if later, the greatest event_timestamp loaded before, so that no row becomes older. The
    generation's cursor and clock stay. Without a generation, a new partial one starts, which the next load without
    `since` completes.
    """
    load_plan = wanted(view, store=store, online=online, clock=clock, since=since, full=full, expire=expire)
    sent = 0
    if load_plan.query is not None:
        sent = online.load(
            view,
            streamed(load_plan.query, store),
            published_through=load_plan.published_through,
            clock=load_plan.clock,
            new_generation=load_plan.new_generation,
            window=load_plan.window,
            origin=load_plan.origin,
            expire=expire,
            check=partial(
                check_sample,
                view,
                load_plan.rows,
                store=store,
                published_through=load_plan.published_through,
                expire=expire,
            ),
        )
    published_through = load_plan.published_through
    if load_plan.window and (newest := online.generation(view)) is not None:
        published_through = newest.published_through
    return Materialized(
        rows=sent,
        new_generation=load_plan.new_generation,
        published_through=published_through,
        because=load_plan.because,
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
    """Plan a load: send the keys published since the last load, and rows that passed the clock since.

    A new generation with all rows is sent with `full`, or for one of the reasons in docs/protocol.md under "Loads".
    With `since`, only the keys with rows in [since, clock] are sent, unless one of the reasons applies.
    """
    live = online.generation(view)
    written = online.written(view.name)
    published = store.publications(view.name)
    # Columns are read after publications, so that the cursor includes no publication whose new column is unread.
    stored_rows = rows_there(view, store)
    newest = published[-1] if published else None
    published_through = newest.sequence if newest else 0
    origin = Origin(
        incarnation=(newest.incarnation or "") if newest else "",
        published_id=(newest.publication_id or "") if newest else "",
        generation=live.number if live else None,
        written=tuple(sorted(written)),
    )
    columns = [column.name for column in view.row_columns]
    other_table = "" if live is None else _why_other_table(view, live, published, origin, expire=expire)
    until = clock
    if since is not None and live is not None:
        clock = max(clock, live.reached)
    if since is not None and not other_table:
        rows = _of_window(view, _until(stored_rows, clock), since, until)
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
    rows = _until(stored_rows, clock)
    because = "a full load was requested" if full else other_table or _why_all_rows(view, live, new, clock)
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
        query = _changed(view, stored_rows, live, new, clock, store)
    return LoadPlan(
        query=query.select(columns),
        rows=rows,
        new_generation=bool(because),
        published_through=published_through,
        clock=clock,
        origin=origin,
        because=because,
    )


def _why_other_table(
    view: FeatureView, live: Generation, published: Sequence[Publication], origin: Origin, *, expire: bool
) -> str:
    """The reason why the generation does not belong to the present table; "" if it does."""
    if live.view_id != view.view_id:
        return "the online rows belong to an earlier view of this name"
    if live.schema_hash != view.schema_hash:
        return "the columns changed"
    if view.table is None and live.incarnation != origin.incarnation and not live.begun_by_push:
        return "the table was recreated"
    if live.published_through and not any(
        each.sequence == live.published_through and (each.publication_id or "") == live.published_id
        for each in published
    ):
        return "the offline store lost the last loaded publication: it was restored or started empty"
    if set(origin.written).difference(each.publication_id or "" for each in published):
        return "the offline store lost a publication whose rows are online: it was restored or started empty"
    kept_for = kept(view, expire=expire)
    if live.kept is not None and (kept_for is None or kept_for > live.kept):
        return "the ttl is longer now, and Redis may have collected rows that are valid again"
    return ""


def _why_all_rows(view: FeatureView, live: Generation | None, new: Sequence[Publication], clock: datetime) -> str:
    """The reason to send all rows although the generation belongs to this table; "" for an incremental load."""
    reasons = (
        (live is None, "the view was never loaded"),
        (live is not None and live.partial, "the generation holds only the entities of some windows"),
        (live is not None and live.reached > clock, "the clock went back"),
        (view.table is not None, "its table is external"),
        (not view.join_keys, "the view has no entity"),
        (any(each.start is None for each in new), "the whole table was replaced"),
    )
    return next((because for holds, because in reasons if holds), "")


def rows_until(view: FeatureView, clock: datetime, store: OfflineStore) -> Table:
    """The view's rows with event_timestamp up to the clock."""
    return _until(rows_there(view, store), clock)


def _until(rows: Table, clock: datetime) -> Table:
    return rows.filter(rows[EVENT_TIMESTAMP] <= ibis.literal(clock))


def _of_window(view: FeatureView, rows: Table, start: datetime, end: datetime) -> Table:
    """All rows of the keys that have a row with event_timestamp, or valid_to, in [start, end]."""
    times = [rows[EVENT_TIMESTAMP], *([rows[VALID_TO]] if view.has_valid_to else [])]
    inside = rows.filter(ibis.or_(*((each >= ibis.literal(start)) & (each <= ibis.literal(end)) for each in times)))
    if not view.join_keys:
        return rows.semi_join(inside.limit(1).select(any=ibis.literal(1)), True)
    keys = list(view.join_keys)
    return rows.semi_join(inside.select(keys).distinct(), keys)


def streamed(query: Table, store: OfflineStore) -> Iterator[pa.RecordBatch]:
    """The query's rows. The store is released after the last batch."""
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
    """The newest row of each key whose newest row may have changed; a row of nulls except the key if none is left.

    Includes keys whose new rows are all after the clock, since their older rows may be gone.
    """
    keys = list(view.join_keys)
    time = rows[EVENT_TIMESTAMP]
    intervals = [Interval(each.start, each.end) for each in new if each.start is not None and each.end is not None]
    touched = [(time >= ibis.literal(each.start)) & (time < ibis.literal(each.end)) for each in intervals]
    touched.append((time > ibis.literal(live.clock)) & (time <= ibis.literal(clock)))
    changed = rows.filter(ibis.or_(*touched)).select(keys)
    dropped = dropped_keys(view, store, after=live.published_through)
    if dropped is not None:
        changed = changed.union(dropped)
    changed = changed.distinct()
    newest = newest_by(rows.filter(time <= ibis.literal(clock)).semi_join(changed, keys), view, keys)
    joined = changed.left_join(newest, keys)
    return joined.select([column.name for column in view.row_columns])
