"""Pushed rows as an Arrow table with the view's columns. Imports neither Ibis nor Pandera."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain.arrow import arrow_schema, arrow_table, arrow_type, arrow_values, is_arrow
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.operations.online.pushed_values import exact

if TYPE_CHECKING:
    import pyarrow as pa

Rows = Any
"""A DataFrame (pandas or polars), an Arrow table, a list of dicts, or a dict of columns: keys, times, features."""
NOTHING = "Nothing was pushed."
_FORMS = "The pushed rows are a DataFrame, an Arrow table, a list of dicts or a dict of columns"


def table_of(view: FeatureView, rows: Rows) -> pa.Table:
    """Convert the rows to the view's `row_columns`; nullable columns may be missing. Raises InvalidRequest.

    A missing `created_timestamp`, or a null one in a column without nulls, becomes the row's event_timestamp. Rows for
    a view of an external table may have the names of the table's columns instead of the schema's.
    """
    import pyarrow as pa

    known = [column.name for column in view.row_columns]
    columns = _in_schema(view, _columns(rows), known)
    unknown = [name for name in columns if name not in known]
    if unknown:
        raise InvalidRequest(f"{view} has no column {unknown[0]!r}. Its columns: {', '.join(known)}. {NOTHING}")
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InvalidRequest(f"{view}: the pushed columns have different lengths: {lengths}. {NOTHING}")
    count = max(lengths.values(), default=0)
    read: dict[str, list[Any]] = {}
    for column in view.row_columns:
        values = columns.get(column.name)
        if values is None:
            if columns and not (column.nullable or column.name == CREATED_TIMESTAMP):
                raise InvalidRequest(f"{view}: the pushed rows lack column '{column.name}'. {NOTHING}")
            values = [None] * count
        read[column.name] = _exact(view, column, values)
        if column.name == CREATED_TIMESTAMP and not column.nullable:
            both = zip(read[CREATED_TIMESTAMP], read[EVENT_TIMESTAMP], strict=True)
            read[CREATED_TIMESTAMP] = [event if created is None else created for created, event in both]
    arrays = [
        pa.array(arrow_values(column.type, read[column.name]), arrow_type(column.type)) for column in view.row_columns
    ]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(view.row_columns))


def _in_schema(view: FeatureView, columns: dict[str, Sequence[Any]], known: Sequence[str]) -> dict[str, Sequence[Any]]:
    """The columns by the schema's names. A name of the table counts where the schema's own name is not given."""
    names = {} if view.place is None else {stored: name for name, stored in view.place.names.items()}
    free = {stored: name for stored, name in names.items() if stored not in known and name not in columns}
    return {free.get(name, name): values for name, values in columns.items()} if free else columns


def _exact(view: FeatureView, column: Column, values: Iterable[Any]) -> list[Any]:
    read = []
    for row, value in enumerate(values):
        try:
            read.append(exact(column.type, value))
        except (TypeError, ValueError, OverflowError) as error:
            reason = str(error).rstrip(".")
            raise InvalidRequest(
                f"{view}: column '{column.name}' takes {column.type}: row {row}: {reason}. {NOTHING}"
            ) from error
    return read


def _columns(rows: Rows) -> dict[str, Sequence[Any]]:
    """The rows by column, from any accepted form. Raises InvalidRequest."""
    if isinstance(rows, Mapping):
        return {str(name): _values(name, values) for name, values in rows.items()}
    if hasattr(rows, "notna") and hasattr(rows, "columns"):  # pandas
        _refuse_twice([str(name) for name in rows.columns])
        frame = rows.astype(object).where(rows.notna(), None)
        return {str(name): frame[name].tolist() for name in frame.columns}
    if is_arrow(rows):
        rows = arrow_table(rows)
        names = list(rows.schema.names)
        _refuse_twice(names)
        return {name: _arrow_values(name, rows.column(name)) for name in names}
    if isinstance(rows, str | bytes) or not isinstance(rows, Iterable):
        hint = " Call its collect()." if type(rows).__name__ == "LazyFrame" else ""
        raise InvalidRequest(f"{_FORMS}, not {type(rows).__name__}.{hint} {NOTHING}")
    dicts = list(rows)
    for place, row in enumerate(dicts):
        if not isinstance(row, Mapping):
            raise InvalidRequest(f"{_FORMS}; row {place} is {type(row).__name__}. {NOTHING}")
    return {str(name): [row.get(name) for row in dicts] for name in dict.fromkeys(key for row in dicts for key in row)}


def _values(name: object, values: Any) -> list[Any]:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidRequest(f"Column {name!r} of the pushed rows is {type(values).__name__}, not a list. {NOTHING}")
    return list(values.to_pylist() if hasattr(values, "to_pylist") else values)


def _arrow_values(name: str, values: Any) -> list[Any]:
    import pyarrow as pa

    try:
        return list(values.to_pylist())
    except (pa.ArrowInvalid, ValueError, OverflowError) as error:  # an instant outside the years 1 to 9999
        raise InvalidRequest(f"Column {name!r} of the pushed rows cannot be read: {error}. {NOTHING}") from error


def _refuse_twice(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InvalidRequest(f"The pushed rows have column {name!r} twice. {NOTHING}")
