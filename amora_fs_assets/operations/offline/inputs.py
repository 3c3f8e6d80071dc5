"""Fingerprints of the sources that a computation read: counts and hashes of rows, kept with the publication.

A fingerprint has an entry for each period in which rows became known, since this instant determines which intervals
read a row. Comparing a fingerprint with the present source finds rows that were changed by hand or came late.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, cast

import ibis
from ibis.expr.types import IntegerValue, Table, TimestampValue, Value

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.known import known_instant, max_lateness_of, times_of
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.records import Input
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.time import Interval, Period, before
from amora_fs_assets.operations.expressions.tables import all_rows

_MOST_PERIODS = 400
"""The maximal number of entries of a fingerprint. Beyond that, its periods are longer."""
_MODULUS = 2**31
"""Hashes are reduced modulo 2**31, so that the sum over four billion rows fits into an int64."""
_UNITS = (Period.HOUR, Period.DAY, Period.MONTH)
_EPOCH = datetime.min.replace(tzinfo=UTC)
_TIMESTAMP = "timestamp('UTC', 6)"
_SECONDS = {Period.HOUR: 3_600, Period.DAY: 86_400}
"""The lengths [s] of the periods by which engines group. Months are summed from days."""


@dataclass(frozen=True)
class Count:
    """Rows of a source that became known in a period: their number, and the sum of their hashes (None: not hashed)."""

    rows: int
    content: int | None = None

    def __add__(self, other: Count) -> Count:
        """The sum of both counts."""
        known = self.content is not None and other.content is not None
        return Count(self.rows + other.rows, (self.content or 0) + (other.content or 0) if known else None)

    def equals(self, other: Count) -> bool:
        """Whether the numbers, and the hashes if both have them, are equal."""
        return self.rows == other.rows and (None in (self.content, other.content) or self.content == other.content)


@dataclass(frozen=True)
class Fingerprint:
    """The rows of a source that a computation read, as counts."""

    unit: Period | None = None  # the kind of the periods; None: a source without times, with one entry for all rows
    periods: Mapping[datetime | None, Count] = field(default_factory=dict)  # by start; periods without rows are absent
    hashing: str = ""  # the name of the hash
    modified: str = ""  # the table's time of modification, if the engine has one
    overdue: int = 0  # the number of rows that became known later than max_lateness; not counted in periods

    @property
    def rows(self) -> int:
        """The number of rows in all periods."""
        return sum(each.rows for each in self.periods.values())

    def to_plain(self) -> dict[str, Any]:
        """The JSON form: periods by their start in seconds since 1970."""
        periods = [
            [None if start is None else int(start.timestamp()), each.rows, each.content]
            for start, each in self.periods.items()
        ]
        plain = {"unit": self.unit, "hashing": self.hashing, "modified": self.modified, "periods": periods}
        return plain | ({"overdue": self.overdue} if self.overdue else {})

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Fingerprint:
        """Read the JSON form."""
        periods = {
            None if start is None else datetime.fromtimestamp(start, UTC): Count(rows, content)
            for start, rows, content in plain["periods"]
        }
        unit = None if plain["unit"] is None else Period(plain["unit"])
        return cls(unit, periods, plain["hashing"], plain["modified"], plain.get("overdue", 0))


def as_text(inputs: Iterable[Input], fingerprints: Mapping[str, Fingerprint]) -> str:
    """The column `inputs` of `_publications`: table, newest publication and fingerprint, by the input's name."""
    found = {}
    for each in inputs:
        print_ = fingerprints.get(each.name)
        found[each.name] = {
            "table": each.table,
            "sequence": each.sequence,
            **({"fingerprint": print_.to_plain()} if print_ else {}),
        }
    return json.dumps(found, separators=(",", ":"))


def fingerprints_of(text: str | None) -> dict[str, Fingerprint]:
    """The fingerprints in the column `inputs`, by the input's name."""
    inputs = json.loads(text) if text else {}
    return {name: Fingerprint.from_plain(each["fingerprint"]) for name, each in inputs.items() if "fingerprint" in each}


def is_fingerprinted(source: Source | FeatureView) -> bool:
    """Whether the source needs a fingerprint. Changes of computed views are in their publications."""
    return isinstance(source, Source) or source.table is not None


