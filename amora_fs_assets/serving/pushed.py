"""Reads pushed rows from JSON, in our form or Feast's.

Values have the same form as in answers, so that a read value can be pushed.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import InvalidRequest, shown
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.time import EPOCH
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.online.json_keys import json_key

_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_FEAST_NULL = -(2**63)
"""Feast's number for a timestamp that is null."""
_FEAST_NO_ENTITY = frozenset({"__dummy", "__dummy_id"})
"""Feast's names for the key of a view without entities."""
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def number(text: str) -> Decimal:
    """A JSON number with a point or an exponent, as a Decimal with all digits."""
    return Decimal(text)


def from_json(view: FeatureView, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Convert the rows to Python values: bytes from base64, decimals from text or numbers, NaN from words.

    Dates and timestamps stay ISO 8601 text, which a push accepts. A join key may have the forms of `json_key`. Values
    in another form are not changed; the push refuses them. Raises InvalidRequest for malformed text.
    """
    known = {column.name: column for column in view.row_columns}
    return [
        {name: _read(view, known[name], value, row) if name in known else value for name, value in each.items()}
        for row, each in enumerate(rows)
    ]


def from_feast(view: FeatureView, columns: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Convert the columns of Feast's `df` to Python values, with our names of the times.

    Feast's client sends timestamps as seconds since 1970, `created` for the created_timestamp (also of views that have
    none), and a dummy key for views without entities. Raises InvalidRequest for malformed values.
    """
    names = {"created": CREATED_TIMESTAMP}
    if EVENT_TIMESTAMP not in columns:
        names[view.timestamp_field] = EVENT_TIMESTAMP
    known = {column.name: column for column in view.row_columns}
    found: dict[str, list[Any]] = {}
    for given, values in columns.items():
        name = names.get(given, given)
        if given in _FEAST_NO_ENTITY or (given == "created" and name not in known):
            continue
        column = known.get(name)
        found[name] = (
            list(values)
            if column is None  # the push refuses the name
            else [_read(view, column, _of_feast(view, column, value, row), row) for row, value in enumerate(values)]
        )
    return found


def _of_feast(view: FeatureView, column: Column, value: Any, row: int) -> Any:
    """The value with instants for seconds since 1970."""
    if column.type.item not in _TIMES:
        return value
    if isinstance(value, list):
        return [_of_feast(view, column, item, row) for item in value]
    if type(value) is not int:
        return value
    try:
        return None if value == _FEAST_NULL else EPOCH + timedelta(seconds=value)
    except OverflowError:
        raise _refused(view, column, row, f"{value} seconds since 1970 is not in the years 1 to 9999") from None


def _read(view: FeatureView, column: Column, value: Any, row: int) -> Any:
    if column.name in view.join_keys:
        try:
            return json_key(column.type, _finite(value) if isinstance(value, Decimal) else value)
        except (TypeError, OverflowError):
            raise _refused(view, column, row, f"{shown(value)} is not a key of this type") from None
    try:
        return _value(column.type, value)
    except (ValueError, OverflowError, InvalidOperation) as error:
        raise _refused(view, column, row, str(error)) from error


def _value(type_: DataType, value: Any) -> Any:
    """The Python value for a value in JSON. A value of another form stays, and the push refuses it."""
    if isinstance(value, list):
        return [_value(type_.item, item) for item in value]
    if isinstance(value, dict) and type_.is_map:
        return {key: _value(type_.fields["value"], item) for key, item in value.items()}
    if isinstance(value, dict) and type_.is_struct:
        fields = type_.fields
        return {name: _value(fields[name], item) if name in fields else item for name, item in value.items()}
    if isinstance(value, dict) and type_ is DataType.JSON:
        return {name: _value(type_, item) for name, item in value.items()}
    return _item(_FORMS.get(type_), value)


def _refused(view: FeatureView, column: Column, row: int, reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"{view}: column '{column.name}' takes {column.type}: row {row}: {reason}. Nothing was pushed."
    )


def _item(read: Callable[[str], Any] | None, item: Any) -> Any:
    if isinstance(item, Decimal) and read is not _decimal:
        item = _finite(item)
    return read(item) if read is not None and isinstance(item, str) else item


def _finite(written: Decimal) -> float:
    found = float(written)
    if math.isinf(found):
        raise OverflowError(f"{written} is too large for a float")
    return found


def _float(text: str) -> Any:
    return _WORDS.get(text, text)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{text!r} is not base64") from None


def _decimal(text: str) -> Any:
    return Decimal(text) if _DECIMAL.fullmatch(text) else text


_TIMES = frozenset({DataType.TIMESTAMP, DataType.DATE})
_FORMS: dict[DataType, Callable[[str], Any]] = {
    DataType.FLOAT64: _float,
    DataType.BYTES: _bytes,
    DataType.DECIMAL: _decimal,
}
