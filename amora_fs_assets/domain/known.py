"""`known_at`: the instant from which a row counts, as an expression for transforms.

While a transform runs, `handing` keeps the tables that the transform received. A column of any table that the transform
derives from them can be traced back to the received table, through projections, filters, joins and group keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias, cast

import ibis
import ibis.expr.operations as ops
from ibis.expr.types import Table, TimestampValue, Value

from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.source import Source

Handed: TypeAlias = "Mapping[ops.Relation, Source | FeatureView]"
"""The tables that a transform received, with their definitions."""

_handed: ContextVar[Handed] = ContextVar("handed")
_view: ContextVar[FeatureView | None] = ContextVar("view", default=None)
_KEEPS_COLUMNS = (ops.Filter, ops.Sort, ops.Limit, ops.Distinct, ops.DropColumns, ops.DropNull, ops.Sample)


@dataclass(frozen=True)
class Times:
    """The time columns of a table: when a row happened, and when it became available (None: when it happened)."""

    happened: str
    available: str | None


@dataclass(frozen=True)
class Instance:
    """One occurrence of a received table in an expression. A self-join has several instances of its table."""

    table: ops.Relation
    path: tuple[ops.Relation, ...] = ()  # the references through which an expression reaches the table


def times_of(definition: Source | FeatureView) -> Times | None:
    """The time columns of a source or view; None for a table without times."""
    if isinstance(definition, FeatureView):
        return Times(EVENT_TIMESTAMP, CREATED_TIMESTAMP if definition.has_created_timestamp else None)
    if definition.timestamp_field is None:
        return None
    return Times(definition.timestamp_field, definition.available_at)


def is_late(definition: Source | FeatureView) -> bool:
    """Whether rows may become known later than they happened."""
    times = times_of(definition)
    return times is not None and times.available is not None


def max_lateness_of(definition: Source | FeatureView) -> timedelta | None:
    """The longest time between a row's event and the row becoming known; None if unlimited."""
    if not is_late(definition):
        return timedelta(0)
    return definition.max_lateness if isinstance(definition, Source) else None


def known_instant(happened: Value, available: Value | None) -> TimestampValue:
    """The later of the two instants; `happened` where `available` is null or absent."""
    if available is None:
        return cast("TimestampValue", happened)
    # Not GREATEST: DuckDB ignores a null argument, and BigQuery returns null.
    return cast("TimestampValue", (available > happened).ifelse(available, happened))


@contextmanager
def handing(
    tables: Mapping[str, Table], definitions: Mapping[str, Source | FeatureView], view: FeatureView | None = None
) -> Iterator[Handed]:
    """Keep the tables that a transform receives, by parameter name, and its view, while the transform runs."""
    handed = {table.op(): definitions[name] for name, table in tables.items()}
    tokens = _handed.set(handed), _view.set(view)
    try:
        yield handed
    finally:
        _handed.reset(tokens[0])
        _view.reset(tokens[1])


def computed_view() -> FeatureView | None:
    """The view whose transform runs; None outside a transform."""
    return _view.get()


def received(caller: str, table: Table) -> Source | FeatureView | None:
    """The source or view whose table a transform received; None for another table.

    Raises DefinitionError outside a transform, and for a value that is no table.
    """
    handed = _handed.get(None)
    if handed is None:
        raise DefinitionError(
            f"{caller} works only on the tables that a transform receives, while the feature store runs the transform."
        )
    if not isinstance(table, Table):
        raise DefinitionError(f"{caller} takes tables that the transform received, not a {type(table).__name__}.")
    return handed.get(table.op())


