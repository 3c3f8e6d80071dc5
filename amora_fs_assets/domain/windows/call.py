"""One call of `rolling`: its arguments, read and checked, and the rows that the windows are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import ibis
from ibis.expr.types import IntegerValue, Table, Value

from amora_fs_assets.domain.errors import DefinitionError, shown
from amora_fs_assets.domain.known import is_on_time, known_at
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.windows.aggregates import Aggregate, Ratio, SinceLast
from amora_fs_assets.domain.windows.durations import Window, Windows
from amora_fs_assets.domain.windows.scale import UTC_TIME, Scale, scale_of

Features = Mapping[str, Aggregate | Ratio | Mapping[str, Aggregate]]


@dataclass(frozen=True)
class Call:
    """One call of `rolling`, read and checked. Columns that begin with an underscore are the expression's own.

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
        """The columns that identify an entity. Raises DefinitionError for a missing or unsuitable column."""
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
        """The unit in which the windows are counted."""
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
        for name, each in found.items():
            if isinstance(each, SinceLast):
                found[name] = replace(each, column=self.time)
        if not found:
            raise DefinitionError("rolling: no feature is given. Give at least one, such as orders=count().")
        return found

    def spans(self, name: str) -> dict[str, Window]:
        """The windows of an aggregate, by the names of their columns."""
        if isinstance(self.aggregates[name], SinceLast):
            return {name: self.windows.widest}
        return {f"{name}_{window.name}": window for window in self.windows.windows}

    @cached_property
    def changing(self) -> list[Window]:
        """The windows whose changes give rows."""
        windows, widest = list(self.windows.windows), self.windows.widest
        if any(isinstance(each, SinceLast) for each in self.aggregates.values()) and not any(
            each.ending == 0 and each.length == widest.length for each in windows
        ):
            windows.append(widest)
        return windows

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
        return read.mutate(**enter, _known=self.scale.known(read["_known"]))

    @cached_property
    def before(self) -> IntegerValue:
        """The number of the last hop before the interval."""
        last = self.scale.floor(ibis.literal(self.interval.start) - ibis.interval(microseconds=1))
        return cast("IntegerValue", last // self.scale.hop * self.scale.hop)

    def inside(self, number: Value) -> list[Value]:
        """The condition that the tick of this number lies in the interval."""
        return [number > self.before, number < self.scale.known(ibis.literal(self.interval.end))]
