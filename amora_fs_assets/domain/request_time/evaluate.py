"""Evaluates formulas on the rows of an online read. Imports no Ibis, and Arrow only for many rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from amora_fs_assets.domain.request_time.by_columns import by_columns
from amora_fs_assets.domain.request_time.by_rows import Compute, by_rows
from amora_fs_assets.domain.request_time.formula import Formula, joined

MANY = 100
"""From so many rows on, columns are faster than rows: see benchmarks/formulas.py."""


class Evaluator:
    """Evaluates several formulas over the same columns. Compiled once, when it is made."""

    def __init__(self, formulas: Mapping[str, Formula]) -> None:
        steps, results = joined(formulas)
        self._names = tuple(results)
        self._compute_rows = by_rows(steps, list(results.values()))
        self._steps = steps, list(results.values())

    def values(
        self, columns: Mapping[str, Sequence[Any]], request_time: int, count: int
    ) -> dict[str, tuple[list[Any], bool]]:
        """The values of each formula for `count` rows, and whether none of them is null.

        `columns` hold Python values as an online answer does: datetimes are aware. `request_time` is in microseconds
        since 1970.
        """
        compute = self._compute_rows if count < MANY else self._compute_columns
        return dict(zip(self._names, compute(columns, request_time, count), strict=True))

    @cached_property
    def _compute_columns(self) -> Compute:
        return by_columns(*self._steps)
