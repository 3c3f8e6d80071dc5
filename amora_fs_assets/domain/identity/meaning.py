"""The meaning of a transform: hashes that tell which columns changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from amora_fs_assets.domain.identity.fingerprint import content_hash

FORM = 1
"""Version of the canonical form. Meanings of different versions are not comparable."""


@dataclass(frozen=True)
class Meaning:
    """A hash of each column's value, and a hash of what determines the set of rows."""

    rows: str  # filters, joins, groups
    columns: Mapping[str, str] = field(hash=False)  # each value, without `rows`
    form: int = FORM

    def column(self, name: str) -> str:
        """SHA-256 of a column's value and of the rows; empty for an unknown column."""
        return content_hash([self.form, self.rows, self.columns[name]]) if name in self.columns else ""

    def changed(self, other: Meaning) -> tuple[str, ...]:
        """The common columns whose values are computed differently. A change of the rows alone does not count."""
        return tuple(name for name, value in self.columns.items() if other.columns.get(name, value) != value)

    def comparable(self, other: Meaning | None) -> bool:
        """Whether both have the same version of the canonical form."""
        return other is not None and self.form == other.form

    def to_plain(self) -> dict[str, Any]:
        """The JSON form."""
        return {"form": self.form, "rows": self.rows, "columns": dict(sorted(self.columns.items()))}

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any] | None) -> Meaning | None:
        """Read the JSON form; None if a release before meanings wrote the catalogue."""
        return None if plain is None else cls(plain["rows"], plain["columns"], plain["form"])
