"""Computes formulas column by column: with NumPy where it has an operation's meaning, else in Python.

As in by_rows.py, Python source is made of the steps and compiled once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amora_fs_assets.domain.request_time.by_rows import Compute, compiled, expression
from amora_fs_assets.domain.request_time.formula import Step

_OF_COLUMNS = ("coalesce", "if")
"""Operations with kernels whose first argument must be a column."""


def by_columns(steps: Sequence[Step], results: Sequence[int]) -> Compute:
    """A function that computes the results of all rows, step by step. Imports NumPy and Arrow."""
    code = _Code(steps)
    for place in range(len(steps)):
        code.add(place)
    found = ", ".join(map(code.result, results))
    source = [
        "def compute(columns, request_time, count):",
        "    now = instant(request_time)",
        "    with errstate(all='ignore'):",
        *(f"        {line}" for line in code.lines),
        f"        return [{found}]",
    ]
    made: Compute = compiled("\n".join(source), "compute", code.names)
    return made


class _Code:
    """The lines of the source. Each step has a variable for its values, or for its packed column, or for both."""

    def __init__(self, steps: Sequence[Step]) -> None:
        import numpy as np

        from amora_fs_assets.domain.request_time import packed

        self._steps = steps
        self._kernels = packed.KERNELS
        self._pack, self._constant = packed.packed, packed.constant
        self.names: dict[str, Any] = {"errstate": np.errstate, "unpacked": packed.unpacked}
        self.lines: list[str] = []
        self.constant: list[bool] = []
        self.values: dict[int, str] = {}
        self._packed: dict[int, str] = {}

    def add(self, place: int) -> None:
        """Add the lines of a step."""
        step = self._steps[place]
        self.constant.append(step.operation != "column" and all(self.constant[each] for each in step.arguments))
        match step.operation:
            case "column":
                self.values[place] = f"columns[{step.parameters[0]!r}]"
            case "literal":
                self.names[f"k{place}"] = step.value
                self.values[place] = f"k{place}"
            case "request_time":
                self.values[place] = "now"
            case _:
                self._computed(place, step)

    def _computed(self, place: int, step: Step) -> None:
        kernel = self._kernels.get((step.operation, self._steps[step.arguments[-1]].type))
        fixed = self.constant[step.arguments[0]] if step.operation in _OF_COLUMNS else self.constant[place]
        if kernel and not fixed:
            self.names[f"f{place}"] = kernel
            self.lines.append(f"p{place} = f{place}({', '.join(map(self._as_packed, step.arguments))})")
            self._packed[place] = f"p{place}"
            return
        names = [f"a{number}" for number in range(len(step.arguments))]
        columns = [number for number, each in enumerate(step.arguments) if not self.constant[each]]
        for number, each in enumerate(step.arguments):
            if self.constant[each]:
                names[number] = self.values[each]
        made = expression(step, [self._steps[each] for each in step.arguments], names)
        if columns:
            lists = [self._as_list(step.arguments[number]) for number in columns]
            loop = ", ".join(names[number] for number in columns)
            made = f"[{made} for {loop} in {lists[0] if len(lists) == 1 else f'zip({chr(44).join(lists)})'}]"
        self.lines.append(f"v{place} = {made}")
        self.values[place] = f"v{place}"

    def result(self, place: int) -> str:
        """The expression of the step's values as a list, and whether none is null. A caller's column is copied."""
        if self.constant[place]:
            return f"([{self.values[place]}] * count, {self.values[place]} is not None)"
        made = self._as_list(place)
        complete = f"None not in {made}"
        if place in self._packed:
            complete = f"p{place}[1] is None or {complete}"
        return f"({f'list({made})' if self._steps[place].operation == 'column' else made}, {complete})"

    def _as_list(self, place: int) -> str:
        """The variable with the step's values."""
        if place not in self.values:
            self.lines.append(f"v{place} = unpacked(p{place})")
            self.values[place] = f"v{place}"
        return self.values[place]

    def _as_packed(self, place: int) -> str:
        """The variable with the step's packed column."""
        if place not in self._packed:
            step, type_ = self._steps[place], self._steps[place].type
            if step.operation == "literal" and step.value is not None:
                self.names[f"p{place}"] = self._constant(type_)(step.value, 0)
                self._packed[place] = f"p{place}"
                return self._packed[place]
            made, more = (self._constant(type_), ", count") if self.constant[place] else (self._pack(type_), "")
            self.names[f"pack{place}"] = made
            self.lines.append(f"p{place} = pack{place}({self.values[place]}{more})")
            self._packed[place] = f"p{place}"
        return self._packed[place]
