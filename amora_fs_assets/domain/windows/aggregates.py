"""The aggregates of rolling windows.

Each aggregate says how its value follows from the rows of a window, in one of two ways:

- `over`: as window functions over the hops of an entity, for rows that are known when they happen;
- `of`: as an aggregation over the pairs of a tick and a row of the window, for all other cases.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.types import BooleanValue, Table, Value

from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.windows.scale import UTC_TIME

Where = Any
"""A condition on the rows: the name of a boolean column, a deferred expression (`_.amount > 0`), or a function."""


@dataclass(frozen=True)
class Hops:
    """The hops in a window. A call with a kind gives the combination of the kind's values over these hops."""

    over: Callable[[str], Value]
    type: dt.DataType  # of the aggregated values

    def __call__(self, kind: str) -> Value:
        """The combination of all hops' values of a kind."""
        return self.over(kind)


@dataclass(frozen=True)
class Pairs:
    """Pairs of a tick and a row, grouped by ticks."""

    value: Value
    inside: BooleanValue  # whether the pair's row is in the window
    time: Value


def _sum(value: Value) -> Value:
    return value.sum()


def _negative_max(value: Value) -> Value:
    return (-value).max()


def odd(value: Value) -> Value:
    """1 for NaN and the infinities, of which DuckDB refuses a deviation; else 0."""
    if not value.type().is_floating():
        return value.isnull().ifelse(ibis.null("int64"), 0)
    return (value.isnan() | value.isinf()).cast("int64")


def finite(value: Value) -> Value:
    """The value as a float; null for NaN and the infinities."""
    return (odd(value) == 0).ifelse(value.cast("float64"), ibis.null("float64"))


HOPS: dict[str, tuple[Callable[[Value], Value], Callable[[Value], Value]]] = {
    "n": (lambda value: value.count(), _sum),
    "sum": (_sum, _sum),
    "max": (lambda value: value.max(), lambda value: value.max()),
    "min": (lambda value: value.min(), lambda value: value.min()),
    # A minimum of floats: DuckDB's MIN ignores NaN, BigQuery's returns NaN. For MAX, NaN is the result in both.
    "negative": (_negative_max, lambda value: value.max()),
    "row": (lambda value: value, lambda value: value.std(how="sample")),  # hops are single rows
    "odd": (odd, _sum),
}
"""By kind: the aggregation of a hop's rows, and the aggregation of hops."""


@dataclass(frozen=True)
class Aggregate(ABC):
    """An aggregate of the rows in a window. Nulls do not count, nor rows for which `where` is not true."""

    null_of_none: ClassVar[bool] = True
    """Whether the value of an empty window is null."""

    column: str | None = None
    where: Where = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """The aggregate in messages, such as `mean('amount')`."""
        return f"{type(self).__name__.lower()}({'' if self.column is None else repr(self.column)})"

    def value(self, table: Table, feature: str) -> Value:
        """The value of each row; null where the row does not count. Raises DefinitionError."""
        value: Value = ibis.literal(1, "int64") if self.column is None else column_of(table, self.column, feature)
        self.check(value.type(), feature)
        if self.where is None:
            return value
        return condition_of(table, self.where, feature).ifelse(value, ibis.null(value.type()))

    def check(self, type_: dt.DataType, feature: str) -> None:  # noqa: B027  (most aggregates take each type)
        """Raise DefinitionError for a column of a type that the aggregate does not take."""

    @abstractmethod
    def of(self, rows: Pairs) -> Value:
        """The window's value as an aggregation of pairs."""

    def finished(self, value: Value) -> Value:
        """The window's value from the result of `of`, outside the aggregation."""
        return value

    def number(self, type_: dt.DataType, feature: str) -> None:
        """Raise DefinitionError for a column that is no number."""
        if not type_.is_numeric() or type_.is_boolean():
            raise DefinitionError(
                f"{feature}={self.name}: column '{self.column}' is {type_}, not a number. Take another column, or cast "
                f"it first: `.mutate({self.column}=_.{self.column}.cast('float64'))`."
            )


