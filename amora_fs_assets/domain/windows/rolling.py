"""Rolling windows as an Ibis expression that the engines run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.types import IntegerValue, Table, Value

from amora_fs_assets.domain.errors import DefinitionError, shown
from amora_fs_assets.domain.known import computed_view, is_on_time, known_at
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.windows.aggregates import HOPS, Aggregate, Hops, NUnique, Pairs, Ratio, finite, odd
from amora_fs_assets.domain.windows.durations import Ticks, Window, Windows
from amora_fs_assets.domain.windows.scale import UTC_TIME, Scale, scale_of

Features = Mapping[str, Aggregate | Ratio | Mapping[str, Aggregate]]


def rolling(
    table: Table,
    windows: Windows | Sequence[Any],
    *,
    time: str,
    interval: Interval,
    by: str | Sequence[str] = (),
    at: str | Ticks | None = None,
    **features: Aggregate | Ratio | Mapping[str, Aggregate],
) -> Table:
    """Aggregates of the rows in rolling windows, evaluated at ticks, for a transform to return.

    Each feature of the call gives a column per window: `spend=sum_("amount")` with the windows 1h and 24h gives
    `spend_1h` and `spend_24h`. The result has the columns of `by`, `event_timestamp` (the tick), and the features.

    A row of the table counts at a tick T in a window of length w if T - w <= its time < T, and if it is known by T
    (see `known_at`). There is a row of the result at a tick if a row of the table entered a window, became known, or
    left a window since the tick before. So values fall when rows leave the windows. With `at="events"` there is a row
    for each event, at the time at which the event is known; values do not fall in between.

    Args:
        table: A table that the transform received, or one derived from it that keeps the time columns.
        windows: The windows and ticks, such as `Windows("1h", "7d", at="1h")`, or a list of windows.
        time: The column with the time of a row. Rows without a time do not count.
        interval: The transform's interval.
        by: The columns that identify an entity. Rows in which one is null do not count.
        at: The ticks, if `windows` is a list: `every("1h")`, "1h" (the default) or "events".
        features: The aggregates by name: `count()`, `mean("amount")`, `ratio("spend", "orders")`, `by_value(...)`.

    Raises:
        DefinitionError: a column is missing or has an unsuitable type, a window is shorter than the time between two
            ticks, or a name is taken. The message names the feature and the fix.

    """
    read = _windows(windows, at)
    view = computed_view()
    if view is not None:
        check_view(str(view), read, lookback=view.lookback, ttl=view.ttl)
    return _Rolling(table, read, time, interval, by, features).rows()


def check_view(owner: str, windows: Windows, *, lookback: timedelta, ttl: timedelta | None) -> None:
    """Refuse a lookback that is shorter than the windows, and a ttl for rows that are written on change.

    Raises DefinitionError.
    """
    if lookback < windows.lookback:
        raise DefinitionError(
            f"{owner}: lookback={lookback} is shorter than its windows and one tick need ({windows.lookback}), so rows "
            "would be missing. Leave lookback out and declare the windows in the schema: "
            "`class ...(FeatureSchema, windows=...)`."
        )
    if ttl is not None and not windows.at.at_events:
        raise DefinitionError(
            f"{owner}: ttl={ttl}, but its rows are written only when a window changes, so a value that stays the same "
            "would expire. Leave ttl out: counts and sums fall to 0, and other values to null, when rows leave the "
            "windows."
        )


def _windows(given: Windows | Sequence[Any], at: str | Ticks | None) -> Windows:
    if not isinstance(given, Windows):
        if not isinstance(given, list | tuple):
            raise DefinitionError(f"rolling: windows={shown(given)}. Give Windows(...) or a list such as ['1h', '7d'].")
        return Windows(*given) if at is None else Windows(*given, at=at)
    if at is not None:
        raise DefinitionError("rolling: give the ticks in Windows(..., at=...), or a list of windows and at=.")
    return given


@dataclass(frozen=True)
class _Rolling:
    """One call of `rolling`. Columns that begin with an underscore are the expression's own.

    `_enter` is the first hop at which a row counts in a window that ends at the tick, `_known` the first tick at which
    the row is known.
    """

    table: Table
    windows: Windows
    time: str
    interval: Interval
    given_keys: str | Sequence[str]
    given: Features

    @cached_property
    def keys(self) -> list[str]:
        keys = [self.given_keys] if isinstance(self.given_keys, str) else list(self.given_keys)
        for role, name in [("time", self.time), *(("by", key) for key in keys)]:
            if name not in self.table.columns:
                raise DefinitionError(
                    f"rolling: {role}={name!r} is no column of the table. Its columns: {', '.join(self.table.columns)}."
                )
        if not self.table[self.time].type().is_timestamp():
            raise DefinitionError(f"rolling: time={self.time!r} is {self.table[self.time].type()}, not a timestamp.")
        return keys

    @cached_property
    def scale(self) -> Scale:
        return scale_of(self.windows, self.interval)

    @cached_property
    def on_time(self) -> bool:
        """Whether each row is known at its time."""
        return is_on_time(self.table, self.time)

    @cached_property
    def aggregates(self) -> dict[str, Aggregate]:
        """The aggregates by name, without ratios."""
        found: dict[str, Aggregate] = {}
        for name, given in self.given.items():
            if isinstance(given, Aggregate):
                found[name] = given
            elif isinstance(given, Mapping):
                found |= {f"{name}_{value}": each for value, each in given.items()}
            elif not isinstance(given, Ratio):
                raise DefinitionError(f"rolling: {name}={shown(given)} is no aggregate. Give one, such as count().")
        if not found:
            raise DefinitionError("rolling: no feature is given. Give at least one, such as orders=count().")
        return found

    @cached_property
    def values(self) -> dict[str, str]:
        """By aggregate: the name of the column with its values. Aggregates of the same values share a column."""
        columns: dict[tuple[str | None, int], str] = {}
        return {
            name: columns.setdefault(
                (each.column, id(each.where) if each.where is not None else 0), f"_v{len(columns)}"
            )
            for name, each in self.aggregates.items()
        }

    @cached_property
    def events(self) -> Table:
        """The table's rows with `_enter`, `_known`, and the values of the aggregates."""
        table = self.table
        rows = table.filter(table[self.time].notnull(), *(table[key].notnull() for key in self.keys))
        values = {column: self.aggregates[name].value(rows, name) for name, column in self.values.items()}
        time = rows[self.time].cast(UTC_TIME)
        known = {} if self.on_time else {"_known": known_at(rows)}
        read = rows.select(*self.keys, _time=time, **known, **values)
        enter = {"_enter": self.scale.enters(read["_time"], closed=self.windows.closed)}
        if self.on_time:
            return read.mutate(**enter)
        return read.mutate(**enter, _at=read["_known"], _known=self.scale.known(read["_known"]))

    def rows(self) -> Table:
        """The result."""
        framed = {name: each for name, each in self.aggregates.items() if self.on_time and each.framed}
        paired = {name: each for name, each in self.aggregates.items() if name not in framed}
        result = self._framed(framed) if framed else self._ticks(self.events)
        if paired:
            result = self._paired(result, paired)
        return result.select(*self.keys, EVENT_TIMESTAMP, **self._columns(result))

    def _columns(self, result: Table) -> dict[str, Value]:
        """The features in the order of the call."""
        columns: dict[str, Value] = {}
        for name, given in self.given.items():
            inner = [f"{name}_{value}" for value in given] if isinstance(given, Mapping) else [name]
            for each in inner:
                for window in self.windows.windows:
                    column = f"{each}_{window.name}"
                    if column in columns or column in self.keys:
                        raise DefinitionError(f"rolling: two columns have the name '{column}'. Rename one feature.")
                    ratio = given if isinstance(given, Ratio) else None
                    columns[column] = result[column] if ratio is None else self._ratio(result, name, ratio, window)
        return columns

    def _ratio(self, result: Table, name: str, ratio: Ratio, window: Window) -> Value:
        for part in (ratio.numerator, ratio.denominator):
            if part not in self.aggregates:
                raise DefinitionError(
                    f"rolling: {name}=ratio(...): '{part}' is no feature of the call. Its features: "
                    f"{', '.join(self.aggregates)}."
                )
        above, below = (result[f"{part}_{window.name}"] for part in (ratio.numerator, ratio.denominator))
        for part, value in ((ratio.numerator, above), (ratio.denominator, below)):
            if not value.type().is_numeric():
                raise DefinitionError(f"rolling: {name}=ratio(...): '{part}' is {value.type()}, not a number.")
        return above.cast("float64") / (below != 0).ifelse(below, ibis.null(below.type())).cast("float64")

    # Window functions

    def _framed(self, aggregates: Mapping[str, Aggregate]) -> Table:
        """The ticks with the aggregates as window functions over the hops."""
        hops, kinds = self._hops(aggregates)
        at_hops = self.scale.hops_are_ticks and any(each.ending == 0 for each in self.windows.windows)
        ticks = self._ticks(hops, at_hops=at_hops)
        distinct = sorted({self.values[name] for name, each in aggregates.items() if isinstance(each, NUnique)})
        at = [hops.select(*self.keys, "_enter", *kinds), *map(self._runs, distinct)]
        rows = _stacked(
            [
                *(
                    each.mutate(
                        **{EVENT_TIMESTAMP: self.scale.instant(each["_enter"]) if at_hops else ibis.null(UTC_TIME)},
                        _tick=ibis.literal(at_hops),
                    )
                    for each in at
                ),
                ticks.select(*self.keys, "_enter", EVENT_TIMESTAMP, _tick=ibis.literal(True)),
            ]
        )
        order = ibis.window(group_by=self.keys or None, order_by=rows["_enter"])
        values = {
            f"{name}_{window.name}": self._over(rows, name, each, window)
            for name, each in aggregates.items()
            for window in self.windows.windows
        }
        result = rows.select(
            *self.keys, "_enter", EVENT_TIMESTAMP, "_tick", **values, _next=rows["_enter"].lead().over(order)
        )
        kept = [result["_tick"], *self._inside(result[EVENT_TIMESTAMP])]
        if at_hops:  # several rows of one tick have the same values
            kept.append(result["_next"].isnull() | (result["_next"] != result["_enter"]))
        return result.filter(*kept).drop("_tick", "_next")

    def _runs(self, column: str) -> Table:
        """The hops with the numbers of a column's values that begin and that end to be in each window.

        A value is in a window from the hop of a row with the value until a window's length after the last such row. The
        counts are whole numbers, so subtracting ends from beginnings is exact.
        """
        events = self.events
        there = events.filter(events[column].notnull()).select(*self.keys, "_enter", column).distinct()
        order = ibis.window(group_by=[*self.keys, column], order_by=there["_enter"])
        enter = there["_enter"]
        near = there.mutate(_since=enter - enter.lag().over(order), _until=enter.lead().over(order) - enter)
        counts = {}
        for window in self.windows.windows:
            length = None if window.length is None else window.length * self.scale.unit
            for kind, gap in (("began", near["_since"]), ("ended", near["_until"])):
                if length is not None:
                    counts[f"{column}_{kind}_{window.name}"] = (gap.isnull() | (gap >= length)).sum()
                elif kind == "began":
                    counts[f"{column}_{kind}_{window.name}"] = gap.isnull().sum()
        return near.group_by([*self.keys, "_enter"]).aggregate(**counts)

    def _different(self, rows: Table, column: str, window: Window) -> Value:
        unit = self.scale.unit

        def total(kind: str, back: int) -> Value:
            frame = ibis.range_window(
                **({"preceding": (None, back)} if back else {"preceding": None, "following": 0}),
                group_by=self.keys or None,
                order_by=rows["_enter"],
            )
            return rows[f"{column}_{kind}_{window.name}"].sum().over(frame).coalesce(0)

        began = total("began", window.ending * unit)
        return began if window.reach is None else began - total("ended", window.reach * unit)

    def _hops(self, aggregates: Mapping[str, Aggregate]) -> tuple[Table, list[str]]:
        events = self.events
        needed = {
            (self.values[name], kind)
            for name, each in aggregates.items()
            for kind in each.kinds_of(events[self.values[name]].type())
        }
        if any(each.single_rows for each in aggregates.values()):
            return self._single(events, sorted(needed)), [f"{column}_{kind}" for column, kind in sorted(needed)]
        parts = {f"{column}_{kind}": HOPS[kind][0](events[column]) for column, kind in sorted(needed)}
        keep = {"_time": events["_time"].min()} if self.windows.at.at_events else {}
        return events.group_by([*self.keys, "_enter"]).aggregate(**parts, **keep), list(parts)

    def _single(self, events: Table, needed: Sequence[tuple[str, str]]) -> Table:
        """Each event as a hop of its own."""
        values = {
            "n": lambda value: value.notnull().cast("int64"),
            "negative": lambda value: -value,
            "row": finite,
            "odd": odd,
        }
        parts = {f"{column}_{kind}": values.get(kind, lambda value: value)(events[column]) for column, kind in needed}
        return events.select(*self.keys, "_enter", "_time", **parts)

    def _over(self, rows: Table, name: str, aggregate: Aggregate, window: Window) -> Value:
        if isinstance(aggregate, NUnique):
            return self._different(rows, self.values[name], window)
        unit = self.scale.unit
        last = window.ending * unit
        first = None if window.reach is None else window.reach * unit - self.scale.hop
        frame = ibis.range_window(
            **({"preceding": (first, last)} if last else {"preceding": first, "following": 0}),
            group_by=self.keys or None,
            order_by=rows["_enter"],
        )
        column = self.values[name]

        def over(kind: str) -> Value:
            if kind == "std":
                return rows[f"{column}_row"].std(how="sample").over(frame)
            return HOPS[kind][1](rows[f"{column}_{kind}"]).over(frame)

        return aggregate.over(Hops(over, self.events[column].type()))

    # Ticks

    def _inside(self, instant: Value) -> list[Value]:
        return [instant >= ibis.literal(self.interval.start), instant < ibis.literal(self.interval.end)]

    def _ticks(self, hops: Table, *, at_hops: bool = False) -> Table:
        """The ticks of the interval at which a window changes: keys, `_enter` (the tick's number), event_timestamp.

        With `at_hops`: without those at which a hop enters a window, and perhaps several times.
        """
        if self.windows.at.at_events:
            instant = hops["_time"] if self.on_time else ibis.greatest(hops["_time"], hops["_at"])
            ticks = hops.select(*self.keys, **{EVENT_TIMESTAMP: instant}).distinct()
            ticks = ticks.filter(*self._inside(ticks[EVENT_TIMESTAMP]))
            return ticks.mutate(_enter=self.scale.floor(ticks[EVENT_TIMESTAMP]))
        changes = [tick for window in self.windows.windows for tick in self._changes(hops, window, at_hops=at_hops)]
        ticks = hops.select(*self.keys, _enter=ibis.array(changes).unnest())
        ticks = ticks.filter(ticks["_enter"].notnull())
        ticks = ticks.mutate(**{EVENT_TIMESTAMP: self.scale.instant(ticks["_enter"])})
        ticks = ticks.filter(*self._inside(ticks[EVENT_TIMESTAMP]))
        return ticks if at_hops else ticks.distinct()

    def _changes(self, hops: Table, window: Window, *, at_hops: bool) -> list[IntegerValue]:
        unit, enter = self.scale.unit, hops["_enter"] + window.ending * self.scale.unit
        left = None if window.length is None else self.scale.tick_of_hop(enter + window.length * unit)
        if self.on_time:
            entered = [] if at_hops and window.ending == 0 else [self.scale.tick_of_hop(enter)]
            return [*entered, *([] if left is None else [left])]
        entered_at = ibis.greatest(self.scale.tick_of_hop(enter), hops["_known"])
        if left is None:
            return [entered_at]
        never = ibis.null(dt.int64)
        return [(entered_at < left).ifelse(each, never) for each in (entered_at, left)]

    # Pairs of a tick and a row

    def _paired(self, ticks: Table, aggregates: Mapping[str, Aggregate]) -> Table:
        """The ticks with the aggregates of the pairs of a tick and a row in one of the windows."""
        columns = sorted({self.values[name] for name in aggregates})
        known = [] if self.on_time else ["_known"]
        renamed = {f"_k{number}": key for number, key in enumerate(self.keys)}
        rows = self.events.select(
            "_enter", "_time", *known, *columns, **{n: self.events[k] for n, k in renamed.items()}
        )
        rows = rows.rename(_from="_enter").mutate(_all=0)
        kept = [each for each in ticks.columns if each != "_enter"]
        ticks = ticks.mutate(_all=0)
        shifts = [each.ending * self.scale.unit for each in self.windows.windows]
        reaches = [each.reach for each in self.windows.windows]
        predicates = [ticks["_all"] == rows["_all"]] if not self.keys else []
        predicates += [ticks[key] == rows[name] for name, key in renamed.items()]
        predicates.append(rows["_from"] + min(shifts) <= ticks["_enter"])
        if None not in reaches:
            longest = max(each for each in reaches if each is not None) * self.scale.unit
            predicates.append(ticks["_enter"] < rows["_from"] + longest)
        if known:
            predicates.append(rows["_known"] <= ticks["_enter"])
        pairs = ticks.left_join(rows, predicates)
        groups = [*kept, "_enter"]
        values = {
            f"{name}_{window.name}": each.of(
                Pairs(pairs[self.values[name]], self._is_in(pairs, window), pairs["_time"])
            )
            for name, each in aggregates.items()
            for window in self.windows.windows
        }
        return pairs.group_by(groups).aggregate(**values)

    def _is_in(self, pairs: Table, window: Window) -> Any:
        unit = self.scale.unit
        inside = pairs["_from"] + window.ending * unit <= pairs["_enter"]
        if window.reach is not None:
            inside &= pairs["_enter"] < pairs["_from"] + window.reach * unit
        return inside


def _stacked(parts: Sequence[Table]) -> Table:
    """The rows of all tables. A column that a table lacks is null."""
    columns = {name: type_ for part in parts for name, type_ in part.schema().items()}
    whole = [
        part.select(**{n: part[n] if n in part.columns else ibis.null(type_) for n, type_ in columns.items()})
        for part in parts
    ]
    return whole[0].union(*whole[1:]) if len(whole) > 1 else whole[0]
