"""Tables as wide as the terminal; in a file or a pipe, with one line for each row."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 10_000
NARROW = 130
"""The width below which a table with many columns is hard to read."""


def console(*, folds: bool = False) -> Console:
    """The console for standard output. In a file or a pipe no line is folded.

    `folds`: the output is made for narrow consoles too, so a width in COLUMNS counts also in a pipe.
    """
    from rich.console import Console

    return Console() if sys.stdout.isatty() or (folds and os.environ.get("COLUMNS")) else Console(width=_WIDE)


def print_rows(headings: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """Print a table. In a pipe it has no borders."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    out = console()
    table = Table(title=title, title_justify="left", box=box.HEAVY_HEAD if out.is_terminal else None)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    if table.row_count:
        out.print(table)


def print_json(plain: Any) -> None:
    """Print plain data as JSON."""
    click.echo(json.dumps(plain, indent=2, ensure_ascii=False))


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Print `name: value` lines for the values that are not empty."""
    for name, value in fields:
        if value:
            click.echo(f"{name}: {value}")
