"""Random formulas, made of the table of operations, and rows of hard values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from amora_fs_assets.domain.arrow import arrow_type
from amora_fs_assets.domain.request_time.formula import Formula, plain_of
from amora_fs_assets.domain.request_time.operations import OPERATIONS, Form, Operation
from amora_fs_assets.domain.time import from_microseconds
from amora_fs_assets.domain.types import DataType

INF, NAN = float("inf"), float("nan")
HARD: dict[DataType, list[Any]] = {
    DataType.INT64: [0, 1, -1, 2, -7, 10, 12345, 2**31, 2**53 + 1, 2**62, 2**63 - 1, -(2**63), -(2**63) + 1],
    DataType.FLOAT64: [
        0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 0.1, 1 / 3, 1.005, 0.49999999999999994, 1e15, -123456.789, 2.0**53,
        9.2e18, 2.0**63, -(2.0**63), 1e200, 1e308, -1e308, 1e-308, 5e-324, INF, -INF, NAN,
    ],
    DataType.STRING: [
        "", "a", "B", "true", "False", "12", "-7", "+3", " 5", "1.5", "-.5e3", "1e400", "inf", "-Infinity", "NaN",
        "9223372036854775807", "9223372036854775808", "0x10", "1_0", "é", "ß", "İ", "😀b", "a\nb", "12\n",
        "\u0661", "a\0b", "2024-02-29", "abcabc", "  x ",
    ],
    DataType.BOOLEAN: [True, False],
    DataType.BYTES: [b"", b"a", b"\xff\x00"],
    DataType.DATE: [date(1, 1, 1), date(1969, 12, 31), date(2000, 2, 29), date(2024, 2, 29), date(2024, 12, 30),
                    date(2023, 1, 1), date(9999, 12, 31)],
    DataType.TIMESTAMP: [
        datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
        datetime(1970, 1, 1, tzinfo=UTC), datetime(2024, 2, 29, 12, 30, 15, 500_000, UTC),
        datetime(2024, 3, 31, 1, 0, 0, 1, UTC), datetime(2026, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
    ],
    DataType.DECIMAL: [
        Decimal(0), Decimal("0.5"), Decimal("-2.5"), Decimal("0.000000001"), Decimal(12),
        Decimal("9" * 29 + ".999999999"), Decimal("-" + "9" * 29 + ".999999999"),
    ],
    DataType.TIME: [time(0), time(12, 30, 15, 500_000), time(23, 59, 59, 999_999)],
    DataType.LIST_INT64: [[], [1], [3, 1, -7], [2**63 - 1]],
    DataType.LIST_FLOAT64: [[], [0.5], [NAN, INF, -0.0]],
    DataType.LIST_STRING: [[], ["a"], ["é", "a", ""]],
    DataType.LIST_BOOLEAN: [[], [True], [False, True]],
    DataType.LIST_BYTES: [[], [b""], [b"a", b"\xff\x00"]],
    DataType.LIST_DATE: [[], [date(2000, 2, 29)], [date(9999, 12, 31), date(1, 1, 1)]],
    DataType.LIST_TIMESTAMP: [[], [datetime(1970, 1, 1, tzinfo=UTC)], [datetime(2026, 1, 1, 1, 1, 1, 1, UTC)] * 2],
}  # fmt: skip
"""Values at which engines differ."""
_RANDOM: dict[DataType, Callable[[Random], Any]] = {
    DataType.INT64: lambda random: (
        random.randint(-100, 100) if random.random() < 0.5 else random.randint(-(2**63), 2**63 - 1)
    ),
    DataType.FLOAT64: lambda random: random.choice([1.0, 1e3, 1e-3, 1e18]) * random.gauss(0, 1),
    DataType.STRING: lambda random: "".join(random.choices("aAbB 01-é😀", k=random.randint(0, 6))),
    DataType.DATE: lambda random: date.fromordinal(random.randint(1, date.max.toordinal())),
    DataType.TIMESTAMP: lambda random: from_microseconds(random.randint(-(10**15), 4 * 10**15)),
}


def _column(type_: DataType) -> str:
    return type_.value.replace("<", "_").strip(">").partition("(")[0]


COLUMNS = {f"{_column(type_)}_{side}": type_ for type_ in HARD for side in "ab"}
"""Two columns of each type."""
SCHEMA = pa.schema([*((name, arrow_type(type_)) for name, type_ in COLUMNS.items())])
REQUEST_TIME = datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)


def value_of(type_: DataType, random: Random) -> Any:
    """A value of the type, often one at which engines differ."""
    if type_ in _RANDOM and random.random() < 0.5:
        return _RANDOM[type_](random)
    return random.choice(HARD[type_])


def rows(count: int, seed: int, nulls: float = 0.1) -> pa.Table:
    """So many rows, with a part of nulls. BigQuery has no null lists."""
    random = Random(seed)
    return pa.table(
        {
            name: pa.array(
                [
                    None if not type_.is_list and random.random() < nulls else value_of(type_, random)
                    for _ in range(count)
                ],
                SCHEMA.field(name).type,
            )
            for name, type_ in COLUMNS.items()
        }
    )


FORMS = [(operation, form) for operation in OPERATIONS.values() for form in operation.forms]


def arguments(operation: Operation, form: Form) -> list[list[DataType]]:
    """The types of arguments that the form takes, for each type that its `T` may be."""
    generic = any("T" in each for each in form.arguments)
    found = []
    for type_ in HARD if generic else [DataType.INT64]:
        if type_.is_list or (type_ not in operation.types and generic):
            continue
        types = [DataType(each.replace("T", type_.value)) for each in form.arguments]
        made = operation.form_for(types)
        if made and made[0] is form and all(each in HARD for each in types):
            found.append(types)
    return found


def each_form() -> dict[str, Formula]:
    """A formula for each form of each operation and each type that it takes, over columns."""
    made: dict[str, Formula] = {}
    for operation, form in FORMS:
        for types in arguments(operation, form):
            names = [f"{_column(type_)}_{'ab'[types[:place].count(type_) % 2]}" for place, type_ in enumerate(types)]
            columns = list(dict.fromkeys(zip(names, types, strict=True)))
            steps: list[Any] = [["column", [], name, type_.value] for name, type_ in columns]
            places = [columns.index(column) for column in zip(names, types, strict=True)]
            made[f"{operation.name}_{len(made)}"] = Formula.from_plain([*steps, [operation.name, places]])
    return made


@st.composite
def formulas(draw: st.DrawFn, *, steps: int, exact: bool = True) -> Formula:
    """Formulas of up to so many operations. With `exact`, only of operations that are equal to the last bit."""
    plain: list[Any] = []
    types: list[DataType] = []

    def add(step: list[Any], type_: DataType) -> int:
        if step in plain:
            return plain.index(step)
        plain.append(step)
        types.append(type_)
        return len(plain) - 1

    def leaf(type_: DataType) -> int:
        before = [place for place, each in enumerate(types) if each is type_]
        kind = draw(st.integers(0, 9))
        if before and kind < 5:
            return draw(st.sampled_from(before))
        if kind == 9 and not type_.is_list and type_ is not DataType.TIME:
            value = draw(st.none() | st.sampled_from([each for each in HARD[type_] if each != "a\0b"]))
            return add(["literal", [], type_.value, plain_of(type_, value)], type_)
        if kind == 8 and type_ is DataType.TIMESTAMP:
            return add(["request_time", []], type_)
        names = [name for name, each in COLUMNS.items() if each is type_]
        return add(["column", [], draw(st.sampled_from(names)), type_.value], type_)

    for _ in range(draw(st.integers(1, steps))):
        operation, form = draw(st.sampled_from([each for each in FORMS if each[0].exact or not exact]))
        given = draw(st.sampled_from(arguments(operation, form)))
        found = operation.form_for(given)
        assert found
        add([operation.name, [leaf(type_) for type_ in given]], found[1])
    last = len(plain) - 1
    needed = {last}
    for place in range(last, -1, -1):
        if place in needed:
            needed.update(plain[place][1])
    order = {place: number for number, place in enumerate(sorted(needed))}
    return Formula.from_plain([[name, [order[each] for each in places], *more]
                               for place, (name, places, *more) in enumerate(plain) if place in needed])  # fmt: skip
