"""A feature view's transform as a query, in the columns and types of the view's schema."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from datetime import datetime

import ibis.expr.datatypes as dt
from ibis.expr.operations import InMemoryTable
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import DefinitionError, TransformError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.known import handing
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.places.external import fits
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.transforms import INTERVAL_PARAMETER
from amora_fs_assets.operations.expressions.tables import known_rows
from amora_fs_assets.operations.offline.labels import check_label
from amora_fs_assets.operations.offline.rowwise import labelled
from amora_fs_assets.operations.offline.transform_error import reason


def query_of(
    view: FeatureView,
    interval: Interval,
    dataset: str,
    since: Mapping[str, datetime] | None = None,
    *,
    seen: Interval | None = None,
) -> Table:
    """The transform's rows with the columns and types of `view.row_columns`, including rows outside the interval.

    `since` gives the latest start of the scan for sources with rows that came later than max_lateness. With `seen`,
    the transform reads only source rows that became known in that interval. A row-wise transform over one source
    that returns no event_timestamp gets `known_at` of the source. Raises TransformError if the transform fails or
    returns other columns or types; DefinitionError if its event_timestamp may be before `known_at` of a late source.
    """
    if view.transform is None:
        raise DefinitionError(f"{view} was read from the registry, which holds no code. Import its definition.")
    since = since or {}
    tables = {s.name: known_rows(s, dataset, interval, view.lookback, since.get(s.name), seen) for s in view.sources}
    arguments: dict[str, object] = {**tables}
    if INTERVAL_PARAMETER in inspect.signature(view.transform).parameters:
        arguments[INTERVAL_PARAMETER] = interval
    with handing(tables, {s.name: s for s in view.sources}, view) as handed:
        rows = _call_transform(view, arguments, tables)
        if len(tables) == 1:
            rows = labelled(rows, *tables.values())
    declared = _as_declared(view, rows)
    check_label(view, rows, handed)
    return declared


def _call_transform(view: FeatureView, arguments: Mapping[str, object], tables: Mapping[str, Table]) -> Table:
    assert view.transform is not None, "the caller has checked it"
    try:
        rows = view.transform(**arguments)
    except DefinitionError as error:
        raise DefinitionError(f"{view}: {error}") from error
    except Exception as error:
        raise TransformError(f"{view}: its transform failed: {reason(view.transform, error, tables)}") from error
    if not isinstance(rows, Table):
        raise TransformError(f"{view}: its transform returned {type(rows).__name__}; return an Ibis table expression.")
    if rows.op().find(InMemoryTable):
        raise TransformError(
            f"{view}: its transform uses rows in memory (ibis.memtable), which the engines do not have. "
            "Make a Source with a loader of them, and read the source."
        )
    return rows


def _as_declared(view: FeatureView, rows: Table) -> Table:
    declared = [column.name for column in view.row_columns]
    missing = [name for name in declared if name not in rows.columns]
    extra = [name for name in rows.columns if name not in declared]
    if missing or extra:
        parts = [f"lack {missing}"] * bool(missing) + [f"have {extra}, which the schema lacks"] * bool(extra)
        fix = "Fix the transform or the schema."
        if EVENT_TIMESTAMP in missing and view.sources:
            fix = f"Return the instant from which a row counts: `event_timestamp=known_at({view.sources[0].name})`."
        raise TransformError(f"{view}: the rows of its transform {' and '.join(parts)}. {fix}")
    values = []
    for column in view.row_columns:
        value, type_ = rows[column.name], IBIS_TYPES[column.type]
        if value.type().copy(nullable=True) != type_:
            if not (_widens(value, column.type) or _as_stored(value.type(), type_)):
                raise TransformError(
                    f"{view}: column '{column.name}' is {value.type()}, but {type_} in the schema. "
                    f"Cast it in the transform: `.cast('{type_}')`."
                )
            value = value.cast(type_)
        values.append(value.name(column.name))
    return rows.select(values)


def _as_stored(kind: dt.DataType, type_: dt.DataType) -> bool:
    """Whether the value is of the declared type or, within lists and structs, of smaller numbers."""
    return (
        (kind.is_struct() or kind.is_array())
        and list(getattr(kind, "names", ())) == list(getattr(type_, "names", ()))
        and fits(kind, type_)
    )


def _widens(value: object, type_: str) -> bool:
    """Whether the cast is lossless: from smaller numbers, from times (naive ones are UTC), from an untyped null."""
    kind = value.type()  # type: ignore[attr-defined]
    if kind.is_null() or (kind.is_timestamp() and type_ == "timestamp" and kind.timezone in (None, "UTC")):
        return True
    if kind.is_decimal() and type_.startswith("decimal"):
        return (kind.scale or 0) <= 9 and (kind.precision or 99) - (kind.scale or 0) <= 29
    if kind.is_integer():
        return (type_ == "int64" and not kind.is_uint64()) or (type_ == "float64" and kind.nbytes < 8)
    return bool(kind.is_floating() and type_ == "float64")
