"""Historical features: a spine in, the same rows with the feature values of their moments out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports import OfflineStore
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.point_in_time import Bounds, output_names, point_in_time
from amora_fs_assets.operations.tables import check_tables

if TYPE_CHECKING:
    import pandas as pd

_FRAME, _ROW = "entity_rows", "_row"
_TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, kw_only=True)
class HistoricalFeatures:
    """The rows asked for and their features; nothing runs until they are taken."""

    store: OfflineStore
    query: Table
    frame: pa.Table | None  # what the query knows of the caller's frame; None for an Ibis table
    given: Any  # the caller's frame, never changed
    names: tuple[str, ...]  # of the feature columns

    def to_sql(self) -> str:
        """The SQL that runs; a frame's rows are its table `entity_rows`."""
        return self.store.sql(self.query)

    def to_arrow(self) -> pa.Table:
        """The rows in the order given, columns untouched, features behind them. An Ibis table's come in no order."""
        result = self._run()
        if self.frame is None:
            return result
        given = self.given if isinstance(self.given, pa.Table) else pa.Table.from_pandas(self.given)
        for name in self.names:
            given = given.append_column(name, result[name])
        return given

    def to_df(self) -> pd.DataFrame:
        """The same as a data frame, with the caller's index; integers and truth values stay such when null."""
        import pandas as pd

        kinds = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
        if self.frame is None or isinstance(self.given, pa.Table):
            table: pd.DataFrame = self.to_arrow().to_pandas(types_mapper=kinds.get)
            return table
        features = self._run().select(list(self.names)).to_pandas(types_mapper=kinds.get)
        features.index = self.given.index
        joined: pd.DataFrame = pd.concat([self.given, features], axis=1)
        return joined

    def _run(self) -> pa.Table:
        frames = {} if self.frame is None else {_FRAME: self.frame}
        with self.store.read(self.query, frames) as batches:
            rows: pa.Table = batches.read_all()
        return rows


def historical_features(
    service: FeatureService,
    entity_df: Any,
    *,
    store: OfflineStore,
    full_feature_names: bool = False,
    known_time: bool = False,
) -> HistoricalFeatures:
    """The service's features at each row's event_timestamp, as a lazy result. See `point_in_time`.

    `entity_df` is a pandas frame, an Arrow table or an Ibis table of the store's engine: join keys, event_timestamp
    (naive: UTC), and columns that pass through. Raises InvalidRequest, TableNotFound, SourceMismatch.
    """
    views = {projection.view.name: projection.view for projection in service.projections}
    check_tables(list(views.values()), store)
    frame, bounds = None, None
    if isinstance(entity_df, Table):
        spine, taken = entity_df, tuple(entity_df.columns)
    else:
        taken = tuple(entity_df.column_names if isinstance(entity_df, pa.Table) else _columns(entity_df))
        frame = _frame(entity_df, taken, service)
        spine = ibis.table(ibis.Schema.from_pyarrow(frame.schema), name=_FRAME)
        bounds = _bounds(frame)
    names = output_names(service, full=full_feature_names, taken=taken)
    query = point_in_time(
        spine,
        service,
        engine=store.engine,
        dataset=store.dataset,
        full_feature_names=full_feature_names,
        known_time=known_time,
        bounds=bounds,
    )
    if frame is not None:
        query = query.order_by(_ROW).select(*names.values())
    return HistoricalFeatures(store=store, query=query, frame=frame, given=entity_df, names=tuple(names.values()))


def _columns(entity_df: Any) -> list[str]:
    try:
        return [str(column) for column in entity_df.columns]
    except AttributeError:
        raise InvalidRequest(
            f"entity_df is {type(entity_df).__name__}; give a pandas DataFrame, an Arrow table or an Ibis table."
        ) from None


def _frame(entity_df: Any, columns: tuple[str, ...], service: FeatureService) -> pa.Table:
    """What the engine needs of the caller's frame: join keys, the moment, and the row's number."""
    types = {
        asked: key.type
        for projection in service.projections
        for asked, key in zip(projection.join_keys, projection.view.key_columns, strict=True)
    }
    for name in (EVENT_TIMESTAMP, *types):
        if name not in columns:
            raise InvalidRequest(f"entity_df has no column '{name}'. Columns: {list(columns)}.")
    needed: dict[str, pa.ChunkedArray] = {}
    for name in types:
        wanted = pa.int64() if types[name] is DataType.INT64 else pa.string()
        array = _array(entity_df, name)
        try:
            # Integers with nulls are floats in pandas; text may be a category.
            fits = wanted == pa.string() or not pa.types.is_string(array.type)
            needed[name] = array.cast(wanted) if fits and not pa.types.is_boolean(array.type) else array
            if wanted == pa.string() and pa.types.is_primitive(array.type) and not pa.types.is_null(array.type):
                needed[name] = array
        except pa.ArrowInvalid as error:
            raise InvalidRequest(f"entity_df: join key '{name}' is not {types[name]}: {error}") from error
    moment = _array(entity_df, EVENT_TIMESTAMP)
    if not (pa.types.is_timestamp(moment.type) or pa.types.is_date(moment.type) or pa.types.is_null(moment.type)):
        raise InvalidRequest(
            f"entity_df: '{EVENT_TIMESTAMP}' is {moment.type}. Convert it: pd.to_datetime(..., utc=True)."
        )
    if pa.types.is_date(moment.type):
        moment = moment.cast(pa.timestamp("us"))
    # Nanoseconds are cut down to the microsecond that they lie in.
    moment = pc.floor_temporal(moment, unit="microsecond") if pa.types.is_timestamp(moment.type) else moment
    needed[EVENT_TIMESTAMP] = moment.cast(_TIME, safe=False)
    return pa.table({**needed, _ROW: pa.array(range(len(moment)), pa.int64())})


def _array(entity_df: Any, name: str) -> pa.ChunkedArray:
    if isinstance(entity_df, pa.Table):
        return entity_df[name]
    array = pa.Array.from_pandas(entity_df[name])
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _bounds(frame: pa.Table) -> Bounds | None:
    ends = pc.min_max(frame[EVENT_TIMESTAMP])
    first, last = ends["min"].as_py(), ends["max"].as_py()
    return None if first is None else (first, last)
