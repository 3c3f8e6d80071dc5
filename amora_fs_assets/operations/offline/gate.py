"""The gate: all checks of a view's rows in one aggregate query, built from Pandera's check functions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import ibis
from ibis.expr.types import IntegerScalar, Table, Value

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.records import CheckResult, RuleResult
from amora_fs_assets.domain.rules.of_view import rules_of, unique_key, whole_rows
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.expressions.tables import within

FAILING_ROWS = 10
"""The maximal number of example rows of a failed check."""


@dataclass(frozen=True)
class GateResult:
    """The result of the gate."""

    rows: int  # in the interval
    clipped_rows: int  # outside the interval
    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(result.passed for result in self.results)


def check_names(view: FeatureView) -> dict[str, str]:
    """The view's checks by name, each described in words."""
    names = {}
    for column in view.row_columns:
        rules = [*([] if column.nullable else ["not null"]), *(rule.words for rule in column.rules)]
        holds = f"Every {column.name} is {', '.join(rules)}." if rules else f"Every {column.name} is accepted."
        names[column.name] = f"{holds} {column.description}".strip()
    if view.table is None:  # rows of an external table may have equal keys and times; joins then compare features
        names[unique_key(view)] = f"One row per {', '.join(view.row_key)}."
    if view.schema is not None and view.schema.to_schema().checks:
        names[whole_rows(view)] = f"Whole rows: {', '.join(str(c.name) for c in view.schema.to_schema().checks)}."
    return names


def check(rows: Table, view: FeatureView, interval: Interval | None, store: OfflineStore) -> GateResult:
    """Run all checks on the rows of the interval (None: on all rows). The rows have the view's `row_columns`.

    Rows without event_timestamp count as rows of the interval. One query counts the failures of all checks; one more
    query per failed check fetches example rows.
    """
    inside = within(rows[EVENT_TIMESTAMP], interval)
    rules = list(rules_of(view))
    kept = [rule.keeps(rows) for rule in rules]
    counts: list[IntegerScalar] = [inside.sum(), (~inside).sum()]
    counts += [(inside & ~each).sum() for each in kept]
    named = {f"m{i}": count.fill_null(0).cast("int64") for i, count in enumerate(counts)}
    duplicates = _duplicates(view, rows.filter(inside))
    query = rows.aggregate(**named)
    if view.table is None:
        query = query.cross_join(duplicates.aggregate(duplicate_rows=duplicates["_n"].sum().fill_null(0)))
    with store.read(query) as batches:
        (row,) = batches.read_all().to_pylist()
    broken: dict[str, list[RuleResult]] = {name: [] for name in check_names(view)}
    for i, rule in enumerate(rules):
        broken[rule.check].append(RuleResult(rule=rule.name, failed_rows=row[f"m{i + 2}"]))
    if view.table is None:
        broken[unique_key(view)].append(RuleResult(rule="unique", failed_rows=int(row["duplicate_rows"])))
    results = []
    for name, found in broken.items():
        failing: tuple[dict[str, Any], ...] = ()
        if any(rule.failed_rows for rule in found):
            if name == unique_key(view):
                in_interval = rows.filter(inside)
                key = _key_values(view, in_interval)
                bad = in_interval.semi_join(duplicates, [value.identical_to(duplicates[k]) for k, value in key.items()])
            else:
                failed = [
                    ~each
                    for rule, each, place in zip(rules, kept, range(2, len(counts)), strict=True)
                    if rule.check == name and row[f"m{place}"]
                ]
                bad = rows.filter(inside & ibis.or_(*failed))
            with store.read(bad.limit(FAILING_ROWS)) as batches:
                failing = tuple(_plain(each) for each in batches.read_all().to_pylist())
        results.append(CheckResult(name=name, rules=tuple(found), failing_rows=failing))
    return GateResult(rows=row["m0"], clipped_rows=row["m1"], results=tuple(results))


def _key_values(view: FeatureView, rows: Table) -> dict[str, Value]:
    """The values that make a row unique, by column. A null created_timestamp counts as event_timestamp."""
    values: dict[str, Value] = {name: rows[name] for name in view.row_key}
    if view.has_created_timestamp:
        values[CREATED_TIMESTAMP] = ibis.coalesce(rows[CREATED_TIMESTAMP], rows[EVENT_TIMESTAMP])
    return values


def _duplicates(view: FeatureView, rows: Table) -> Table:
    # No column of a view begins with an underscore.
    key = [value.name(name) for name, value in _key_values(view, rows).items()]
    counted = rows.group_by(key).aggregate(_n=lambda t: t.count())
    return counted.filter(counted["_n"] > 1)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row in JSON form; NaN, Infinity and -Infinity as text."""

    def text(value: object) -> str:
        return value.isoformat() if isinstance(value, datetime | date) else str(value)

    plain: dict[str, Any] = json.loads(json.dumps(row, default=text), parse_constant=str)
    return plain
