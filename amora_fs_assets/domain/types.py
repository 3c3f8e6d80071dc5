"""The column types that every store keeps without loss."""

from __future__ import annotations

from enum import StrEnum


class DataType(StrEnum):
    """A column's type: the same set in Ibis, Arrow, BigQuery, DuckDB and Redis. Timestamps are UTC microseconds."""

    INT64 = "int64"
    FLOAT64 = "float64"
    STRING = "string"
    BOOLEAN = "boolean"
    BYTES = "bytes"
    DATE = "date"
    TIMESTAMP = "timestamp"
    DECIMAL = "decimal(38, 9)"
    LIST_INT64 = "list<int64>"
    LIST_FLOAT64 = "list<float64>"
    LIST_STRING = "list<string>"
    LIST_BOOLEAN = "list<boolean>"
    LIST_BYTES = "list<bytes>"
    LIST_DATE = "list<date>"
    LIST_TIMESTAMP = "list<timestamp>"

    @property
    def is_list(self) -> bool:
        """Whether the type is a list."""
        return self.value.startswith("list<")

    @property
    def item(self) -> DataType:
        """The type of a list's items; for a scalar type the type itself."""
        return DataType(self.value[5:-1]) if self.is_list else self


JOIN_KEY_TYPES = frozenset({DataType.INT64, DataType.STRING})
"""The types of join keys: equal in every engine, and each value has one form in a Redis key."""
