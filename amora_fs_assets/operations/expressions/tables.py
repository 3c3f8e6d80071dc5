"""Definitions as unbound Ibis tables, for expressions that the offline store's engine runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.types import BooleanValue, Table, Value

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import SourceMismatch, TableNotFound, TransformError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ibis_types import IBIS_TYPES, data_type_of
from amora_fs_assets.domain.known import known_instant, max_lateness_of, times_of
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP, PUSHED, VALID_TO, dropped_sequence
from amora_fs_assets.domain.places.external import external, same
from amora_fs_assets.domain.ports.offline import OfflineStore, StoredTable
from amora_fs_assets.domain.protocol import belongs, incarnation_of
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.table_names import dropped_table, pushed_table, table_name
from amora_fs_assets.domain.time import Interval, before
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.places import check_place


def owners_of(catalogue: Catalogue, dataset: str) -> dict[str, str]:
    """The definitions by table."""
    views = {table_name(view, dataset): str(view) for view in catalogue.feature_views.values()}
    return {source.table: f"Source '{source.name}'" for source in catalogue.sources.values()} | views


def unbound(columns: Sequence[Column], table: str) -> Table:
    """A table with these columns: `dataset.table` or, without a dataset, one of a query's frames."""
    database, _, name = table.rpartition(".")
    return ibis.table({c.name: IBIS_TYPES[c.type] for c in columns}, name=name, database=database or None)


@dataclass(frozen=True)
class Stored:
    """How stored rows differ from their definitions, by view."""

    added: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Columns that were added to the definition, and that the table lacks until the next computation."""
    pushed: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Views of external tables to which rows were pushed; the columns that `_pushed_<view>` lacks."""


def rows_of(view: FeatureView, dataset: str, added: Collection[str] = ()) -> Table:
    """A view's rows as `view.row_columns`, from its own or an external table. The `added` columns are null."""
    columns = view.row_columns
    if added:
        rows = unbound([c for c in columns if c.name not in added], table_name(view, dataset))
        nulls = {c.name: ibis.null(IBIS_TYPES[c.type]) for c in columns if c.name in added}
        return rows.mutate(**nulls).select([column.name for column in columns])
    return unbound(columns, table_name(view, dataset)) if view.place is None else external(view.place)


def served_rows(view: FeatureView, dataset: str, stored: Stored) -> Table:
    """A view's rows for reads and joins: of its table, and rows that were pushed to an external view.

    The pushed rows of an external view have 1 in the column `_pushed`, and the rows of its table 0; see `newest_first`.
    """
    rows = rows_of(view, dataset, stored.added.get(view.name, ()))
    if view.name not in stored.pushed:
        return rows
    lacking = stored.pushed[view.name]
    pushed = unbound([c for c in view.row_columns if c.name not in lacking], pushed_table(view.name, dataset))
    nulls = {c.name: ibis.null(IBIS_TYPES[c.type]) for c in view.row_columns if c.name in lacking}
    pushed = pushed.mutate(**nulls).select([column.name for column in view.row_columns])
    return ibis.union(*(each.mutate(**{PUSHED: ibis.literal(n, "int64")}) for n, each in enumerate((rows, pushed))))


def rows_there(view: FeatureView, store: OfflineStore, applied: Catalogue | None = None) -> Table:
    """A view's present rows as `served_rows`; added columns that are not computed yet are null.

    Raises TableNotFound, SourceMismatch.
    """
    return served_rows(view, store.dataset, check_tables([view], store, applied, may_lack_added=True))


def all_rows(source: Source | FeatureView, dataset: str, added: Collection[str] = ()) -> Table:
    """All rows of a source or view. The `added` columns are null."""
    if isinstance(source, FeatureView):
        return rows_of(source, dataset, added)
    return external(source.place)


