"""Reads pushed rows from JSON.

Values have the same form as in answers, so that a read value can be pushed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import InvalidRequest, shown
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.operations.online.json_keys import json_key
from amora_fs_assets.operations.online.json_values import finite, json_value


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
            return json_key(column.type, finite(value) if isinstance(value, Decimal) else value)
        except (TypeError, OverflowError):
            raise refused(view, column, row, f"{shown(value)} is not a key of this type") from None
    try:
        return json_value(column.type, value)
    except (ValueError, OverflowError, InvalidOperation) as error:
        raise refused(view, column, row, str(error)) from error


def refused(view: FeatureView, column: Column, row: int, reason: str) -> InvalidRequest:
    """The error for a value that the column does not take."""
    return InvalidRequest(
        f"{view}: column '{column.name}' takes {column.type}: row {row}: {reason}. Nothing was pushed."
    )
