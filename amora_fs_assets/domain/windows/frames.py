"""Aggregates as window functions over the hops of an entity, for rows that are known when they happen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
from ibis.expr.types import Table, Value

from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.windows.aggregates import HOPS, Framed, Hops, finite, odd
from amora_fs_assets.domain.windows.call import Call
from amora_fs_assets.domain.windows.durations import Window
from amora_fs_assets.domain.windows.ranked import NUnique
from amora_fs_assets.domain.windows.ticks import ticks_of

ByHops = Framed | NUnique


def framed(call: Call, aggregates: Mapping[str, ByHops]) -> Table:
    """The ticks with the aggregates as window functions over the hops."""
    hops, kinds = _hops(call, aggregates)
    at_hops = call.scale.hops_are_ticks and any(each.ending == 0 for each in call.changing)
    ticks = ticks_of(call, hops, at_hops=at_hops)
    distinct = sorted({call.values[name] for name, each in aggregates.items() if isinstance(each, NUnique)})
    there = hops.select(*call.keys, "_enter", *kinds)
    for column in distinct:
        runs = _runs(call, column)
        there = _stacked([there, runs]) if _single_rows(aggregates) else _beside(call, there, runs)
    rows = _stacked(
        [there.mutate(_tick=ibis.literal(at_hops)), ticks.select(*call.keys, "_enter", _tick=ibis.literal(True))]
    )
    order = ibis.window(group_by=call.keys or None, order_by=rows["_enter"])
    values = {
        column: _over(call, rows, name, each, window)
        for name, each in aggregates.items()
        for column, window in call.spans(name).items()
    }
    result = rows.select(*call.keys, "_enter", "_tick", **values, _next=rows["_enter"].lead().over(order))
    result = result.mutate(**{EVENT_TIMESTAMP: call.scale.instant(result["_enter"])})
    kept = [result["_tick"], *call.inside(result[EVENT_TIMESTAMP])]
    if at_hops:  # several rows of one tick have the same values
        kept.append(result["_next"].isnull() | (result["_next"] != result["_enter"]))
    return result.filter(*kept).drop("_tick", "_next")


def _single_rows(aggregates: Mapping[str, ByHops]) -> bool:
    """Whether each row is a hop of its own, so that a hop occurs several times."""
    return any(isinstance(each, Framed) and each.single_rows for each in aggregates.values())


def _beside(call: Call, hops: Table, runs: Table) -> Table:
    """The hops with the columns of the runs that begin or end there."""
    places = [*call.keys, "_enter"]
    renamed = runs.rename({f"_at{number}": place for number, place in enumerate(places)})
    on = [hops[place] == renamed[f"_at{number}"] for number, place in enumerate(places)]
    return hops.left_join(renamed, on).drop(*(f"_at{number}" for number in range(len(places))))


def _runs(call: Call, column: str) -> Table:
    """The hops with the numbers of a column's values that begin and that end to be in each window.

    A value is in a window from the hop of a row with the value until a window's length after the last such row. The
    counts are whole numbers, so subtracting ends from beginnings is exact.
    """
    events = call.events
    there = events.filter(events[column].notnull()).select(*call.keys, "_enter", column).distinct()
    order = ibis.window(group_by=[*call.keys, _equal(there[column])], order_by=there["_enter"])
    enter = there["_enter"]
    near = there.mutate(_since=enter - enter.lag().over(order), _until=enter.lead().over(order) - enter)
    counts = {}
    for window in call.windows.windows:
        length = None if window.length is None else window.length * call.scale.unit
        for kind, gap in (("began", near["_since"]), ("ended", near["_until"])):
            if length is not None:
                counts[f"{column}_{kind}_{window.name}"] = near.count(where=gap.isnull() | (gap >= length))
            elif kind == "began":
                counts[f"{column}_{kind}_{window.name}"] = near.count(where=gap.isnull())
    return near.group_by([*call.keys, "_enter"]).aggregate(**counts)


def _equal(value: Value) -> Value:
    """The value, in a type by which BigQuery partitions rows: the text of a float. -0.0 equals 0.0."""
    if not value.type().is_floating():
        return value
    zero: Value = ibis.literal(0.0)
    return (value == 0).ifelse(zero, value).cast("string")


def _different(call: Call, rows: Table, column: str, window: Window) -> Value:
    unit = call.scale.unit

    def total(kind: str, back: int) -> Value:
        frame = ibis.range_window(
            **({"preceding": (None, back)} if back else {"preceding": None, "following": 0}),
            group_by=call.keys or None,
            order_by=rows["_enter"],
        )
        return rows[f"{column}_{kind}_{window.name}"].sum().over(frame).coalesce(0)

    began = total("began", window.ending * unit)
    return began if window.reach is None else began - total("ended", window.reach * unit)


def _hops(call: Call, aggregates: Mapping[str, ByHops]) -> tuple[Table, list[str]]:
    events = call.events
    needed = {
        (call.values[name], kind)
        for name, each in aggregates.items()
        if isinstance(each, Framed)
        for kind in each.kinds_of(events[call.values[name]].type())
    }
    if _single_rows(aggregates):
        return _single(call, events, sorted(needed)), [f"{column}_{kind}" for column, kind in sorted(needed)]
    parts = {f"{column}_{kind}": HOPS[kind][0](events[column]) for column, kind in sorted(needed)}
    return events.group_by([*call.keys, "_enter"]).aggregate(**parts), list(parts)


def _single(call: Call, events: Table, needed: Sequence[tuple[str, str]]) -> Table:
    """Each event as a hop of its own."""
    values = {
        "n": lambda value: value.notnull().cast("int64"),
        "negative": lambda value: -value,
        "row": finite,
        "odd": odd,
    }
    parts = {f"{column}_{kind}": values.get(kind, lambda value: value)(events[column]) for column, kind in needed}
    return events.select(*call.keys, "_enter", **parts)


def _over(call: Call, rows: Table, name: str, aggregate: ByHops, window: Window) -> Value:
    if isinstance(aggregate, NUnique):
        return _different(call, rows, call.values[name], window)
    unit = call.scale.unit
    last = window.ending * unit
    first = None if window.reach is None else window.reach * unit - call.scale.hop
    frame = ibis.range_window(
        **({"preceding": (first, last)} if last else {"preceding": first, "following": 0}),
        group_by=call.keys or None,
        order_by=rows["_enter"],
    )
    column = call.values[name]

    def over(kind: str) -> Value:
        if kind == "std":
            return rows[f"{column}_row"].std(how="sample").over(frame)
        return HOPS[kind][1](rows[f"{column}_{kind}"]).over(frame)

    return aggregate.over(Hops(over, call.events[column].type()))


def _stacked(parts: Sequence[Table]) -> Table:
    """The rows of all tables. A column that a table lacks is null."""
    columns = {name: type_ for part in parts for name, type_ in part.schema().items()}
    whole = [
        part.select(**{n: part[n] if n in part.columns else ibis.null(type_) for n, type_ in columns.items()})
        for part in parts
    ]
    return whole[0].union(*whole[1:]) if len(whole) > 1 else whole[0]
