"""What the leak audit finds: the rule that is broken, an example row, and the source row that leaked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from amora_fs_assets.domain.time import Interval

Only = Literal["whole", "other"]
Rule = Literal["differs when computed again", "looks ahead", "differs in parts"]
_MILLIONTH = 1e-6
RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Rows of a view that break a rule of the audit."""

    rule: Rule
    at: datetime | Interval | None  # the instant up to which sources were known, or the part that was computed
    rows: int  # the number of rows that differ
    row: Mapping[str, Any]  # an example, as computed from all source rows at once; its keys only, if there is none
    columns: Mapping[str, tuple[Any, Any]]  # of the example: the value from all source rows, and the other value
    only: Only | None = None  # the computation that has the example, if the other one lacks it
    source: str = ""  # the source of the row that leaked
    source_row: Mapping[str, Any] = field(default_factory=dict)  # the row that leaked, if it was found

    def __str__(self) -> str:
        """The finding with an example, as lines."""
        number = f"{self.rows:,} row{'s' * (self.rows != 1)}"
        at = self.at.isoformat() if isinstance(self.at, datetime) else str(self.at)
        differ = "differs" if self.rows == 1 else "differ"
        reasons = {
            "looks ahead": f"{number} at or before {at} {differ} if the sources end there",
            "differs in parts": f"{number} of {at} {differ} if this part is computed by itself",
            "differs when computed again": f"{number} {differ}",
        }
        lines = [f"{self.rule}: {reasons[self.rule]}. Example: {shown(self.row)}"]
        if self.only is not None:
            computation = "computation from all source rows" if self.only == "whole" else "other computation"
            lines.append(f"  only the {computation} has the row")
        lines += [f"  {name}: {_text(one)} from all source rows, {_text(other)} otherwise"
                  for name, (one, other) in self.columns.items()]  # fmt: skip
        if self.only is None and all(_near(one, other) for one, other in self.columns.values()):
            lines.append(
                "  these values differ by less than a millionth, as sums of floats do whose rows have another order: "
                "round them in the transform"
            )
        if self.source_row:
            unread = ", which the computation of the part does not read" if self.rule == "differs in parts" else ""
            lines.append(f"  the value uses this row of source '{self.source}'{unread}: {shown(self.source_row)}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The result of an audit of a view."""

    view: str
    interval: Interval
    rows: int  # of the interval, clipped
    instants: tuple[datetime, ...] = ()  # at which the sources were cut
    findings: tuple[Finding, ...] = ()
    skipped: str = ""  # why the view was not audited

    @property
    def passed(self) -> bool:
        """Whether no rule is broken."""
        return not self.findings

    @property
    def summary(self) -> str:
        """The result in a line."""
        if self.skipped:
            return f"not audited: {self.skipped}"
        number = f"{self.rows:,} row{'s' * (self.rows != 1)} of {self.interval}"
        if not self.rows:
            return f"{number}: nothing to test."
        found = " and ".join(finding.rule for finding in self.findings)
        return f"{number}: the view {found}." if found else f"{number}, nothing looks ahead."


def shown(row: Mapping[str, Any]) -> str:
    """The row as text."""
    return ", ".join(f"{name}={_text(value)}" for name, value in row.items())


def _near(one: Any, other: Any) -> bool:
    """Whether two values, or the items of two lists or structs, are equal but for floats that are almost equal."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or abs(one - other) <= _MILLIONTH * max(abs(one), abs(other), 1.0)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_near, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_near(one[name], other[name]) for name in one)
    return bool(one == other)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else repr(value)
