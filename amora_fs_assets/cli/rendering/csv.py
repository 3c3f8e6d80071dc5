"""Rows as CSV: times in ISO 8601, bytes in base64, lists, structs and maps as JSON, null as an empty field."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from datetime import date, time
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def write_csv(batches: Iterable[pa.RecordBatch], names: Sequence[str], file: IO[bytes]) -> None:
    """Write a line with the names, and a line for each row. One batch is in memory at a time."""
    from amora_fs_assets.operations.frames import with_maps

    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for batch in batches:
        columns = ([with_maps(column.type, value) for value in column.to_pylist()] for column in batch.columns)
        writer.writerows(map(_line, zip(*columns, strict=True)))
    text.detach()


def _line(row: Sequence[Any]) -> list[str]:
    return [_text(plain(value)) for value in row]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def plain(value: Any) -> Any:
    """A value in a form that JSON has, as the HTTP server writes it: NaN and infinities are texts."""
    match value:
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case date() | time():
            return value.isoformat()
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case _:  # decimals, and join keys of any type as they were given
            return str(value)
