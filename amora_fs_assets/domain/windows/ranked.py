"""Aggregates of the values themselves: the newest, the most frequent, quantiles, the number of different values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.types import Value

from amora_fs_assets.domain.errors import DefinitionError, shown
from amora_fs_assets.domain.windows.aggregates import Aggregate, Pairs, comparable


@dataclass(frozen=True)
class NUnique(Aggregate):
    """The exact number of different values. 0 for none. For rows known when they happen, `frames` counts their runs."""

    null_of_none = False

    def check(self, type_: dt.DataType, feature: str) -> None:
        comparable(self, type_, feature)

    def of(self, rows: Pairs) -> Value:
        return rows.value.nunique(where=rows.inside)


@dataclass(frozen=True)
class LastK(Aggregate):
    """The last k values by time, the newest first; of values at one instant the greater first. Empty for none."""

    null_of_none = False

    k: int = 1

    def check(self, type_: dt.DataType, feature: str) -> None:
        _check_k(self.k, f"{feature}={self.name}")
        comparable(self, type_, feature)

    def of(self, rows: Pairs) -> Value:
        return _collected(rows, [rows.time.desc(), *_greatest_first(rows.value)])

    def finished(self, value: Value) -> Value:
        return _first_of(value, self.k)


@dataclass(frozen=True)
class Last(Aggregate):
    """The newest value that is not null; of values at one instant the greatest. Null for none."""

    newest: bool = True

    def check(self, type_: dt.DataType, feature: str) -> None:
        comparable(self, type_, feature)

    def of(self, rows: Pairs) -> Value:
        return _collected(rows, [rows.time.desc() if self.newest else rows.time.asc(), *_greatest_first(rows.value)])

    def finished(self, value: Any) -> Value:
        return (value.length() > 0).ifelse(value[0], ibis.null(value.type().value_type))


@dataclass(frozen=True)
class TopK(Aggregate):
    """The k most frequent values, the most frequent first; of equally frequent values the greater first.

    Two steps: `of` counts the pairs of a tick and a value, and `ranked` orders the values of a tick.
    """

    null_of_none = False

    k: int = 1

    def check(self, type_: dt.DataType, feature: str) -> None:
        _check_k(self.k, f"{feature}={self.name}")
        comparable(self, type_, feature)
        if type_.is_floating():
            raise DefinitionError(
                f"{feature}={self.name}: column '{self.column}' is {type_}, of which few values are equal. Round and "
                f"cast it first: `.mutate({self.column}=_.{self.column}.round().cast('int64'))`."
            )

    def of(self, rows: Pairs) -> Value:
        return rows.value.count(where=rows.inside)

    def ranked(self, value: Value, frequency: Value) -> Value:
        """The values of a tick, the most frequent first."""
        number: Any = frequency
        return value.collect(where=number > 0, order_by=[number.desc(), value.desc()])

    def finished(self, value: Value) -> Value:
        return _first_of(value, self.k)


@dataclass(frozen=True)
class Quantile(Aggregate):
    """The exact quantile as a float, between two values in proportion. NaN if there is one. Null for none."""

    q: Any = 0.5

    def check(self, type_: dt.DataType, feature: str) -> None:
        if isinstance(self.q, bool) or not isinstance(self.q, int | float) or not 0 <= self.q <= 1:
            raise DefinitionError(f"{feature}={self.name}: q={shown(self.q)} is not a number from 0 to 1, such as 0.5.")
        self.number(type_, feature)

    def of(self, rows: Pairs) -> Value:
        value: Any = rows.value.cast("float64")
        return _collected(Pairs(value, rows.inside, rows.time), [value.isnan().desc(), value.asc()])

    def finished(self, value: Any) -> Value:
        place = (value.length() - 1) * ibis.literal(float(self.q))
        below = place.floor().cast("int64")
        low, high, part = value[below], value[below + 1], place - below
        between = ibis.cases((part == 0, low), (low == high, low), else_=low * (1 - part) + high * part)
        nothing = ibis.null("float64")
        return (value.length() > 0).ifelse(value[0].isnan().ifelse(float("nan"), between), nothing)


def _collected(rows: Pairs, order: Sequence[Value]) -> Any:
    return rows.value.collect(where=rows.inside & rows.value.notnull(), order_by=order)


def _greatest_first(value: Any) -> list[Value]:
    """NaN counts as the greatest number, as in DuckDB; to BigQuery it is the least."""
    return [value.isnan().desc(), value.desc()] if value.type().is_floating() else [value.desc()]


def _first_of(values: Any, k: int) -> Value:
    found: Value = values[:k].coalesce(ibis.literal([], values.type()))
    return found


def _check_k(k: int, owner: str) -> None:
    if type(k) is not int or not 1 <= k <= 1_000:
        raise DefinitionError(f"{owner}: k={shown(k)} is not a whole number from 1 to 1,000.")
