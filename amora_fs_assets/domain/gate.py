"""A view's gate as plain data: its rules, compiled to one query that DuckDB runs without the code of the schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TABLE = "rows"
"""What the query calls the table of the rows that it judges."""
VERSION = 1
"""Of what the query means. A gate of another version is not run: the view is to be applied again."""


@dataclass(frozen=True)
class Gate:
    """The rules of a view, in order, and the query that says for each row which of them it keeps.

    The query reads a table `rows` with the view's `row_columns` and gives one column of truth values for each rule. It
    looks at each row by itself, so that the rows stay in their order. That keys are unique is not among the rules.
    """

    rules: tuple[tuple[str, str], ...]  # the check, which is a column's or not, and the rule in words
    sql: str

    def to_plain(self) -> dict[str, Any]:
        """Its JSON form."""
        return {"version": VERSION, "rules": [list(rule) for rule in self.rules], "sql": self.sql}

    @classmethod
    def read(cls, plain: Mapping[str, Any] | None) -> Gate | None:
        """The gate again; None where there is none of this version."""
        if plain is None or plain["version"] != VERSION:
            return None
        return cls(tuple((check, rule) for check, rule in plain["rules"]), plain["sql"])
