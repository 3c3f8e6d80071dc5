"""Reads pushed rows from JSON.

Values have the same form as in answers, so that a read value can be pushed.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import InvalidRequest, shown
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.online.json_keys import json_key

_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
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
        {name: read(view, known[name], value, row) if name in known else value for name, value in each.items()}
        for row, each in enumerate(rows)
    ]


def read(view: FeatureView, column: Column, value: Any, row: int) -> Any:
    """The Python value of a value of a column. Raises InvalidRequest for malformed text."""
    if column.name in view.join_keys:
        try:
            return json_key(column.type, _finite(value) if isinstance(value, Decimal) else value)
        except (TypeError, OverflowError):
            raise refused(view, column, row, f"{shown(value)} is not a key of this type") from None
    try:
        return _value(column.type, value)
    except (ValueError, OverflowError, InvalidOperation) as error:
        raise refused(view, column, row, str(error)) from error


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


def refused(view: FeatureView, column: Column, row: int, reason: str) -> InvalidRequest:
    """The error for a value that the column does not take."""
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


_FORMS: dict[DataType, Callable[[str], Any]] = {
    DataType.FLOAT64: _float,
    DataType.BYTES: _bytes,
    DataType.DECIMAL: _decimal,
}