def scanned_rows(
    source: Source | FeatureView,
    dataset: str,
    interval: Interval,
    lookback: timedelta,
    since: datetime | None = None,
    seen: Interval | None = None,
) -> Table:
    """The rows that a computation of `interval` scans: bounded by the time column only, so engines skip partitions.

    A source with max_lateness is scanned from `interval.start - lookback - max_lateness`, or from `since` if that is
    earlier. Other late sources, and views with created_timestamp, are scanned up to the interval's end. A table without
    times has all its rows from `valid_from`. `seen` is as in `known_rows`.
    """
    table, times = all_rows(source, dataset), times_of(source)
    end = interval.end if seen is None else min(seen.end, interval.end)
    if times is None:
        assert isinstance(source, Source), "every view has a time"
        assert source.valid_from is not None, "a source without time has valid_from"
        return table if source.valid_from < end else table.filter(ibis.literal(False))
    kept, lateness = [table[times.happened] < ibis.literal(end)], max_lateness_of(source)
    if lateness is not None:
        first = before(before(interval.start, lookback), lateness)
        kept.append(table[times.happened] >= ibis.literal(first if since is None else min(first, since)))
    return table.filter(*kept)


def known_rows(
    source: Source | FeatureView,
    dataset: str,
    interval: Interval,
    lookback: timedelta,
    since: datetime | None = None,
    seen: Interval | None = None,
) -> Table:
    """The rows that a computation of `interval` reads: those that became known in the interval or its lookback.

    A row becomes known at the later of its two times. `since` is as in `scanned_rows`. With `seen`: only rows that
    became known in that interval. A valid_to that lies later is null, as it is before a row ends.
    """
    table, times = scanned_rows(source, dataset, interval, lookback, since, seen), times_of(source)
    if times is None:
        return table
    end = interval.end if seen is None else min(seen.end, interval.end)
    if isinstance(source, FeatureView) and source.has_valid_to:
        ends = table[VALID_TO]
        table = table.mutate(**{VALID_TO: (ends < ibis.literal(end)).ifelse(ends, ibis.null(ends.type()))})
    start = before(interval.start, lookback)
    first = start if seen is None else max(start, seen.start)
    if times.available is None:
        return table if first == start else table.filter(table[times.happened] >= ibis.literal(first))
    known = known_instant(table[times.happened], table[times.available])
    return table.filter(known >= ibis.literal(first), known < ibis.literal(end))


def dropped_keys(view: FeatureView, store: OfflineStore, *, after: int = 0) -> Table | None:
    """The view's keys that lost all their rows of an interval in a publication later than `after`.

    None if there are no such keys, or if they have other columns: then the next load is a full one.
    """
    table, sequence = dropped_table(view.name, store.dataset), dropped_sequence(view.join_keys)
    columns = (Column(sequence, DataType.INT64), *view.key_columns)
    stored_columns = store.columns(table) if view.join_keys else None
    if stored_columns is None or set(stored_columns) != {column.name for column in columns}:
        return None
    if not all(same(stored_columns[column.name], IBIS_TYPES[column.type]) for column in columns):
        return None
    dropped = unbound(columns, table)
    return dropped.filter(dropped[sequence] > after).select(list(view.join_keys))


def within(time: Value, interval: Interval | None) -> BooleanValue:
    """Whether an instant lies in the interval. True for null, so that the gate checks such rows."""
    if interval is None:
        return time.isnull() | time.notnull()
    inside = (time >= ibis.literal(interval.start)) & (time < ibis.literal(interval.end))
    return inside | time.isnull()


def check_tables(
    definitions: Sequence[Source | FeatureView],
    store: OfflineStore,
    applied: Catalogue | None = None,
    *,
    may_lack_added: bool = False,
) -> Stored:
    """Refuse tables that are missing or do not match their definitions. Raises TableNotFound, SourceMismatch.

    A table of an earlier view with the same name counts as missing. Views from code have no `view_id`; it is taken from
    `applied`, the registry's catalogue. With `may_lack_added` a view's table may lack features that were added after
    its last computation: they are returned by view, and with them the external views to which rows were pushed. A
    column that the table had and lost is refused in any case.
    """
    added: dict[str, frozenset[str]] = {}
    names = [definition.place or table_name(definition, store.dataset) for definition in definitions]
    views = [v for v in definitions if isinstance(v, FeatureView) and v.table is not None] if may_lack_added else []
    found = store.stored_tables([*names, *(pushed_table(view.name, store.dataset) for view in views)])
    for definition, stored in zip(definitions, found, strict=False):
        if definition.place is not None:
            check_place(definition.name, definition.place, stored, store)
        else:
            assert isinstance(definition, FeatureView), "a source has a place"
            lacking = _check_computed(definition, stored, store, applied, may_lack_added=may_lack_added)
            if may_lack_added:
                added[definition.name] = lacking
    beside = {
        view.name: _pushed(view, each, store, applied) for view, each in zip(views, found[len(names) :], strict=True)
    }
    return Stored(added, {name: lacking for name, lacking in beside.items() if lacking is not None})