def column_of(table: Table, name: str, feature: str) -> Value:
    """A column of the table. Raises DefinitionError, with the nearest name, if it is not there."""
    if name not in table.columns:
        near = difflib.get_close_matches(name, table.columns, 1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Its columns: {', '.join(table.columns)}."
        raise DefinitionError(f"{feature}: the table has no column '{name}'. {hint}")
    return table[name]


def condition_of(table: Table, where: Where, feature: str) -> BooleanValue:
    """The condition on the table's rows. Raises DefinitionError for what is no condition."""
    if isinstance(where, str):
        found: Any = column_of(table, where, feature)
    else:
        try:
            (found,) = table.bind(where)
        except Exception as error:
            raise DefinitionError(f"{feature}: where= does not fit the table: {error}") from error
    if not isinstance(found, BooleanValue):
        raise DefinitionError(f"{feature}: where= is {found.type()}, not a condition. Write e.g. `_.amount > 0`.")
    return found


@dataclass(frozen=True)
class Framed(Aggregate):
    """An aggregate that window functions over hops give, for rows that are known when they happen."""

    kinds: ClassVar[tuple[str, ...]] = ("n",)
    single_rows: ClassVar[bool] = False
    """Whether window functions need each row instead of hops."""

    def kinds_of(self, type_: dt.DataType) -> tuple[str, ...]:  # noqa: ARG002
        """The kinds of hop values from which the window's value is made."""
        return self.kinds

    @abstractmethod
    def over(self, hops: Hops) -> Value:
        """The window's value from its hops."""


@dataclass(frozen=True)
class Count(Framed):
    """The number of rows; with a column, of its values that are not null. 0 for none."""

    null_of_none = False

    def over(self, hops: Hops) -> Value:
        return hops("n").cast("int64").coalesce(0)

    def of(self, rows: Pairs) -> Value:
        return rows.value.count(where=rows.inside)


@dataclass(frozen=True)
class Sum(Framed):
    """The sum of a column. 0 for none."""

    null_of_none = False
    kinds = ("sum",)

    def check(self, type_: dt.DataType, feature: str) -> None:
        self.number(type_, feature)

    def over(self, hops: Hops) -> Value:
        return hops("sum").cast(_sum_type(hops.type)).coalesce(ibis.literal(0).cast(_sum_type(hops.type)))

    def of(self, rows: Pairs) -> Value:
        wide = _sum_type(rows.value.type())
        return rows.value.sum(where=rows.inside).cast(wide).coalesce(ibis.literal(0).cast(wide))


@dataclass(frozen=True)
class Mean(Framed):
    """The mean of a column, as a float. Null for none."""

    kinds = ("n", "sum")

    def check(self, type_: dt.DataType, feature: str) -> None:
        self.number(type_, feature)

    def over(self, hops: Hops) -> Value:
        return hops("sum").cast("float64") / hops("n")  # without values, the sum is null

    def of(self, rows: Pairs) -> Value:
        return rows.value.sum(where=rows.inside).cast("float64") / rows.value.count(where=rows.inside)


@dataclass(frozen=True)
class Max(Framed):
    """The greatest value of a column, NaN if there is a NaN. Null for none."""

    kinds = ("max",)

    def check(self, type_: dt.DataType, feature: str) -> None:
        comparable(self, type_, feature)

    def over(self, hops: Hops) -> Value:
        return hops("max")

    def of(self, rows: Pairs) -> Value:
        return rows.value.max(where=rows.inside)


@dataclass(frozen=True)
class Min(Framed):
    """The least value of a column, NaN if there is a NaN. Null for none."""

    def check(self, type_: dt.DataType, feature: str) -> None:
        comparable(self, type_, feature)

    def kinds_of(self, type_: dt.DataType) -> tuple[str, ...]:
        return ("negative",) if type_.is_floating() else ("min",)

    def over(self, hops: Hops) -> Value:
        return -hops("negative") if hops.type.is_floating() else hops("min")

    def of(self, rows: Pairs) -> Value:
        return (
            -(-rows.value).max(where=rows.inside)
            if rows.value.type().is_floating()
            else rows.value.min(where=rows.inside)
        )


@dataclass(frozen=True)
class StdDev(Framed):
    """The standard deviation of a sample, as BigQuery's STDDEV_SAMP. Null for fewer than two values."""

    kinds = ("n", "row", "odd")
    single_rows = True

    def check(self, type_: dt.DataType, feature: str) -> None:
        self.number(type_, feature)

    def over(self, hops: Hops) -> Value:
        return _deviation(hops("n"), hops("odd"), hops("row"))

    def of(self, rows: Pairs) -> Value:
        deviation = finite(rows.value).std(where=rows.inside, how="sample")
        return _deviation(rows.value.count(where=rows.inside), odd(rows.value).sum(where=rows.inside), deviation)


@dataclass(frozen=True)
class SinceLast(Framed):
    """The time of the last row in the longest window, as a single column. Null for none.

    `Call` sets `column` to the column with the time of a row.
    """

    kinds = ("max",)

    def value(self, table: Table, feature: str) -> Value:
        return super().value(table, feature).cast(UTC_TIME)

    def over(self, hops: Hops) -> Value:
        return hops("max")

    def of(self, rows: Pairs) -> Value:
        return rows.value.max(where=rows.inside)


@dataclass(frozen=True)
class Ratio:
    """One feature of the call divided by another, per window. Null if a part is null or the divisor is 0."""

    numerator: str
    denominator: str


def _deviation(n: Value, odd_ones: Value, deviation: Value) -> Value:
    return ibis.cases((n < 2, ibis.null("float64")), (odd_ones > 0, float("nan")), else_=deviation)


def comparable(aggregate: Aggregate, type_: dt.DataType, feature: str) -> None:
    """Raise DefinitionError for a column of lists, structs or JSON."""
    if type_.is_nested() or type_.is_json():
        raise DefinitionError(f"{feature}={aggregate.name}: values of {type_} cannot be compared. Take another column.")


def _sum_type(type_: dt.DataType) -> dt.DataType:
    return dt.int64 if type_.is_integer() else dt.float64 if type_.is_floating() else dt.Decimal(38, 9)
