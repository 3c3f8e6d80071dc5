"""Reads a formula from an Ibis expression."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
from ibis.expr.types import Table, TimestampScalar, Value

from amora_fs_assets.domain.errors import DefinitionError, shown
from amora_fs_assets.domain.ibis_types import data_type_of
from amora_fs_assets.domain.request_time.formula import MOST_STEPS, Formula, plain_of, result_type
from amora_fs_assets.domain.time import utc
from amora_fs_assets.domain.types import DataType

_REQUEST_TIME = ibis.param(dt.Timestamp("UTC", 6))
_NUMBERS = (DataType.INT64, DataType.DECIMAL, DataType.FLOAT64)


def request_time() -> TimestampScalar:
    """The instant of the request: in training the spine's event_timestamp, online the clock, in UTC.

    Only for the formulas of on-demand feature views.
    """
    return cast("TimestampScalar", _REQUEST_TIME)


def formula_of(label: str, value: Value, table: Table) -> Formula:
    """The formula of a scalar expression over the columns of `table`, an unbound table.

    `label` names the feature in messages. Raises DefinitionError for an operation that formulas cannot have.
    """
    if not isinstance(value, Value):
        raise DefinitionError(f"{label}: {shown(value)} is not an Ibis expression. Return a column or an expression.")
    return _Reader(label, table).formula(value.op())


@dataclass(frozen=True)
class _Literal:
    """A literal that becomes a step where it is used, with the type that its place needs. `type` is None for null."""

    value: Any
    type: DataType | None


_Part = int | _Literal


class _Reader:
    def __init__(self, label: str, table: Table) -> None:
        self.label = label
        self.table = table.op()
        self.plain: list[Any] = []
        self.types: list[DataType] = []
        self._places: dict[str, int] = {}

    def formula(self, root: ops.Value) -> Formula:
        """Read the expression bottom-up without recursion, since expressions may be deep."""
        part = root.map(self._visit)[root]
        place = self.place(part)
        if place < len(self.plain) - 1:  # the value of a repeated subexpression
            self.plain, self.types = self.plain[: place + 1], self.types[: place + 1]
        return Formula(self.plain, self.types[place])

    def _visit(self, node: ops.Node, _: Any, **parts: Any) -> Any:
        if isinstance(node, ops.Relation):
            return None
        read = _READ.get(type(node))
        if read is None:
            fix = "Compute it in a feature view, or use an operation of docs/request-time-operations.md"
            raise self.error(node, "cannot be computed at request time", fix)
        return read(self, node, parts)

    def error(self, node: ops.Node | str, problem: str, fix: str) -> DefinitionError:
        """The error for an operation."""
        name = node if isinstance(node, str) else type(node).__name__
        return DefinitionError(f"{self.label}: {name} {problem}. {fix}.")

    def add(self, name: str, *parts: _Part, parameters: Sequence[Any] = ()) -> int:
        """The place of the step with this operation on these parts."""
        places = [self.place(part) for part in parts]
        types = [self.types[place] for place in places]
        type_ = result_type(name, types, parameters)
        if type_ is None:
            raise self.error(name, f"of {', '.join(types)} cannot be computed at request time",
                             "Cast the arguments, or compute it in a feature view")  # fmt: skip
        step = [name, places, *parameters]
        key = repr(step)
        if key not in self._places:
            if len(self.plain) >= MOST_STEPS:
                raise self.error("the formula", f"has more than {MOST_STEPS} steps", "Split it over several features")
            self._places[key] = len(self.plain)
            self.plain.append(step)
            self.types.append(type_)
        return self._places[key]

    def place(self, part: _Part, type_: DataType | None = None) -> int:
        """The place of the part's step; the type is for a null."""
        if isinstance(part, int):
            return part
        type_ = part.type or type_
        if type_ is None:
            raise self.error("null", "has no type here", 'Write ibis.null("float64"), with the type that you mean')
        try:
            plain = plain_of(type_, part.value)
        except ValueError as error:
            raise self.error(f"the literal {shown(part.value)}", f"is not supported: {error}", "Cast it") from None
        return self.add("literal", parameters=[type_.value, plain])

    def type(self, part: _Part) -> DataType | None:
        """The part's type; None for a null without type."""
        return self.types[part] if isinstance(part, int) else part.type

    def common(self, node: ops.Node, parts: Sequence[_Part]) -> list[int]:
        """The places of the parts, converted to their common type."""
        types = {type_ for part in parts if (type_ := self.type(part)) is not None}
        if types <= set(_NUMBERS) and types:
            target = max(types, key=_NUMBERS.index)
        else:
            texts = {part.type for part in parts if isinstance(part, _Literal) and part.type is DataType.STRING}
            target = next(iter(types - texts if len(types) == 2 else types), DataType.BOOLEAN)
        return [self.converted(node, part, target) for part in parts]

    def converted(self, node: ops.Node, part: _Part, target: DataType) -> int:
        """The place of the part with the target's type. Raises DefinitionError if that needs a cast of the user."""
        type_ = self.type(part)
        if type_ is target or type_ is None:
            return self.place(part, target)
        if isinstance(part, _Literal):
            value = _literal_as(part, target)
            if value is not None:
                return self.place(_Literal(value, target))
        elif type_ is DataType.INT64 and target is DataType.FLOAT64:
            return self.add("to_float64", part)
        raise self.error(node, f"has arguments of the types {type_} and {target}", "Cast one of them to the other type")


