"""A column, as the catalogue knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from amora_fs_assets.domain.types import DataType


@dataclass(frozen=True)
class Rule:
    """A check on a column's values: a name of Pandera's and its arguments, as plain data."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        """As one would write it: `ge(min_value=1)`."""
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in sorted(self.arguments.items()))})"


@dataclass(frozen=True)
class Column:
    """A column's name, type, words and rules: a join key, a time or a feature."""

    name: str
    type: DataType
    nullable: bool = False
    description: str = ""
    rules: tuple[Rule, ...] = ()
