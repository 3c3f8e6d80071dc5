"""Computes formulas row by row: Python source, made from the table of operations and compiled once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from amora_fs_assets.domain.request_time.formula import Step
from amora_fs_assets.domain.request_time.operations import OPERATIONS
from amora_fs_assets.domain.request_time.rows import FUNCTIONS
from amora_fs_assets.domain.time import from_microseconds

Compute = Callable[[Mapping[str, Sequence[Any]], int, int], Sequence[tuple[list[Any], bool]]]
"""Values of each result and whether none is null, for columns, the time of the request [us] and the number of rows."""


def by_rows(steps: Sequence[Step], results: Sequence[int]) -> Compute:
    """A function that computes the results in one loop over the rows."""
    columns: dict[str, str] = {}
    constants: dict[str, Any] = {}
    before: list[str] = []
    within: list[str] = []
    names: list[str] = []
    for place, step in enumerate(steps):
        match step.operation:
            case "column":
                names.append(columns.setdefault(step.parameters[0], f"c{place}"))
            case "literal":
                names.append(f"k{place}")
                constants[f"k{place}"] = step.value
            case "request_time":
                names.append("now")
            case _:
                arguments = [names[each] for each in step.arguments]
                constant = not any(each[0] in "cv" for each in arguments)
                names.append(f"{'d' if constant else 'v'}{place}")
                line = f"{names[place]} = {expression(step, [steps[each] for each in step.arguments], arguments)}"
                (before if constant else within).append(line)
    zipped = ", ".join(f"columns[{name!r}]" for name in columns)
    source = [
        "def compute(columns, request_time, count):",
        *(["    now = instant(request_time)"] if "now" in names else []),
        *(f"    {line}" for line in before),
        *(f"    r{number} = []" for number in range(len(results))),
        f"    for {', '.join(columns.values())}, in zip({zipped}):" if columns else "    for _ in range(count):",
        *(f"        {line}" for line in within),
        *(f"        r{number}.append({names[place]})" for number, place in enumerate(results)),
        *([] if results else ["        pass"]),
        f"    return [{', '.join(f'(r{number}, None not in r{number})' for number in range(len(results)))}]",
    ]
    made: Compute = compiled("\n".join(source), "compute", constants)
    return made


def expression(step: Step, arguments: Sequence[Step], names: Sequence[str]) -> str:
    """The Python expression of a step, with its nulls; its arguments have these names."""
    operation = OPERATIONS[step.operation]
    found = operation.form_for([each.type for each in arguments])
    assert found is not None
    made = found[0].python.format(*names)
    if operation.strict:
        nullable = [name for name, each in zip(names, arguments, strict=True) if not _never_null(each)]
        missing = " or ".join(f"{name} is None" for name in dict.fromkeys(nullable))
        made = f"(None if {missing} else {made})" if missing else made
    return made


def _never_null(step: Step) -> bool:
    return step.operation == "request_time" or (step.operation == "literal" and step.parameters[1] is not None)


def compiled(source: str, name: str, constants: Mapping[str, Any]) -> Any:
    """The function of this name in the source."""
    namespace: dict[str, Any] = {**FUNCTIONS, **constants, "instant": from_microseconds}
    exec(compile(source, "<formulas>", "exec"), namespace)  # noqa: S102  (the source is made from the table of operations)
    return namespace[name]
