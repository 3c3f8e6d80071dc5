"""Values in JSON, in the form in which answers have them, as Python values."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from amora_fs_assets.domain.types import DataType

_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def json_value(type_: DataType, value: Any) -> Any:
    """The Python value for a value in JSON: bytes from base64, decimals from text or numbers, NaN from words.

    Values of another form stay as they are. Raises ValueError, OverflowError or InvalidOperation for malformed text.
    """
    if isinstance(value, list):
        return [json_value(type_.item, item) for item in value]
    if isinstance(value, dict) and type_.is_map:
        return {key: json_value(type_.fields["value"], item) for key, item in value.items()}
    if isinstance(value, dict) and type_.is_struct:
        fields = type_.fields
        return {name: json_value(fields[name], item) if name in fields else item for name, item in value.items()}
    if isinstance(value, dict) and type_ is DataType.JSON:
        return {name: json_value(type_, item) for name, item in value.items()}
    return _item(_FORMS.get(type_), value)


def _item(read: Callable[[str], Any] | None, item: Any) -> Any:
    if isinstance(item, Decimal) and read is not _decimal:
        item = finite(item)
    return read(item) if read is not None and isinstance(item, str) else item


def finite(written: Decimal) -> float:
    """A number of JSON as a float. Raises OverflowError for a number that is too large."""
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