def _literal_as(part: _Literal, target: DataType) -> Any:
    """The literal's value as another type, if it is the same value; else None."""
    value = part.value
    if target is DataType.FLOAT64 and part.type in _NUMBERS:
        return float(value)
    if target in (DataType.DATE, DataType.TIMESTAMP) and isinstance(value, str):
        try:
            return date.fromisoformat(value) if target is DataType.DATE else utc(value)
        except Exception:  # noqa: BLE001  (the caller says what does not fit)
            return None
    return None


_Rule = Callable[[_Reader, Any, Mapping[str, Any]], _Part]


def _plainly(name: str) -> _Rule:
    """An operation whose arguments keep their types."""
    return lambda reader, _, parts: reader.add(name, *parts.values())


def _alike(name: str, *, swapped: bool = False) -> _Rule:
    """An operation of two arguments of one type."""

    def read(reader: _Reader, node: ops.Binary, parts: Mapping[str, Any]) -> int:
        places = reader.common(node, [parts["left"], parts["right"]])
        return reader.add(name, *(reversed(places) if swapped else places))

    return read


def _field(reader: _Reader, node: ops.Field, _: Any) -> int:
    if node.rel != reader.table:
        table = getattr(node.rel, "name", "an expression")
        fix = "Use only the inputs and request fields of the view: its formulas see one row"
        raise reader.error(f"column '{node.name}'", f"is of another table, {table}", fix)
    type_ = data_type_of(node.dtype)
    if type_ is None:
        raise reader.error(f"column '{node.name}'", f"has the unsupported type {node.dtype}", "Cast it in its view")
    return reader.add("column", parameters=[node.name, type_.value])


def _literal(reader: _Reader, node: ops.Literal, _: Any) -> _Literal:
    type_, value = node.dtype, node.value
    if type_.is_null():
        return _Literal(None, None)
    if type_.is_interval():
        return _Literal(value, None)
    if type_.is_timestamp() and value is not None:
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else cast("datetime", value).astimezone(UTC)
    found = _type_of(type_)
    if found is None:
        raise reader.error(f"the literal {shown(value)}", f"has the unsupported type {type_}", "Use another type")
    return _Literal(value, found)


def _type_of(type_: dt.DataType) -> DataType | None:
    """The column type that values of an Ibis type have: integers and floats of all widths are int64 and float64."""
    if type_.is_integer() and type_ != dt.uint64:
        return DataType.INT64
    if type_.is_floating():
        return DataType.FLOAT64
    if type_.is_timestamp():
        return DataType.TIMESTAMP
    if type_.is_decimal():
        return DataType.DECIMAL
    if type_.is_array():
        item = _type_of(type_.value_type)
        return DataType.list_of(item) if item else None
    return data_type_of(type_)


def _parameter(reader: _Reader, node: ops.ScalarParameter, _: Any) -> int:
    if node != _REQUEST_TIME.op():
        raise reader.error(node, "has no value at request time", "Use request_time(), or a request field")
    return reader.add("request_time")


def _divide(reader: _Reader, node: ops.Divide, parts: Mapping[str, Any]) -> int:
    return reader.add("divide", *(reader.converted(node, part, DataType.FLOAT64) for part in parts.values()))


def _flipped(rule: _Rule) -> _Rule:
    return lambda reader, node, parts: reader.add("not", rule(reader, node, parts))


def _between(reader: _Reader, node: ops.Between, parts: Mapping[str, Any]) -> int:
    value, lower, upper = reader.common(node, list(parts.values()))
    return reader.add("and", reader.add("less_equal", lower, value), reader.add("less_equal", value, upper))


