"""The online store: one string per view and entity, in Redis or Valkey.

<project>:<view>            the view's ViewState, as JSON (see state.py)
<project>:<view>:_written   ids of publications whose rows may be online (see docs/protocol.md, "Loads")
<prefix><key>               a row (see row_codec.py, keys.py); each generation has its own prefix
amora_fs:prefixes           the counter of prefixes, shared by all projects of the server
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from amora_fs_assets.domain.errors import InvalidRequest, OnlineStoreError, SettingsError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.generations import in_types_of, no_rows, serves
from amora_fs_assets.domain.ports.online import Generation, OnlineRequest, OnlineRows, ViewState
from amora_fs_assets.stores.embedded.server import EmbeddedServer
from amora_fs_assets.stores.redis.connection import Connection
from amora_fs_assets.stores.redis.generations import RedisGenerations
from amora_fs_assets.stores.redis.keys import namer
from amora_fs_assets.stores.redis.row_codec import Decoder, encode_part
from amora_fs_assets.stores.redis.state import Change, decoded

POINTER_TRUSTED = 0.5
"""The time for which a reader trusts its view of the live generation [s]. The check is part of a read's round trip."""


def _connection(url: str, server: EmbeddedServer | None, ca: str) -> Connection:
    """The connection to the server or cluster of the URL, or to the embedded server. Raises SettingsError."""
    scheme = urlsplit(url).scheme
    if ca and not scheme.startswith("rediss"):
        raise SettingsError(
            f"AMORA_FS_ONLINE_STORE_CA is for TLS, but AMORA_FS_ONLINE_STORE_URL begins with {scheme}://. "
            "Use rediss:// or rediss+cluster://, or unset AMORA_FS_ONLINE_STORE_CA."
        )
    if ca and not Path(ca).is_file():
        raise SettingsError(f"AMORA_FS_ONLINE_STORE_CA is {ca}, but there is no such file.")
    if scheme.endswith("+cluster"):
        from amora_fs_assets.stores.redis.cluster import ClusterConnection

        return ClusterConnection(url=url, ca=ca)
    return Connection(url=url, server=server, ca=ca)


@dataclass(slots=True)
class _Pointer:
    """A reader's cached state of a view."""

    checked: float  # time.monotonic()
    data: bytes | None
    generation: Generation | None
    named: Callable[[Iterable[bytes]], list[bytes]]  # gives the Redis keys of packed join keys
    decode: Decoder | None


class RedisOnlineStore(RedisGenerations):
    """OnlineStore over redis-py. One pool of connections, shared by threads."""

    def __init__(self, *, project: str, url: str = "", server: EmbeddedServer | None = None, ca: str = "") -> None:
        """Raise SettingsError for an invalid URL, and for a missing file `ca`."""
        super().__init__(_connection(url, server, ca), project)
        self._pointers: dict[str, _Pointer] = {}

    def read(self, requests: Sequence[OnlineRequest], *, timeout: float | None = None) -> list[OnlineRows]:
        """The rows of each request, in one round trip; see OnlineStore."""
        until = None if timeout is None else time.monotonic() + timeout
        self._learn([request.view for request in requests], until)
        while True:
            reading = _Reading(self, requests)
            found = self._connection.mget(reading.wanted, until) if reading.wanted else []
            if reading.still_holds(found):
                return reading.rows(found)

    async def read_async(self, requests: Sequence[OnlineRequest], *, timeout: float | None = None) -> list[OnlineRows]:
        """As `read`."""
        until = None if timeout is None else time.monotonic() + timeout
        unknown = [r.view.name for r in requests if r.view.name not in self._pointers]
        if unknown:
            found = await self._connection.mget_async([self._states.key(name) for name in unknown], until)
            for name, data in zip(unknown, found, strict=True):
                self._note(name, data)
        while True:
            reading = _Reading(self, requests)
            found = await self._connection.mget_async(reading.wanted, until) if reading.wanted else []
            if reading.still_holds(found):
                return reading.rows(found)

    def close(self) -> None:
        """Close the connections, and release the lease on the embedded server."""
        self._connection.close()

    async def close_async(self) -> None:
        """Close the connections of the running event loop."""
        await self._connection.close_async()

    def _change(self, name: str, change: Change) -> ViewState:
        """Change the state, and let this process see the change at once."""
        try:
            return super()._change(name, change)
        finally:
            if name in self._pointers:
                self._pointers[name].checked = -POINTER_TRUSTED

    def _learn(self, views: Sequence[FeatureView], until: float | None) -> None:
        unknown = [view.name for view in views if view.name not in self._pointers]
        if unknown:
            found = self._connection.mget([self._states.key(name) for name in unknown], until)
            for name, data in zip(unknown, found, strict=True):
                self._note(name, data)

    def _note(self, name: str, data: bytes | None) -> None:
        state = decoded(data)
        live = state.live
        if live is None and state.live_number:
            raise OnlineStoreError(
                f"Feature view '{name}': Redis points at generation {state.live_number}, which is missing. "
                f"Load the view again: `amora-fs materialize-incremental --full --feature-views {name}`."
            )
        self._pointers[name] = _Pointer(
            time.monotonic(), data, live, namer(live.location if live else ""),
            Decoder(live.features, live.schema_hash) if live else None,
        )  # fmt: skip


