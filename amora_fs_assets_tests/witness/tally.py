"""What the witness was asked in a session, for the end of pytest's report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    analyzed: int = 0  # statements
    executed: int = 0  # queries
    cells: int = 0  # that were compared with the oracle, or with DuckDB
    differences: Counter[str] = field(default_factory=Counter)  # those of docs/bigquery.md, by kind

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.differences.items()))
        return (
            f"semantics: {self.analyzed} statements analyzed, {self.executed} executed, {self.cells:,} cells compared, "
            f"differences by kind: {kinds or 'none'}"
        )


TALLY = Tally()
