"""The spine of a join: a caller's frame, or a query whose rows are staged before the join."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlglot
from ibis.expr import operations as ops
from ibis.expr.types import Table

from amora_fs_assets.domain.arrow import arrow_table, is_arrow
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.names import EVENT_TIMESTAMP, unused
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.point_in_time import Bounds
from amora_fs_assets.operations.expressions.request_columns import request_array
from amora_fs_assets.operations.expressions.tables import Stored, served_rows, within

FRAME = "entity_rows"
_QUERIES = {
    sqlglot.TokenType.SELECT,
    sqlglot.TokenType.WITH,
    sqlglot.TokenType.FROM,
    sqlglot.TokenType.L_PAREN,
    sqlglot.TokenType.VALUES,
}
"""The first tokens of statements that return rows."""
_TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, kw_only=True)
class FrameSpine:
    """A caller's frame. The engine receives only join keys, moments and row numbers."""

    given: Any  # pandas DataFrame or Arrow table, never changed
    columns: tuple[str, ...]
    seen: pa.Table  # join keys, the moment, and `row`
    row: str  # the name of the column with row numbers

    @property
    def table(self) -> Table:
        """The engine's table `entity_rows`."""
        return ibis.table(ibis.Schema.from_pyarrow(self.seen.schema), name=FRAME)

    @property
    def bounds(self) -> Bounds | None:
        """The first and the last moment."""
        ends = pc.min_max(self.seen[EVENT_TIMESTAMP])
        return _in_calendar(ends["min"], ends["max"])

    def arrow(self) -> pa.Table:
        """The caller's columns."""
        if isinstance(self.given, pa.Table):
            return self.given
        try:
            return pa.Table.from_pandas(self.given, preserve_index=False)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise InvalidRequest(
                f"entity_df: Arrow cannot hold its columns: {'. '.join(map(str, error.args))}. "
                "Use values of one type in each column, or read the result with to_df()."
            ) from error


@dataclass(frozen=True, kw_only=True)
class QuerySpine:
    """A query of the store's engine: an Ibis table or a SELECT."""

    query: Table | str

    @contextmanager
    def stored(self, store: OfflineStore) -> Iterator[tuple[Table, Bounds | None]]:
        """Stage the rows for the duration of the context. Yields the staged table, and the first and last moment.

        The join reads the spine several times. Without staging, the query would run each time, and could return other
        rows.
        """
        query = one_query(self.query, store.dialect.name) if isinstance(self.query, str) else self.query
        staged = store.stage(query, name="spine", run_id=uuid.uuid4().hex)
        try:
            columns = store.columns(staged)
            assert columns is not None, "it was staged just now"
            _check_types_supported(columns)
            dataset, _, name = staged.rpartition(".")
            table = ibis.table(columns, name=name, database=dataset)
            yield table, _bounds(table, store)
        finally:
            store.discard(staged)


def one_query(sql: str, engine: str) -> str:
    """The caller's SELECT without its closing semicolon.

    An engine runs several statements in one text with the rights of the store. Raises InvalidRequest for several
    statements, and for a statement that returns no rows.
    """
    try:
        tokens = sqlglot.tokenize(sql, read=engine)
    except sqlglot.TokenError as error:
        raise InvalidRequest(f"entity_df: the SELECT cannot be read: {error}. Fix it.") from error
    while tokens and tokens[-1].token_type is sqlglot.TokenType.SEMICOLON:
        tokens.pop()
    if not tokens or tokens[0].token_type not in _QUERIES:
        raise InvalidRequest(f"entity_df begins with {tokens[0].text if tokens else ''!r}. Give one SELECT.")
    if any(token.token_type is sqlglot.TokenType.SEMICOLON for token in tokens):
        raise InvalidRequest("entity_df is several statements. Give one SELECT; nothing was run.")
    return sql[: tokens[-1].end + 1]