class _Reading:
    """One MGET: the requests' rows and, if not checked lately, the views' states."""

    def __init__(self, store: RedisOnlineStore, requests: Sequence[OnlineRequest]) -> None:
        self._store = store
        self._requests = requests
        known = store._pointers  # noqa: SLF001
        self._pointers = [known[request.view.name] for request in requests]
        self._columns: dict[int, list[Any]] = {}
        self.wanted: list[bytes | str] = []
        self._served = [
            serves(pointer.generation, request.view) for request, pointer in zip(requests, self._pointers, strict=True)
        ]
        self._places = [self._want(*each) for each in zip(requests, self._pointers, self._served, strict=True)]
        self._rows = len(self.wanted)
        self._stale: list[str] = []
        trusted = time.monotonic() - POINTER_TRUSTED
        for request, pointer, served in zip(requests, self._pointers, self._served, strict=True):
            # Cached state alone is no reason to report missing rows, so it is checked again.
            if (pointer.checked < trusted or not served) and request.view.name not in self._stale:
                self._stale.append(request.view.name)
                self.wanted.append(store._states.key(request.view.name))  # noqa: SLF001

    def _want(self, request: OnlineRequest, pointer: _Pointer, served: bool) -> list[int | None] | slice:  # noqa: FBT001
        start = len(self.wanted)
        if not served:
            return [None] * request.count
        if not request.keys:
            self.wanted += pointer.named([b""])
            return [start] * request.count
        parts = [self._encoded(column) for column in request.keys]
        if not any(None in column for column in parts):
            self.wanted += pointer.named(parts[0] if len(parts) == 1 else map(b"".join, zip(*parts, strict=True)))
            return slice(start, len(self.wanted))
        keys = [None if None in key else b"".join(key) for key in zip(*parts, strict=True)]
        self.wanted += pointer.named(key for key in keys if key is not None)
        places = iter(range(start, len(self.wanted)))
        return [None if key is None else next(places) for key in keys]

    def _encoded(self, column: Sequence[Any]) -> list[Any]:
        """A column of join keys as bytes, encoded once for all views that share the column."""
        known = self._columns.get(id(column))
        if known is None:
            try:
                if None in column:
                    known = [None if value is None else encode_part(value) for value in column]
                else:
                    known = list(map(encode_part, column))
            except UnicodeEncodeError as error:
                raise InvalidRequest(f"A join key is not valid Unicode: {error}. Remove lone surrogates.") from error
            self._columns[id(column)] = known
        return known

    def still_holds(self, found: Sequence[bytes | None]) -> bool:
        """Whether the generations that were read are still the live ones."""
        if not self._stale:
            return True
        changed, now = False, time.monotonic()
        for name, data in zip(self._stale, found[self._rows :], strict=True):
            pointer = self._store._pointers[name]  # noqa: SLF001
            if pointer.data == data:
                pointer.checked = now
            else:
                self._store._note(name, data)  # noqa: SLF001
                changed = True
        return not changed

    def rows(self, found: list[bytes | None]) -> list[OnlineRows]:
        """The rows of each request."""
        answers = []
        for request, pointer, places, served in zip(
            self._requests, self._pointers, self._places, self._served, strict=True
        ):
            if not served:
                answers.append(no_rows(request.view, request.count, pointer.generation))
                continue
            generation, decode = pointer.generation, pointer.decode
            assert generation is not None and decode is not None, "the generation serves the view"  # noqa: PT018
            if isinstance(places, slice):
                rows = decode(found[places])
            else:
                rows = decode([None if place is None else found[place] for place in places])
            answers.append(in_types_of(request.view, rows, generation))
        return answers
