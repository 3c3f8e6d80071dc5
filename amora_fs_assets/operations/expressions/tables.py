"""Definitions as Ibis tables, unbound: the offline store's engine runs what is made of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.types import BooleanValue, Table, Value

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import SourceMismatch, TableNotFound, TransformError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.known import known_instant, max_lateness_of, times_of
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP, dropped_sequence
from amora_fs_assets.domain.ports.offline import OfflineStore, StoredTable
from amora_fs_assets.domain.protocol import belongs, incarnation_of
from amora_fs_assets.domain.schema import IBIS_TYPES
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.table_names import dropped_table, table_name
from amora_fs_assets.domain.time import Interval, before
from amora_fs_assets.domain.types import DataType


def owners_of(catalogue: Catalogue, dataset: str) -> dict[str, str]:
    """The tables that definitions name, and which definition names each."""
    views = {table_name(view, dataset): str(view) for view in catalogue.feature_views.values()}
    return {source.table: f"Source '{source.name}'" for source in catalogue.sources.values()} | views


def unbound(columns: Sequence[Column], table: str) -> Table:
    """A table of these columns, at `dataset.table` or, without a dataset, among a query's frames."""
    database, _, name = table.rpartition(".")
    return ibis.table({c.name: IBIS_TYPES[c.type] for c in columns}, name=name, database=database or None)


Added = Mapping[str, Collection[str]]
"""By view: columns that were added to its definition and that its table lacks until it is computed."""


def rows_of(view: FeatureView, dataset: str, added: Collection[str] = ()) -> Table:
    """A view's rows: `view.row_columns`, be the table its own or somebody else's. The `added` columns are null."""
    columns = view.row_columns
    if added:
        rows = unbound([c for c in columns if c.name not in added], table_name(view, dataset))
        nulls = {c.name: ibis.null(IBIS_TYPES[c.type]) for c in columns if c.name in added}
        return rows.mutate(**nulls).select([column.name for column in columns])
    if view.table is None or view.timestamp_field == EVENT_TIMESTAMP:
        return unbound(columns, table_name(view, dataset))
    stored = [Column(view.timestamp_field, c.type) if c.name == EVENT_TIMESTAMP else c for c in columns]
    renamed = unbound(stored, view.table).rename({EVENT_TIMESTAMP: view.timestamp_field})
    return renamed.select([column.name for column in columns])


def rows_there(view: FeatureView, store: OfflineStore, applied: Catalogue | None = None) -> Table:
    """A view's rows as its table holds them now: what was added and is not computed yet is null.

    Raises TableNotFound, SourceMismatch.
    """
    return rows_of(view, store.dataset, check_tables([view], store, applied, may_lack_added=True).get(view.name, ()))


def all_rows(source: Source | FeatureView, dataset: str, added: Collection[str] = ()) -> Table:
    """All rows of a source or view. The `added` columns are null."""
    if isinstance(source, FeatureView):
        return rows_of(source, dataset, added)
    return unbound(source.columns, source.table)


def scanned_rows(
    source: Source | FeatureView, dataset: str, interval: Interval, lookback: timedelta, since: datetime | None = None
) -> Table:
    """What a computation of `interval` scans: bounds on the time column alone, by which an engine skips partitions.

    A source that says how late its rows become known at most (`max_lateness`) is scanned from as long before on, or
    from `since` on where that is earlier. Without the bound, and for views with created_timestamp, all rows before the
    interval's end are scanned. A table without time is there as a whole, from `valid_from` on.
    """
    table, times = all_rows(source, dataset), times_of(source)
    if times is None:
        assert isinstance(source, Source), "every view has a time"
        assert source.valid_from is not None, "a source without time has valid_from"
        return table if source.valid_from < interval.end else table.filter(ibis.literal(False))
    kept, lateness = [table[times.happened] < ibis.literal(interval.end)], max_lateness_of(source)
    if lateness is not None:
        first = before(before(interval.start, lookback), lateness)
        kept.append(table[times.happened] >= ibis.literal(first if since is None else min(first, since)))
    return table.filter(*kept)


def known_rows(
    source: Source | FeatureView, dataset: str, interval: Interval, lookback: timedelta, since: datetime | None = None
) -> Table:
    """What a computation of `interval` reads: the rows that became known in the interval or its lookback.

    A row becomes known at the later of its two times. `since` is of `scanned_rows`.
    """
    table, times = scanned_rows(source, dataset, interval, lookback, since), times_of(source)
    if times is None or times.available is None:
        return table
    known = known_instant(table[times.happened], table[times.available])
    start = before(interval.start, lookback)
    return table.filter(known >= ibis.literal(start), known < ibis.literal(interval.end))


def dropped_keys(view: FeatureView, store: OfflineStore, *, after: int = 0) -> Table | None:
    """The view's keys that lost all their rows of an interval by a publication later than `after`.

    None where no publication took any, or where the keys were others: this definition's next load is a full one.
    """
    table, sequence = dropped_table(view.name, store.dataset), dropped_sequence(view.join_keys)
    columns = (Column(sequence, DataType.INT64), *view.key_columns)
    there = store.columns(table) if view.join_keys else None
    if there is None or set(there) != {column.name for column in columns}:
        return None
    if not all(_same(there[column.name], IBIS_TYPES[column.type]) for column in columns):
        return None
    dropped = unbound(columns, table)
    return dropped.filter(dropped[sequence] > after).select(list(view.join_keys))


