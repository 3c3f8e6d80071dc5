"""A feature view's transform as a query, in the columns and types of the view's schema."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from datetime import datetime

from ibis.expr.operations import InMemoryTable
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import DefinitionError, TransformError
from amora_fs_assets.domain.feature_view import INTERVAL_PARAMETER, FeatureView
from amora_fs_assets.domain.known import handing
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.schema import IBIS_TYPES
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.expressions.tables import known_rows
from amora_fs_assets.operations.offline.labels import check_label
from amora_fs_assets.operations.offline.rowwise import labelled


def query_of(view: FeatureView, interval: Interval, dataset: str, since: Mapping[str, datetime] | None = None) -> Table:
    """The transform's rows, in the order and types of `view.row_columns`; rows outside the interval still among them.

    `since` says from when on sources are scanned at least, where their rows were later than max_lateness says.
    A row-wise transform over one source that returns no event_timestamp gets `known_at` of the source. Raises
    TransformError where the transform fails, or returns other columns or types; DefinitionError where it labels rows of
    a late source by another instant than `known_at`.
    """
    if view.transform is None:
        raise DefinitionError(f"{view} was read from the registry, which holds no code. Import its definition.")
    since = since or {}
    tables = {s.name: known_rows(s, dataset, interval, view.lookback, since.get(s.name)) for s in view.sources}
    arguments: dict[str, object] = {**tables}
    if INTERVAL_PARAMETER in inspect.signature(view.transform).parameters:
        arguments[INTERVAL_PARAMETER] = interval
    with handing(tables, {s.name: s for s in view.sources}) as handed:
        rows = _called(view, arguments)
        if len(tables) == 1:
            rows = labelled(rows, *tables.values())
    declared = _as_declared(view, rows)
    check_label(view, rows, handed)
    return declared


def _called(view: FeatureView, arguments: Mapping[str, object]) -> Table:
    assert view.transform is not None, "it was looked at"
    try:
        rows = view.transform(**arguments)
    except DefinitionError as error:
        raise DefinitionError(f"{view}: {error}") from error
    except Exception as error:
        raise TransformError(f"{view}: its transform failed: {type(error).__name__}: {error}") from error
    if not isinstance(rows, Table):
        raise TransformError(f"{view}: its transform returned {type(rows).__name__}; return an Ibis table expression.")
    if rows.op().find(InMemoryTable):
        raise TransformError(
            f"{view}: its transform brings rows in memory (ibis.memtable), which no engine has. "
            "Make them a Source with a loader, and read that."
        )
    return rows


def _as_declared(view: FeatureView, rows: Table) -> Table:
    declared = [column.name for column in view.row_columns]
    missing = [name for name in declared if name not in rows.columns]
    extra = [name for name in rows.columns if name not in declared]
    if missing or extra:
        said = [f"lacks {missing}"] * bool(missing) + [f"has {extra}, which the schema does not"] * bool(extra)
        fix = "Mend one of the two."
        if EVENT_TIMESTAMP in missing and view.sources:
            fix = f"Return from when on each row counts, such as `event_timestamp=known_at({view.sources[0].name})`."
        raise TransformError(f"{view}: what its transform returned {' and '.join(said)}. {fix}")
    values = []
    for column in view.row_columns:
        value, type_ = rows[column.name], IBIS_TYPES[column.type]
        if value.type().copy(nullable=True) != type_:
            if not _widens(value, column.type):
                raise TransformError(
                    f"{view}: column '{column.name}' is {value.type()}, the schema says {type_}. "
                    f"Cast it in the transform: `.cast('{type_}')`."
                )
            value = value.cast(type_)
        values.append(value.name(column.name))
    return rows.select(values)


def _widens(value: object, type_: str) -> bool:
    """Whether the cast loses nothing: smaller numbers, times (naive ones are UTC), an untyped null."""
    kind = value.type()  # type: ignore[attr-defined]
    if kind.is_null() or (kind.is_timestamp() and type_ == "timestamp" and kind.timezone in (None, "UTC")):
        return True
    if kind.is_decimal() and type_.startswith("decimal"):
        return (kind.scale or 0) <= 9 and (kind.precision or 99) - (kind.scale or 0) <= 29
    if kind.is_integer():
        return (type_ == "int64" and not kind.is_uint64()) or (type_ == "float64" and kind.nbytes < 8)
    return bool(kind.is_floating() and type_ == "float64")
