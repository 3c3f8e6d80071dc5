"""Evaluates formulas on the rows of an online read. Imports neither Ibis nor Arrow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from amora_fs_assets.domain.request_time import rows
from amora_fs_assets.domain.request_time.formula import Formula, Step
from amora_fs_assets.domain.request_time.operations import OPERATIONS
from amora_fs_assets.domain.time import from_microseconds
from amora_fs_assets.domain.types import DataType


class Evaluator:
    """Evaluates several formulas over the same columns. Compiled once, when it is made."""

    def __init__(self, formulas: Mapping[str, Formula]) -> None:
        self._names = tuple(formulas)
        self._by_rows = _compiled(formulas)

    def values(self, columns: Mapping[str, Sequence[Any]], request_time: int, count: int) -> dict[str, list[Any]]:
        """The value of each formula for each of `count` rows.

        `columns` hold Python values as an online answer does: datetimes are aware. `request_time` is in microseconds
        since 1970.
        """
        return dict(zip(self._names, self._by_rows(columns, request_time, count), strict=True))


_ByRows = Callable[[Mapping[str, Sequence[Any]], int, int], tuple[list[Any], ...]]


def _compiled(formulas: Mapping[str, Formula]) -> _ByRows:
    """A function that computes all formulas in one loop over the rows."""
    code = _Code()
    results = [code.add(formula) for formula in formulas.values()]
    namespace: dict[str, Any] = {**rows.FUNCTIONS, **code.constants, "instant": from_microseconds}
    exec(compile(code.text(results), "<formulas>", "exec"), namespace)  # noqa: S102  (made from the table of operations)
    made: _ByRows = namespace["values"]
    return made


class _Code:
    """The Python source of some formulas. Equal steps become one line."""

    def __init__(self) -> None:
        self.constants: dict[str, Any] = {}
        self._columns: dict[str, str] = {}
        self._lines: list[str] = []
        self._variables: dict[Any, str] = {}
        self._never_null: set[str] = set()

    def add(self, formula: Formula) -> str:
        """The name of the variable of the formula's value."""
        names: list[str] = []
        for step in formula.steps:
            arguments = [names[place] for place in step.arguments]
            key = (step.operation, *arguments, *map(repr, step.parameters))
            if key not in self._variables:
                self._variables[key] = self._written(step, arguments, [formula.steps[p].type for p in step.arguments])
            names.append(self._variables[key])
        return names[-1]

    def _written(self, step: Step, arguments: list[str], types: list[DataType]) -> str:
        number = len(self._variables)
        match step.operation:
            case "column":
                return self._columns.setdefault(step.parameters[0], f"c{len(self._columns)}")
            case "literal":
                self.constants[f"k{number}"] = value = step.value
                if value is not None:
                    self._never_null.add(f"k{number}")
                return f"k{number}"
            case "request_time":
                self._never_null.add("now")
                return "now"
        operation = OPERATIONS[step.operation]
        found = operation.form_for(types)
        assert found is not None
        expression = found[0].python.format(*arguments)
        nullable = [name for name in dict.fromkeys(arguments) if name not in self._never_null]
        if operation.strict and nullable:
            missing = " or ".join(f"{name} is None" for name in nullable)
            expression = f"None if {missing} else {expression}"
        self._lines.append(f"v{number} = {expression}")
        return f"v{number}"

    def text(self, results: Sequence[str]) -> str:
        """The source of `values(columns, request_time, count)`, which returns the lists of the results."""
        columns = list(self._columns)
        rows_of = [f"columns[{name!r}]" for name in columns]
        over = (
            f"for {', '.join(self._columns.values())}, in zip({', '.join(rows_of)}):"
            if columns
            else "for _ in range(count):"
        )
        lists = ", ".join(f"r{number}" for number in range(len(results)))
        return "\n".join([
            "def values(columns, request_time, count):",
            "    now = instant(request_time)" if "now" in self._never_null else "    pass",
            *(f"    r{number} = []" for number in range(len(results))),
            f"    {over}",
            *(f"        {line}" for line in self._lines),
            *(f"        r{number}.append({name})" for number, name in enumerate(results)),
            *(() if results else ("        pass",)),
            f"    return ({lists}{',' if results else ''})",
        ])  # fmt: skip
