"""How the operations of Ibis become steps of a formula."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops

from amora_fs_assets.domain.ibis_types import IBIS_TYPES, data_type_of
from amora_fs_assets.domain.request_time.reader import Duration, Literal, Part, Reader, Rule, literal_as
from amora_fs_assets.domain.request_time.rules_of_time import TIME_RULES
from amora_fs_assets.domain.types import DataType

REQUEST_TIME = ibis.param(dt.Timestamp("UTC", 6))
"""Stands for the instant of the request."""
_MOST_DIGITS = 15


def _plainly(name: str) -> Rule:
    """An operation whose arguments keep their types."""
    return lambda reader, _, parts: reader.add(name, *(part for part in parts.values() if part is not None))


def _alike(name: str, *, swapped: bool = False) -> Rule:
    """An operation of two arguments of one type."""

    def read(reader: Reader, node: ops.Binary, parts: Mapping[str, Any]) -> int:
        places = reader.common(node, list(parts.values()))
        return reader.add(name, *(reversed(places) if swapped else places))

    return read


def _of_floats(name: str) -> Rule:
    """An operation whose arguments are converted to floats."""
    return lambda reader, node, parts: reader.add(
        name, *(reader.converted(node, part, DataType.FLOAT64) for part in parts.values())
    )


def _folded(name: str) -> Rule:
    """An operation of several arguments of one type, as an operation of two."""

    def read(reader: Reader, node: Any, parts: Mapping[str, Any]) -> int:
        found, *others = reader.common(node, parts["arg"])
        for place in others:
            found = reader.add(name, found, place)
        return found

    return read


def _flipped(rule: Rule) -> Rule:
    return lambda reader, node, parts: reader.add("not", rule(reader, node, parts))


def _field(reader: Reader, node: ops.Field, _: Any) -> int:
    if node.rel != reader.table:
        table = getattr(node.rel, "name", "an expression")
        fix = "Use only the inputs and request fields of the view: its formulas see one row"
        raise reader.error(f"column '{node.name}'", f"is of another table, {table}", fix)
    type_ = _type_of(node.dtype)
    if type_ is None:
        raise reader.error(f"column '{node.name}'", f"has the unsupported type {node.dtype}", "Cast it in its view")
    return reader.add("column", parameters=[node.name, type_.value])


def _literal(reader: Reader, node: ops.Literal, _: Any) -> Part | Duration:
    type_, value = node.dtype, node.value
    if type_.is_null():
        return Literal(None, None)
    if type_.is_interval():
        return Duration(Literal(value, DataType.INT64), type_.unit.short)
    if type_.is_timestamp() and value is not None:
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    found = _type_of(type_)
    if found is None:
        raise reader.error(f"the literal {value!r}", f"has the unsupported type {type_}", "Use another type")
    return Literal(value, found)


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


def _parameter(reader: Reader, node: ops.ScalarParameter, _: Any) -> int:
    if node != REQUEST_TIME.op():
        raise reader.error(node, "has no value at request time", "Use request_time(), or a request field")
    return reader.add("request_time")


def _between(reader: Reader, node: ops.Between, parts: Mapping[str, Any]) -> int:
    value, lower, upper = reader.common(node, list(parts.values()))
    return reader.add("and", reader.add("less_equal", lower, value), reader.add("less_equal", value, upper))


def _if(reader: Reader, node: ops.Node, cases: Sequence[Part], results: Sequence[Part], default: Part) -> int:
    *values, found = reader.common(node, [*results, default])
    for case, value in reversed(list(zip(cases, values, strict=True))):
        found = reader.add("if", case, value, found)
    return found


def _searched_case(reader: Reader, node: ops.SearchedCase, parts: Mapping[str, Any]) -> int:
    return _if(reader, node, parts["cases"], parts["results"], parts["default"])


def _simple_case(reader: Reader, node: ops.SimpleCase, parts: Mapping[str, Any]) -> int:
    base, *options = reader.common(node, [parts["base"], *parts["cases"]])
    cases = [reader.add("equal", base, option) for option in options]
    return _if(reader, node, cases, parts["results"], parts["default"])


def _if_else(reader: Reader, node: ops.IfElse, parts: Mapping[str, Any]) -> int:
    return _if(reader, node, [parts["bool_expr"]], [parts["true_expr"]], parts["false_null_expr"])


def _coalesce(reader: Reader, node: ops.Coalesce, parts: Mapping[str, Any]) -> int:
    *others, found = reader.common(node, parts["arg"])
    for place in reversed(others):
        found = reader.add("coalesce", place, found)
    return found


def _null_if(reader: Reader, node: ops.NullIf, parts: Mapping[str, Any]) -> int:
    value, other = reader.common(node, list(parts.values()))
    return reader.add("if", reader.add("equal", value, other), Literal(None, reader.types[value]), value)


def _in(reader: Reader, node: ops.InValues, parts: Mapping[str, Any]) -> Part:
    value, *options = reader.common(node, [parts["value"], *parts["options"]])
    found: Part = Literal(False, DataType.BOOLEAN)
    for number, option in enumerate(options):
        equal = reader.add("equal", value, option)
        found = reader.add("or", found, equal) if number else equal
    return found


def _cast(reader: Reader, node: ops.Cast, parts: Mapping[str, Any]) -> Part:
    part: Part = parts["arg"]
    target = _type_of(node.to)
    type_ = reader.type(part)
    if target is None or (node.to.is_numeric() and node.to.copy(nullable=True) != IBIS_TYPES[target]):
        fix = "Cast to int64, float64, decimal(38, 9), string, boolean, date or timestamp('UTC')"
        raise reader.error(node, f"to {node.to} is not supported", fix)
    if target is DataType.TIMESTAMP and node.to.timezone != "UTC":
        fix = "Cast to timestamp('UTC'), or compute the local time in a feature view"
        raise reader.error(node, f"to {node.to}: the databases of time zones differ between engines and servers", fix)
    if type_ is target:
        return part
    if type_ is None:
        return Literal(None, target)
    if isinstance(part, Literal) and (value := literal_as(part, target)) is not None:
        return Literal(value, target)
    if (type_, target) == (DataType.FLOAT64, DataType.STRING):
        raise reader.error(node, "of a float to text differs between engines", "Round it, and cast it to int64 first")
    return reader.add("to_decimal" if target is DataType.DECIMAL else f"to_{target}", part)


def _floor_divide(reader: Reader, node: ops.FloorDivide, parts: Mapping[str, Any]) -> int:
    places = reader.common(node, list(parts.values()))
    if reader.types[places[0]] is DataType.INT64:
        return reader.add("floor_divide", *places)
    return reader.add("floor", reader.add("divide", *places))


def _round(reader: Reader, node: ops.Round, parts: Mapping[str, Any]) -> Part:
    """In steps that are exact in each engine, since engines round to digits in several ways."""
    part: Part = parts["arg"]
    digits = 0 if parts["digits"] is None else reader.number(parts["digits"])
    if digits is None or abs(digits) > _MOST_DIGITS:
        fix = f"Give a number from -{_MOST_DIGITS} to {_MOST_DIGITS}"
        raise reader.error(node, "has digits that are not a literal whole number", fix)
    if reader.type(part) is DataType.INT64 and digits >= 0:
        return part
    value = reader.converted(node, part, DataType.FLOAT64)
    if not digits:
        return reader.add("to_int64", value)
    scale = reader.place(Literal(10.0 ** abs(digits), DataType.FLOAT64))
    there, back = ("multiply", "divide") if digits > 0 else ("divide", "multiply")
    rounded = reader.add(back, reader.add("round", reader.add(there, value, scale)), scale)
    return reader.add("coalesce", rounded, value)  # a float that overflows has no digits after the point


def _clip(reader: Reader, node: ops.Clip, parts: Mapping[str, Any]) -> int:
    names = [name for name in ("arg", "lower", "upper") if parts[name] is not None]
    places = dict(zip(names, reader.common(node, [parts[name] for name in names]), strict=True))
    found = places["arg"]
    if "lower" in places:
        found = reader.add("greatest", found, places["lower"])
    return reader.add("least", found, places["upper"]) if "upper" in places else found


def _scaled(factor: float) -> Rule:
    return lambda reader, node, parts: reader.add(
        "multiply", reader.converted(node, parts["arg"], DataType.FLOAT64), Literal(factor, DataType.FLOAT64)
    )


def _constant(value: float) -> Rule:
    return lambda *_: Literal(value, DataType.FLOAT64)


def _substring(reader: Reader, _: ops.Substring, parts: Mapping[str, Any]) -> int:
    length = parts["length"]
    if length is None:
        length = Literal(2**31 - 1, DataType.INT64)
    return reader.add("substring", parts["arg"], parts["start"], length)


def _slice(reader: Reader, node: ops.StringSlice, parts: Mapping[str, Any]) -> int:
    start = 0 if parts["start"] is None else reader.number(parts["start"])
    end = 2**31 - 1 if parts["end"] is None else reader.number(parts["end"])
    if start is None or end is None or start < 0 or end < 0:
        fix = "Use substr(start, length), or right(n) for places from the end"
        raise reader.error(node, "has places that are not literal numbers from 0", fix)
    places = [Literal(start, DataType.INT64), Literal(max(end - start, 0), DataType.INT64)]
    return reader.add("substring", parts["arg"], *places)


def _find(reader: Reader, node: ops.StringFind, parts: Mapping[str, Any]) -> int:
    if parts["start"] is not None or parts["end"] is not None:
        raise reader.error(node, "has a start or an end", "Cut the text with substr first")
    return reader.add("find", parts["arg"], parts["substr"])


def _list_contains(reader: Reader, node: ops.ArrayContains, parts: Mapping[str, Any]) -> int:
    items = reader.place(parts["arg"])
    return reader.add("has_item", items, reader.converted(node, parts["other"], reader.types[items].item))


RULES: Mapping[type, Rule] = {
    ops.Alias: lambda _, __, parts: parts["arg"],
    ops.Field: _field,
    ops.Literal: _literal,
    ops.ScalarParameter: _parameter,
    ops.Equals: _alike("equal"),
    ops.NotEquals: _alike("not_equal"),
    ops.Less: _alike("less"),
    ops.LessEqual: _alike("less_equal"),
    ops.Greater: _alike("less", swapped=True),
    ops.GreaterEqual: _alike("less_equal", swapped=True),
    ops.Between: _between,
    ops.And: _plainly("and"),
    ops.Or: _plainly("or"),
    ops.Xor: _plainly("not_equal"),
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
    ops.Add: _alike("add"),
    ops.Subtract: _alike("subtract"),
    ops.Multiply: _alike("multiply"),
    ops.Divide: _of_floats("divide"),
    ops.FloorDivide: _floor_divide,
    ops.Modulus: _alike("remainder"),
    ops.Negate: _plainly("negate"),
    ops.Abs: _plainly("abs"),
    ops.Sign: _plainly("sign"),
    ops.Round: _round,
    ops.Floor: _of_floats("floor"),
    ops.Ceil: _of_floats("ceil"),
    ops.Clip: _clip,
    ops.Greatest: _folded("greatest"),
    ops.Least: _folded("least"),
    ops.IsNan: _of_floats("is_nan"),
    ops.IsInf: _of_floats("is_infinite"),
    ops.Sqrt: _of_floats("sqrt"),
    ops.Exp: _of_floats("exp"),
    ops.Ln: _of_floats("ln"),
    ops.Log10: _of_floats("log10"),
    ops.Log2: _of_floats("log2"),
    ops.Power: _of_floats("power"),
    ops.Sin: _of_floats("sin"),
    ops.Cos: _of_floats("cos"),
    ops.Tan: _of_floats("tan"),
    ops.Asin: _of_floats("asin"),
    ops.Acos: _of_floats("acos"),
    ops.Atan: _of_floats("atan"),
    ops.Atan2: _of_floats("atan2"),
    ops.Degrees: _scaled(180.0 / math.pi),
    ops.Radians: _scaled(math.pi / 180.0),
    ops.Pi: _constant(math.pi),
    ops.E: _constant(math.e),
    ops.Lowercase: _plainly("lower"),
    ops.Uppercase: _plainly("upper"),
    ops.Strip: _plainly("strip"),
    ops.LStrip: _plainly("lstrip"),
    ops.RStrip: _plainly("rstrip"),
    ops.StringLength: _plainly("length"),
    ops.StringConcat: _folded("concat"),
    ops.Substring: _substring,
    ops.StringSlice: _slice,
    ops.StrRight: _plainly("right"),
    ops.StartsWith: _plainly("starts_with"),
    ops.EndsWith: _plainly("ends_with"),
    ops.StringContains: _plainly("has_text"),
    ops.StringFind: _find,
    ops.StringReplace: _plainly("replace"),
    ops.ArrayLength: _plainly("list_length"),
    ops.ArrayIndex: _plainly("item"),
    ops.ArrayContains: _list_contains,
    **TIME_RULES,
}
