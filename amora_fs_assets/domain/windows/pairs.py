"""Aggregates of the pairs of a tick and a row in one of its windows, for late rows and for what hops cannot give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ibis.expr.types import Table

from amora_fs_assets.domain.windows.aggregates import Aggregate, Pairs
from amora_fs_assets.domain.windows.call import Call
from amora_fs_assets.domain.windows.durations import Window


def paired(call: Call, ticks: Table, aggregates: Mapping[str, Aggregate]) -> Table:
    """The ticks with the aggregates of the pairs of a tick and a row in one of the windows."""
    columns = sorted({call.values[name] for name in aggregates})
    known = [] if call.on_time else ["_known"]
    renamed = {f"_k{number}": key for number, key in enumerate(call.keys)}
    rows = call.events.select("_enter", "_time", *known, *columns, **{n: call.events[k] for n, k in renamed.items()})
    rows = rows.rename(_from="_enter").mutate(_all=0)
    kept = [each for each in ticks.columns if each != "_enter"]
    ticks = ticks.mutate(_all=0)
    shifts = [each.ending * call.scale.unit for each in call.windows.windows]
    reaches = [each.reach for each in call.windows.windows]
    predicates = [ticks["_all"] == rows["_all"]] if not call.keys else []
    predicates += [ticks[key] == rows[name] for name, key in renamed.items()]
    predicates.append(rows["_from"] + min(shifts) <= ticks["_enter"])
    if None not in reaches:
        longest = max(each for each in reaches if each is not None) * call.scale.unit
        predicates.append(ticks["_enter"] < rows["_from"] + longest)
    if known:
        predicates.append(rows["_known"] <= ticks["_enter"])
    pairs = ticks.left_join(rows, predicates)
    groups = [*kept, "_enter"]
    values = {
        f"{name}_{window.name}": each.of(Pairs(pairs[call.values[name]], _is_in(call, pairs, window), pairs["_time"]))
        for name, each in aggregates.items()
        for window in call.windows.windows
    }
    found = pairs.group_by(groups).aggregate(**values)
    return found.mutate(
        **{
            f"{name}_{window.name}": each.finished(found[f"{name}_{window.name}"])
            for name, each in aggregates.items()
            for window in call.windows.windows
        }
    )


def _is_in(call: Call, pairs: Table, window: Window) -> Any:
    unit = call.scale.unit
    inside = pairs["_from"] + window.ending * unit <= pairs["_enter"]
    if window.reach is not None:
        inside &= pairs["_enter"] < pairs["_from"] + window.reach * unit
    return inside
