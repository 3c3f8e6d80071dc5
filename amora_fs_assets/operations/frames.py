"""Arrow tables as DataFrames without loss of integers."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa

from amora_fs_assets.domain.errors import InvalidRequest

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def to_pandas(rows: pa.Table) -> pd.DataFrame:
    """Convert to a pandas DataFrame. Integers and booleans with nulls get nullable types. Consumes the table's memory.

    A list of integers becomes a NumPy array of integers; with null items, an object array of int and None. Structs and
    maps become dicts.
    """
    import pandas as pd

    kinds = {pa.bool_(): pd.BooleanDtype()}
    for bits in (8, 16, 32, 64):
        kinds[getattr(pa, f"int{bits}")()] = getattr(pd, f"Int{bits}Dtype")()
        kinds[getattr(pa, f"uint{bits}")()] = getattr(pd, f"UInt{bits}Dtype")()
    # If one list of a batch has a null item, pandas would convert all lists of the batch to floats.
    lists = {place: _objects(rows.column(place)) for place, field in enumerate(rows.schema) if _inexact(field.type)}
    for place in lists:
        rows = rows.set_column(place, rows.schema.names[place], pa.nulls(rows.num_rows))
    frame: pd.DataFrame = rows.to_pandas(types_mapper=kinds.get, split_blocks=True, self_destruct=True)
    for place, objects in lists.items():
        frame.isetitem(place, pd.Series(objects, index=frame.index, dtype=object).array)
    return frame


def to_polars(rows: pa.Table) -> pl.DataFrame:
    """Convert to a polars DataFrame, which shares the table's memory. Raises InvalidRequest without polars."""
    try:
        import polars as pl
    except ModuleNotFoundError:
        raise InvalidRequest("polars is not installed. Hint: pip install polars.") from None
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame), "a table makes a frame"
    return frame


def write_parquet(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], writing: AbstractContextManager[IO[bytes]]
) -> int:
    """Write the batches to the Parquet file that `writing` opens, and return the number of rows.

    One batch is in memory at a time. Raises InvalidRequest for a type that Parquet cannot hold.
    """
    from pyarrow import parquet

    rows = 0
    with writing as file:
        try:
            with parquet.ParquetWriter(file, schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
                    rows += batch.num_rows
        except pa.ArrowNotImplementedError as error:
            raise InvalidRequest(f"Parquet cannot hold these columns: {error}. Cast them.") from error
    return rows


def _is_list(type_: pa.DataType) -> bool:
    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_))


def _inexact(type_: pa.DataType) -> bool:
    """Whether pandas may convert integers within values of the type to floats."""
    if _is_list(type_):
        return bool(pa.types.is_integer(type_.value_type)) or _inexact(type_.value_type)
    return bool(pa.types.is_struct(type_) or pa.types.is_map(type_))


def _is_map(type_: pa.DataType) -> bool:
    """Whether the type is that of a map: a list of entries, since BigQuery has no maps."""
    return _is_list(type_) and pa.types.is_struct(type_.value_type) and type_.value_type.names == ["key", "value"]


def with_maps(type_: pa.DataType, value: Any) -> Any:
    """A value of `to_pylist` with dicts for maps."""
    if value is None:
        return None
    if pa.types.is_map(type_):
        return {key: with_maps(type_.item_type, item) for key, item in value}
    if _is_map(type_):
        item = type_.value_type.field("value").type
        return {each["key"]: with_maps(item, each["value"]) for each in value}
    if _is_list(type_):
        return [with_maps(type_.value_type, each) for each in value]
    if pa.types.is_struct(type_):
        return {field.name: with_maps(field.type, value[field.name]) for field in type_}
    return value


def _objects(column: pa.ChunkedArray) -> list[Any]:
    """The values in pandas' form: NumPy arrays of lists' items, dicts for structs and maps, and None for null."""
    import numpy as np

    objects: list[Any] = []
    item = column.type.value_type if _is_list(column.type) else column.type
    if not _is_list(column.type) or pa.types.is_struct(item):
        return [with_maps(column.type, value) for value in column.to_pylist()]
    for chunk in column.chunks:
        items = chunk.flatten()
        if items.null_count or _is_list(items.type):
            dtype = object if _is_list(items.type) else items.type.to_pandas_dtype()
            objects += [
                None if each is None else np.array(each, object if None in each else dtype)
                for each in chunk.to_pylist()
            ]
            continue
        ends = np.cumsum(chunk.value_lengths().fill_null(0).to_numpy())
        parts = np.split(items.to_numpy(), ends[:-1]) if len(chunk) else []
        objects += [part if valid.as_py() else None for part, valid in zip(parts, chunk.is_valid(), strict=True)]
    return objects
