"""What an import writes: definitions as plain data, with the names of this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True)
class Column:
    """A column of a schema."""

    name: str
    annotation: str
    table_column: str
    """The column's name in the table."""
    nullable: bool = True
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EntityText:
    """An entity."""

    name: str
    join_key: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """Where rows are: exactly one of table, query and path."""

    kind: str
    """`table`, `query` or `path`: the argument."""
    value: str
    timestamp_field: str
    """The table's own column."""
    created_timestamp_column: str = ""
    """The table's own column."""


@dataclass(frozen=True)
class SourceText:
    """A source, with the columns that views read of it."""

    name: str
    table: Table
    columns: tuple[Column, ...]
    description: str = ""
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ViewText:
    """A view of an external table."""

    name: str
    entities: tuple[str, ...]
    table: Table
    columns: tuple[Column, ...]
    ttl: timedelta | None
    description: str = ""
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PartText:
    """A view in a service."""

    view: str
    features: tuple[str, ...] | None
    """The selected features; None: all."""
    alias: str | None
    join_keys: Mapping[str, str]


@dataclass(frozen=True)
class ServiceText:
    """A service."""

    name: str
    parts: tuple[PartText, ...]
    description: str = ""
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Imported:
    """All definitions of a Feast project."""

    project: str
    entities: tuple[EntityText, ...]
    sources: tuple[SourceText, ...]
    views: tuple[ViewText, ...]
    services: tuple[ServiceText, ...]
    settings: Mapping[str, str]
    """The settings for pyproject.toml."""
