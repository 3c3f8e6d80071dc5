"""The leak audit: recomputes a view from what was known at an instant, in parts, and again, and compares the rows.

A feature view is a pure function of what was known: rows at time t depend on no source row that became known after t,
the rows of two intervals are those of both together, and a second computation gives the same rows. The audit tests this
on the data of an interval, in the engine.
"""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from itertools import pairwise
from typing import Literal

import ibis
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import FeatureStoreError, InvalidRequest, OfflineStoreError, TableNotFound
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.known import times_of
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.time import MICROSECOND, Interval, Period, after, before, utc
from amora_fs_assets.domain.transforms import INTERVAL_PARAMETER
from amora_fs_assets.operations.expressions.tables import all_rows, check_tables, unbound, within
from amora_fs_assets.operations.offline.audit_differences import Pair, differences
from amora_fs_assets.operations.offline.audit_finding import RULES, Audit, Finding, Rule, shown
from amora_fs_assets.operations.offline.audit_source_row import Computed, with_source_row

__all__ = ["RULES", "Audit", "Finding", "Rule", "audit", "audit_if_quick", "recent"]

INSTANTS, PARTS = 5, 7
_FEW = 3  # instants and parts of a quick audit
_QUICK = 10 * 2**30  # the greatest scan of a quick audit [bytes]
_AT_ONCE = 4  # pairs of computations in one query


def audit(
    view: FeatureView,
    interval: Interval,
    *,
    store: OfflineStore,
    instants: int = INSTANTS,
    parts: int = PARTS,
    rules: Collection[Rule] = RULES,
) -> Audit:
    """Compute the view's rows of an interval from all source rows, and compare them with other computations.

    The sources are cut at up to `instants` event_timestamps of the rows. The last `parts` days that have rows, or
    shorter periods of the view, are each computed by themselves, and so is the time before them, in two parts; a view
    without partitions has no parts. A second computation is compared if there are no parts, or if rows differ. At most
    one finding per rule is returned, that of the earliest instant; none if several rows have the same key or lack it,
    so that they cannot be compared. `rules` selects the tested rules. Raises InvalidRequest for an external table;
    TableNotFound, SourceMismatch, TransformError.
    """
    if view.table is not None:
        raise InvalidRequest(f"{view} is an external table, which nothing computes. Audit the views of transforms.")
    check_tables(view.sources, store)
    computed = Computed(view, interval, store)
    staged = store.stage(computed.rows(), name=view.name, run_id=f"audit-{uuid.uuid4()}")
    try:
        whole = unbound(view.row_columns, staged)
        number, cuts = _instants(whole, store, instants)
        findings = _findings(_Comparison(computed, whole, cuts, parts), set(rules)) if cuts else []
        skipped = _refused(computed, whole) if findings else ""
        findings = [] if skipped else findings
        found = tuple(with_source_row(each, computed, whole) for each in findings)
    finally:
        store.discard(staged)
    return Audit(view=view.name, interval=interval, rows=number, instants=cuts, findings=found, skipped=skipped)


def audit_if_quick(view: FeatureView, clock: datetime, store: OfflineStore) -> Audit:
    """Audit the last two periods, unless tables are missing, the audit would read more than 10 GiB, or it fails.

    The result says why it was not audited. Raises OfflineStoreError: the next view would fail in the same way.
    """
    interval, skipped = view.interval(clock), ""
    try:
        interval = recent(view, clock, store)
        scan = (store.scanned_bytes(Computed(view, interval, store).rows()) or 0) * (2 * _FEW + 4)
        if scan <= _QUICK:
            return audit(view, interval, store=store, instants=_FEW, parts=_FEW)
        skipped = f"it would read {scan / 2**30:,.0f} GiB. Run `amora-fs audit {view.name}`."
    except TableNotFound:
        pass
    except OfflineStoreError:
        raise
    except FeatureStoreError as error:
        skipped = str(error)
    return Audit(view=view.name, interval=interval, rows=0, skipped=skipped)


def recent(view: FeatureView, clock: datetime, store: OfflineStore) -> Interval:
    """The default interval of an audit: the last two periods up to the clock; without partitions, the view's time.

    If no source has rows in these periods: the period of the newest source row, and those beside it. Raises
    TableNotFound, SourceMismatch.
    """
    whole = view.interval(clock)
    if view.partitions is None or whole.empty:
        return whole
    check_tables(view.sources, store)
    last = Interval(max(_before(view.partitions, clock), whole.start), whole.end)
    newest = _newest(view, last, store) or _newest(view, whole, store)
    if newest is None or newest >= last.start:
        return last
    return Interval(max(_before(view.partitions, newest), whole.start), whole.end).until(
        view.partitions.next(view.partitions.next(newest))
    )


def _before(period: Period, instant: datetime) -> datetime:
    """The begin of the period before that of the microsecond before the instant."""
    return period.floor(period.floor(before(instant, MICROSECOND)) - MICROSECOND)


def _newest(view: FeatureView, interval: Interval, store: OfflineStore) -> datetime | None:
    """The time of the newest source row in the interval."""
    found = []
    for source in view.sources:
        if (times := times_of(source)) is not None:
            happened = all_rows(source, store.dataset)[times.happened]
            inside = happened.as_table().filter(within(happened, interval))
            with store.read(inside.aggregate(at=inside[times.happened].max())) as batches:
                found += [row["at"] for row in batches.read_all().to_pylist() if row["at"] is not None]
    return max(found, default=None)


