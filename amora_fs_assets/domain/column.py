"""Columns and their rules, as stored in the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from amora_fs_assets.domain.types import DataType


@dataclass(frozen=True)
class Rule:
    """A check of a column's values: the name of a Pandera check and its arguments, as plain data."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        """The rule as a call: `ge(min_value=1)`."""
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in sorted(self.arguments.items()))})"

    @property
    def words(self) -> str:
        """The rule in words: `>= 0`, `in a, b`, `at least 2 long`. The name for a custom check."""
        given = self.arguments
        if self.name in _COMPARISONS:
            return f"{_COMPARISONS[self.name]} {next(iter(given.values()), '')}"
        match self.name:
            case "in_range":
                low = ">=" if given.get("include_min", True) else ">"
                high = "<=" if given.get("include_max", True) else "<"
                return f"{low} {given.get('min_value')} and {high} {given.get('max_value')}"
            case "isin" | "notin":
                values = next(iter(given.values()), ())
                return f"{'in' if self.name == 'isin' else 'not in'} {', '.join(map(str, values))}"
            case "str_matches" | "str_contains" | "str_startswith" | "str_endswith":
                return f"{_TEXTS[self.name]} '{next(iter(given.values()), '')}'"
            case "str_length":
                least, most, exact = (given.get(f"{which}_value") for which in ("min", "max", "exact"))
                if exact is not None:
                    return f"{exact} long"
                bounds = [f"at least {least}"] * (least is not None) + [f"at most {most}"] * (most is not None)
                return f"{' and '.join(bounds)} long"
            case _:
                return self.name


_COMPARISONS = {
    "equal_to": "==", "not_equal_to": "!=", "greater_than": ">", "greater_than_or_equal_to": ">=", "less_than": "<",
    "less_than_or_equal_to": "<=",
}  # fmt: skip
_TEXTS = {"str_matches": "matches", "str_contains": "contains", "str_startswith": "starts with",
          "str_endswith": "ends with"}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A join key, timestamp or feature: name, type, nullability, description and rules."""

    name: str
    type: DataType
    nullable: bool = False
    description: str = ""
    rules: tuple[Rule, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
