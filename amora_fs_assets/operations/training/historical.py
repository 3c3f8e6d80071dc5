"""Historical features: the rows of a spine with the feature values that were valid at their moments."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
from ibis.common.exceptions import IbisError
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.ports.offline import OfflineStore, Part, ReadsBeside
from amora_fs_assets.domain.time import Clock, Interval, wall_clock
from amora_fs_assets.operations.expressions.point_in_time import check_spine, output_names, point_in_time
from amora_fs_assets.operations.expressions.tables import check_tables
from amora_fs_assets.operations.frames import to_pandas, to_polars, write_parquet
from amora_fs_assets.operations.offline.to_table import check_writable, named_run, write_table
from amora_fs_assets.operations.training.beside import FEW, MANY, parts
from amora_fs_assets.operations.training.spine import FRAME, FrameSpine, QuerySpine, every_row, spine_of

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def _no_files(path: str | os.PathLike[str]) -> AbstractContextManager[IO[bytes]]:
    raise InvalidRequest(f"{path} cannot be written: this result was made without a FeatureStore.")


@dataclass(frozen=True, kw_only=True)
class HistoricalFeatures:
    """Entity rows with their features. Lazy: the query runs when a `to_...` method is called."""

    store: OfflineStore
    spine: FrameSpine | QuerySpine
    join: Callable[..., Table]  # join(spine, bounds=...)
    names: tuple[str, ...]  # the feature columns
    owners: Mapping[str, str] = field(default_factory=dict)  # definitions by table
    beside: tuple[Part, ...] = ()  # one query per view, for many views and few rows of a frame
    now: Clock = wall_clock
    writing: Callable[..., AbstractContextManager[IO[bytes]]] = _no_files

    def to_sql(self) -> str:
        """The SQL of the join. The rows of a frame are the table `entity_rows`, the rows of a query a staged table.

        For many views and few rows of a frame: one SELECT per view, separated by `;`.
        """
        if self.beside:
            return ";\n\n".join(part.sql for part in self.beside)
        with _errors_explained(), self._query() as (query, _):
            return self.store.sql(query)

    def to_arrow(self) -> pa.Table:
        """The entity rows with the features as last columns. A frame's rows keep their order, a query's do not."""
        with self._read() as batches:
            result = batches.read_all()
        if isinstance(self.spine, QuerySpine):
            return result
        given = self.spine.arrow()
        for name in self.names:
            given = given.append_column(name, result[name])
        return given

    def to_arrow_batches(self) -> Iterator[pa.RecordBatch]:
        """The rows as batches, without holding all rows in memory. The store stays open until the last batch."""
        given = self.spine.arrow() if isinstance(self.spine, FrameSpine) else None
        taken = 0
        with self._read() as batches:
            for batch in batches:
                if given is None:
                    yield batch
                    continue
                rows = given.slice(taken, len(batch)).combine_chunks()
                taken += len(batch)
                arrays = [rows[name].combine_chunks() for name in rows.column_names] + batch.columns
                yield pa.RecordBatch.from_arrays(
                    [a.combine_chunks() if isinstance(a, pa.ChunkedArray) else a for a in arrays],
                    [*rows.column_names, *self.names],
                )

    def to_df(self) -> pd.DataFrame:
        """The rows as a pandas DataFrame with the caller's index. Integers and booleans with nulls stay such."""
        import pandas as pd

        if isinstance(self.spine, QuerySpine) or isinstance(self.spine.given, pa.Table):
            return to_pandas(self.to_arrow())
        with self._read() as batches:
            features = to_pandas(batches.read_all())
        features.index = self.spine.given.index
        # The features are not copied. The caller's columns are, so that the result does not share their memory.
        joined: pd.DataFrame = pd.concat([self.spine.given.copy(), features], axis=1, copy=False)
        return joined

    def to_polars(self) -> pl.DataFrame:
        """The rows as a polars DataFrame. Raises InvalidRequest if polars is not installed."""
        return to_polars(self.to_arrow())

    def to_table(self, name: str) -> int:
        """Write the rows to the table `dataset.table`, and return their number. Replaces an earlier `to_table` result.

        Raises OfflineStoreError, with nothing written, for a table of a definition, an internal table of the store, or
        a table that another writer filled.
        """
        check_writable(name, self.store, self.owners)
        with _errors_explained(), named_run() as run_id:
            if isinstance(self.spine, FrameSpine):
                return write_table(self.to_arrow(), name, store=self.store, run_id=run_id, now=self.now)
            with self._query() as (query, _):
                return write_table(query, name, store=self.store, run_id=run_id, now=self.now)

    def to_parquet(self, path: str | os.PathLike[str]) -> int:
        """Write the rows to a Parquet file, and return their number. `path` is local, or `gs://bucket/object`.

        The file replaces an existing one when all rows are written. The rows of a query are not all in memory at once.
        Raises InvalidRequest for a path that cannot be written, OfflineStoreError if Cloud Storage refuses.
        """
        batches = self.to_arrow_batches()
        first = next(batches, None)
        if first is None:
            rows = self.to_arrow()
            return write_parquet(rows.schema, rows.to_batches(), self.writing(path))
        return write_parquet(first.schema, chain([first], batches), self.writing(path))

    @contextmanager
    def _query(self) -> Iterator[tuple[Table, dict[str, pa.Table]]]:
        if isinstance(self.spine, FrameSpine):
            joined = self.join(self.spine.table, bounds=self.spine.bounds)
            yield joined.order_by(self.spine.row).select(*self.names), {FRAME: self.spine.seen}
        else:
            with self.spine.stored(self.store) as (table, bounds):
                yield self.join(table, bounds=bounds), {}

    @contextmanager
    def _read(self) -> Iterator[pa.RecordBatchReader]:
        if self.beside and isinstance(self.spine, FrameSpine) and isinstance(self.store, ReadsBeside):
            with _errors_explained():
                found = self.store.read_beside(self.beside, {FRAME: self.spine.seen})
            columns = [column for each in found for column in each.columns]
            yield pa.Table.from_arrays(columns, list(self.names)).to_reader()
            return
        with _errors_explained(), self._query() as (query, frames), self.store.read(query, frames) as batches:
            yield batches


