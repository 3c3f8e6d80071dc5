"""The join keys and request columns of a read: from any form of entity rows, converted to their types."""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import InvalidOperation
from typing import Any

from amora_fs_assets.domain.arrow import arrow_table, is_arrow
from amora_fs_assets.domain.callers import refused
from amora_fs_assets.domain.errors import InvalidRequest, shown
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.online.json_keys import json_key
from amora_fs_assets.operations.online.json_values import json_value
from amora_fs_assets.operations.online.pushed_values import exact

EntityRows = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]


@dataclass(slots=True)
class Entities:
    """The entities of a request, by column."""

    columns: dict[str, list[Any]]
    """The caller's columns, of which the join keys are in the answer."""
    keys: dict[str, list[Any]]
    """The join keys in their types."""
    request: dict[str, list[Any]]
    """The columns that on-demand features read, in their types."""
    count: int


_PYTHON = {DataType.INT64: int, DataType.STRING: str}
_NOTHING = type(None)
_NULLS = {"NAType", "NaTType"}  # pandas' types, by name, since pandas is not imported


def entities_of(
    entity_rows: Any, keys: Mapping[str, DataType], request: Mapping[str, DataType], *, json: bool
) -> Entities:
    """The entities of any form of entity rows. Raises InvalidRequest for a missing column or a value of another type.

    A column may be a join key and a request column.
    """
    columns, count = _columns(entity_rows, keys, request)
    read = {name: checked_keys(name, columns[name], type_, json=json) for name, type_ in keys.items()}
    brought = {
        name: read[name] if name in read else checked_request(name, columns[name], type_, json=json)
        for name, type_ in request.items()
    }
    return Entities(columns, read, brought, count)


def _columns(entity_rows: Any, keys: Collection[str], request: Collection[str]) -> tuple[dict[str, list[Any]], int]:
    """The join keys and request columns as columns of equal length, and this length."""
    needed = [*keys, *request]
    if isinstance(entity_rows, Mapping):
        columns = {name: _column(name, values) for name, values in entity_rows.items()}
    elif (frame := _frame(entity_rows)) is not None:
        columns = frame
    elif isinstance(entity_rows, str | bytes):
        raise _no_rows(entity_rows)
    else:
        rows: list[Any] = []
        try:
            rows += entity_rows
            return {key: [row[key] for row in rows] for key in needed}, len(rows)
        except KeyError as error:
            key = error.args[0] if error.args else None
            lacking = next((row for row in rows if isinstance(row, Mapping) and key not in row), {})
            raise _missing(key, list(lacking), keys) from None
        except Exception:
            if rows and all(isinstance(row, Mapping) for row in rows):
                raise
            raise _no_rows(entity_rows) from None
    for key in needed:
        if key not in columns:
            raise _missing(key, list(columns), keys)
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise InvalidRequest(f"entity_rows: columns of different lengths: { {k: len(v) for k, v in columns.items()} }.")
    return columns, lengths.pop() if lengths else 1


def _frame(entity_rows: Any) -> dict[str, list[Any]] | None:
    """The columns of a DataFrame or an Arrow table; None for another object."""
    if hasattr(entity_rows, "iloc") and hasattr(entity_rows, "columns"):  # pandas
        names = list(map(str, entity_rows.columns))
    else:
        if not hasattr(entity_rows, "to_pydict") and is_arrow(entity_rows):  # polars and others
            entity_rows = arrow_table(entity_rows)
        if not hasattr(entity_rows, "to_pydict"):
            return None
        names = entity_rows.schema.names
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise InvalidRequest(f"entity_rows have two columns '{twice}'. Rename or drop one.")
    found: dict[str, list[Any]]
    found = entity_rows.to_pydict() if hasattr(entity_rows, "to_pydict") else entity_rows.to_dict("list")
    return found


def _no_rows(entity_rows: object) -> InvalidRequest:
    kind = type(entity_rows).__name__
    hint = " Call its collect()." if kind == "LazyFrame" else ""
    return InvalidRequest(
        f"entity_rows is {kind}; give a list of dicts, a dict of columns, a DataFrame or an Arrow table.{hint}"
    )


def _column(name: str, values: Any) -> list[Any]:
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise refused(f"entity_rows: column '{name}'", values, "a list of values, one per entity")
    return list(values.to_pylist() if hasattr(values, "to_pylist") else values)


def _missing(key: object, names: list[Any], keys: Collection[str]) -> InvalidRequest:
    kind = "join key" if key in keys else "request column"
    have = ", ".join(sorted(map(repr, names))) or "nothing"
    return InvalidRequest(f"entity_rows lack {kind} '{key}'. They have: {have}.")


def checked_keys(name: str, values: list[Any], type_: DataType, *, json: bool) -> list[Any]:
    """The values converted to the join key's type; None for null."""
    if set(map(type, values)) <= {_PYTHON[type_], _NOTHING}:
        keys = values
    elif json:
        keys = [_json_key(value, type_, name) for value in values]
    else:
        keys = [_key(value, type_, name) for value in values]
    if type_ is DataType.INT64:
        wide = [key for key in keys if key is not None and not -(2**63) <= key < 2**63] if keys else []
        if wide:
            raise InvalidRequest(f"Join key '{name}' takes int64; {wide[0]} does not fit into 64 bits.")
    return keys


def checked_request(name: str, values: list[Any], type_: DataType, *, json: bool) -> list[Any]:
    """The values of a request column converted to its type. NaN is null, since pandas writes nulls as NaN."""
    if type_ is DataType.FLOAT64 and (kinds := set(map(type, values))) <= {float, _NOTHING}:
        no_nan = kinds == {float} and (total := sum(values)) == total
        return values if no_nan else _without_nan(values)
    try:
        if json:
            values = [json_value(type_, value) for value in values]
        return [exact(type_, value) for value in _without_nan(values)]
    except (TypeError, ValueError, OverflowError, InvalidOperation) as error:
        raise InvalidRequest(f"Request column '{name}' takes {type_}: {error}.") from None


def _without_nan(values: list[Any]) -> list[Any]:
    return [None if isinstance(value, float) and value != value else value for value in values]


def _json_key(value: Any, type_: DataType, name: str) -> int | str | None:
    try:
        return _key(json_key(type_, value), type_, name)
    except TypeError:
        hint = " Give a number, or its text without other characters." if isinstance(value, str) else ""
        raise _wrong_key(value, type_, name, hint) from None


def _key(value: Any, type_: DataType, name: str) -> int | str | None:
    """A value converted without loss: a NumPy scalar, an integral float."""
    if value is None or type(value).__name__ in _NULLS or (isinstance(value, float) and math.isnan(value)):
        return None
    if type_ is DataType.STRING and isinstance(value, str):
        return str(value)
    if type_ is DataType.INT64 and not isinstance(value, bool):
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            return int(value)
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise _wrong_key(value, type_, name)


def _wrong_key(value: Any, type_: DataType, name: str, hint: str = "") -> InvalidRequest:
    return InvalidRequest(f"Join key '{name}' takes {type_}; {shown(value)} is {type(value).__name__}.{hint}")
