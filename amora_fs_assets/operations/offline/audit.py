"""The leak audit: recomputes a view from what was known at an instant, in parts, and again, and compares the rows.

A feature view is a pure function of what was known: rows at time t depend on no source row that became known after t,
the rows of two intervals are those of both together, and a second computation gives the same rows. The audit tests this
on the data of an interval, in the engine.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import ibis
from ibis.expr.types import BooleanValue, Table, Value

from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.known import known_instant, times_of
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.time import Interval, after
from amora_fs_assets.operations.expressions.tables import all_rows, check_tables, unbound, within
from amora_fs_assets.operations.offline.lateness import overdue_of
from amora_fs_assets.operations.offline.transform import query_of

_MICROSECOND = timedelta(microseconds=1)
_RELATIVE = 1e-9  # engines sum in no fixed order
Rule = Literal["differs when computed again", "looks ahead", "differs in parts"]
RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Rows of a view that break a rule of the audit."""

    rule: Rule
    at: datetime | None  # the instant up to which sources were known, or between the two parts
    rows: int  # the number of rows that differ
    row: Mapping[str, Any]  # an example, as computed from all source rows at once; its keys only, if there is none
    columns: Mapping[str, tuple[Any, Any]]  # of the example: the value from all source rows, and the other value
    source: str = ""  # the source of the row that leaked
    source_row: Mapping[str, Any] = field(default_factory=dict)  # the row that leaked, if it was found

    def __str__(self) -> str:
        """The finding with an example, as lines."""
        where = "" if self.at is None else f" {self.at.isoformat()}"
        reasons = {
            "looks ahead": f"{self._number} at or before{where} differ if the sources end there",
            "differs in parts": f"{self._number} differ if the interval is computed in two parts, divided at{where}",
            "differs when computed again": f"{self._number} differ when they are computed again",
        }
        lines = [f"{self.rule}: {reasons[self.rule]}. Example: {_shown(self.row)}"]
        lines += [f"  {name}: {one!r} from all source rows, {other!r} otherwise"
                  for name, (one, other) in self.columns.items()]  # fmt: skip
        if self.source_row:
            lines.append(f"  the value uses this row of source '{self.source}': {_shown(self.source_row)}")
        return "\n".join(lines)

    @property
    def _number(self) -> str:
        return f"{self.rows:,} row{'s' * (self.rows != 1)}"


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The result of an audit of a view."""

    view: str
    interval: Interval
    rows: int  # of the interval, clipped
    instants: tuple[datetime, ...] = ()  # at which the sources were cut
    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no rule is broken."""
        return not self.findings


def audit(
    view: FeatureView, interval: Interval, *, store: OfflineStore, instants: int = 5, rules: Collection[Rule] = RULES
) -> Audit:
    """Compute the view's rows of an interval from all source rows, and compare them with other computations.

    The sources are cut at up to `instants` event_timestamps of the rows, and the interval is divided at the first and
    the middle one of them; a view without partitions is never computed in parts. At most one finding per rule is
    returned, that of the earliest instant. `rules` selects the tested rules. Raises InvalidRequest for an external
    table; TableNotFound, SourceMismatch, TransformError.
    """
    if view.table is not None:
        raise InvalidRequest(f"{view} is an external table, which nothing computes. Audit the views of transforms.")
    check_tables(view.sources, store)
    staged = store.stage(_rows(view, interval, store), name=view.name, run_id=f"audit-{uuid.uuid4()}")
    try:
        whole = unbound(view.row_columns, staged)
        number, cuts = _instants(whole, store, instants)
        audited = _Audited(view, interval, store, whole)
        tests: dict[Rule, Callable[[], Finding | None]] = {
            "differs when computed again": audited.again,
            "looks ahead": lambda: audited.ahead(cuts),
            "differs in parts": lambda: audited.in_parts(cuts) if view.partitions is not None else None,
        }
        findings: list[Finding] = []
        for rule, test in tests.items():
            if rule in rules and number and (found := test()) is not None:
                findings.append(found)
                if rule == "differs when computed again":
                    break  # values that vary differ by each rule
    finally:
        store.discard(staged)
    return Audit(view=view.name, interval=interval, rows=number, instants=cuts, findings=tuple(findings))