@contextmanager
def _errors_explained() -> Iterator[None]:
    """Raise Arrow's and Ibis' errors about the entity rows' columns as InvalidRequest."""
    try:
        yield
    except (pa.ArrowException, IbisError, UnicodeEncodeError) as error:
        raise InvalidRequest(
            f"The entity rows cannot be joined: {type(error).__name__}: {error}. Cast their columns."
        ) from error


def historical_features(
    service: FeatureService,
    entity_df: Any = None,
    *,
    store: OfflineStore,
    full_feature_names: bool = False,
    known_time: bool = False,
    interval: Interval | None = None,
    owners: Mapping[str, str] | None = None,
    writing: Callable[..., AbstractContextManager[IO[bytes]]] = _no_files,
) -> HistoricalFeatures:
    """The service's features at each row's event_timestamp, as a lazy result. See `point_in_time`.

    `entity_df` is a pandas or polars DataFrame, an Arrow table, an Ibis table or a SELECT of the store's engine. It has
    the join keys, event_timestamp (naive: UTC), and other columns that the result keeps. With `interval` instead, the
    result has each key and time of the service's views in the interval. `owners` are definitions by table, to which
    `to_table` does not write; `writing` opens the files of `to_parquet`. Raises InvalidRequest, TableNotFound,
    SourceMismatch; for a SELECT only when it runs.
    """
    if (entity_df is None) == (interval is None):
        raise InvalidRequest("Give either entity_df, or start and end for every row of the views between them.")
    stored = check_tables(list(service.views.values()), store, may_lack_added=True)
    any_join = partial(
        point_in_time,
        dialect=store.dialect,
        dataset=store.dataset,
        known_time=known_time,
        stored=stored,
    )
    join = partial(any_join, service=service, full_feature_names=full_feature_names)
    beside: tuple[Part, ...] = ()
    spine: FrameSpine | QuerySpine
    if interval is not None:
        spine = every_row(service, interval, store.dataset, stored)
    else:
        spine = spine_of(entity_df, service)
    if isinstance(spine, FrameSpine):
        names = output_names(service, full=full_feature_names, taken=spine.columns)
        many = len(service.projections) >= MANY and not service.on_demand
        if many and spine.seen.num_rows <= FEW and isinstance(store, ReadsBeside):
            check_spine(spine.table, service)
            one = partial(any_join, bounds=spine.bounds, full_feature_names=True)
            with _errors_explained():
                found = parts(service, spine=spine.table, row=spine.row, join=one, sql=store.sql, stored=stored)
                beside = tuple(found)
    else:
        names = output_names(service, full=full_feature_names)
        if isinstance(spine.query, Table):
            with _errors_explained():
                join(spine.query)  # raises errors now rather than at the first read
    return HistoricalFeatures(
        store=store,
        spine=spine,
        join=join,
        names=tuple(names.values()),
        owners=owners or {},
        beside=beside,
        writing=writing,
    )
