"""What a transform computes, in hashes that say which of its columns changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from amora_fs_assets.domain.fingerprint import content_hash

FORM = 1
"""Version of the canonical form. Meanings of different versions are not comparable."""


@dataclass(frozen=True)
class Meaning:
    """The hash of each column's value, and of what decides which rows there are."""

    rows: str  # filters, joins, groups
    columns: Mapping[str, str] = field(hash=False)  # each value, without `rows`
    form: int = FORM

    def column(self, name: str) -> str:
        """SHA-256 of all that decides a column: its value and the rows. Empty for a column that is not there."""
        return content_hash([self.form, self.rows, self.columns[name]]) if name in self.columns else ""

    def changed(self, other: Meaning) -> tuple[str, ...]:
        """The columns of both whose values are made in another way. Equal values over other rows are not among them."""
        return tuple(name for name, value in self.columns.items() if other.columns.get(name, value) != value)

    def comparable(self, other: Meaning | None) -> bool:
        """Whether both are of one version of the canonical form."""
        return other is not None and self.form == other.form

    def to_plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"form": self.form, "rows": self.rows, "columns": dict(sorted(self.columns.items()))}

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any] | None) -> Meaning | None:
        """The meaning again; None where a release before meanings wrote the catalogue."""
        return None if plain is None else cls(plain["rows"], plain["columns"], plain["form"])