def _pushed(
    view: FeatureView, stored: StoredTable | None, store: OfflineStore, applied: Catalogue | None
) -> frozenset[str] | None:
    """The columns that the pushed rows of an external view lack; None if there are no rows of this view and its types.

    The next push to a view whose types changed begins a new table.
    """
    if stored is None or _is_of_earlier_view(view, stored, store, applied):
        return None
    types = {column.name: IBIS_TYPES[column.type] for column in view.row_columns}
    needed = {*view.join_keys, EVENT_TIMESTAMP}
    if not needed <= stored.columns.keys():
        return None  # notes of a computed view of the name
    if not all(same(type_, types[name]) for name, type_ in stored.columns.items() if name in types):
        return None
    return frozenset(types.keys() - stored.columns.keys())


def _check_computed(
    view: FeatureView,
    stored: StoredTable | None,
    store: OfflineStore,
    applied: Catalogue | None,
    *,
    may_lack_added: bool,
) -> frozenset[str]:
    """Check the own table of a computed view; return the added columns that it lacks, if it may lack them."""
    table = table_name(view, store.dataset)
    fix = f"Compute the view again: `amora-fs compute --feature-views {view.name}`."
    if stored is None or _is_of_earlier_view(view, stored, store, applied):
        raise TableNotFound(
            f"{view}: there is no table {table}; compute it first: `amora-fs compute --feature-views {view.name}`."
        )
    lacking = _added(view, stored.columns, store) if may_lack_added else frozenset[str]()
    for column in view.row_columns:
        if column.name in lacking:
            continue
        if column.name not in stored.columns:
            raise SourceMismatch(
                f"{view}: table {table} has no column '{column.name}'. Its columns: {', '.join(stored.columns)}. {fix}"
            )
        if not same(stored.columns[column.name], IBIS_TYPES[column.type]):
            raise SourceMismatch(
                f"{view}: column '{column.name}' of table {table} is {stored.columns[column.name]}, but "
                f"{IBIS_TYPES[column.type]} in the schema. {fix}"
            )
    return lacking


def _added(view: FeatureView, stored_columns: Collection[str], store: OfflineStore) -> frozenset[str]:
    """The features, and created_timestamp, that the view's table lacks because nothing was published with them yet."""
    optional = [*(feature.name for feature in view.features), CREATED_TIMESTAMP]
    lacking = frozenset(c.name for c in view.row_columns if c.name in optional and c.name not in stored_columns)
    published_with_all = lacking and any(each.schema_hash == view.schema_hash for each in store.publications(view.name))
    return frozenset() if published_with_all else lacking


def _is_of_earlier_view(view: FeatureView, stored: StoredTable, store: OfflineStore, applied: Catalogue | None) -> bool:
    """Whether the table holds rows of an earlier view of the name."""
    view_id = view.view_id or (applied.view_ids.get(view.name, "") if applied is not None else "")
    if not view_id or belongs(stored.incarnation, view_id):
        return False
    if stored.incarnation:
        return True
    published = store.publications(view.name)
    return not belongs(incarnation_of("", published[-1] if published else None), view_id)


def all_columns(definition: Source | FeatureView) -> tuple[Column, ...]:
    """The columns, with their names in the table."""
    columns = definition.columns if isinstance(definition, Source) else definition.row_columns
    if definition.place is None:
        return columns
    return tuple(Column(definition.place.stored_name(column.name), column.type) for column in columns)


def columns_of(stored_columns: Mapping[str, dt.DataType], owner: str) -> tuple[Column, ...]:
    """Columns for these types; smaller integers and floats become 64-bit. Raises TransformError for other types."""
    columns = []
    for name, type_ in stored_columns.items():
        wide = type_
        if type_.is_integer():
            wide = dt.int64
        elif type_.is_floating():
            wide = dt.float64
        elif type_.is_timestamp():
            wide = IBIS_TYPES[DataType.TIMESTAMP]
        known = data_type_of(wide)
        if known is None:
            raise TransformError(f"{owner}: column '{name}' is {type_}, which is not supported. Cast it.")
        columns.append(Column(name, known, nullable=True))
    return tuple(columns)
