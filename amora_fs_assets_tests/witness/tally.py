"""What the witness was asked in a session, for the end of pytest's report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from amora_fs_assets.testing.same import difference


@dataclass
class Tally:
    analyzed: int = 0  # statements
    executed: int = 0  # queries
    cells: int = 0  # that were compared with the oracle, or with DuckDB
    differences: Counter[str] = field(default_factory=Counter)  # that were found, by kind

    def add(self, other: Mapping[str, Any]) -> None:
        """Add the counts of another process, as `asdict` gives them."""
        self.analyzed += other.get("analyzed", 0)
        self.executed += other.get("executed", 0)
        self.cells += other.get("cells", 0)
        self.differences.update(other.get("differences", {}))

    @contextmanager
    def comparing(self, kind: str, cells: int) -> Iterator[None]:
        """So many cells are compared within; an AssertionError is a difference of this kind."""
        self.cells += cells
        try:
            yield
        except AssertionError:
            self.differences[kind] += 1
            raise

    def same(self, kind: str, found: pa.Table, expected: pa.Table) -> None:
        """Assert that both tables hold the same rows, in whatever order; computed floats to 1e-9 of their size."""
        with self.comparing(kind, expected.num_rows * expected.num_columns):
            said = difference(found, expected, ("GoogleSQL", "expected"))
            assert not said, f"{kind}: {said}"

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.differences.items()))
        return (
            f"semantics: {self.analyzed} statements analyzed, {self.executed} executed, {self.cells:,} cells compared, "
            f"differences by kind: {kinds or 'none'}"
        )


TALLY = Tally()
