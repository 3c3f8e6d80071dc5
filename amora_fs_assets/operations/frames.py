"""Arrow tables as data frames, in which every integer stays what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from amora_fs_assets.domain.errors import InvalidRequest

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def to_pandas(rows: pa.Table) -> pd.DataFrame:
    """As a data frame, in which integers and truth values stay such when null. Takes the table's memory over.

    A list of integers is a NumPy array of integers; of Python's integers and None where an item is null.
    """
    import pandas as pd

    kinds = {pa.bool_(): pd.BooleanDtype()}
    for bits in (8, 16, 32, 64):
        kinds[getattr(pa, f"int{bits}")()] = getattr(pd, f"Int{bits}Dtype")()
        kinds[getattr(pa, f"uint{bits}")()] = getattr(pd, f"UInt{bits}Dtype")()
    # pandas would make floats of all lists of a batch of which one has a null item.
    lists = {place: _objects(rows.column(place)) for place, field in enumerate(rows.schema) if _inexact(field.type)}
    for place in lists:
        rows = rows.set_column(place, rows.schema.names[place], pa.nulls(rows.num_rows))
    frame: pd.DataFrame = rows.to_pandas(types_mapper=kinds.get, split_blocks=True, self_destruct=True)
    for place, objects in lists.items():
        frame.isetitem(place, pd.Series(objects, index=frame.index, dtype=object).array)
    return frame


def to_polars(rows: pa.Table) -> pl.DataFrame:
    """As a polars frame, which shares the table's memory. Raises InvalidRequest where polars is not installed."""
    try:
        import polars as pl
    except ModuleNotFoundError:
        raise InvalidRequest("polars is not installed. Hint: pip install polars.") from None
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame), "a table makes a frame"
    return frame


def _is_list(type_: pa.DataType) -> bool:
    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_))


def _inexact(type_: pa.DataType) -> bool:
    """Whether pandas may make floats of integers within values of the type."""
    if _is_list(type_):
        return bool(pa.types.is_integer(type_.value_type)) or _inexact(type_.value_type)
    return False


def _objects(column: pa.ChunkedArray) -> list[Any]:
    """The lists as pandas shows them: NumPy arrays, and None where there is no list."""
    import numpy as np

    objects: list[Any] = []
    for chunk in column.chunks:
        items = chunk.flatten()
        if items.null_count or _is_list(items.type):
            whole = object if _is_list(items.type) else items.type.to_pandas_dtype()
            objects += [
                None if each is None else np.array(each, object if None in each else whole)
                for each in chunk.to_pylist()
            ]
            continue
        ends = np.cumsum(chunk.value_lengths().fill_null(0).to_numpy())
        parts = np.split(items.to_numpy(), ends[:-1]) if len(chunk) else []
        objects += [part if there.as_py() else None for part, there in zip(parts, chunk.is_valid(), strict=True)]
    return objects
