"""Computes a view from a test's rows, by the code that computes the view in production."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa

from amora_fs_assets.domain import callers
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import InvalidRequest, shown
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP, VALID_TO
from amora_fs_assets.domain.places.place import Where
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.time import Interval, utc
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.tables import unbound, within
from amora_fs_assets.operations.offline.audit import Rule, audit
from amora_fs_assets.operations.offline.compute import StagedRows, refusal, sql_of
from amora_fs_assets.operations.offline.gate import check
from amora_fs_assets.operations.offline.lateness import overdue_of
from amora_fs_assets.operations.offline.transform import query_of
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.testing.defaults import default_of

Rows: TypeAlias = Sequence[Mapping[str, Any]] | pa.Table


def compute(view: FeatureView, interval: Interval, **rows: Rows) -> pa.Table:
    """The rows that a computation of the interval publishes, in the order of the columns `view.row_columns`.

    `compute(spend, Interval("2026-01-01", "2026-01-02"), orders=[{"customer": "a", "paid_at": "2026-01-01T09:00",
    "amount": 5.0}])` runs the transform in an embedded store of its own, with types, lookback, clipping and checks as
    in production. `.to_pylist()` and `.to_pandas()` of the result give dicts and a frame.

    `rows` are the rows of each source, by the source's name: a list of dicts, or an Arrow table; other sources are
    empty. The columns have the schema's names. Instants may be texts. A column that a dict lacks is null if the schema
    allows nulls, and otherwise 0, the empty text or list, False, 1970, or the nearest value that the schema's checks
    allow; `available_at` is the row's time. Raises InvalidRequest for an unknown
    source or column and a row without its time; ChecksFailed for rows that the schema's checks refuse; TransformError.
    """
    _check(interval)
    with given_rows(view, rows) as (plain, store):
        late = {each.source: each.since for each in overdue_of(plain, interval, store)}
        query = query_of(plain, interval, store.dataset, late)
        staged = store.stage(sql_of(plain, query, store), name=view.name, run_id="test")
        found = unbound(view.row_columns, staged)
        checked = check(found, plain, interval, store)
        if not checked.passed:
            raise refusal(
                StagedRows(view=view, interval=interval, run_id="", definition_hash="", staged=staged, checked=checked,
                           lineage={})
            )  # fmt: skip
        kept = found.filter(within(found[EVENT_TIMESTAMP], interval)).order_by([EVENT_TIMESTAMP, *view.join_keys])
        with store.read(kept) as batches:
            return batches.read_all()


def assert_causal(view: FeatureView, interval: Interval, *, instants: int = 10, **rows: Rows) -> None:
    """Assert that no row of the interval depends on a source row that became known after its event_timestamp.

    `rows` are as in `compute`. Raises AssertionError with the row, the columns, and the source row that leaked;
    InvalidRequest if the view has no rows in the interval.
    """
    _assert(view, interval, instants, rows, {"looks ahead", "differs when computed again"})


def assert_splits(view: FeatureView, interval: Interval, *, instants: int = 10, **rows: Rows) -> None:
    """Assert that the interval's rows are the same if the interval is computed in parts.

    `rows` are as in `compute`. Raises AssertionError with the row and the columns; InvalidRequest if the view has no
    rows in the interval.
    """
    _assert(view, interval, instants, rows, {"differs in parts"})


def _assert(view: FeatureView, interval: Interval, instants: int, rows: Mapping[str, Rows], rules: set[Rule]) -> None:
    _check(interval)
    with given_rows(view, rows) as (plain, store):
        found = audit(plain, interval, store=store, instants=instants, rules=rules)
    if not found.rows:
        raise InvalidRequest(f"{view} has no rows in {interval}, so nothing is tested. Give rows of its sources.")
    broken = [str(finding) for finding in found.findings]
    if broken:
        raise AssertionError(f"{view} " + "\n".join(broken))


def _check(interval: Interval) -> None:
    if not isinstance(interval, Interval):
        raise callers.refused("interval", interval, 'an Interval, such as Interval("2026-01-02", "2026-01-03")')


@contextmanager
def given_rows(view: FeatureView, rows: Mapping[str, Rows]) -> Iterator[tuple[FeatureView, DuckDBOfflineStore]]:
    """The view over plain tables of its sources, and a store that has the tables. Raises InvalidRequest."""
    if getattr(view, "transform", None) is None:
        raise InvalidRequest(f"{view} has no transform to compute. Give a view that is made with @feature_view.")
    plain = plain_view(view)
    with tempfile.TemporaryDirectory() as home:
        store = DuckDBOfflineStore(Path(home))
        with duckdb.connect(Path(home) / "offline.duckdb") as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for name, table in tables_of(plain, rows, store.dataset).items():
                dataset, _, short = name.rpartition(".")
                connection.register("given", table)
                connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{dataset}"')
                connection.execute(f'CREATE TABLE "{dataset}"."{short}" AS FROM given')
        yield plain, store


def plain_view(view: FeatureView) -> FeatureView:
    """The view over sources that are tables with the schemas' names, where they are queries, files or mapped."""
    plain = copy(view)
    vars(plain).update(sources=tuple(_plain(source) for source in view.sources))
    return plain