def spine_of(entity_df: Any, service: FeatureService) -> FrameSpine | QuerySpine:
    """The spine for `entity_df`. Raises InvalidRequest for another object, or missing or wrongly typed join keys."""
    if isinstance(entity_df, str):
        try:
            entity_df.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest(f"entity_df: the SELECT is not valid text: {error}.") from error
        return QuerySpine(query=entity_df)
    if isinstance(entity_df, Table):
        if not entity_df.op().find(ops.InMemoryTable):
            return QuerySpine(query=entity_df.unbind())
        entity_df = entity_df.to_pyarrow()
    elif not isinstance(entity_df, pa.Table | pd.DataFrame) and is_arrow(entity_df):
        entity_df = arrow_table(entity_df)
    if not isinstance(entity_df, pa.Table | pd.DataFrame):
        raise InvalidRequest(
            f"entity_df is {type(entity_df).__name__}; give a pandas or polars DataFrame, an Arrow table, an Ibis "
            f"table or a SELECT.{' Call its collect().' if hasattr(entity_df, 'collect') else ''}"
        )
    names = entity_df.column_names if isinstance(entity_df, pa.Table) else entity_df.columns
    columns = tuple(str(name) for name in names)
    twice = next((name for place, name in enumerate(columns) if name in columns[:place]), None)
    if twice is not None:
        raise InvalidRequest(f"entity_df has two columns '{twice}'. Rename or drop one.")
    row = unused("_row", service.join_keys)
    return FrameSpine(given=entity_df, columns=columns, seen=_engine_columns(entity_df, columns, service, row), row=row)


def every_row(service: FeatureService, interval: Interval, dataset: str, stored: Stored) -> QuerySpine:
    """Each (join keys, event_timestamp) of the service's views in the interval, without duplicates.

    Raises InvalidRequest for views with different join keys.
    """
    if service.request:
        raise InvalidRequest(
            f"Feature service '{service.name}' computes features from request columns ({', '.join(service.request)}), "
            "so start and end do not define the rows. Give entity_df with these columns."
        )
    keyed = [p for p in service.reads if p.join_keys] or list(service.reads)
    if len({frozenset(p.join_keys) for p in keyed}) > 1:
        raise InvalidRequest(
            f"Feature service '{service.name}': its views have different join keys "
            f"({'; '.join(f'{p.name}: {list(p.join_keys)}' for p in keyed)}), so start and end do not define the rows. "
            "Give entity_df, or request views with the same keys."
        )
    parts = []
    for projection in keyed:
        rows = served_rows(projection.view, dataset, Stored(pushed=stored.pushed))
        inside = within(rows[EVENT_TIMESTAMP], interval) & rows[EVENT_TIMESTAMP].notnull()
        rows = rows.filter(inside, *(rows[key].notnull() for key in projection.view.join_keys))
        keys = dict(zip(projection.join_keys, projection.view.join_keys, strict=True))
        parts.append(rows.select(**{name: rows[keys[name]] for name in service.join_keys}, **_time(rows)))
    return QuerySpine(query=ibis.union(*parts, distinct=True) if len(parts) > 1 else parts[0].distinct())


def _check_types_supported(columns: Mapping[str, dt.DataType]) -> None:
    """Raise InvalidRequest for a column whose type the result does not support."""
    for name, type_ in columns.items():
        kind = type_.raw_type if isinstance(type_, dt.Unknown) else type_
        refusal = InvalidRequest(
            f"Column '{name}' of the entity rows is {kind}, which the result does not support. "
            "Cast the column, or drop it."
        )
        if isinstance(type_, dt.Unknown):
            raise refusal
        try:
            ibis.Schema({name: type_}).to_pyarrow()
        except Exception as error:  # Ibis raises several types of errors for an unknown type
            raise refusal from error


def _time(rows: Table) -> dict[str, Any]:
    return {EVENT_TIMESTAMP: rows[EVENT_TIMESTAMP]}


def _bounds(spine: Table, store: OfflineStore) -> Bounds | None:
    if EVENT_TIMESTAMP not in spine.columns or not spine[EVENT_TIMESTAMP].type().is_timestamp():
        return None  # the join reports the error
    time = spine[EVENT_TIMESTAMP].cast("timestamp('UTC', 6)")
    with store.read(spine.aggregate(first=time.min(), last=time.max())) as batches:
        found = batches.read_all()
    return _in_calendar(found["first"][0], found["last"][0])


