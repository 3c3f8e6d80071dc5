"""The tables of docs/request-time-operations.md, from the table of operations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from amora_fs_assets.domain.request_time.operations import TOPICS, Operation
from amora_fs_assets.domain.request_time.operations.form import SCALARS

PAGE = Path(__file__).parents[1] / "docs" / "request-time-operations.md"
_MARKS = "<!-- operations -->\n", "<!-- end of operations -->\n"


def operations_reference() -> str:
    """The page with the tables as they should be."""
    start, end = _MARKS
    before, _, rest = PAGE.read_text().partition(start)
    return before + start + _tables() + end + rest.partition(end)[2]


def _tables() -> str:
    parts = []
    for topic, operations in TOPICS.items():
        parts += [f"\n## {topic}\n", "| you write | value | types | BigQuery |", "| --- | --- | --- | --- |"]
        parts += map(_row, operations)
    return "\n".join(parts) + "\n\n"


def _row(operation: Operation) -> str:
    cells = (
        ", ".join(f"`{each}`" for each in _alternatives(operation.ibis)),
        operation.meaning + ("" if operation.exact else " The last digits may differ (relative 1e-14)."),
        "; ".join(_types(operation)),
        operation.source,
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _alternatives(text: str) -> list[str]:
    """The parts at commas outside of parentheses."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _types(operation: Operation) -> Iterator[str]:
    for form in operation.forms:
        arguments, result = (
            " ".join(words).replace("decimal(38, 9)", "decimal") for words in (form.arguments, (form.result,))
        )
        generic = "T" in result or "T" in arguments
        which = f" (T: {', '.join(sorted(operation.types))})" if generic and operation.types != SCALARS else ""
        yield f"{', '.join(arguments.split())} → {result}{which.replace('decimal(38, 9)', 'decimal')}"


if __name__ == "__main__":
    PAGE.write_text(operations_reference())
