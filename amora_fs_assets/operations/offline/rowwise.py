"""Row-wise transforms: each row is computed from one source row, and counts from the source row's `known_at`."""

from __future__ import annotations

from collections.abc import Iterator

import ibis.expr.operations as ops
from ibis.expr.types import Table

from amora_fs_assets.domain.known import known_at
from amora_fs_assets.domain.names import EVENT_TIMESTAMP

_OF_OTHER_ROWS = (ops.Reduction, ops.Analytic, ops.WindowFunction, ops.Subquery)
_STEPS = (ops.Project, ops.Filter, ops.Sort, ops.DropColumns, ops.DropNull, ops.FillNull)


def labelled(rows: Table, handed: Table) -> Table:
    """Add `event_timestamp=known_at(handed)` to row-wise rows over the received table that lack the column.

    Other rows are returned unchanged.
    """
    steps = list(_steps(rows.op(), handed.op()))
    if EVENT_TIMESTAMP in rows.columns or handed.op() not in steps or not all(map(_is_row_wise, steps[:-1])):
        return rows
    name = EVENT_TIMESTAMP
    while any(name in step.schema for step in steps):
        name += "_"
    result = _with_known_at(rows.op(), handed, name).to_expr()
    return result.rename({EVENT_TIMESTAMP: name}) if name != EVENT_TIMESTAMP else result


def _steps(relation: ops.Relation, handed: ops.Relation) -> Iterator[ops.Relation]:
    """The steps from the last one down to the received table."""
    yield relation
    if relation != handed and isinstance(relation, _STEPS):
        yield from _steps(relation.parent, handed)


def _is_row_wise(step: ops.Relation) -> bool:
    if not isinstance(step, _STEPS) or (isinstance(step, ops.FillNull) and not hasattr(step.replacements, "items")):
        return False
    values = [each for each in step.__children__ if isinstance(each, ops.Value)]
    return not any(_depends_on_others(value) for value in values)


def _depends_on_others(value: ops.Value) -> bool:
    parts = [each for each in value.__children__ if isinstance(each, ops.Value)]
    return isinstance(value, _OF_OTHER_ROWS) or value.shape.is_tabular() or any(map(_depends_on_others, parts))


def _with_known_at(step: ops.Relation, handed: Table, name: str) -> ops.Relation:
    """The step with `known_at` of each row in the additional column `name`."""
    if step == handed.op():
        return handed.mutate({name: known_at(handed)}).op()
    parent = _with_known_at(step.parent, handed, name)

    def over_parent(value: ops.Value) -> ops.Value:
        return value.replace({step.parent: parent})

    match step:
        case ops.Project():
            values = {column: over_parent(value) for column, value in step.values.items()}
            return ops.Project(parent, {**values, name: ops.Field(parent, name)})
        case ops.DropNull():
            subset = step.subset or [ops.Field(step.parent, column) for column in step.parent.schema]
            return step.copy(parent=parent, subset=tuple(map(over_parent, subset)))
        case ops.Filter():
            return step.copy(parent=parent, predicates=tuple(map(over_parent, step.predicates)))
        case ops.Sort():
            return step.copy(parent=parent, keys=tuple(map(over_parent, step.keys)))
        case _:
            return step.copy(parent=parent)
