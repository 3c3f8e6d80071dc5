"""The functions that declare the aggregates of a call of `rolling`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ibis.expr.types import BooleanValue, Table

from amora_fs_assets.domain.errors import DefinitionError, shown
from amora_fs_assets.domain.windows.aggregates import (
    Aggregate,
    Count,
    Max,
    Mean,
    Min,
    Ratio,
    SinceLast,
    StdDev,
    Sum,
    Where,
    column_of,
    condition_of,
)
from amora_fs_assets.domain.windows.ranked import Last, LastK, NUnique, Quantile, TopK


def count(column: str | None = None, *, where: Where = None) -> Aggregate:
    """The number of rows in the window, or of the column's values that are not null; 0 for none."""
    return Count(column, where)


def sum_(column: str, *, where: Where = None) -> Aggregate:
    """The sum of the column; 0 for none."""
    return Sum(column, where)


def mean(column: str, *, where: Where = None) -> Aggregate:
    """The mean of the column, as a float; null for none."""
    return Mean(column, where)


def min_(column: str, *, where: Where = None) -> Aggregate:
    """The least value of the column; null for none."""
    return Min(column, where)


def max_(column: str, *, where: Where = None) -> Aggregate:
    """The greatest value of the column; null for none."""
    return Max(column, where)


def stddev(column: str, *, where: Where = None) -> Aggregate:
    """The standard deviation of the column as of a sample; null for fewer than two values."""
    return StdDev(column, where)


def first(column: str, *, where: Where = None) -> Aggregate:
    """The oldest value in the window that is not null; of values at one instant the greatest."""
    return Last(column, where, newest=False)


def last(column: str, *, where: Where = None) -> Aggregate:
    """The newest value in the window that is not null; of values at one instant the greatest."""
    return Last(column, where)


def last_k(column: str, k: int, *, where: Where = None) -> Aggregate:
    """The last k values of the column as a list, the newest first."""
    return LastK(column, where, k)


def top_k(column: str, k: int, *, where: Where = None) -> Aggregate:
    """The k most frequent values of the column as a list, the most frequent first; of equally frequent the greater."""
    return TopK(column, where, k)


def quantile(column: str, q: float, *, where: Where = None) -> Aggregate:
    """The exact quantile of the column, such as the median for q=0.5; null for none.

    Between two values it lies in proportion, as numpy's `quantile` and PERCENTILE_CONT of SQL.
    """
    return Quantile(column, where, q)


def since_last(*, where: Where = None) -> Aggregate:
    """The time of the last row in the longest window; null for none. One column, without a window in its name.

    The time since then is known only at the request: `request_time() - row.last_order` in an on-demand feature view.
    """
    return SinceLast(None, where)


def nunique(column: str, *, where: Where = None) -> Aggregate:
    """The exact number of different values of the column; 0 for none."""
    return NUnique(column, where)


def ratio(numerator: str, denominator: str) -> Ratio:
    """A feature of the same call divided by another, in each window; null if a part is null or the divisor is 0."""
    return Ratio(numerator, denominator)


def by_value(column: str, values: Sequence[str | int], aggregate: Aggregate | None = None) -> dict[str, Aggregate]:
    """One aggregate (default: `count()`) per value of a category, as features `<feature>_<value>`.

    `orders=by_value("channel", ["web", "shop"])` gives `orders_web_24h` and so on. Raises DefinitionError.
    """
    inner = aggregate if aggregate is not None else count()
    if not isinstance(values, list | tuple) or not values or len(set(values)) < len(values):
        raise DefinitionError(f"by_value: values={shown(values)} is not a list of different values. Give a list.")

    def only(value: str | int) -> Where:
        def condition(table: Table) -> BooleanValue:
            found = column_of(table, column, "by_value") == value
            return found if inner.where is None else found & condition_of(table, inner.where, "by_value")

        return condition

    return {str(value): replace(inner, where=only(value)) for value in values}
