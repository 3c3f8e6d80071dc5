"""The order of a view's rows: the greatest (event_timestamp, created_timestamp) counts; features break ties."""

from __future__ import annotations

import operator
from functools import partial, reduce
from typing import Any

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.types import Table

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP, PUSHED, VALID_TO


def newest_first(view: FeatureView, rows: Table) -> list[Any]:
    """Sort keys of a view's rows; the row that counts comes first.

    In an external table, rows with equal times are compared by their valid_to, then by their features; null is lowest,
    then NaN. A row that never holds (its valid_to is not after its event_timestamp) comes last, then the row that ends
    later. A row of the table counts rather than a pushed row with equal times.
    """
    order = [ibis.desc(EVENT_TIMESTAMP)]
    if view.has_created_timestamp:  # null: known at event_timestamp
        order.append(ibis.desc(ibis.coalesce(ibis._[CREATED_TIMESTAMP], ibis._[EVENT_TIMESTAMP])))
    if PUSHED in rows.columns:
        order.append(ibis.asc(PUSHED))
    if view.has_valid_to:
        until = ibis._[VALID_TO]
        never = ibis.coalesce(until <= ibis._[EVENT_TIMESTAMP], False)
        # BigQuery has no `ASC NULLS LAST` in windows.
        order += [ibis.asc(never), ibis.asc(until.isnull()), ibis.asc(until)]
    if view.table is not None:
        for feature in view.features:
            column = ibis._[feature.name]
            if feature.type.value == "float64":
                order.append(ibis.desc(column.isnan().ifelse(None, column), nulls_first=False))
                order.append(ibis.desc(column.isnan(), nulls_first=False))
            elif feature.type.is_struct:  # BigQuery sorts neither structs nor arrays
                order.append(ibis.desc(_text(column, IBIS_TYPES[feature.type]), nulls_first=False))
            elif feature.type.is_list or feature.type.is_map:
                text = partial(_text, type_=IBIS_TYPES[feature.type].value_type)
                order.append(ibis.desc(column.length(), nulls_first=False))
                order.append(ibis.desc(column.map(text).join(_BETWEEN), nulls_first=False))
            else:
                order.append(ibis.desc(column, nulls_first=False))
    return order


_BETWEEN, _ESCAPE = "\x1f", "\x1e"


def _text(item: Any, type_: dt.DataType) -> Any:
    """An item of a list, or a struct, as text. Different values of a type give different texts, also with nulls."""
    if type_.is_struct():
        parts = [_escaped(_text(item[name], field)) + _BETWEEN for name, field in type_.items()]
        return item.isnull().ifelse(f"{_ESCAPE}2", reduce(operator.add, parts))
    if type_.is_array():
        text = item.map(lambda each: _escaped(_text(each, type_.value_type))).join(_BETWEEN)
    elif type_.is_binary():
        text = to_hex(item)
    elif type_.is_string():
        text = _escaped(item)
    else:
        text = item.cast("string")
    return text.fill_null(f"{_ESCAPE}2")


def _escaped(text: Any) -> Any:
    return text.replace(_ESCAPE, f"{_ESCAPE}0").replace(_BETWEEN, f"{_ESCAPE}1")


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def to_hex(item: bytes) -> str:  # type: ignore[empty-body]
    """Bytes in hex, since BigQuery does not cast bytes that are not UTF-8. Both engines have `to_hex`."""


def newest_by(rows: Table, view: FeatureView, columns: list[str]) -> Table:
    """The row that counts for each value of `columns`."""
    window = ibis.window(group_by=columns or None, order_by=newest_first(view, rows))
    ranked = rows.mutate(_rank=ibis.row_number().over(window))
    return without(ranked.filter(ranked["_rank"] == 0), "_rank")


def without(table: Table, *names: str) -> Table:
    """The table without these columns. Not `drop`, whose SQL (and so a run's SQL hash) depends on the hash seed."""
    return table.select(*(name for name in table.columns if name not in names))


def newest_when_visible(rows: Table, view: FeatureView, visible: str) -> Table:
    """The rows that are the newest of their join keys at the instant at which they become visible, a column.

    At each instant, the one that became visible last counts. At most one row per keys and instant.
    """
    keys = list(view.join_keys)
    rows = newest_by(rows, view, [*keys, visible])
    rank = ibis.row_number().over(ibis.window(group_by=keys or None, order_by=newest_first(view, rows)))
    rows = rows.mutate(_rank=rank)
    seen = ibis.window(group_by=keys or None, order_by=visible, rows=(None, 0))
    rows = rows.mutate(_best=rows["_rank"].min().over(seen))
    return without(rows.filter(rows["_rank"] == rows["_best"]), "_rank", "_best")