def _plain(source: Source | FeatureView) -> Source | FeatureView:
    if source.place is None:
        return source
    plain = copy(source)
    vars(plain).pop("place", None)
    vars(plain).update(vars(Where(f"given.{source.name}")))
    if isinstance(plain, FeatureView):
        ends = VALID_TO if plain.has_valid_to else None
        times = {"timestamp_field": EVENT_TIMESTAMP, "created_timestamp_column": CREATED_TIMESTAMP}
        vars(plain).update(times, valid_to_field=ends)
    return plain


def tables_of(plain: FeatureView, rows: Mapping[str, Rows], dataset: str) -> dict[str, pa.Table]:
    """The tables of a plain view's sources, by `dataset.table`. Raises InvalidRequest."""
    sources = {source.name: source for source in plain.sources}
    if unknown := sorted(set(rows) - set(sources)):
        raise InvalidRequest(f"{plain} has no source {unknown}. Its sources: {sorted(sources)}.")
    return {table_name(source, dataset): _table(source, rows.get(name, [])) for name, source in sources.items()}


def _table(source: Source | FeatureView, rows: Rows) -> pa.Table:
    columns = source.columns if isinstance(source, Source) else source.row_columns
    schema = pa.schema([(column.name, IBIS_TYPES[column.type].to_pyarrow()) for column in columns])
    if isinstance(rows, pa.Table):
        if lacking := [name for name in schema.names if name not in rows.column_names]:
            raise InvalidRequest(f"The table of source '{source.name}' has no column {lacking}.")
        return rows.select(schema.names).cast(schema)
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise InvalidRequest(
            f"The rows of source '{source.name}' are a {type(rows).__name__}. Give a list of dicts or an Arrow table; "
            "`pa.Table.from_pandas(frame)` makes one of a frame."
        )
    filled = [_row(source, columns, row) for row in rows]
    arrays = [_array(source, field, [row[field.name] for row in filled]) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(source: Source | FeatureView, field: pa.Field, values: list[Any]) -> pa.Array:
    """The column. Raises InvalidRequest for a value of another type."""
    try:
        return pa.array(values, field.type)
    except (pa.ArrowException, OverflowError) as error:
        wrong = next((value for value in values if not _fits(value, field.type)), values)
        raise InvalidRequest(
            f"A row of source '{source.name}' has {field.name}={shown(wrong)}, which is not a {field.type}."
        ) from error


def _fits(value: Any, type_: pa.DataType) -> bool:
    try:
        pa.array([value], type_)
    except (pa.ArrowException, OverflowError):
        return False
    return True


def _row(source: Source | FeatureView, columns: Sequence[Column], given: Mapping[str, Any]) -> dict[str, Any]:
    names = [column.name for column in columns]
    if unknown := sorted(set(given) - set(names)):
        raise InvalidRequest(f"Source '{source.name}' has no column {unknown}. Its columns: {', '.join(names)}.")
    time = source.timestamp_field if isinstance(source, Source) else EVENT_TIMESTAMP
    if time is not None and time not in given:
        raise InvalidRequest(f"A row of source '{source.name}' has no '{time}', the time of the row: {dict(given)}.")
    return {column.name: _value(source, column, given, time) for column in columns}


def _value(source: Source | FeatureView, column: Column, given: Mapping[str, Any], time: str | None) -> Any:
    if column.name in given:
        value = given[column.name]
        return utc(value) if column.type is DataType.TIMESTAMP and isinstance(value, str) else value
    if isinstance(source, Source) and column.name == source.available_at and time is not None and not column.nullable:
        return _value(source, column, {column.name: given[time]}, None)
    return default_of(column)