def _if(reader: _Reader, node: ops.Node, cases: Sequence[_Part], results: Sequence[_Part], default: _Part) -> int:
    *values, found = reader.common(node, [*results, default])
    for case, value in reversed(list(zip(cases, values, strict=True))):
        found = reader.add("if", case, value, found)
    return found


def _searched_case(reader: _Reader, node: ops.SearchedCase, parts: Mapping[str, Any]) -> int:
    return _if(reader, node, parts["cases"], parts["results"], parts["default"])


def _simple_case(reader: _Reader, node: ops.SimpleCase, parts: Mapping[str, Any]) -> int:
    base, *options = reader.common(node, [parts["base"], *parts["cases"]])
    cases = [reader.add("equal", base, option) for option in options]
    return _if(reader, node, cases, parts["results"], parts["default"])


def _if_else(reader: _Reader, node: ops.IfElse, parts: Mapping[str, Any]) -> int:
    return _if(reader, node, [parts["bool_expr"]], [parts["true_expr"]], parts["false_null_expr"])


def _coalesce(reader: _Reader, node: ops.Coalesce, parts: Mapping[str, Any]) -> int:
    *others, found = reader.common(node, parts["arg"])
    for place in reversed(others):
        found = reader.add("coalesce", place, found)
    return found


def _null_if(reader: _Reader, node: ops.NullIf, parts: Mapping[str, Any]) -> int:
    value, other = reader.common(node, list(parts.values()))
    null = _Literal(None, reader.types[value])
    return reader.add("if", reader.add("equal", value, other), null, value)


def _in(reader: _Reader, node: ops.InValues, parts: Mapping[str, Any]) -> _Part:
    value, *options = reader.common(node, [parts["value"], *parts["options"]])
    found: _Part = _Literal(False, DataType.BOOLEAN)
    for number, option in enumerate(options):
        equal = reader.add("equal", value, option)
        found = reader.add("or", found, equal) if number else equal
    return found


def _cast(reader: _Reader, node: ops.Cast, parts: Mapping[str, Any]) -> _Part:
    part: _Part = parts["arg"]
    target = _type_of(node.to)
    type_ = reader.type(part)
    if (
        target is None
        or (node.to.is_integer() and node.to != dt.int64)
        or (node.to.is_floating() and node.to != dt.float64)
    ):
        fix = "Cast to int64, float64, string, boolean, date or timestamp('UTC')"
        raise reader.error(node, f"to {node.to} is not supported", fix)
    if type_ is target:
        return part
    if type_ is None:
        return _Literal(None, target)
    if isinstance(part, _Literal) and (value := _literal_as(part, target)) is not None:
        return _Literal(value, target)
    return reader.add(f"to_{target}", part)


def _delta(reader: _Reader, node: ops.TimestampDelta, parts: Mapping[str, Any]) -> int:
    unit = parts["part"].value
    if unit not in ("s", "second"):
        raise reader.error(node, f"has no unit {unit!r}", 'Use unit="second"')
    return reader.add("seconds_between", parts["left"], parts["right"])


_READ: dict[type, _Rule] = {
    ops.Alias: lambda _, __, parts: parts["arg"],
    ops.Field: _field,
    ops.Literal: _literal,
    ops.ScalarParameter: _parameter,
    ops.Add: _alike("add"),
    ops.Subtract: _alike("subtract"),
    ops.Multiply: _alike("multiply"),
    ops.Divide: _divide,
    ops.Negate: _plainly("negate"),
    ops.Equals: _alike("equal"),
    ops.NotEquals: _alike("not_equal"),
    ops.Less: _alike("less"),
    ops.LessEqual: _alike("less_equal"),
    ops.Greater: _alike("less", swapped=True),
    ops.GreaterEqual: _alike("less_equal", swapped=True),
    ops.Between: _between,
    ops.And: _plainly("and"),
    ops.Or: _plainly("or"),
    ops.Not: _plainly("not"),
    ops.IsNull: _plainly("is_null"),
    ops.NotNull: _flipped(_plainly("is_null")),
    ops.SearchedCase: _searched_case,
    ops.SimpleCase: _simple_case,
    ops.IfElse: _if_else,
    ops.Coalesce: _coalesce,
    ops.NullIf: _null_if,
    ops.InValues: _in,
    ops.Cast: _cast,
    ops.TryCast: _cast,
    ops.TimestampDelta: _delta,
}
