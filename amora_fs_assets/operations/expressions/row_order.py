"""Which of a view's rows counts: the greatest by (event_timestamp, created_timestamp), ties by the features."""

from __future__ import annotations

from typing import Any

import ibis
from ibis.expr.types import Table, Value

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP


def newest_first(view: FeatureView) -> list[Any]:
    """Sort keys of a view's rows, the one that counts first.

    A tie that is left, in somebody else's table, goes to the row greater by its features, null lowest, then NaN.
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
    """The item of a list as text. No two lists of one length that differ give one text, nulls included."""
    if item.type().is_binary():
        text = to_hex(item)
    elif item.type().is_string():
        text = item.replace(_ESCAPE, f"{_ESCAPE}0").replace(_BETWEEN, f"{_ESCAPE}1")
    else:
        text = item.cast("string")
    return text.fill_null(f"{_ESCAPE}2")


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def to_hex(item: bytes) -> str:  # type: ignore[empty-body]
    """Bytes in hex, since they may be no UTF-8 text, which BigQuery refuses to cast. Both engines have `to_hex`."""


def newest_by(rows: Table, view: FeatureView, columns: list[str]) -> Table:
    """Of the rows that agree in `columns` the one that counts: at most one for each."""
    window = ibis.window(group_by=columns or None, order_by=newest_first(view))
    ranked = rows.mutate(_rank=ibis.row_number().over(window))
    return without(ranked.filter(ranked["_rank"] == 0), "_rank")


def without(table: Table, *names: str) -> Table:
    """The other columns. Not `drop`, whose SQL depends on the hash seed, and with it the hash of a run's SQL."""
    return table.select(*(name for name in table.columns if name not in names))