def recent(view: FeatureView, clock: datetime) -> Interval:
    """The default interval of an audit: the last two periods up to the clock; without partitions, the view's time."""
    whole = view.interval(clock)
    if view.partitions is None or whole.empty:
        return whole
    present = view.partitions.floor(clock - _MICROSECOND)
    return Interval(max(view.partitions.floor(present - _MICROSECOND), whole.start), whole.end)


def _rows(view: FeatureView, interval: Interval, store: OfflineStore, until: datetime | None = None) -> Table:
    """The rows that a computation publishes, if the sources have only rows that became known before `until`."""
    since = {each.source: each.since for each in overdue_of(view, interval, store)}
    query = query_of(view, interval, store.dataset, since, until=until)
    return query.filter(within(query[EVENT_TIMESTAMP], interval))


def _instants(whole: Table, store: OfflineStore, number: int) -> tuple[int, tuple[datetime, ...]]:
    """The number of rows, and some event_timestamps: the last one of each of `number` equal parts of all of them."""
    times = whole.select(EVENT_TIMESTAMP).distinct()
    part = times.mutate(part=ibis.ntile(number).over(ibis.window(order_by=times[EVENT_TIMESTAMP])))
    chosen = part.group_by("part").aggregate(at=part[EVENT_TIMESTAMP].max())
    with store.read(whole.aggregate(rows=whole.count())) as batches:
        rows = batches.read_all().to_pylist()[0]["rows"]
    with store.read(chosen) as batches:
        found = [row["at"] for row in batches.read_all().to_pylist() if row["at"] is not None]
    return rows, tuple(sorted(found))


