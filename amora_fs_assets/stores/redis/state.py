"""The state of a view in Redis: one JSON string, read as a whole, changed by compare-and-swap."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
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
        """The Redis key of the view's state."""
        return state_name(self.project, name)

    def read(self, name: str) -> ViewState:
        """The view's state; an empty one if the view was never loaded."""
        return decoded(self._connection.run(lambda client: client.get(self.key(name))))

    def written(self, name: str) -> frozenset[str]:
        """Ids of publications that were noted with `note_written` and not removed since."""
        key = written_name(self.project, name)
        found: Any = self._connection.run(lambda client: client.smembers(key))
        return frozenset(each.decode() for each in found)

    def note_written(self, name: str, publication_id: str) -> None:
        """Note a publication before its rows are written. A publication of an earlier release has no id to note."""
        key = written_name(self.project, name)
        if publication_id:
            self._connection.run(lambda client: client.sadd(key, publication_id))

    def forget_written(self, name: str, ids: Collection[str]) -> None:
        """Remove the ids of publications that a load has compared with the offline store's."""
        key = written_name(self.project, name)
        if ids:
            self._connection.run(lambda client: client.srem(key, *ids))

    def remove(self, name: str) -> None:
        """Remove the view's state, and the noted publications."""
        for key in (self.key(name), written_name(self.project, name)):  # on a cluster, keys of two nodes
            self._connection.run(partial(_delete, key=key))

    def change(self, name: str, change: Change) -> ViewState:
        """Change the state by compare-and-swap, and return the new state. `change` may run more than once."""
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


def _delete(client: Any, key: str) -> None:
    client.delete(key)


_STORED = {"live_number": "live", "published_through": "cursor", "published_id": "cursor_id", "location": "prefix"}
"""Fields with another name in Redis: earlier releases, which read the same states, use these names."""
_FIELDS = {stored: field for field, stored in _STORED.items()}


def decoded(data: Any) -> ViewState:
    """Decode a stored state; an empty state for None."""
    return ViewState() if data is None else msgspec.convert(_renamed(msgspec.json.decode(data), _FIELDS), ViewState)


def encoded(state: ViewState) -> bytes:
    """Encode the state for Redis."""
    return msgspec.json.encode(_renamed(msgspec.to_builtins(state), _STORED))


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Plain data with other names of fields, in the same order."""
    if isinstance(value, dict):
        return {names.get(name, name): _renamed(each, names) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(each, names) for each in value]
    return value


def numbers(state: ViewState) -> dict[str, int]:
    """The number of every generation by its location, complete or not."""
    return {each.location: each.number for each in state.generations} | {e.location: e.number for e in state.filling}
