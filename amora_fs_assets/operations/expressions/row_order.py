"""The order of a view's rows: the greatest (event_timestamp, created_timestamp) counts; features break ties."""

from __future__ import annotations

from typing import Any

import ibis
from ibis.expr.types import Table, Value

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP


def newest_first(view: FeatureView) -> list[Any]:
    """Sort keys of a view's rows; the row that counts comes first.

    In an external table, rows with equal times are compared by their features; null is lowest, then NaN.
    """
    order = [ibis.desc(EVENT_TIMESTAMP)]
    if view.has_created_timestamp:  # null: known at event_timestamp
        order.append(ibis.desc(ibis.coalesce(ibis._[CREATED_TIMESTAMP], ibis._[EVENT_TIMESTAMP])))
    if view.table is not None:
        for feature in view.features:
            column = ibis._[feature.name]
            if feature.type.value == "float64":
                order.append(ibis.desc(column.isnan().ifelse(None, column), nulls_first=False))
                order.append(ibis.desc(column.isnan(), nulls_first=False))
            elif feature.type.is_list:  # BigQuery does not sort arrays
                order.append(ibis.desc(column.length(), nulls_first=False))
                order.append(ibis.desc(column.map(_text).join(_BETWEEN), nulls_first=False))
            else:
                order.append(ibis.desc(column, nulls_first=False))
    return order


_BETWEEN, _ESCAPE = "\x1f", "\x1e"


def _text(item: Value) -> Value:
    """An item of a list as text. Different lists of equal length give different texts, also with nulls."""
    if item.type().is_binary():
        text = to_hex(item)
    elif item.type().is_string():
        text = item.replace(_ESCAPE, f"{_ESCAPE}0").replace(_BETWEEN, f"{_ESCAPE}1")
    else:
        text = item.cast("string")
    return text.fill_null(f"{_ESCAPE}2")


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def to_hex(item: bytes) -> str:  # type: ignore[empty-body]
    """Bytes in hex, since BigQuery does not cast bytes that are not UTF-8. Both engines have `to_hex`."""


def newest_by(rows: Table, view: FeatureView, columns: list[str]) -> Table:
    """The row that counts for each value of `columns`."""
    window = ibis.window(group_by=columns or None, order_by=newest_first(view))
    ranked = rows.mutate(_rank=ibis.row_number().over(window))
    return without(ranked.filter(ranked["_rank"] == 0), "_rank")


def without(table: Table, *names: str) -> Table:
    """The table without these columns. Not `drop`, whose SQL (and so a run's SQL hash) depends on the hash seed."""
    return table.select(*(name for name in table.columns if name not in names))
