"""Aggregates as window functions over the hops of an entity, for rows that are known when they happen.

Each window is evaluated at its own ticks, at which a row enters or leaves it. At the ticks of the other windows it
keeps its values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
from ibis.expr.types import Table, Value

from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.windows.aggregates import HOPS, Framed, Hops, finite, odd
from amora_fs_assets.domain.windows.call import Call
from amora_fs_assets.domain.windows.carried import last_not_null
from amora_fs_assets.domain.windows.durations import Window
from amora_fs_assets.domain.windows.ranked import NUnique
from amora_fs_assets.domain.windows.ticks import changes_of

ByHops = Framed | NUnique
_COUNTS = ("n", "odd", "different")


def framed(call: Call, aggregates: Mapping[str, ByHops]) -> Table:
    """The ticks with the aggregates as window functions over the hops."""
    hops, kinds = _hops(call, aggregates)
    there = hops.select(*call.keys, "_enter", *kinds)
    for column in sorted({call.values[name] for name, each in aggregates.items() if isinstance(each, NUnique)}):
        runs = _runs(call, column)
        there = _stacked([there, runs]) if _single_rows(aggregates) else _beside(call, there, runs)
    together = call.windows.at.at_events or len(call.changing) == 1
    groups = [call.changing] if together else [[window] for window in call.changing]
    parts = [_evaluated(call, hops, there, group, aggregates, alone=together) for group in groups]
    rows = parts[0] if together else _carried(call, parts)
    rows = rows.filter(*call.inside(rows["_enter"]))
    values = {
        column: _finished(call, rows, name, each, window)
        for name, each in aggregates.items()
        for column, window in call.spans(name).items()
    }
    return rows.select(*call.keys, "_enter", **{EVENT_TIMESTAMP: call.scale.instant(rows["_enter"])}, **values)


def _evaluated(
    call: Call, hops: Table, there: Table, windows: Sequence[Window], aggregates: Mapping[str, ByHops], *, alone: bool
) -> Table:
    """The parts of the features of windows that have the same ticks, at these ticks: keys, `_enter`, the parts.

    Unless `alone`, also at the last hop before the interval, for the ticks of other windows that come first.
    """
    at_hops = call.scale.hops_are_ticks and windows[0].ending == 0
    ticks = [changes_of(call, hops, windows, at_hops=at_hops)]
    tick = ibis.literal(False)
    if not alone:
        ticks.append(hops.select(*call.keys, _enter=call.before).distinct())
    if at_hops:
        tick = there["_enter"] >= call.before
    there = there.mutate(_tick=tick)
    if (first := _first(call, windows[0])) is not None:
        there = there.filter(there["_enter"] > first)
    rows = _stacked([there, *(each.mutate(_tick=ibis.literal(True)) for each in ticks)])
    values: dict[str, Value] = {}
    for window in windows:
        for name, each in aggregates.items():
            if _number(call, window) in {_number(call, span) for span in call.spans(name).values()}:
                values |= _parts(call, rows, name, each, window)
    order = ibis.window(group_by=call.keys or None, order_by=rows["_enter"])
    result = rows.select(*call.keys, "_enter", "_tick", **values, _next=rows["_enter"].lead().over(order))
    kept = [result["_tick"]]
    if at_hops:  # several rows of one tick have the same values
        kept.append(result["_next"].isnull() | (result["_next"] != result["_enter"]))
    return result.filter(*kept).drop("_tick", "_next")


def _first(call: Call, window: Window) -> Value | None:
    """The last hop that has left the window before the interval. None if hops count without end, or in other windows.

    Earlier hops are left out.
    """
    if window.reach is None or call.windows.at.at_events:
        return None
    return call.before - window.reach * call.scale.unit


def _carried(call: Call, parts: Sequence[Table]) -> Table:
    """All windows' ticks, with the newest parts of each window. A part that is null has the value of earlier ticks."""
    names = [
        {each.removesuffix(f"_{number}"): each for each in part.columns if each not in (*call.keys, "_enter")}
        for number, part in enumerate(parts)
    ]
    rows = _stacked(
        [
            part.select(*call.keys, "_enter", _window=ibis.literal(number), **{n: part[c] for n, c in own.items()})
            for number, (part, own) in enumerate(zip(parts, names, strict=True))
        ]
    )
    up = ibis.range_window(preceding=None, following=0, group_by=call.keys or None, order_by=rows["_enter"])
    values = {
        column: last_not_null((rows["_window"] == number).ifelse(rows[name], ibis.null(rows[name].type()))).over(up)
        for number, own in enumerate(names)
        for name, column in own.items()
    }
    order = ibis.window(group_by=call.keys or None, order_by=rows["_enter"])
    result = rows.select(*call.keys, "_enter", **values, _next=rows["_enter"].lead().over(order))
    return result.filter(result["_next"].isnull() | (result["_next"] != result["_enter"])).drop("_next")


