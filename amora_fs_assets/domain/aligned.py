"""Several feature views side by side: a row at each instant at which one of them changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import ibis
from ibis.expr.types import Table

from amora_fs_assets.domain.arguments import LONGEST
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.known import computed_view, known_at, received
from amora_fs_assets.domain.names import EVENT_TIMESTAMP, VALID_TO
from amora_fs_assets.domain.row_order import newest_by, newest_when_visible, without
from amora_fs_assets.domain.time import MICROSECOND, Interval
from amora_fs_assets.domain.types import DataType

_NEVER = ibis.null(IBIS_TYPES[DataType.TIMESTAMP])


def aligned(*tables: Table, interval: Interval, full_feature_names: bool = False) -> Table:
    """The features of several views with the same join keys, at each change of one of them, for a transform.

    The result has the join keys, `event_timestamp`, and the features of all views. There is a row at each instant of
    the interval at which a row of a view becomes its newest row, or at which the values of a view end: by its ttl, or
    at valid_to. The features have the values that hold at that instant, of rows that were known by then, and are null
    if there are none.

    Args:
        tables: The tables of feature views, as the transform received them.
        interval: The transform's interval.
        full_feature_names: Whether the features have the names `<view>__<feature>`.

    Raises:
        DefinitionError: a table is not that of a view, join keys differ, two features have one name, or the lookback
            or ttl of the computed view is too short for exact values. The message names the fix.

    """
    parts = [_Part(number, table, _view_of(table), full_feature_names) for number, table in enumerate(tables)]
    _check_together(parts)
    computed = computed_view()
    if computed is not None:
        _check_view(computed, [part.view for part in parts])
    keys = list(parts[0].view.join_keys)
    changes = ibis.union(*(part.changes(parts) for part in parts))
    at_once = changes.group_by([*keys, EVENT_TIMESTAMP]).aggregate(**{p.since: changes[p.since].max() for p in parts})
    before = ibis.window(group_by=keys or None, order_by=EVENT_TIMESTAMP, rows=(None, 0))
    found = at_once.mutate(**{part.since: at_once[part.since].max().over(before) for part in parts})
    time = found[EVENT_TIMESTAMP]
    found = found.filter(time >= ibis.literal(interval.start), time < ibis.literal(interval.end))
    for part in parts:
        rows = part.states.rename({part.joined: EVENT_TIMESTAMP, **{part.key(key): key for key in keys}})
        same = [found[key] == rows[part.key(key)] for key in keys]
        found = found.left_join(rows, [found[part.since] == rows[part.joined], *same])
        found = without(found, part.joined, *map(part.key, keys))
    return found.select(*keys, EVENT_TIMESTAMP, *(name for part in parts for name in part.names.values()))


def lookback_of(*views: FeatureView) -> timedelta:
    """The lookback of a view that aligns these views: a computation reads the rows that still hold at its beginning.

    A little more than the longest ttl; without a ttl everything before the interval.
    """
    ttls = [view.ttl for view in views if view.ttl is not None]
    return LONGEST if len(ttls) < len(views) else max(ttls, default=timedelta(0)) + MICROSECOND


@dataclass(frozen=True)
class _Part:
    """One of the aligned views. Columns that begin with an underscore are the expression's own."""

    number: int
    table: Table
    view: FeatureView
    full: bool

    @property
    def since(self) -> str:
        """The column with the instant of the view's newest state."""
        return f"_since{self.number}"

    @property
    def joined(self) -> str:
        """The column of `states` with its instant, in a join."""
        return f"_joined{self.number}"

    def key(self, name: str) -> str:
        """The column of `states` with a join key, in a join."""
        return f"_key{self.number}_{name}"

    @property
    def names(self) -> dict[str, str]:
        """The names of the features in the result."""
        return {f.name: f"{self.view.name}__{f.name}" if self.full else f.name for f in self.view.features}

    def changes(self, parts: Sequence[_Part]) -> Table:
        """The instants at which the view changes: keys, event_timestamp, and for each part `since`."""
        rows = self.states
        since = {part.since: rows[EVENT_TIMESTAMP] if part is self else _NEVER for part in parts}
        return rows.select(*self.view.join_keys, EVENT_TIMESTAMP, **since)

    @cached_property
    def states(self) -> Table:
        """The values of the view from each change on: keys, event_timestamp (the instant), features."""
        view, keys = self.view, list(self.view.join_keys)
        rows = self.table.filter(*(self.table[name].notnull() for name in (*keys, EVENT_TIMESTAMP)))
        rows = rows.mutate(_known=known_at(rows), _end=_NEVER)
        if view.ttl is not None:
            held = ibis.interval(microseconds=view.ttl // MICROSECOND)
            # A row that becomes known after its ttl never counts.
            rows = rows.filter(rows["_known"] <= rows[EVENT_TIMESTAMP] + held)
            rows = rows.mutate(_end=rows[EVENT_TIMESTAMP] + held + ibis.interval(microseconds=1))
        if view.has_valid_to:
            ends_first = rows["_end"].isnull() | (rows[VALID_TO] < rows["_end"])
            rows = rows.mutate(_end=(rows[VALID_TO].notnull() & ends_first).ifelse(rows[VALID_TO], rows["_end"]))
        if view.has_created_timestamp:
            rows = newest_when_visible(rows, view, "_known")
        elif view.table is not None:
            rows = newest_by(rows, view, [*keys, "_known"])
        names = {name: rows[feature] for feature, name in self.names.items()}
        if view.ttl is None and not view.has_valid_to:
            return rows.select(*keys, **{EVENT_TIMESTAMP: rows["_known"]}, **names)
        order = ibis.window(group_by=keys or None, order_by="_known")
        rows = rows.mutate(_following=rows["_known"].lead().over(order))
        never = rows["_end"].notnull() & (rows["_end"] <= rows["_known"])
        nulls = {name: ibis.null(IBIS_TYPES[f.type]) for f, name in zip(view.features, names, strict=True)}
        begun = rows.select(
            *keys,
            **{EVENT_TIMESTAMP: rows["_known"]},
            **{name: never.ifelse(nulls[name], rows[feature]) for feature, name in self.names.items()},
        )
        alone = rows["_following"].isnull() | (rows["_following"] > rows["_end"])
        ended = rows.filter(rows["_end"] > rows["_known"], alone)
        # The end is the later one. So the check of event_timestamp sees that all rows are known by then.
        end = ibis.greatest(ended["_end"], ended["_known"])
        return begun.union(ended.select(*keys, **{EVENT_TIMESTAMP: end}, **nulls))


def _view_of(table: Table) -> FeatureView:
    definition = received("aligned", table)
    if not isinstance(definition, FeatureView):
        what = "a source" if definition is not None else "derived from one"
        raise DefinitionError(
            f"aligned takes the tables of feature views as the transform received them, and a table is {what}. Give "
            "the parameters of the transform that are feature views, and filter or rename the result."
        )
    return definition


def _check_together(parts: Sequence[_Part]) -> None:
    if len(parts) < 2:
        raise DefinitionError("aligned takes two feature views or more: aligned(spend, visits, interval=interval).")
    first = parts[0].view
    taken: dict[str, FeatureView] = {}
    for part in parts:
        if sorted(part.view.join_keys) != sorted(first.join_keys):
            raise DefinitionError(
                f"aligned: {first} has the join keys {list(first.join_keys)}, and {part.view} has "
                f"{list(part.view.join_keys)}. Views of one entity can be aligned; read the other view's features at "
                "request time, or in the feature service."
            )
        for name in part.names.values():
            if name in taken:
                fix = "Align each view once." if part.full else "Use full_feature_names=True."
                raise DefinitionError(f"aligned: {taken[name]} and {part.view} both have a feature '{name}'. {fix}")
            taken[name] = part.view


def _check_view(computed: FeatureView, views: Sequence[FeatureView]) -> None:
    """Refuse a lookback or ttl with which rows or values would be missing. Raises DefinitionError."""
    names = ", ".join(view.name for view in views)
    if computed.lookback < lookback_of(*views):
        endless = [view.name for view in views if view.ttl is None]
        why = f"'{endless[0]}' has no ttl" if endless else f"the longest ttl is {max(v.ttl for v in views if v.ttl)}"
        raise DefinitionError(
            f"{computed}: lookback={computed.lookback} does not reach all rows of the aligned views that still hold "
            f"when an interval begins ({why}). Give lookback=lookback_of({names})."
        )
    if computed.ttl is not None and any(view.ttl is None or view.ttl > computed.ttl for view in views):
        raise DefinitionError(
            f"{computed}: ttl={computed.ttl}, but its rows are written only when one of the aligned views changes, so "
            "a value that still holds would expire. Leave ttl out: values become null when those of the views end."
        )