def take(
    view: FeatureView, interval: Interval, store: OfflineStore, overdue: Mapping[str, int] = MappingProxyType({})
) -> dict[str, Fingerprint]:
    """The fingerprint of each source for a computation of the interval, in one query.

    `overdue` is the number of rows of each source that became known later than max_lateness. Take fingerprints before
    the computation reads, so that a change in between is detected.
    """
    sources = {source.name: source for source in view.sources if is_fingerprinted(source)}
    units = {name: unit_of(view, source, interval) for name, source in sources.items()}
    queries = [
        _periods(source, units[name], interval, view.lookback, store).mutate(source=ibis.literal(name))
        for name, source in sources.items()
    ]
    found: dict[str, dict[datetime | None, Count]] = {name: {} for name in sources}
    modified = {name: modified_of(source, store) for name, source in sources.items()}
    if queries:
        with store.read(ibis.union(*queries) if len(queries) > 1 else queries[0]) as batches:
            for row in batches.read_all().to_pylist():
                unit, of = units[row["source"]], found[row["source"]]
                start = None if unit is None else unit.floor(start_of(row["number"], grouping(unit)))
                of[start] = of.get(start, Count(0, 0)) + Count(row["rows"], row["content"])
    return {
        name: Fingerprint(units[name], periods, store.hashing, modified[name] or "", overdue.get(name, 0))
        for name, periods in found.items()
    }


def unit_of(view: FeatureView, source: Source | FeatureView, interval: Interval) -> Period | None:
    """The kind of a fingerprint's periods: the view's own, or longer ones if these are too many."""
    if times_of(source) is None:
        return None
    shortest = Period.DAY if view.partitions in (None, Period.WEEK) else view.partitions
    reach = interval.end - before(interval.start, view.lookback)
    few = (unit for unit in _UNITS if unit.shortest >= shortest.shortest and reach / unit.shortest <= _MOST_PERIODS)
    return next(few, Period.MONTH)


def modified_of(source: Source | FeatureView, store: OfflineStore) -> str | None:
    """The store's token of the last change of the table; None for a query or a file."""
    assert source.place is not None, "computed views are not fingerprinted"
    return None if source.place.table is None else store.modified(source.place.table)


def rows_read(source: Source | FeatureView, span: Interval | None, store: OfflineStore) -> Table:
    """The rows that became known in the span: the columns `known` (an instant) and `content` (the row's hash).

    Without rows that became known later than max_lateness. For a source without times: all rows, with a null `known`.
    """
    table, times = all_rows(source, store.dataset), times_of(source)
    if times is None or span is None:
        return table.select(known=ibis.null(_TIMESTAMP), content=_content(table, store))
    happened = table[times.happened]
    known = known_instant(happened, table[times.available] if times.available else None)
    kept = [known >= ibis.literal(span.start), known < ibis.literal(span.end)]
    lateness = max_lateness_of(source)
    if times.available is not None:
        kept.append(happened < ibis.literal(span.end))
        if lateness is not None:
            kept.append(happened >= ibis.literal(before(span.start, lateness)))
            kept.append(happened >= known - ibis.interval(seconds=-(-lateness // timedelta(seconds=1))))
    return table.filter(*kept).select(known=known.cast(_TIMESTAMP), content=_content(table, store))


def counted(rows: Table, **keys: Value) -> Table:
    """The number of `rows` and the sum of `content`, by the keys."""
    aggregates = {"rows": rows.count(), "content": rows.content.sum().cast("int64")}
    return rows.group_by(**keys).aggregate(**aggregates)


def number_of(instant: TimestampValue, unit: Period, store: OfflineStore) -> IntegerValue:
    """The number of the hour or day since the year 1 that contains the instant, as an expression."""
    return store.dialect.period_number(instant, unit)


def grouping(unit: Period) -> Period:
    """The periods by which engines group rows for a fingerprint with these periods."""
    return Period.HOUR if unit is Period.HOUR else Period.DAY


def number(instant: datetime, unit: Period) -> int:
    """As `number_of`, for a Python instant."""
    return (instant - _EPOCH) // timedelta(seconds=_SECONDS[unit])


def start_of(number: int, unit: Period) -> datetime:
    """The start of the hour or day with this number."""
    return _EPOCH + timedelta(seconds=number * _SECONDS[unit])


def _periods(
    source: Source | FeatureView, unit: Period | None, interval: Interval, lookback: timedelta, store: OfflineStore
) -> Table:
    since = unit.floor(before(interval.start, lookback)) if unit else interval.start
    rows = rows_read(source, Interval(since, interval.end), store)
    number = number_of(rows.known, grouping(unit), store) if unit else ibis.null("int64")
    return counted(rows, number=number)


def _content(rows: Table, store: OfflineStore) -> IntegerValue:
    if not store.hashing:
        return cast("IntegerValue", ibis.null("int64"))
    row: Value = ibis.struct({column: rows[column] for column in rows.columns})
    return store.dialect.hash(row) % _MODULUS
