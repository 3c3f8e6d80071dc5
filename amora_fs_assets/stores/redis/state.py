"""What is known of a view in Redis: one string of JSON, read as a whole, changed by compare-and-swap."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from amora_fs_assets.domain.ports.online import ViewState
from amora_fs_assets.stores.redis.connection import Connection
from amora_fs_assets.stores.redis.keys import state_name, written_name
from amora_fs_assets.stores.redis.scripts import SWAP

Change = Callable[[ViewState], ViewState]


class States:
    """The states of a project's views."""

    def __init__(self, connection: Connection, project: str) -> None:
        self._connection = connection
        self.project = project

    def key(self, name: str) -> str:
        """Under which the view's state is."""
        return state_name(self.project, name)

    def read(self, name: str) -> ViewState:
        """As it is."""
        return decoded(self._connection.run(lambda client: client.get(self.key(name))))

    def written(self, name: str) -> frozenset[str]:
        """Ids of the publications that `note_written` noted, and nobody forgot."""
        key = written_name(self.project, name)
        found: Any = self._connection.run(lambda client: client.smembers(key))
        return frozenset(each.decode() for each in found)

    def note_written(self, name: str, publication_id: str) -> None:
        """Rows of the publication are about to be written. One of an earlier release has no id, and is not noted."""
        key = written_name(self.project, name)
        if publication_id:
            self._connection.run(lambda client: client.sadd(key, publication_id))

    def forget_written(self, name: str, ids: Collection[str]) -> None:
        """A load has compared these publications with the offline store's."""
        key = written_name(self.project, name)
        if ids:
            self._connection.run(lambda client: client.srem(key, *ids))

    def change(self, name: str, change: Change) -> ViewState:
        """The state after `change`, which nobody else changed meanwhile; `change` may run more than once."""
        key = self.key(name)

        def run(client: Any) -> ViewState:
            swap = client.register_script(SWAP)
            while True:
                data = client.get(key)
                before = decoded(data)
                after = change(before)
                if after == before or swap(keys=[key], args=[data or b"", encoded(after)]):
                    return after

        return self._connection.run(run)


_STORED = {"live_number": "live", "published_through": "cursor", "published_id": "cursor_id", "location": "prefix"}
"""Fields that have another name in Redis: the names of earlier releases, which read the same states."""
_FIELDS = {stored: field for field, stored in _STORED.items()}


def decoded(data: Any) -> ViewState:
    """The state as it is kept; an empty one for None."""
    return ViewState() if data is None else msgspec.convert(_renamed(msgspec.json.decode(data), _FIELDS), ViewState)


def encoded(state: ViewState) -> bytes:
    """The state as Redis keeps it."""
    return msgspec.json.encode(_renamed(msgspec.to_builtins(state), _STORED))


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Plain data with other names of fields, in the same order."""
    if isinstance(value, dict):
        return {names.get(name, name): _renamed(each, names) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(each, names) for each in value]
    return value


def numbers(state: ViewState) -> dict[str, int]:
    """Prefix and number of every generation, complete or not."""
    return {each.location: each.number for each in state.generations} | {e.location: e.number for e in state.filling}
