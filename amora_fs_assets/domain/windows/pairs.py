"""Aggregates of the pairs of a tick and a row in one of its windows, for late rows and for what hops cannot give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ibis.expr.types import Table

from amora_fs_assets.domain.windows.aggregates import Aggregate, Pairs
from amora_fs_assets.domain.windows.call import Call
from amora_fs_assets.domain.windows.durations import Window
from amora_fs_assets.domain.windows.ranked import TopK


def paired(call: Call, ticks: Table, aggregates: Mapping[str, Aggregate]) -> Table:
    """The ticks with the aggregates of the pairs of a tick and a row in one of the windows."""
    pairs = _pairs(call, ticks, aggregates)
    frequent = {name: each for name, each in aggregates.items() if isinstance(each, TopK)}
    plain = {name: each for name, each in aggregates.items() if name not in frequent}
    result = ticks
    if plain:
        found = pairs.group_by(ticks.columns).aggregate(**_values(call, pairs, plain))
        result = found.mutate(**_finished(call, found, plain))
    for column in sorted({call.values[name] for name in frequent}):
        here = {name: each for name, each in frequent.items() if call.values[name] == column}
        result = _with_frequent(call, result, pairs, column, here)
    return result


def _pairs(call: Call, ticks: Table, aggregates: Mapping[str, Aggregate]) -> Table:
    columns = sorted({call.values[name] for name in aggregates})
    known = [] if call.on_time else ["_known"]
    renamed = {f"_k{number}": key for number, key in enumerate(call.keys)}
    rows = call.events.select("_enter", "_time", *known, *columns, **{n: call.events[k] for n, k in renamed.items()})
    rows = rows.rename(_from="_enter").mutate(_all=0)
    ticks = ticks.mutate(_all=0)
    windows = [window for name in aggregates for window in call.spans(name).values()]
    reaches = [each.reach for each in windows]
    predicates = [ticks["_all"] == rows["_all"]] if not call.keys else []
    predicates += [ticks[key] == rows[name] for name, key in renamed.items()]
    predicates.append(rows["_from"] + min(each.ending for each in windows) * call.scale.unit <= ticks["_enter"])
    if None not in reaches:
        longest = max(each for each in reaches if each is not None) * call.scale.unit
        predicates.append(ticks["_enter"] < rows["_from"] + longest)
    if known:
        predicates.append(rows["_known"] <= ticks["_enter"])
    return ticks.left_join(rows, predicates)


def _values(call: Call, pairs: Table, aggregates: Mapping[str, Aggregate]) -> dict[str, Any]:
    return {
        column: each.of(Pairs(pairs[call.values[name]], _is_in(call, pairs, window), pairs["_time"]))
        for name, each in aggregates.items()
        for column, window in call.spans(name).items()
    }


def _finished(call: Call, found: Table, aggregates: Mapping[str, Aggregate]) -> dict[str, Any]:
    return {column: each.finished(found[column]) for name, each in aggregates.items() for column in call.spans(name)}


def _with_frequent(call: Call, result: Table, pairs: Table, value: str, aggregates: Mapping[str, TopK]) -> Table:
    """The ticks with the most frequent values of a column."""
    places = [*call.keys, "_enter"]
    counted = pairs.group_by([*places, value]).aggregate(**_values(call, pairs, aggregates))
    lists = counted.group_by(places).aggregate(
        **{
            column: each.ranked(counted[value], counted[column])
            for name, each in aggregates.items()
            for column in call.spans(name)
        }
    )
    at = {f"_at{number}": place for number, place in enumerate(places)}
    lists = lists.rename(at)
    found = result.left_join(lists, [result[place] == lists[name] for name, place in at.items()]).drop(*at)
    return found.mutate(**_finished(call, found, aggregates))


def _is_in(call: Call, pairs: Table, window: Window) -> Any:
    unit = call.scale.unit
    inside = pairs["_from"] + window.ending * unit <= pairs["_enter"]
    if window.reach is not None:
        inside &= pairs["_enter"] < pairs["_from"] + window.reach * unit
    return inside
