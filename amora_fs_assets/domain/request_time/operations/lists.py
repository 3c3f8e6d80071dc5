"""Lists. A null list counts as an empty list, since BigQuery's tables hold no null lists."""

from __future__ import annotations

from amora_fs_assets.domain.request_time.operations.form import Operation, operation
from amora_fs_assets.domain.types import DataType

_EXACT = frozenset(
    {DataType.INT64, DataType.STRING, DataType.BOOLEAN, DataType.BYTES, DataType.DATE, DataType.TIMESTAMP}
)
_ITEMS = _EXACT | {DataType.FLOAT64}

LISTS: tuple[Operation, ...] = (
    operation("list_length", "a.length()", "length({0})", "The number of items.", "ARRAY_LENGTH",
              {"list<T> -> int64": "len({0} or ())"}, types=_ITEMS, strict=False),
    operation("item", "a[n]", "{0}[{1}]",
              "The item at this place, counted from 0, or from the end for a negative `n`. Null if there is none.",
              "Array subscript operator", {"list<T> int64 -> T": "item({0}, {1})"}, types=_ITEMS, strict=False),
    operation("has_item", "a.contains(b)", "contains({0}, {1})",
              "Whether an item equals `b`; false if `b` is null. Not for lists of floats, whose NaN equals nothing.",
              "IN operator", {"list<T> T -> boolean": "(({1} in {0}) if {0} and {1} is not None else False)"},
              types=_EXACT, strict=False),
)  # fmt: skip
