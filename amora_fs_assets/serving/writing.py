"""The write routes: pushes in our form and Feast's, and loads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.time import utc
from amora_fs_assets.feature_store import FeatureStore
from amora_fs_assets.serving.asgi import Reply
from amora_fs_assets.serving.feast_rows import from_feast
from amora_fs_assets.serving.messages import (
    FeastPushRequest,
    Loaded,
    MaterializeIncrementalRequest,
    MaterializeRequest,
    Pushed,
    PushRequest,
    WriteRequest,
)
from amora_fs_assets.serving.pushed import from_json, number

_PUSHES_AT_ONCE = 4  # threads per worker, so that a push that waits for the offline store blocks no other request
# Numbers with a point become Decimals with all digits.
_decode = msgspec.json.Decoder(dict[str, Any], float_hook=number).decode
_decode_write = msgspec.json.Decoder(WriteRequest, float_hook=number).decode
_decode_load = msgspec.json.Decoder(MaterializeRequest).decode
_decode_incremental = msgspec.json.Decoder(MaterializeIncrementalRequest).decode


class Writing:
    """Writes to a store in threads of its own, so that reads go on."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._pushing = ThreadPoolExecutor(_PUSHES_AT_ONCE, "push")
        self._loading = ThreadPoolExecutor(1, "materialize")

    async def push(self, body: bytes) -> Reply:
        """`POST /push`: rows of a feature view, or Feast's body with a push source."""
        given = _decode(body)
        if "push_source_name" in given:
            return await _reply(self._pushing, self._push_source, msgspec.convert(given, FeastPushRequest))
        return await _reply(self._pushing, self._push, msgspec.convert(given, PushRequest))

    async def write(self, body: bytes) -> Reply:
        """`POST /write-to-online-store`: rows of a feature view, online only."""
        return await _reply(self._pushing, self._write, _decode_write(body))

    async def materialize(self, body: bytes) -> Reply:
        """`POST /materialize`: load a window, or everything. Loads run one after another."""
        return await _reply(self._loading, self._materialize, _decode_load(body))

    async def materialize_incremental(self, body: bytes) -> Reply:
        """`POST /materialize-incremental`: load what is new."""
        return await _reply(self._loading, self._materialize_incremental, _decode_incremental(body))

    def _push(self, body: PushRequest) -> Pushed:
        rows = from_json(self._store.served_view(body.feature_view), body.rows)
        return Pushed(len(rows), self._store.push(body.feature_view, rows, to_offline=body.to_offline))

    def _push_source(self, body: FeastPushRequest) -> Pushed:
        names = self._store.push_views(body.push_source_name)
        pushed = [self._columns(name, body.df, body.to) for name in names]
        return Pushed(pushed[0].rows, sum(each.newer for each in pushed))

    def _write(self, body: WriteRequest) -> Pushed:
        return self._columns(body.feature_view_name, body.df, "online")

    def _columns(self, name: str, df: dict[str, list[Any]], to: str) -> Pushed:
        columns = from_feast(self._store.served_view(name), df)
        newer = self._store.push(name, columns, to=to)
        return Pushed(max(map(len, columns.values()), default=0), newer)

    def _materialize(self, body: MaterializeRequest) -> Loaded:
        _refuse_version(body.version)
        if body.disable_event_timestamp:
            return _loaded(self._store.materialize_incremental(feature_views=body.feature_views, full=True))
        if body.start_ts is None or body.end_ts is None:
            raise InvalidRequest("Give start_ts and end_ts, or disable_event_timestamp to load all rows.")
        start, end = utc(body.start_ts, "start_ts"), utc(body.end_ts, "end_ts")
        return _loaded(self._store.materialize(start, end, feature_views=body.feature_views))

    def _materialize_incremental(self, body: MaterializeIncrementalRequest) -> Loaded:
        _refuse_version(body.version)
        end = None if body.end_ts is None else utc(body.end_ts, "end_ts")
        return _loaded(self._store.materialize_incremental(end, feature_views=body.feature_views))


async def _reply(pool: ThreadPoolExecutor, write: Callable[[Any], Pushed | Loaded], body: object) -> Reply:
    done = await asyncio.get_running_loop().run_in_executor(pool, write, body)
    return Reply(msgspec.json.encode(done))


def _refuse_version(version: str | None) -> None:
    if version is not None:
        raise InvalidRequest(f"version is {version!r}; feature views have no versions here. Leave it out.")


def _loaded(found: Any) -> Loaded:
    return Loaded({name: each.rows for name, each in found.items()})
