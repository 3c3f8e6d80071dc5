"""Rows that end, for readers that do not know valid_to: a row of nulls where the values of an entity end."""

from __future__ import annotations

import ibis
from ibis.expr.types import Table

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.names import EVENT_TIMESTAMP, VALID_TO
from amora_fs_assets.domain.row_order import newest_by


def ends_as_rows(rows: Table, view: FeatureView) -> Table:
    """The view's `row_columns` without valid_to. At each instant the newest row has the values that hold then."""
    if not view.has_valid_to:
        return rows
    keys = list(view.join_keys)
    newest = newest_by(rows, view, [*keys, EVENT_TIMESTAMP])
    following = newest[EVENT_TIMESTAMP].lead().over(ibis.window(group_by=keys or None, order_by=EVENT_TIMESTAMP))
    newest = newest.mutate(_following=following)
    time, end, following = newest[EVENT_TIMESTAMP], newest[VALID_TO], newest["_following"]
    nulls = {feature.name: ibis.null(IBIS_TYPES[feature.type]) for feature in view.features}
    never = (end <= time).fill_null(False)
    values = newest.mutate(**{name: never.ifelse(null, newest[name]) for name, null in nulls.items()})
    ended = newest.filter(end > time, following.isnull() | (following > end)).mutate(**{EVENT_TIMESTAMP: end, **nulls})
    columns = [column.name for column in view.row_columns if column.name != VALID_TO]
    return values.select(columns).union(ended.select(columns))