@dataclass(frozen=True)
class _Audited:
    view: FeatureView
    interval: Interval
    store: OfflineStore
    whole: Table

    def again(self) -> Finding | None:
        return self._finding(
            "differs when computed again", None, self.whole, _rows(self.view, self.interval, self.store)
        )

    def ahead(self, cuts: Sequence[datetime]) -> Finding | None:
        for at in cuts:
            found = self._finding("looks ahead", at, self._until(self.whole, at), self._cut(at))
            if found is not None:
                return self._with_source_row(found, at)
        return None

    def in_parts(self, cuts: Sequence[datetime]) -> Finding | None:
        inner = [at for at in dict.fromkeys([*cuts[:1], *cuts[len(cuts) // 2 :][:1]]) if at > self.interval.start]
        for at in inner:
            parts = [Interval(self.interval.start, at), Interval(at, self.interval.end)]
            both = [_rows(self.view, part, self.store) for part in parts]
            if (found := self._finding("differs in parts", at, self.whole, both[0].union(both[1]))) is not None:
                return found
        return None

    def _cut(self, at: datetime) -> Table:
        """The rows at or before an instant, from what was known at the instant."""
        return self._until(_rows(self.view, self.interval, self.store, until=after(at, _MICROSECOND)), at)

    def _until(self, rows: Table, at: datetime) -> Table:
        return rows.filter(rows[EVENT_TIMESTAMP] <= ibis.literal(at))

    def _finding(self, rule: Rule, at: datetime | None, whole: Table, other: Table) -> Finding | None:
        differing = self._differing(whole, other)
        order = [ibis.coalesce(differing[f"w_{name}"], differing[f"o_{name}"]) for name in self.view.row_key]
        numbered = differing.mutate(rows=differing.count().over(ibis.window()))
        time_first = sorted(zip(self.view.row_key, order, strict=True), key=lambda pair: pair[0] != EVENT_TIMESTAMP)
        with self.store.read(numbered.order_by([value for _, value in time_first]).limit(1)) as batches:
            found = batches.read_all().to_pylist()
        if not found:
            return None
        (example,) = found
        columns = {}
        for column in self.view.row_columns:
            one, another = example[f"w_{column.name}"], example[f"o_{column.name}"]
            if not _equal(one, another):
                columns[column.name] = (one, another)
        there = "o" if example["w_there"] is None else "w"
        row = {name: example[f"{there}_{name}"] for name in self.view.row_key}
        return Finding(rule=rule, at=at, rows=example["rows"], row=row, columns=columns)

    def _differing(self, whole: Table, other: Table) -> Table:
        """The rows of either side that the other side lacks or has with other values, as w_<name> and o_<name>."""
        names = [column.name for column in self.view.row_columns]
        one = whole.select(**{f"w_{name}": whole[name] for name in names}, w_there=ibis.literal(1))
        two = other.select(**{f"o_{name}": other[name] for name in names}, o_there=ibis.literal(1))
        created = "created_timestamp"
        equal: list[BooleanValue] = [
            one[f"w_{name}"] == two[f"o_{name}"] for name in self.view.row_key if name != created
        ]
        if created in self.view.row_key:
            nothing = ibis.literal(self.interval.start - timedelta(days=1))
            equal.append(one[f"w_{created}"].coalesce(nothing) == two[f"o_{created}"].coalesce(nothing))
        both = one.outer_join(two, equal)
        features = [column.name for column in self.view.features]
        changed = [self._changed(both[f"w_{name}"], both[f"o_{name}"]) for name in features]
        missing = both["w_there"].isnull() | both["o_there"].isnull()
        return both.filter(ibis.or_(missing, *changed))

    def _changed(self, one: Value, other: Value) -> BooleanValue:
        type_ = one.type()
        if type_.is_nested() or type_.is_json():
            one, other = (self.store.dialect.json(each) for each in (one, other))
        differs = (one != other).coalesce(False)
        if type_.is_floating():
            near = (one - other).abs() <= _RELATIVE * ibis.greatest(one.abs(), other.abs(), 1.0)
            differs &= ~(near.coalesce(False) | (one.isnan() & other.isnan()))
        return differs | (one.isnull() != other.isnull())

    def _with_source_row(self, finding: Finding, at: datetime) -> Finding:
        """The finding with the first source row that makes the example's value what it is."""
        times = sorted({time for source in self.view.sources for time in self._known_times(source, at)})
        low, high = -1, len(times) - 1  # cut after times[low] the row differs, after times[high] it does not
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._is_as_in_whole(finding, times[middle]) else (middle, high)
        if high < 0:
            return finding
        for source in self.view.sources:
            rows = self._known(source)
            if rows is None:
                continue
            there = rows.filter(rows["known_"] == ibis.literal(times[high])).drop("known_")
            same = [there[key] == ibis.literal(finding.row[key]) for key in self.view.join_keys if key in there.columns]
            for candidates in (there.filter(*same), there) if same else (there,):
                with self.store.read(candidates.limit(1)) as batches:
                    found = batches.read_all().to_pylist()
                if found:
                    vars_ = {**vars(finding), "source": source.name, "source_row": found[0]}
                    return Finding(**vars_)
        return finding

    def _known(self, source: Source | FeatureView) -> Table | None:
        times = times_of(source)
        if times is None:
            return None
        rows = all_rows(source, self.store.dataset)
        available = None if times.available is None else rows[times.available]
        return rows.mutate(known_=known_instant(rows[times.happened], available))

    def _known_times(self, source: Source | FeatureView, at: datetime) -> list[datetime]:
        rows = self._known(source)
        if rows is None:
            return []
        known = rows.select("known_").filter(
            rows["known_"] > ibis.literal(at), rows["known_"] < ibis.literal(self.interval.end)
        )
        with self.store.read(known.distinct()) as batches:
            return [row["known_"] for row in batches.read_all().to_pylist()]

    def _is_as_in_whole(self, finding: Finding, until: datetime) -> bool:
        cut = _rows(self.view, self.interval, self.store, until=after(until, _MICROSECOND))
        differing = self._differing(self._only(self.whole, finding), self._only(cut, finding))
        with self.store.read(differing.limit(1)) as batches:
            return bool(batches.read_all().num_rows == 0)

    def _only(self, rows: Table, finding: Finding) -> Table:
        keys = [name for name in self.view.row_key if finding.row[name] is not None]
        return rows.filter(*(rows[name] == ibis.literal(finding.row[name]) for name in keys))


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= _RELATIVE * max(abs(one), abs(other), 1.0) or (one != one and other != other)
    return bool(one == other)


def _shown(row: Mapping[str, Any]) -> str:
    parts = (f"{name}={value.isoformat() if isinstance(value, datetime) else value!r}" for name, value in row.items())
    return ", ".join(parts)