def known_at(table: Table) -> TimestampValue:
    """The instant from which each row of the table counts, as an expression for transforms.

    For a source: the later of its `timestamp_field` and its `available_at`; `timestamp_field` where `available_at` is
    null. For a view that the transform reads: the later of `event_timestamp` and `created_timestamp`. For a join: the
    latest of these instants of the rows that were joined.

    The table is one that the transform received, or one derived from it that keeps the time columns.

    Raises DefinitionError for any other table; the message names the columns that the table lacks.
    """
    handed = _handed.get(None)
    if handed is None:
        raise DefinitionError(
            "known_at(table) works only on the tables that a transform receives, while the feature store runs the "
            "transform. Call known_at in the function of a feature view or a training set."
        )
    if not isinstance(table, Table):
        raise DefinitionError(f"known_at takes a table that the transform received, not a {type(table).__name__}.")
    columns = {name: origin for name in table.columns if (origin := origin_of(table.op(), name, handed))}
    instants_found = []
    for instance in dict.fromkeys(instances(table.op(), handed)):
        definition = handed[instance.table]
        times = times_of(definition)
        if times is None:
            continue
        needed = [column for column in (times.happened, times.available) if column is not None]
        names = {column: name for name, (of, column) in columns.items() if of == instance}
        missing = [column for column in needed if column not in names]
        if missing:
            raise DefinitionError(_lost(definition, missing))
        instants_found.append(known_instant(*(table[names[column]] for column in needed), *[None] * (2 - len(needed))))
    if not instants_found:
        raise DefinitionError(
            "known_at: the rows of this table come from no source or view with a time that the transform received. "
            "Give known_at one of the transform's parameters."
        )
    if len(instants_found) == 1:
        return instants_found[0]
    # coalesce makes the arguments null only all together, so that both engines agree on GREATEST.
    return cast("TimestampValue", ibis.greatest(*(ibis.coalesce(each, *instants_found) for each in instants_found)))


def is_on_time(table: Table, time: str) -> bool:
    """Whether each row of a table that a transform received, or derived from one, is known at its column `time`."""
    handed = _handed.get({})
    found = [each for each in dict.fromkeys(instances(table.op(), handed)) if times_of(handed[each.table]) is not None]
    if len(found) != 1:
        return False
    times = times_of(handed[found[0].table])
    return (
        times is not None
        and times.available is None
        and (origin_of(table.op(), time, handed) == (found[0], times.happened))
    )


def _lost(definition: Source | FeatureView, missing: list[str]) -> str:
    kind = "feature view" if isinstance(definition, FeatureView) else "source"
    columns = " and ".join(f"'{column}'" for column in missing)
    return (
        f"known_at: the table no longer holds {columns} of {kind} '{definition.name}'. Keep the column, or call "
        f"known_at before that step: `{definition.name}.mutate(known=known_at({definition.name}))`, and in an "
        f"aggregation `known=known_at({definition.name}).max()`."
    )


def instances(relation: ops.Relation, handed: Handed, path: tuple[ops.Relation, ...] = ()) -> Iterator[Instance]:
    """The received tables that a relation reads, once per occurrence."""
    if relation in handed:
        yield Instance(relation, path)
        return
    if isinstance(relation, ops.Reference):
        path = (*path, relation)
    if isinstance(relation, ops.JoinChain):
        yield from instances(relation.first, handed, path)
        for link in relation.rest:
            if link.how != "anti":  # an anti join adds no rows of its right side
                yield from instances(link.table, handed, path)
        return
    for child in relation.__children__:
        if isinstance(child, ops.Relation):
            yield from instances(child, handed, path)


def origin_of(
    relation: ops.Relation, name: str, handed: Handed, path: tuple[ops.Relation, ...] = ()
) -> tuple[Instance, str] | None:
    """The received table's column that column `name` passes on unchanged; None for a computed column."""
    if relation in handed:
        return Instance(relation, path), name
    if isinstance(relation, ops.Reference):
        return origin_of(relation.parent, name, handed, (*path, relation))
    if isinstance(relation, _KEEPS_COLUMNS) or (isinstance(relation, ops.FillNull) and name not in _filled(relation)):
        return origin_of(relation.parent, name, handed, path)
    value = column_value(relation, name)
    while isinstance(value, ops.Alias):
        value = value.arg
    return origin_of(value.rel, value.name, handed, path) if isinstance(value, ops.Field) else None


def column_value(relation: ops.Relation, name: str) -> ops.Value | None:
    """The expression of a column that the relation computes or passes on; None for other relations."""
    if isinstance(relation, ops.Project | ops.JoinChain):
        return relation.values.get(name)
    if isinstance(relation, ops.Aggregate):
        return {**relation.groups, **relation.metrics}.get(name)
    return None


def _filled(relation: ops.FillNull) -> list[str]:
    filled = relation.replacements
    return list(filled) if isinstance(filled, Mapping) else list(relation.schema.names)
