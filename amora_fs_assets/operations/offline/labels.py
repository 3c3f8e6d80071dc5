"""Checks the event_timestamp ("label") of a transform's rows: no row may count before its source rows were known.

A table is late if it is a source with `available_at` or a view with `created_timestamp`. For each late table that the
rows are computed from, the rule requires one of

- an `event_timestamp` that is at least the table's `known_at`: `known_at` itself, the end of a period (`truncate` plus
  at least this period), a sum with a positive interval, the `max` of a group or window, a group key, or the greatest of
  several instants;
- a join or filter that keeps only rows with `known_at` at or before a column from which `event_timestamp` is computed:
  of another received table, or of a table of instants such as `ticks(interval, "1d")`.

The rule reads the transform's expression. It accepts operations that it does not know, and refuses earlier instants
(`truncate` alone, `min`, a subtraction). It finds forgotten labels; it does not prove that windows look back only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import ibis.expr.operations as ops
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.known import Handed, Instance, column_value, instances, is_late, origin_of, times_of
from amora_fs_assets.domain.names import EVENT_TIMESTAMP

Path: TypeAlias = tuple[ops.Relation, ...]
_MONTHS = {"Y": 12, "Q": 3, "M": 1}
_MICROSECONDS = {"W": 604_800_000_000, "D": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000,
                 "ms": 1_000, "us": 1, "ns": 1}  # fmt: skip
_BEFORE = (ops.Less, ops.LessEqual)
_AFTER = (ops.Greater, ops.GreaterEqual)


@dataclass(frozen=True)
class _Bound:
    """The least time between a row becoming known and a value. `exact`: the value is null only without such a row."""

    months: int = 0
    microseconds: int = 0
    exact: bool = False

    def shifted(self, months: int, microseconds: int) -> _Bound:
        return replace(self, months=self.months + months, microseconds=self.microseconds + microseconds)

    @property
    def least(self) -> int:
        """The least distance [us]: an added month counts 28 days, a subtracted month 31."""
        return self.microseconds + self.months * _MICROSECONDS["D"] * (31 if self.months < 0 else 28)


_Bounds: TypeAlias = "dict[Instance, _Bound]"


def check_label(view: FeatureView, rows: Table, handed: Handed) -> None:
    """Raise DefinitionError if a row may count before all of its source rows were known."""
    needed = [each for each in dict.fromkeys(instances(rows.op(), handed)) if is_late(handed[each.table])]
    reached = {each.table for each in needed}
    inner = [table for table in handed if is_late(handed[table]) and table not in reached and _holds(rows, table)]
    needed += [Instance(table) for table in inner]  # read only by a subquery
    if not needed:
        return
    label = _Labels(handed)
    event = ops.Field(rows.op(), EVENT_TIMESTAMP)
    bounds = label.bounds(event, ())
    covered = {instance for instance, bound in bounds.items() if bound.least >= 0}
    covered |= label.guarded(rows.op(), label.leaves(event, ()))
    for instance in needed:
        if instance not in covered:
            raise DefinitionError(_refusal(view, handed, instance, early=instance in bounds))


def _holds(rows: Table, table: ops.Relation) -> bool:
    return bool(rows.op().find(lambda node: node == table))


def _refusal(view: FeatureView, handed: Handed, instance: Instance, *, early: bool) -> str:
    definition = handed[instance.table]
    times = times_of(definition)
    assert times is not None, "a late table has times"
    column = f"created_timestamp '{times.available}'" if isinstance(definition, FeatureView) else (
        f"available_at '{times.available}'"
    )  # fmt: skip
    kind = "feature view" if isinstance(definition, FeatureView) else "source"
    why = "may lie before" if early else "does not derive from"
    return (
        f"{view}: rows of {kind} '{definition.name}' become known at {column}, but the event_timestamp that the "
        f"transform returns {why} that instant: a late row would be lost, or would count before it was known. Return "
        f"`event_timestamp=known_at({definition.name})`, the end of the period that contains known_at, or "
        f"`ibis.greatest(<your instant>, known_at({definition.name}))`; in an aggregation, "
        f"`known_at({definition.name}).max()`."
    )


class _Labels:
    """Derives bounds from expressions over the tables that a transform received."""

    def __init__(self, handed: Handed) -> None:
        self.handed = handed

    def bounds(self, value: ops.Value, path: Path) -> _Bounds:
        """The tables whose rows are known at the value, with the distance between both instants."""
        if (known := self._known(value, path)) is not None:
            return {known: _Bound(exact=True)}
        for read in (self._passed_on, self._shifted, self._chosen):
            if (found := read(value, path)) is not None:
                return found
        # An unknown operation is accepted.
        parts = [self.bounds(each, path) for each in value.__children__ if isinstance(each, ops.Value)]
        return {instance: _Bound() for each in parts for instance in each}

    def _passed_on(self, value: ops.Value, path: Path) -> _Bounds | None:
        """The bounds of a column, or of a value over several rows."""
        match value:
            case ops.Field():
                return self._field(value.rel, value.name, path)
            case ops.Alias():
                return self.bounds(value.arg, path)
            case ops.WindowFunction():
                return self.bounds(value.func, path)
            case ops.Max() if value.where is None:
                return self.bounds(value.arg, path)
            case ops.Reduction() | ops.Analytic() | ops.Subquery():
                return {}
        return None

    def _shifted(self, value: ops.Value, path: Path) -> _Bounds | None:
        """The bounds of an instant plus or minus a duration."""
        match value:
            case ops.TimestampAdd() | ops.DateAdd():
                return self._moved(value.left, value.right, 1, path)
            case ops.TimestampSub() | ops.DateSub():
                return self._moved(value.left, value.right, -1, path)
            case ops.TimestampBucket():
                return self._moved(value.arg, value.interval, -1, path)
            case ops.TimestampTruncate() | ops.DateTruncate():
                return _moved(self.bounds(value.arg, path), *_length(value.unit.value, -1))
            case ops.Date():
                return _moved(self.bounds(value.arg, path), *_length("D", -1))
            case ops.Cast() | ops.TryCast() if value.dtype.is_timestamp() or value.dtype.is_date():
                shortened = value.arg.dtype.is_timestamp() and value.dtype.is_date()
                return _moved(self.bounds(value.arg, path), *_length("D", -int(shortened)))
        return None

    def _chosen(self, value: ops.Value, path: Path) -> _Bounds | None:
        """The bounds of a choice between several values."""
        match value:
            case ops.Greatest():
                return _greatest([self.bounds(each, path) for each in value.arg])
            case ops.Coalesce():
                return _coalesced([self.bounds(each, path) for each in value.arg])
            case ops.IfElse() if _is_later_of_two(value):
                return _greatest([self.bounds(each, path) for each in (value.true_expr, value.false_null_expr)])
            case ops.IfElse():
                return self._either((value.true_expr, value.false_null_expr), path)
            case ops.SearchedCase() | ops.SimpleCase():
                return self._either((*value.results, value.default), path)
            case ops.Least():
                return self._either(value.arg, path)
        return None

    def _known(self, value: ops.Value, path: Path) -> Instance | None:
        """The table whose `known_at` the value is, in the form that `known_instant` writes."""
        columns: tuple[ops.Value, ...] = (value,)
        if isinstance(value, ops.IfElse) and isinstance(value.bool_expr, ops.Greater):
            columns = (value.false_null_expr, value.true_expr)
            if (value.bool_expr.right, value.bool_expr.left) != columns:
                return None
        found = [self._origin(column, path) for column in columns]
        if any(each is None for each in found) or len({each[0] for each in found if each}) != 1:
            return None
        assert found[0] is not None, "checked above"
        instance, names = found[0][0], [each[1] for each in found if each]
        times = times_of(self.handed[instance.table])
        if times is None or names != [each for each in (times.happened, times.available) if each is not None]:
            return None
        return instance

    def _origin(self, value: ops.Value, path: Path) -> tuple[Instance, str] | None:
        while isinstance(value, ops.Alias):
            value = value.arg
        return origin_of(value.rel, value.name, self.handed, path) if isinstance(value, ops.Field) else None

    def _field(self, relation: ops.Relation, name: str, path: Path) -> _Bounds:
        if relation in self.handed:
            return {}
        if isinstance(relation, ops.Reference):
            return self._field(relation.parent, name, (*path, relation))
        if (value := column_value(relation, name)) is not None:
            return self.bounds(value, path)
        if isinstance(relation, ops.Set):  # each row comes from one side
            sides = [(set(instances(side, self.handed, path)), self._field(side, name, path))
                     for side in (relation.left, relation.right)]  # fmt: skip
            return {
                instance: bound
                for there, bounds in sides
                for instance, bound in bounds.items()
                if all(instance in other or instance not in where for where, other in sides) and instance in there
            }
        parent = getattr(relation, "parent", None)
        return self._field(parent, name, path) if parent is not None and name in parent.schema else {}

    def _moved(self, value: ops.Value, by: ops.Value, sign: int, path: Path) -> _Bounds:
        bounds = self.bounds(value, path)
        if isinstance(by, ops.Literal) and by.value is not None and by.dtype.is_interval():
            return _moved(bounds, *_length(by.dtype.unit.value, sign * int(by.value)))
        return bounds if sign > 0 else {}

    def _either(self, values: Sequence[ops.Value], path: Path) -> _Bounds:
        """The common bounds of alternatives, any of which may apply; null literals are left out."""
        found = [self.bounds(v, path) for v in values if not (isinstance(v, ops.Literal) and v.value is None)]
        shared = set.intersection(*(set(each) for each in found)) if found else set()
        return {instance: min((each[instance] for each in found), key=lambda b: b.least) for instance in shared}

    def leaves(self, value: ops.Node, path: Path) -> frozenset[tuple[Instance, str]]:
        """The columns of received tables, and of tables made from constants, from which a value is computed."""
        if isinstance(value, ops.Field):
            relation = value.rel
            while relation not in self.handed:
                if isinstance(relation, ops.Reference):
                    relation, path = relation.parent, (*path, relation)
                elif isinstance(relation, ops.TableUnnest) and relation.column_name == value.name:
                    break  # such as the numbers of ticks
                elif (made := column_value(relation, value.name)) is not None:
                    return self.leaves(made, path)
                elif isinstance(relation, ops.Set):  # each row comes from one side
                    sides = (ops.Field(side, value.name) for side in (relation.left, relation.right))
                    return frozenset().union(*(self.leaves(side, path) for side in sides))
                elif (parent := getattr(relation, "parent", None)) is not None and value.name in parent.schema:
                    relation = parent
                else:
                    return frozenset()
            return frozenset({(Instance(relation, path), value.name)})
        if isinstance(value, ops.WindowFunction) and isinstance(value.func, ops.Max):
            return self.leaves(value.func, path)  # one of the values; the window's keys only choose it
        parts = (self.leaves(each, path) for each in value.__children__ if isinstance(each, ops.Value))
        return frozenset().union(*parts)

    def guarded(self, relation: ops.Relation, event: frozenset[tuple[Instance, str]]) -> set[Instance]:
        """The tables that a join or filter restricts to rows known at an instant from which the label is computed."""
        found = set()
        for predicate, path in self._predicates(relation, ()):
            for early, late in _ordered(predicate):
                leaves = self.leaves(late, path)
                if leaves and leaves <= event:
                    found |= {each for each, bound in self.bounds(early, path).items() if bound.least >= 0}
        return found

    def _predicates(self, relation: ops.Relation, path: Path) -> Iterator[tuple[ops.Value, Path]]:
        if relation in self.handed:
            return
        if isinstance(relation, ops.Reference):
            path = (*path, relation)
        parts: list[ops.Relation] = [each for each in relation.__children__ if isinstance(each, ops.Relation)]
        if isinstance(relation, ops.Filter):
            yield from ((predicate, path) for predicate in relation.predicates)
        elif isinstance(relation, ops.JoinChain):
            yield from ((predicate, path) for link in relation.rest for predicate in link.predicates)
            parts += [link.table for link in relation.rest]
        for part in parts:
            yield from self._predicates(part, path)


def _ordered(predicate: ops.Value) -> Iterator[tuple[ops.Value, ops.Value]]:
    """The pairs (early, late) for which the predicate implies early <= late."""
    match predicate:
        case ops.And():
            yield from _ordered(predicate.left)
            yield from _ordered(predicate.right)
        case ops.Equals():
            yield predicate.left, predicate.right
            yield predicate.right, predicate.left
        case ops.Less() | ops.LessEqual():
            yield predicate.left, predicate.right
        case ops.Greater() | ops.GreaterEqual():
            yield predicate.right, predicate.left
        case ops.Between():
            yield predicate.arg, predicate.upper_bound


def _is_later_of_two(value: ops.IfElse) -> bool:
    condition, two = value.bool_expr, (value.true_expr, value.false_null_expr)
    if isinstance(condition, _AFTER):
        return (condition.left, condition.right) == two
    return isinstance(condition, _BEFORE) and (condition.right, condition.left) == two


def _greatest(found: Sequence[_Bounds]) -> _Bounds:
    merged: _Bounds = {}
    for bounds in found:
        for instance, bound in bounds.items():
            known = merged.get(instance)
            if known is None or bound.least > known.least:
                merged[instance] = replace(bound, exact=False)
    return merged


def _coalesced(found: Sequence[_Bounds]) -> _Bounds:
    merged = found[-1]
    for bounds in reversed(found[:-1]):
        merged = {
            instance: bound if bound.exact else min(bound, merged[instance], key=lambda each: each.least)
            for instance, bound in bounds.items()
            if bound.exact or instance in merged
        }
    return merged


def _moved(bounds: _Bounds, months: int, microseconds: int) -> _Bounds:
    return {instance: bound.shifted(months, microseconds) for instance, bound in bounds.items()}


def _length(unit: str, count: int) -> tuple[int, int]:
    """`count` units of time as (months, microseconds)."""
    return _MONTHS.get(unit, 0) * count, _MICROSECONDS.get(unit, 0) * count
