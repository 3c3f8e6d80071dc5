"""Reads pushed columns in the form in which Feast's client sends them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.time import EPOCH
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.serving.pushed import number, read, refused

_NULL = -(2**63)
"""Feast's number for a timestamp that is null."""
_NO_ENTITY = frozenset({"__dummy", "__dummy_id"})
"""Feast's names for the key of a view without entities."""
_TIMES = frozenset({DataType.TIMESTAMP, DataType.DATE})


def from_feast(view: FeatureView, columns: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Convert the columns of Feast's `df` to Python values, with our names of the times.

    Feast's client sends timestamps as seconds since 1970, structs and maps as JSON text, `created` for the
    created_timestamp (also of views that have none), and a dummy key for views without entities. Raises InvalidRequest
    for malformed values.
    """
    names = {"created": CREATED_TIMESTAMP}
    if EVENT_TIMESTAMP not in columns:
        names[view.timestamp_field] = EVENT_TIMESTAMP
    known = {column.name: column for column in view.row_columns}
    found: dict[str, list[Any]] = {}
    for given, values in columns.items():
        name = names.get(given, given)
        if given in _NO_ENTITY or (given == "created" and name not in known):
            continue
        found[name] = list(values)
        if name not in known:
            continue  # the push refuses the name
        for row, value in enumerate(values):
            try:
                plain = _plain(known[name].type, value)
            except (ValueError, OverflowError) as error:
                raise refused(view, known[name], row, str(error)) from error
            found[name][row] = read(view, known[name], plain, row)
    return found


def _plain(type_: DataType, value: Any) -> Any:
    """The value with instants for seconds, and dicts for JSON text."""
    if isinstance(value, list):
        return [_plain(type_.item, item) for item in value]
    if type_ in _TIMES and type(value) is int:
        return None if value == _NULL else _instant(value)
    if not type_.is_struct and not type_.is_map:
        return value
    if isinstance(value, str):
        value = json.loads(value, parse_float=number)
    if not isinstance(value, dict):
        return value
    fields = dict.fromkeys(value, type_.fields["value"]) if type_.is_map else type_.fields
    return {name: _plain(fields[name], part) if name in fields else part for name, part in value.items()}


def _instant(seconds: int) -> Any:
    try:
        return EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        raise OverflowError(f"{seconds} seconds since 1970 is not in the years 1 to 9999") from None