def _number(call: Call, window: Window) -> int:
    """The number of the window among those with ticks."""
    same = [(each.length, each.ending) for each in call.changing]
    return same.index((window.length, window.ending))


def _parts(call: Call, rows: Table, name: str, aggregate: ByHops, window: Window) -> dict[str, Value]:
    """The parts of a feature at the rows. Counts are never null."""
    column, number = call.values[name], _number(call, window)
    if isinstance(aggregate, NUnique):
        return {f"{column}_different_{number}": _different(call, rows, column, window)}
    found = {}
    for kind in sorted({"n", *aggregate.kinds_of(call.events[column].type())}):
        part = _over(call, rows, column, kind, window)
        found[f"{column}_{kind}_{number}"] = part.coalesce(0) if kind in _COUNTS else part
    return found


def _finished(call: Call, rows: Table, name: str, aggregate: ByHops, window: Window) -> Value:
    """A feature from its parts. A window without values has no other part than counts."""
    column, number = call.values[name], _number(call, window)
    if isinstance(aggregate, NUnique):
        return rows[f"{column}_different_{number}"].coalesce(0)

    def part(kind: str) -> Value:
        found = rows[f"{column}_{kind}_{number}"]
        if kind in _COUNTS:
            return found
        return (rows[f"{column}_n_{number}"] > 0).ifelse(found, ibis.null(found.type()))

    return aggregate.over(Hops(part, call.events[column].type()))


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
    near = there.mutate(_earlier=enter.lag().over(order), _later=enter.lead().over(order))
    counts = {}
    for window in call.windows.windows:
        began, ended = near["_earlier"].isnull(), near["_later"].isnull()
        if window.length is not None:
            length = window.length * call.scale.unit
            began |= near["_enter"] - near["_earlier"] >= length
            ended |= near["_later"] - near["_enter"] >= length
            counts[f"{column}_ended_{window.name}"] = near.count(where=ended)
        if (first := _first(call, window)) is not None:
            began |= near["_earlier"] <= first
        counts[f"{column}_began_{window.name}"] = near.count(where=began)
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
        for kind in ("n", *each.kinds_of(events[call.values[name]].type()))
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


def _over(call: Call, rows: Table, column: str, kind: str, window: Window) -> Value:
    """The combination of the values of a kind over the hops in a window."""
    unit = call.scale.unit
    last = window.ending * unit
    first = None if window.reach is None else window.reach * unit - call.scale.hop
    frame = ibis.range_window(
        **({"preceding": (first, last)} if last else {"preceding": first, "following": 0}),
        group_by=call.keys or None,
        order_by=rows["_enter"],
    )
    found: Value = HOPS[kind][1](rows[f"{column}_{kind}"]).over(frame)
    return found


def _stacked(parts: Sequence[Table]) -> Table:
    """The rows of all tables. A column that a table lacks is null."""
    columns = {name: type_ for part in parts for name, type_ in part.schema().items()}
    whole = [
        part.select(**{n: part[n] if n in part.columns else ibis.null(type_) for n, type_ in columns.items()})
        for part in parts
    ]
    return whole[0].union(*whole[1:]) if len(whole) > 1 else whole[0]
