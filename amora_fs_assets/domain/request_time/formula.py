"""A formula: a scalar expression over input columns and the instant of the request, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date
from decimal import Decimal
from functools import cached_property
from typing import Any

from amora_fs_assets.domain.decimals import decimal_of
from amora_fs_assets.domain.request_time.operations import OPERATIONS, Operation
from amora_fs_assets.domain.time import EPOCH, MICROSECOND, from_microseconds
from amora_fs_assets.domain.types import DataType

MOST_STEPS = 1_000
"""The greatest number of steps of a formula."""
MOST_NESTED = 100
"""The greatest number of steps that depend on each other."""
_LONGEST_TEXT = 1_000
_LEAVES = ("column", "literal", "request_time")


@dataclass(frozen=True)
class Step:
    """One step of a formula: an operation on the results of earlier steps."""

    operation: str
    arguments: tuple[int, ...]
    """The places of the earlier steps."""
    parameters: tuple[Any, ...]
    """`column`: name and type. `literal`: type and value."""
    type: DataType

    @property
    def value(self) -> Any:
        """The Python value of a literal."""
        return value_of(self.type, self.parameters[1])


@dataclass(frozen=True)
class Formula:
    """A formula as plain data: a list of steps, the last of which is the result.

    A step is `[operation, [places of earlier steps], parameters...]`: `["column", [], name, type]`,
    `["literal", [], type, value]`, `["request_time", []]`, or an operation of `OPERATIONS`, such as
    `["divide", [0, 1]]`. Equal subexpressions are one step.
    """

    plain: list[Any]
    type: DataType

    @classmethod
    def from_plain(cls, plain: Any) -> Formula:
        """The formula. Raises ValueError if it has an operation that this release does not know, or is malformed."""
        steps = steps_of(plain)
        return cls(plain, steps[-1].type)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps, with their types."""
        return steps_of(self.plain)

    @property
    def inputs(self) -> frozenset[str]:
        """The columns that the formula reads."""
        return frozenset(step.parameters[0] for step in self.steps if step.operation == "column")

    @property
    def uses_request_time(self) -> bool:
        """Whether the value depends on the instant of the request."""
        return any(step.operation == "request_time" for step in self.steps)

    def __str__(self) -> str:
        """Text for people, such as `basket / spend_30d`."""
        return _text(self.steps, len(self.steps) - 1)

    def __hash__(self) -> int:
        return hash(str(self.plain))


def joined(formulas: Mapping[str, Formula]) -> tuple[list[Step], dict[str, int]]:
    """The steps of all formulas, equal ones once, and the place of each formula's result."""
    steps: list[Step] = []
    places: dict[str, int] = {}
    results: dict[str, int] = {}
    for name, formula in formulas.items():
        here: list[int] = []
        for step in formula.steps:
            moved = replace(step, arguments=tuple(here[each] for each in step.arguments))
            place = places.setdefault(repr(moved), len(steps))
            if place == len(steps):
                steps.append(moved)
            here.append(place)
        results[name] = here[-1]
    return steps, results


def steps_of(plain: Any) -> tuple[Step, ...]:
    """The steps of a formula's plain data. Raises ValueError."""
    if not isinstance(plain, list) or not 0 < len(plain) <= MOST_STEPS:
        raise ValueError(f"A formula is a list of 1 to {MOST_STEPS} steps.")
    steps: list[Step] = []
    for item in plain:
        steps.append(_step(item, steps))
    return tuple(steps)


def _step(item: Any, before: Sequence[Step]) -> Step:
    try:
        name, places, *parameters = item
        types = [before[place].type for place in places if place >= 0]
    except (TypeError, ValueError, IndexError):
        raise ValueError(f"{item!r} is not a step of a formula.") from None
    found = result_type(name, types, parameters) if len(types) == len(places) else None
    if found is None:
        raise ValueError(
            f"This release has no operation {name!r} of {', '.join(types) or 'no arguments'}. A newer release of "
            "amora_fs_assets wrote the formula: upgrade this installation."
        )
    return Step(name, tuple(places), tuple(parameters), found)


def result_type(name: str, types: Sequence[DataType], parameters: Sequence[Any]) -> DataType | None:
    """The type of a step's result; None if there is no such operation on these types."""
    if name == "request_time":
        return None if types or parameters else DataType.TIMESTAMP
    if name in ("column", "literal"):
        if types or len(parameters) != 2:
            return None
        try:
            return DataType(parameters[name == "column"])
        except ValueError:
            return None
    operation = OPERATIONS.get(name)
    found = operation.form_for(types) if operation and not parameters else None
    return found and found[1]


def _text(steps: Sequence[Step], place: int) -> str:
    """Iterative, since formulas may be deep."""
    texts: list[str] = []
    for step in steps[: place + 1]:
        if step.operation == "column":
            texts.append(str(step.parameters[0]))
        elif step.operation == "literal":
            texts.append("null" if step.parameters[1] is None else repr(step.value) if step.type is DataType.STRING
                         else str(step.value))  # fmt: skip
        elif step.operation == "request_time":
            texts.append("request_time()")
        else:
            operation = OPERATIONS[step.operation]
            parts = [_within(steps[each], texts[each], operation) for each in step.arguments]
            text = operation.text.format(*parts)
            texts.append(text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}...")
    return texts[place]


def _within(step: Step, text: str, outer: Operation) -> str:
    """The text of an argument: in parentheses if both operations are written with signs between their arguments."""
    inner = OPERATIONS.get(step.operation)
    signs = inner is not None and inner.text.startswith("{0} ")
    return f"({text})" if signs and "({" not in outer.text else text


def plain_of(type_: DataType, value: Any) -> Any:
    """A literal's value as plain data. Raises ValueError for a type without literals."""
    if value is None:
        return None
    match type_:
        case DataType.INT64 | DataType.BOOLEAN:
            return value
        case DataType.STRING:
            if "\0" in value or value.encode("utf-8", "ignore").decode() != value:
                raise ValueError("engines take no text with the character 0 or half a character")
            return value
        case DataType.FLOAT64:
            number = float(value)
            return number if number - number == 0.0 else str(number)
        case DataType.BYTES:
            return bytes(value).hex()
        case DataType.DATE:
            return value.isoformat()
        case DataType.TIMESTAMP:
            return (value.astimezone(UTC) - EPOCH) // MICROSECOND
        case DataType.DECIMAL:
            return str(decimal_of(value))
        case _:
            raise ValueError(f"there are no literals of type {type_}")


def value_of(type_: DataType, plain: Any) -> Any:
    """The inverse of `plain_of`."""
    if plain is None:
        return None
    read = _READ.get(type_)
    return plain if read is None else read(plain)


_READ: Mapping[DataType, Any] = {
    DataType.FLOAT64: float,
    DataType.BYTES: bytes.fromhex,
    DataType.DATE: date.fromisoformat,
    DataType.TIMESTAMP: from_microseconds,
    DataType.DECIMAL: Decimal,
}