def _in_calendar(first: pa.Scalar, last: pa.Scalar) -> Bounds | None:
    """The bounds as Python values. Raises InvalidRequest for years outside 1 to 9999."""
    if not first.is_valid:
        return None
    try:
        return first.as_py(), last.as_py()
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(
            f"Column '{EVENT_TIMESTAMP}' of the entity rows has a moment outside the years 1 to 9999. Correct it."
        ) from error


def _engine_columns(entity_df: Any, columns: tuple[str, ...], service: FeatureService, row: str) -> pa.Table:
    """The engine's part of the caller's frame: join keys, moment and row number."""
    types = {
        keys: key.type
        for projection in service.reads
        for keys, key in zip(projection.join_keys, projection.view.key_columns, strict=True)
    }
    request = {name: type_ for name, type_ in service.request.items() if name not in types}
    for name in (EVENT_TIMESTAMP, *types, *request):
        if name not in columns:
            why = ", a column of the request that on-demand features read" if name in request else ""
            raise InvalidRequest(f"entity_df has no column '{name}'{why}. Columns: {list(columns)}.")
    needed = {name: _key(_array(entity_df, columns.index(name), name), name, type_) for name, type_ in types.items()}
    for name, type_ in request.items():
        needed[name] = request_array(_array(entity_df, columns.index(name), name), name, type_)
    moment = _array(entity_df, columns.index(EVENT_TIMESTAMP), EVENT_TIMESTAMP)
    if not (pa.types.is_timestamp(moment.type) or pa.types.is_date(moment.type) or pa.types.is_null(moment.type)):
        raise InvalidRequest(
            f"entity_df: '{EVENT_TIMESTAMP}' is {moment.type}. Convert it: pd.to_datetime(..., utc=True)."
        )
    try:
        return pa.table({**needed, EVENT_TIMESTAMP: _moments(moment), row: pa.array(np.arange(len(moment)))})
    except pa.ArrowInvalid as error:
        raise InvalidRequest(f"entity_df: column '{EVENT_TIMESTAMP}' has a moment out of range: {error}.") from error


def _moments(moment: pa.ChunkedArray) -> pa.ChunkedArray:
    """The moments in UTC and microseconds."""
    if pa.types.is_date(moment.type):
        moment = moment.cast(pa.timestamp("us"))
    if pa.types.is_timestamp(moment.type) and moment.type.unit == "ns":
        # Rounded down to microseconds, in UTC, since a local time may occur twice.
        moment = pc.floor_temporal(moment.cast(pa.timestamp("ns", tz="UTC")), unit="microsecond")
    return moment.cast(_TIME, safe=False)


def _key(array: pa.ChunkedArray, name: str, type_: DataType) -> pa.ChunkedArray:
    """The key's values in the view's type. Accepts all integer widths, and pandas' floats for integers with nulls."""
    texts = (pa.types.is_string, pa.types.is_large_string, getattr(pa.types, "is_string_view", pa.types.is_string))
    text = any(kind(array.type) for kind in texts)
    if pa.types.is_null(array.type):
        fits = True
    elif type_ is DataType.STRING:
        fits = text
    else:
        fits = pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_decimal(array.type)
    if not fits:
        raise InvalidRequest(f"entity_df: join key '{name}' is {array.type}; the features need {type_}. Convert it.")
    try:
        return array.cast(pa.string() if type_ is DataType.STRING else pa.int64())
    except pa.ArrowInvalid as error:
        raise InvalidRequest(f"entity_df: join key '{name}' is not {type_}: {error}") from error


def _array(entity_df: Any, place: int, name: str) -> pa.ChunkedArray:
    if isinstance(entity_df, pa.Table):
        array = entity_df.column(place)
    else:
        try:
            array = pa.Array.from_pandas(entity_df.iloc[:, place])
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise InvalidRequest(
                f"entity_df: column '{name}' holds values of several types, or of a type that Arrow lacks: {error}. "
                "Use values of one type."
            ) from error
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
