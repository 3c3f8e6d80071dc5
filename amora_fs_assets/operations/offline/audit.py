"""The leak audit: recomputes a view from what was known at an instant, in parts, and again, and compares the rows.

A feature view is a pure function of what was known: rows at time t depend on no source row that became known after t,
the rows of two intervals are those of both together, and a second computation gives the same rows. The audit tests this
on the data of an interval, in the engine.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

import ibis
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.time import MICROSECOND, Interval, after
from amora_fs_assets.operations.expressions.tables import check_tables, unbound
from amora_fs_assets.operations.offline.audit_differences import Pair, differences
from amora_fs_assets.operations.offline.audit_finding import RULES, Audit, Finding, Rule
from amora_fs_assets.operations.offline.audit_source_row import Computed, with_source_row

__all__ = ["RULES", "Audit", "Finding", "Rule", "audit", "recent"]

_AT_ONCE = 4  # pairs of computations in one query


def audit(
    view: FeatureView, interval: Interval, *, store: OfflineStore, instants: int = 5, rules: Collection[Rule] = RULES
) -> Audit:
    """Compute the view's rows of an interval from all source rows, and compare them with other computations.

    The sources are cut at up to `instants` event_timestamps of the rows, and the interval is divided between two of its
    periods and at the middle one of these instants; a view without partitions is never computed in parts. At most one
    finding per rule is returned, that of the earliest instant. `rules` selects the tested rules. Raises InvalidRequest
    for an external table; TableNotFound, SourceMismatch, TransformError.
    """
    if view.table is not None:
        raise InvalidRequest(f"{view} is an external table, which nothing computes. Audit the views of transforms.")
    check_tables(view.sources, store)
    computed = Computed(view, interval, store)
    staged = store.stage(computed.rows(), name=view.name, run_id=f"audit-{uuid.uuid4()}")
    try:
        whole = unbound(view.row_columns, staged)
        number, cuts = _instants(whole, store, instants)
        tests = (test for test in _tests(computed, whole, cuts) if test.rule in rules) if number else iter(())
        findings = _findings(computed, tests)
        shown = tuple(each if each.at is None else with_source_row(each, computed, whole) for each in findings)
    finally:
        store.discard(staged)
    return Audit(view=view.name, interval=interval, rows=number, instants=cuts, findings=shown)


def recent(view: FeatureView, clock: datetime) -> Interval:
    """The default interval of an audit: the last two periods up to the clock; without partitions, the view's time."""
    whole = view.interval(clock)
    if view.partitions is None or whole.empty:
        return whole
    present = view.partitions.floor(clock - MICROSECOND)
    return Interval(max(view.partitions.floor(present - MICROSECOND), whole.start), whole.end)


def _instants(whole: Table, store: OfflineStore, number: int) -> tuple[int, tuple[datetime, ...]]:
    """The number of rows, and some event_timestamps: the last one of each of `number` equal parts of all of them."""
    times = whole.group_by(EVENT_TIMESTAMP).aggregate(rows=whole.count())
    part = times.mutate(part=ibis.ntile(number).over(ibis.window(order_by=times[EVENT_TIMESTAMP])))
    chosen = part.group_by("part").aggregate(at=part[EVENT_TIMESTAMP].max(), rows=part["rows"].sum())
    with store.read(chosen) as batches:
        found = batches.read_all().to_pylist()
    return sum(row["rows"] for row in found), tuple(sorted(row["at"] for row in found if row["at"] is not None))


@dataclass(frozen=True)
class _Test:
    """Two computations whose rows are the same if the view keeps the rule."""

    rule: Rule
    at: datetime | None
    pair: Pair


def _tests(computed: Computed, whole: Table, cuts: tuple[datetime, ...]) -> Iterator[_Test]:
    """The tests of all rules, in the order in which findings are shown."""
    yield _Test("differs when computed again", None, Pair(whole, computed.rows()))
    for at in cuts:
        one, other = (_until(rows, at) for rows in (whole, computed.rows(until=after(at, MICROSECOND))))
        yield _Test("looks ahead", at, Pair(one, other))
    for at in _divisions(computed, cuts):
        start, end = computed.interval.start, computed.interval.end
        parts = [replace(computed, interval=part).rows() for part in (Interval(start, at), Interval(at, end))]
        yield _Test("differs in parts", at, Pair(whole, ibis.union(*parts)))


def _divisions(computed: Computed, cuts: tuple[datetime, ...]) -> list[datetime]:
    """Where the interval is divided: between periods, as computations are, and at an instant of a row."""
    period, interval = computed.view.partitions, computed.interval
    if period is None:
        return []
    begins = period.floor(cuts[-1])
    boundary = [begins] if begins > interval.start else list(cuts[:1])
    return [at for at in dict.fromkeys([*boundary, cuts[len(cuts) // 2]]) if interval.start < at < interval.end]


def _until(rows: Table, at: datetime) -> Table:
    return rows.filter(rows[EVENT_TIMESTAMP] <= ibis.literal(at))


def _findings(computed: Computed, tests: Iterator[_Test]) -> list[Finding]:
    """The first finding of each rule. Values that vary would differ by each rule, so they are the only finding."""
    findings: dict[Rule, Finding] = {}
    while some := [test for test in islice(tests, _AT_ONCE) if test.rule not in findings]:
        for found in differences(computed.view, [test.pair for test in some], computed.store):
            test = some[found.pair]
            finding = Finding(rule=test.rule, at=test.at, rows=found.rows, row=found.row, columns=found.columns)
            if test.rule == "differs when computed again":
                return [finding]
            findings.setdefault(test.rule, finding)
    return list(findings.values())
