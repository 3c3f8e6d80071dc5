"""Reads an Ibis expression into the steps of a formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import ibis.expr.operations as ops
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import DefinitionError, shown
from amora_fs_assets.domain.request_time.formula import MOST_NESTED, MOST_STEPS, Formula, plain_of, result_type
from amora_fs_assets.domain.time import utc
from amora_fs_assets.domain.types import DataType

NUMBERS = (DataType.INT64, DataType.DECIMAL, DataType.FLOAT64)
"""The types of numbers; each is converted to a later one where both meet."""
_OTHER_LITERAL = "Use a literal of another type; value.isin([...]) takes a list"
_ELSEWHERE = "Compute it in a feature view, or use an operation of docs/request-time-operations.md"


@dataclass(frozen=True)
class Literal:
    """A literal that becomes a step where it is used, with the type that its place needs. `type` is None for null."""

    value: Any
    type: DataType | None


@dataclass(frozen=True)
class Duration:
    """A duration: a number of units, which is a step or a literal."""

    number: int | Literal
    unit: str


Part = int | Literal
Rule = Callable[["Reader", Any, Mapping[str, Any]], Any]
"""Reads an operation of Ibis, given its arguments."""


class Reader:
    """Makes one formula.

    Args:
        label: The feature's name, for messages.
        table: The table of the inputs.
        rules: How to read each operation of Ibis.

    """

    def __init__(self, label: str, table: Table, rules: Mapping[type, Rule]) -> None:
        self.label = label
        self.table = table.op()
        self._rules = rules
        self.plain: list[Any] = []
        self.types: list[DataType] = []
        self._places: dict[str, int] = {}
        self._depths: list[int] = []

    def formula(self, root: ops.Value) -> Formula:
        """Read the expression bottom-up without recursion, since expressions may be deep."""
        part = root.map(self._visit)[root]
        place = self.place(part)
        return Formula(self.plain[: place + 1], self.types[place])

    def _visit(self, node: ops.Node, _: Any, **parts: Any) -> Any:
        if isinstance(node, ops.Relation):
            return None
        read = self._rules.get(type(node))
        if read is None:
            raise self.error(node, "cannot be computed at request time", _ELSEWHERE)
        return read(self, node, parts)

    def error(self, node: ops.Node | str, problem: str, fix: str) -> DefinitionError:
        """The error for an operation."""
        name = node if isinstance(node, str) else type(node).__name__
        return DefinitionError(f"{self.label}: {name} {problem}. {fix}.")

    def add(self, name: str, *parts: Part, parameters: Sequence[Any] = ()) -> int:
        """The place of the step with this operation on these parts."""
        for part in parts:
            if isinstance(part, Duration):
                fix = 'Write a.delta(b, unit="second") for a number, or add the duration to a timestamp'
                raise self.error(name, "of durations cannot be computed at request time", fix)
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
            depth = 1 + max((self._depths[each] for each in places), default=0)
            if depth > MOST_NESTED:
                raise self.error("the formula", f"is nested more than {MOST_NESTED} deep", "Compute a part in a view")
            self._depths.append(depth)
            self._places[key] = len(self.plain)
            self.plain.append(step)
            self.types.append(type_)
        return self._places[key]

    def place(self, part: Part, type_: DataType | None = None) -> int:
        """The place of the part's step; the type is for a null."""
        if isinstance(part, int):
            return part
        type_ = part.type or type_
        if type_ is None:
            raise self.error("null", "has no type here", 'Write ibis.null("float64"), with the type that you mean')
        try:
            plain = plain_of(type_, part.value)
        except ValueError as error:
            raise self.error(f"the literal {shown(part.value)}", f"is not supported: {error}", _OTHER_LITERAL) from None
        return self.add("literal", parameters=[type_.value, plain])

    def type(self, part: Part) -> DataType | None:
        """The part's type; None for a null without type."""
        return self.types[part] if isinstance(part, int) else part.type

    def number(self, part: Part) -> int | None:
        """The value of a literal whole number; None for another part."""
        value = part.value if isinstance(part, Literal) and part.type is DataType.INT64 else None
        return value if isinstance(value, int) else None

    def common(self, node: ops.Node, parts: Sequence[Part]) -> list[int]:
        """The places of the parts, converted to their common type."""
        typed = [(part, type_) for part in parts if (type_ := self.type(part)) is not None]
        types = [type_ for _, type_ in typed]
        if types and set(types) <= set(NUMBERS):
            target = max(types, key=NUMBERS.index)
        else:  # a literal text may stand for a date or a timestamp
            others = [type_ for part, type_ in typed if isinstance(part, int) or type_ is not DataType.STRING]
            target = next(iter(others or types), DataType.BOOLEAN)
        return [self.converted(node, part, target) for part in parts]

    def converted(self, node: ops.Node, part: Part, target: DataType) -> int:
        """The place of the part with the target's type. Raises DefinitionError if that needs a cast of the user."""
        type_ = self.type(part)
        if type_ is target or type_ is None:
            return self.place(part, target)
        if isinstance(part, Literal):
            value = literal_as(part, target)
            if value is not None:
                return self.place(Literal(value, target))
        elif type_ in NUMBERS and target in NUMBERS:
            return self.add("to_decimal" if target is DataType.DECIMAL else f"to_{target}", part)
        raise self.error(node, f"has arguments of the types {target} and {type_}", "Cast one of them to the other type")


def literal_as(part: Literal, target: DataType) -> Any:
    """The literal's value as another type, if it is the same value; else None."""
    value = part.value
    if target is DataType.FLOAT64 and part.type in NUMBERS:
        return float(value)
    if target is DataType.DECIMAL and part.type is DataType.INT64:
        return Decimal(value)
    if target in (DataType.DATE, DataType.TIMESTAMP) and isinstance(value, str):
        try:
            return date.fromisoformat(value) if target is DataType.DATE else utc(value)
        except Exception:  # noqa: BLE001  (the caller says what does not fit)
            return None
    return None
