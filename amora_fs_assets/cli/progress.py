"""The output of a command for several views: a line for each view, and one table at the end."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import click

from amora_fs_assets.domain.errors import ViewSkipped, message_of
from amora_fs_assets.operations.several import Attempt


class Reported:
    """Called with each attempt. After several views it prints the table, also if some of them failed."""

    def __init__(self, doing: str, text_of: Callable[[Any], str], *, lines: bool = True, timed: bool = False) -> None:
        """`doing` is the activity, such as "Computing"; `text_of` returns the text for a view's result.

        `lines`: print a line for each view that succeeded; `timed`: with its seconds.
        """
        from rich.console import Console

        self._doing, self._text_of, self._lines, self._timed = doing, text_of, lines, timed
        self._status = Console(stderr=True).status(f"{doing} ...")
        self._ended: list[Attempt] = []

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._status.stop()
        if len(self._ended) > 1:
            self._table()

    def __call__(self, attempt: Attempt) -> None:
        """Show the running view on a terminal, and print the result of a view that has ended."""
        if attempt.seconds is None:
            self._status.update(f"{self._doing} {attempt.view} ({attempt.number} of {attempt.of}) ...")
            return
        self._ended.append(attempt)
        if self._lines and attempt.error is None:
            took = f" ({attempt.seconds:.1f} s)" if self._timed else ""
            click.echo(f"{attempt.view}: {self._text_of(attempt.result)}{took}")

    def _table(self) -> None:
        from rich.console import Console
        from rich.table import Table

        table = Table("feature view", "outcome", "seconds")
        for each in self._ended:
            table.add_row(each.view, self._outcome(each), f"{each.seconds:.1f}")
        Console().print(table)

    def _outcome(self, attempt: Attempt) -> str:
        from rich.markup import escape

        if attempt.error is None:
            return escape(self._text_of(attempt.result))
        word = "skipped" if isinstance(attempt.error, ViewSkipped) else "failed"
        return f"[red]{word}[/red]: {escape(message_of(attempt.error))}"
