"""A view's gate as plain data: its rules, compiled to one DuckDB query that does not need the schema's code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TABLE = "rows"
"""The name of the table of checked rows in the query."""
VERSION = 1
"""The version of the query's meaning. A gate of another version is not run: apply the view again."""


@dataclass(frozen=True)
class Gate:
    """The rules of a view, in order, and the query that checks each row against each rule.

    The query reads a table `rows` with the view's `row_columns` and returns one boolean column per rule. The query
    checks each row independently and keeps the order of the rows. The uniqueness of keys is not among the rules.
    """

    rules: tuple[tuple[str, str], ...]  # the name of the check, such as a column, and the rule in words
    sql: str

    def to_plain(self) -> dict[str, Any]:
        """The JSON form."""
        return {"version": VERSION, "rules": [list(rule) for rule in self.rules], "sql": self.sql}

    @classmethod
    def read(cls, plain: Mapping[str, Any] | None) -> Gate | None:
        """Read the JSON form; None without a gate of this version."""
        if plain is None or plain["version"] != VERSION:
            return None
        return cls(tuple((check, rule) for check, rule in plain["rules"]), plain["sql"])