def _instants(whole: Table, store: OfflineStore, number: int) -> tuple[int, tuple[datetime, ...]]:
    """The number of rows, and up to `number` event_timestamps between equal parts of all of them."""
    times = whole.group_by(EVENT_TIMESTAMP).aggregate(rows=whole.count())
    part = times.mutate(part=ibis.ntile(number + 1).over(ibis.window(order_by=times[EVENT_TIMESTAMP])))
    chosen = part.group_by("part").aggregate(at=part[EVENT_TIMESTAMP].max(), rows=part["rows"].sum())
    with store.read(chosen) as batches:
        found = batches.read_all().to_pylist()
    cuts = sorted(row["at"] for row in found if row["at"] is not None)
    return sum(row["rows"] for row in found), tuple(cuts[:number])


@dataclass(frozen=True)
class _Comparison:
    """Computations whose rows are the same if the view keeps the rules."""

    computed: Computed
    whole: Table
    cuts: tuple[datetime, ...]
    number: int  # of the last days or periods that are computed each by itself

    def again(self) -> Pair:
        return Pair(self.whole, self.computed.rows())

    def ahead(self, at: datetime) -> Pair:
        one, other = (_until(rows, at) for rows in (self.whole, self.computed.rows(until=after(at, MICROSECOND))))
        return Pair(one, other)

    def part(self, part: Interval) -> Pair:
        rows = self.whole.filter(within(self.whole[EVENT_TIMESTAMP], part))
        return Pair(rows, replace(self.computed, interval=part).rows())

    @cached_property
    def parts(self) -> list[Interval]:
        """The parts of the interval: its last days or hours with rows, and the time before them."""
        period, interval = self.computed.view.partitions, self.computed.interval
        if period is None:
            return []
        days = self._days("h" if period is Period.HOUR else "D")
        begins = {after(self.middle, MICROSECOND), *days, *map(period.floor, days)}
        inside = sorted(at for at in begins if interval.start < at < interval.end)
        return [Interval(*each) for each in pairwise([interval.start, *inside, interval.end])] if inside else []

    def _days(self, unit: Literal["h", "D"]) -> list[datetime]:
        """The begins of the last days or hours that have rows."""
        if not self.number:
            return []
        days = self.whole.select(at=self.whole[EVENT_TIMESTAMP].truncate(unit)).distinct()
        last = days.filter(days["at"].notnull()).order_by(days["at"].desc()).limit(self.number)
        with self.computed.store.read(last) as batches:
            return [utc(row["at"]) for row in batches.read_all().to_pylist()]

    @property
    def middle(self) -> datetime:
        return self.cuts[len(self.cuts) // 2]

    def repeats(self, part: Interval) -> bool:
        """Whether the part's computation is also that of a cut: the first one, if the transform gets no interval."""
        transform = self.computed.view.transform
        assert transform is not None, "the whole is computed"
        plain = INTERVAL_PARAMETER not in inspect.signature(transform).parameters
        return plain and part == Interval(self.computed.interval.start, after(self.middle, MICROSECOND))


def _refused(computed: Computed, whole: Table) -> str:
    """What is wrong if several rows have the same key and times, or a row lacks them, so that rows cannot be compared.

    Empty if nothing is wrong.
    """
    key = computed.view.row_key
    numbered = whole.group_by(list(key)).aggregate(rows_=whole.count())
    lacking = ibis.or_(*(numbered[name].isnull() for name in key if name != CREATED_TIMESTAMP))
    with computed.store.read(numbered.filter(lacking | (numbered["rows_"] > 1)).limit(1)) as batches:
        found = batches.read_all().to_pylist()
    if not found:
        return ""
    row = {name: found[0][name] for name in key}
    lacks = any(value is None for name, value in row.items() if name != CREATED_TIMESTAMP)
    what = "a row lacks a part of its key:" if lacks else "several rows have the key"
    return f"{what} {shown(row)}, which a computation refuses."


def _until(rows: Table, at: datetime) -> Table:
    return rows.filter(rows[EVENT_TIMESTAMP] <= ibis.literal(at))


def _findings(comparison: _Comparison, rules: set[Rule]) -> list[Finding]:
    """The first finding of each rule. Values that vary would differ by each rule, so they are the only finding."""
    ahead, in_parts = "looks ahead" in rules, "differs in parts" in rules
    tests: list[tuple[Rule, datetime | Interval, Callable[[], Pair]]] = []
    if ahead:
        tests += [("looks ahead", at, partial(comparison.ahead, at)) for at in comparison.cuts]
    if in_parts:
        tests += [
            ("differs in parts", part, partial(comparison.part, part))
            for part in comparison.parts
            if not (ahead and comparison.repeats(part))
        ]
    view, store = comparison.computed.view, comparison.computed.store
    findings: dict[Rule, Finding] = {}
    for begin in range(0, len(tests), _AT_ONCE):
        some = [test for test in tests[begin : begin + _AT_ONCE] if test[0] not in findings]
        for found in differences(view, [pair() for _, _, pair in some], store) if some else ():
            rule, where, _ = some[found.pair]
            findings.setdefault(rule, found.finding(rule, where))
    whole_again = in_parts and bool(comparison.parts)  # the parts are all rows computed again
    twice = "differs when computed again" in rules and (findings or not whole_again)
    varying = differences(view, [comparison.again()], store) if twice else []
    return [each.finding("differs when computed again", None) for each in varying] or list(findings.values())
