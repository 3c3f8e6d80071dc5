"""Reads pushed rows from JSON. Values have the same form as in answers, so that a read value can be pushed."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.types import DataType

_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_WHOLE = re.compile(r"0|-?[1-9][0-9]*")
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def number(text: str) -> Decimal:
    """A JSON number with a point or an exponent, as a Decimal with all digits."""
    return Decimal(text)


def from_json(view: FeatureView, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Convert the rows to Python values: bytes from base64, decimals from text or numbers, NaN from words.

    Dates and timestamps stay ISO 8601 text, which a push accepts. An integer join key may be text, as in requests for
    features. Values in another form are not changed; the push refuses them. Raises InvalidRequest for malformed text.
    """
    known = {column.name: column for column in view.row_columns}
    return [
        {name: _read(view, known[name], value, row) if name in known else value for name, value in each.items()}
        for row, each in enumerate(rows)
    ]


def _read(view: FeatureView, column: Column, value: Any, row: int) -> Any:
    read = _integer if column.name in view.join_keys and column.type is DataType.INT64 else _FORMS.get(column.type.item)
    items = value if isinstance(value, list) else [value]
    try:
        found = [_item(read, item) for item in items]
    except (ValueError, OverflowError, InvalidOperation) as error:
        raise InvalidRequest(
            f"{view}: column '{column.name}' takes {column.type}: row {row}: {error}. Nothing was pushed."
        ) from error
    return found if isinstance(value, list) else found[0]


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


def _integer(text: str) -> Any:
    return int(text) if _WHOLE.fullmatch(text) and len(text) <= 20 else text


_FORMS: dict[DataType, Callable[[str], Any]] = {
    DataType.FLOAT64: _float,
    DataType.BYTES: _bytes,
    DataType.DECIMAL: _decimal,
}
