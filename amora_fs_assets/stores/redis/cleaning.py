"""Removes rows that are no longer needed: of killed loads, and of generations that readers have left."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from amora_fs_assets.domain.ports.online import Filling
from amora_fs_assets.stores.redis.connection import Connection
from amora_fs_assets.stores.redis.state import States

RETIRED_FOR = timedelta(seconds=60)
"""The least time that a generation is kept after it was live, so that every reader has moved on."""


class Cleaning:
    """Removes rows of a project's views."""

    def __init__(self, connection: Connection, states: States) -> None:
        self._connection = connection
        self._states = states

    def clean(self, name: str, *, make_room: bool = False) -> None:
        """Remove rows of the view's killed loads, and generations that are neither live nor needed for a rollback.

        The newest generation that readers have left stays for a rollback, until the next one is filled (`make_room`).
        """
        state = self._states.read(name)
        for each in state.filling:
            if not self._lives(each):
                self.abandon(name, each.location)
        kept = {state.live_number, *(each.number for each in state.generations[-1:])}
        if not make_room:
            kept.update(each.number for each in state.generations[-2:])
        due = datetime.now(UTC) - RETIRED_FOR
        removed = {
            each.number: each.location
            for each in state.generations
            if each.number not in kept and each.retired_at is not None and each.retired_at <= due
        }
        if removed:  # listed as unfinished until their rows are removed, in case this process is killed
            self._states.change(
                name,
                lambda s: replace(
                    s,
                    generations=tuple(g for g in s.generations if g.number not in removed),
                    filling=(*s.filling, *(Filling(number=n, location=p) for n, p in removed.items())),
                ),
            )
            for prefix in removed.values():
                self.abandon(name, prefix)

    def abandon(self, name: str, prefix: str) -> None:
        """Remove an unfinished generation: first its rows, then its entry in the state."""
        self.remove(prefix)
        self._states.change(
            name, lambda s: replace(s, filling=tuple(each for each in s.filling if each.location != prefix))
        )

    def remove(self, prefix: str) -> None:
        """Remove the rows with a prefix."""
        self._connection.run(partial(self._connection.remove, prefix=prefix))

    def connection_name(self, prefix: str) -> str:
        """The name of connections that write rows with the prefix."""
        return f"{self._states.project}:fill:{prefix}"

    def _lives(self, filling: Filling) -> bool:
        """Whether a process that fills the generation is connected, or may connect again before `until`."""
        if filling.until is not None and filling.until > datetime.now(UTC):
            return True
        return self.connection_name(filling.location) in self._connection.names()
