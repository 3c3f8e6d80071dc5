"""The column types that every store keeps without loss."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")


class DataType(StrEnum):
    """A column's type: the same set in Ibis, Arrow, BigQuery, DuckDB and Redis. Timestamps are UTC microseconds.

    Beside these members there are types with parts, made from their text: `struct<name: type, ...>`,
    `map<string, type>`, and lists of structs. Equal texts give the same object. A map is stored as a list of structs
    with the fields `key` and `value`, since BigQuery has no maps.
    """

    INT64 = "int64"
    FLOAT64 = "float64"
    STRING = "string"
    BOOLEAN = "boolean"
    BYTES = "bytes"
    DATE = "date"
    TIMESTAMP = "timestamp"
    DECIMAL = "decimal(38, 9)"
    TIME = "time"
    UUID = "uuid"
    JSON = "json"
    LIST_INT64 = "list<int64>"
    LIST_FLOAT64 = "list<float64>"
    LIST_STRING = "list<string>"
    LIST_BOOLEAN = "list<boolean>"
    LIST_BYTES = "list<bytes>"
    LIST_DATE = "list<date>"
    LIST_TIMESTAMP = "list<timestamp>"

    @classmethod
    def _missing_(cls, value: object) -> DataType | None:
        """A type with parts. Enum raises ValueError for None."""
        if not isinstance(value, str) or not _is_valid(value):
            return None
        made = str.__new__(cls, value)
        made._name_ = f"NESTED_{hashlib.sha256(value.encode()).hexdigest()[:16].upper()}"
        made._value_ = value
        found = cls._value2member_map_.setdefault(value, made)
        return found if isinstance(found, cls) else None

    @classmethod
    def struct_of(cls, fields: Mapping[str, DataType]) -> DataType:
        """The type of structs with these fields. Raises ValueError."""
        return cls(f"struct<{', '.join(f'{name}: {type_}' for name, type_ in fields.items())}>")

    @classmethod
    def map_of(cls, value: DataType) -> DataType:
        """The type of maps from texts to these values. Raises ValueError."""
        return cls(f"map<string, {value}>")

    @classmethod
    def list_of(cls, item: DataType) -> DataType:
        """The type of lists of these items. Raises ValueError for lists and maps, which BigQuery has no lists of."""
        return cls(f"list<{item}>")

    @property
    def is_list(self) -> bool:
        """Whether the type is a list."""
        return self.value.startswith("list<")

    @property
    def is_struct(self) -> bool:
        """Whether the type is a struct."""
        return self.value.startswith("struct<")

    @property
    def is_map(self) -> bool:
        """Whether the type is a map."""
        return self.value.startswith("map<")

    @property
    def is_nested(self) -> bool:
        """Whether values hold structs or maps."""
        return "struct<" in self.value or self.is_map

    @property
    def item(self) -> DataType:
        """The type of a list's items; for another type the type itself."""
        return DataType(self.value[5:-1]) if self.is_list else self

    @property
    def fields(self) -> dict[str, DataType]:
        """The fields of a struct; the field `value` of a map's entries."""
        parts = _parts(self.value)
        if self.is_map:
            return {"value": DataType(parts[1])}
        return {name: DataType(type_) for name, _, type_ in (part.partition(": ") for part in parts)}

    @property
    def leaves(self) -> frozenset[DataType]:
        """The scalar types of which the type is made."""
        if self.is_list:
            return self.item.leaves
        if self.is_struct or self.is_map:
            return frozenset(leaf for type_ in self.fields.values() for leaf in type_.leaves)
        return frozenset({self})


JOIN_KEY_TYPES = frozenset({DataType.INT64, DataType.STRING})
"""The types of join keys: equal in every engine, and each value has one form in a Redis key."""


def reader(type_: DataType, scalars: Mapping[DataType, Callable[[Any], Any]]) -> Callable[[Any], Any] | None:
    """A function that converts the scalars within a value, by their types; None if no scalar needs it.

    Structs and maps are dicts. Nulls stay None.
    """
    if type_.leaves.isdisjoint(scalars):
        return None
    if type_.is_list:
        item = reader(type_.item, scalars)
        return lambda items: None if items is None else [item(each) for each in items]  # type: ignore[misc]
    if type_.is_struct:
        read = {name: found for name, part in type_.fields.items() if (found := reader(part, scalars))}
        return lambda fields: (
            None if fields is None else {n: read[n](value) if n in read else value for n, value in fields.items()}
        )
    if type_.is_map:
        one = reader(type_.fields["value"], scalars)
        return lambda entries: None if entries is None else {k: one(value) for k, value in entries.items()}  # type: ignore[misc]
    scalar = scalars[type_]
    return lambda value: None if value is None else scalar(value)


def _is_valid(text: str) -> bool:
    """Whether the text is a list of structs, a struct or a map, in its one form."""
    if text in DataType._value2member_map_:
        return not text.startswith("<")
    head, less, rest = text.partition("<")
    if not less or not rest.endswith(">"):
        return False
    parts = _parts(text)
    if head == "list":
        item = rest[:-1]
        return not item.startswith(("list<", "map<")) and _is_valid(item)
    if head == "map":
        return len(parts) == 2 and parts[0] == "string" and ", ".join(parts) == rest[:-1] and _is_valid(parts[1])
    if head == "struct":
        pairs = [part.partition(": ") for part in parts]
        names = [name.casefold() for name, _, _ in pairs]
        return (
            len(set(names)) == len(names)
            and ", ".join(parts) == rest[:-1]
            and all(_FIELD.fullmatch(name) and _is_valid(type_) for name, _, type_ in pairs)
        )
    return False


def _parts(text: str) -> list[str]:
    """The parts between the outer `<` and `>`, split at the commas between them."""
    parts, depth = [""], 0
    for letter in text[text.index("<") + 1 : -1]:
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and not depth:
            parts.append("")
        elif parts[-1] or letter != " ":
            parts[-1] += letter
    return parts
