"""Rolling windows as an Ibis expression that the engines run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import ibis
from ibis.expr.types import Table, Value

from amora_fs_assets.domain.errors import DefinitionError, shown
from amora_fs_assets.domain.known import computed_view
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.windows.aggregates import Aggregate, Framed, Ratio
from amora_fs_assets.domain.windows.call import Call
from amora_fs_assets.domain.windows.durations import Ticks, Windows
from amora_fs_assets.domain.windows.frames import ByHops, framed
from amora_fs_assets.domain.windows.pairs import paired
from amora_fs_assets.domain.windows.ranked import NUnique
from amora_fs_assets.domain.windows.ticks import ticks_of


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
    call, view = Call(table, read, time, interval, by, features), computed_view()
    if view is not None:
        check_view(str(view), read, lookback=view.lookback, ttl=view.ttl)
    rows = _rows(call)
    if view is not None:
        _check_nullable(call, {column.name for column in view.columns if not column.nullable})
    return rows


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


def _check_nullable(call: Call, required: Collection[str]) -> None:
    """Refuse columns that must not be null, and are null at the first tick at which a window is empty."""
    if call.windows.at.at_events:
        return
    for name, each in call.aggregates.items():
        for column, window in call.spans(name).items():
            if each.null_of_none and window.length is not None and column in required:
                raise DefinitionError(
                    f"{name}={each.name}: the value of an empty window is null, and column '{column}' of the schema is "
                    "not nullable. Write `Field(nullable=True)`."
                )


def _windows(given: Windows | Sequence[Any], at: str | Ticks | None) -> Windows:
    if not isinstance(given, Windows):
        if not isinstance(given, list | tuple):
            raise DefinitionError(f"rolling: windows={shown(given)}. Give Windows(...) or a list such as ['1h', '7d'].")
        return Windows(*given) if at is None else Windows(*given, at=at)
    if at is not None:
        raise DefinitionError("rolling: give the ticks in Windows(..., at=...), or a list of windows and at=.")
    return given


def _rows(call: Call) -> Table:
    """The result."""
    by_hops: dict[str, ByHops] = {
        name: each for name, each in call.aggregates.items() if call.on_time and isinstance(each, Framed | NUnique)
    }
    by_pairs = {name: each for name, each in call.aggregates.items() if name not in by_hops}
    result = framed(call, by_hops) if by_hops else ticks_of(call, call.events)
    if by_pairs:
        result = paired(call, result, by_pairs)
    return result.select(*call.keys, EVENT_TIMESTAMP, **_columns(call, result))


def _columns(call: Call, result: Table) -> dict[str, Value]:
    """The features in the order of the call."""
    columns: dict[str, Value] = {}
    for name, given in call.given.items():
        for each in [f"{name}_{value}" for value in given] if isinstance(given, Mapping) else [name]:
            found = (
                _ratios(call, result, name, given)
                if isinstance(given, Ratio)
                else {column: result[column] for column in call.spans(each)}
            )
            if taken := [column for column in found if column in columns or column in call.keys]:
                raise DefinitionError(f"rolling: two columns have the name '{taken[0]}'. Rename one feature.")
            columns |= found
    return columns


def _ratios(call: Call, result: Table, name: str, ratio: Ratio) -> dict[str, Value]:
    """One feature divided by another, by column."""
    parts = (ratio.numerator, ratio.denominator)
    for part in parts:
        if part not in call.aggregates:
            raise DefinitionError(
                f"rolling: {name}=ratio(...): '{part}' is no feature of the call. Its features: "
                f"{', '.join(call.aggregates)}."
            )
        for column in call.spans(part):
            if not result[column].type().is_numeric():
                raise DefinitionError(
                    f"rolling: {name}=ratio(...): '{part}' is {result[column].type()}, not a number. Give a feature "
                    "such as count() or sum_(...)."
                )
    return {
        f"{name}_{window.name}": _divided(*(result[f"{part}_{window.name}"] for part in parts))
        for window in call.windows.windows
    }


def _divided(above: Value, below: Any) -> Value:
    return above.cast("float64") / (below != 0).ifelse(below, ibis.null(below.type())).cast("float64")