def within(time: Value, interval: Interval | None) -> BooleanValue:
    """Whether an instant lies in the interval; a missing one too, since the gate has to see it."""
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
) -> Added:
    """Refuse to read what is not there, or not as declared. Raises TableNotFound, SourceMismatch.

    A table that an earlier view of the same name left is not there. Views of the code have no `view_id`: theirs are
    those of `applied`, the registry's catalogue. With `may_lack_added` the table of a view may lack features that were
    added since it was last computed: they are given by view. A column that the table had and lost is refused all the
    same.
    """
    added: dict[str, frozenset[str]] = {}
    names = [table_name(definition, store.dataset) for definition in definitions]
    for definition, table, stored in zip(definitions, names, store.stored_tables(names), strict=True):
        kind = "Feature view" if isinstance(definition, FeatureView) else "Source"
        there = None if stored is None or _of_another(definition, stored, store, applied) else stored.columns
        if there is None:
            fix = (
                f"compute it first: `amora-fs compute --feature-views {definition.name}`"
                if isinstance(definition, FeatureView) and definition.table is None
                else f"fill it, or materialize asset raw/{definition.name} if the project loads it"
            )
            raise TableNotFound(f"{kind} '{definition.name}': there is no table {table}; {fix}.")
        ours = isinstance(definition, FeatureView) and definition.table is None
        mend = (
            f"Compute all of it anew: `amora-fs compute --feature-views {definition.name}`"
            if ours
            else "Mend the table or the schema"
        )
        if isinstance(definition, FeatureView) and ours and may_lack_added:
            added[definition.name] = _added(definition, there, store)
        expected = {
            column.name: IBIS_TYPES[column.type]
            for column in all_columns(definition)
            if column.name not in added.get(definition.name, ())
        }
        for column, type_ in expected.items():
            if column not in there:
                raise SourceMismatch(
                    f"{kind} '{definition.name}': table {table} has no column '{column}'. Its columns: "
                    f"{', '.join(there)}. {mend}."
                )
            if not _same(there[column], type_):
                raise SourceMismatch(
                    f"{kind} '{definition.name}': column '{column}' of table {table} is {there[column]}, its schema "
                    f"says {type_}. {mend}."
                )
    return added


def _added(view: FeatureView, there: Collection[str], store: OfflineStore) -> frozenset[str]:
    """The features, and created_timestamp, that the view's table never had since nothing was published with them."""
    optional = [*(feature.name for feature in view.features), CREATED_TIMESTAMP]
    lacking = frozenset(c.name for c in view.row_columns if c.name in optional and c.name not in there)
    had = lacking and any(each.schema_hash == view.schema_hash for each in store.publications(view.name))
    return frozenset() if had else lacking


def _of_another(
    definition: Source | FeatureView, stored: StoredTable, store: OfflineStore, applied: Catalogue | None
) -> bool:
    """Whether the table holds rows of an earlier view of the name."""
    if not isinstance(definition, FeatureView) or definition.table is not None:
        return False
    view_id = definition.view_id or (applied.view_ids.get(definition.name, "") if applied is not None else "")
    if not view_id or belongs(stored.incarnation, view_id):
        return False
    if stored.incarnation:
        return True
    published = store.publications(definition.name)
    return not belongs(incarnation_of("", published[-1] if published else None), view_id)


def all_columns(definition: Source | FeatureView) -> tuple[Column, ...]:
    """The columns of the table, by their names there."""
    if isinstance(definition, Source):
        return definition.columns
    return tuple(
        Column(definition.timestamp_field, c.type) if c.name == EVENT_TIMESTAMP else c for c in definition.row_columns
    )


def _same(there: dt.DataType, declared: dt.DataType) -> bool:
    """Whether two engines' words mean one type; BigQuery's timestamps say no precision."""
    if there.is_timestamp() and declared.is_timestamp():
        return bool(there.timezone == declared.timezone)
    if there.is_array() and declared.is_array():
        return _same(there.value_type, declared.value_type)
    return bool(there.copy(nullable=True) == declared.copy(nullable=True))


def columns_of(there: Mapping[str, dt.DataType], owner: str) -> tuple[Column, ...]:
    """Columns that hold these types, smaller integers and floats as wide ones. Raises TransformError for others."""
    known: dict[dt.DataType, DataType] = {type_: data_type for data_type, type_ in IBIS_TYPES.items()}
    columns = []
    for name, type_ in there.items():
        wide = type_.copy(nullable=True)
        if type_.is_integer():
            wide = dt.int64
        elif type_.is_floating():
            wide = dt.float64
        elif type_.is_timestamp():
            wide = IBIS_TYPES[DataType.TIMESTAMP]
        if wide not in known:
            raise TransformError(f"{owner}: column '{name}' is {type_}, which is not kept. Cast it.")
        columns.append(Column(name, known[wide], nullable=True))
    return tuple(columns)
