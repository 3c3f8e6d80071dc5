"""What nobody needs any more is removed: rows of killed loads, and of generations that readers have left."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from amora_fs_assets.domain.ports.online import Filling
from amora_fs_assets.stores.redis.connection import Connection
from amora_fs_assets.stores.redis.state import States

RETIRED_FOR = timedelta(seconds=60)
"""For how long a generation that is not live any more is kept at least: until every reader has moved on."""


class Cleaning:
    """Of the views of a project."""

    def __init__(self, connection: Connection, states: States) -> None:
        self._connection = connection
        self._states = states

    def clean(self, name: str, *, make_room: bool = False) -> None:
        """Remove what killed loads of the view left behind, and generations that nobody reads or may go back to.

        The newest that readers have left stays for a rollback, until the next one is filled (`make_room`).
        """
        state = self._states.read(name)
        for each in state.filling:
            if not self._lives(each):
                self.abandon(name, each.location)
        kept = {state.live_number, *(each.number for each in state.generations[-1:])}
        if not make_room:
            kept.update(each.number for each in state.generations[-2:])
        due = datetime.now(UTC) - RETIRED_FOR
        gone = {
            each.number: each.location
            for each in state.generations
            if each.number not in kept and each.retired_at is not None and each.retired_at <= due
        }
        if gone:  # listed as unfinished until their rows are gone, so that a killed process leaves nothing behind
            self._states.change(
                name,
                lambda s: replace(
                    s,
                    generations=tuple(g for g in s.generations if g.number not in gone),
                    filling=(*s.filling, *(Filling(number=n, location=p) for n, p in gone.items())),
                ),
            )
            for prefix in gone.values():
                self.abandon(name, prefix)

    def abandon(self, name: str, prefix: str) -> None:
        """Remove an unfinished generation: its rows first, so that they are never forgotten."""
        self.remove(prefix)
        self._states.change(
            name, lambda s: replace(s, filling=tuple(each for each in s.filling if each.location != prefix))
        )

    def remove(self, prefix: str) -> None:
        """Remove the rows under a prefix."""
        self._connection.run(partial(self._connection.remove, prefix=prefix))

    def sign(self, prefix: str) -> str:
        """The name of connections that write under the prefix."""
        return f"{self._states.project}:fill:{prefix}"

    def _lives(self, filling: Filling) -> bool:
        """Whether a process that fills the generation is still connected, or may be about to."""
        if filling.until is not None and filling.until > datetime.now(UTC):
            return True
        return self.sign(filling.location) in self._connection.names()
