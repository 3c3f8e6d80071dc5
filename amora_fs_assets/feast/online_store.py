"""The online store for Feast: reads our rows with our statuses and times, and writes as pushes.

Feast's own `redis` store cannot read them. With this store, `store.get_online_features` of a Feast client and
`feast serve` return our values.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from feast.infra.online_stores.online_store import OnlineStore as FeastOnlineStore
from feast.infra.supported_async_methods import SupportedAsyncMethods
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus, GetOnlineFeaturesResponse
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ConfigDict

from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.feast.values import to_feast, to_python
from amora_fs_assets.feature_store import FeatureStore
from amora_fs_assets.operations.online.read import OnlineResponse
from amora_fs_assets.serving.feast_rows import from_feast
from amora_fs_assets.settings import PREFIX, Settings

_REGISTRY = "/registry.db"


class OnlineStoreConfig(FeastConfigBaseModel):
    """The section `online_store` of feature_store.yaml. Each other key is a setting, as `home` for `AMORA_FS_HOME`."""

    model_config = ConfigDict(extra="allow")

    type: Literal["amora_fs_assets.feast.OnlineStore"] = "amora_fs_assets.feast.OnlineStore"


class OnlineStore(FeastOnlineStore):
    """Reads our online rows for Feast, and writes as pushes.

    The settings are the environment's, then those of feature_store.yaml. `project` is Feast's project, and `registry`
    the folder of Feast's registry.db, unless they are set.
    """

    _versioned_read_supported = False  # otherwise Feast imports all its stores to find out

    def __init__(self) -> None:
        self._opened: FeatureStore | None = None

    @property
    def async_supported(self) -> SupportedAsyncMethods:
        """Reads do not block the event loop."""
        return SupportedAsyncMethods(read=True)

    def store(self, config: RepoConfig) -> FeatureStore:
        """The feature store behind this store. Raises SettingsError."""
        if self._opened is None:
            self._opened = FeatureStore(Settings.from_env(_environment(config)))
        return self._opened

    def online_read(
        self,
        config: RepoConfig,
        table: Any,
        entity_keys: Sequence[Any],
        requested_features: Sequence[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Any] | None]]:
        """For each entity key the time and the values of its row; (None, None) without a row within the ttl."""
        store, names = self.store(config), requested_features or [feature.name for feature in table.features]
        keys = [dict(zip(each.join_keys, map(to_python, each.entity_values), strict=True)) for each in entity_keys]
        view = store.served_view(table.name)
        columns = {key: [each.get(key) for each in keys] for key in view.join_keys} or {"row": [None] * len(keys)}
        response = store.get_online_features(view[tuple(names)], columns)
        found: list[tuple[datetime | None, dict[str, Any] | None]] = []
        values = {name: _values(response, name)[0] for name in names}
        for row in range(len(keys)):
            if all(response.statuses[name][row] in {"NOT_FOUND", "OUTSIDE_MAX_AGE"} for name in names):
                found.append((None, None))
            else:
                times = (response.event_timestamps[name][row] for name in names)
                found.append((next(filter(None, times)), {name: values[name][row] for name in names}))
        return found

    def _read_features_per_fv(
        self,
        config: RepoConfig,
        grouped_refs: Any,
        join_key_values: Mapping[str, Sequence[Any]],
        entity_name_to_join_key_map: object,  # noqa: ARG002  (our keys are columns, not entities)
        online_features_response: Any,
        full_feature_names: bool,  # noqa: FBT001
        include_feature_view_version_metadata: bool,  # noqa: FBT001
    ) -> None:
        """Read all views in one round trip, and add values, statuses and times to Feast's response."""
        store = self.store(config)
        response = store.get_online_features(*_request(store, grouped_refs, join_key_values), full_feature_names=True)
        _answer(response, grouped_refs, online_features_response, full_feature_names)
        if include_feature_view_version_metadata:
            _versions(grouped_refs, online_features_response)

    async def _read_features_per_fv_async(
        self,
        config: RepoConfig,
        grouped_refs: Any,
        join_key_values: Mapping[str, Sequence[Any]],
        entity_name_to_join_key_map: object,  # noqa: ARG002
        online_features_response: Any,
        full_feature_names: bool,  # noqa: FBT001
        include_feature_view_version_metadata: bool,  # noqa: FBT001
    ) -> None:
        """As `_read_features_per_fv`, without blocking the event loop."""
        store = self.store(config)
        request = await asyncio.to_thread(_request, store, grouped_refs, join_key_values)  # may read the registry
        response = await store.get_online_features_async(*request, full_feature_names=True)
        _answer(response, grouped_refs, online_features_response, full_feature_names)
        if include_feature_view_version_metadata:
            _versions(grouped_refs, online_features_response)

    def online_write_batch(
        self,
        config: RepoConfig,
        table: Any,
        data: Sequence[tuple[Any, Mapping[str, Any], datetime, datetime | None]],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Push the rows, online only: they yield to rows of our own loads that are as new. Raises ChecksFailed."""
        store, rows = self.store(config), []
        for key, features, event, created in data:
            keys = dict(zip(key.join_keys, map(to_python, key.entity_values), strict=True))
            values = {name: to_python(value) for name, value in features.items()}
            rows.append({**keys, **values, "event_timestamp": event, "created": created})
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: [row.get(name) for row in rows] for name in names}
        store.push(table.name, from_feast(store.served_view(table.name), columns), to="online")
        if progress is not None:
            progress(len(data))

    def update(self, *_: Any, **__: Any) -> None:
        """Nothing: `amora-fs apply` applies definitions."""

    def teardown(self, *_: Any, **__: Any) -> None:
        """Nothing: Feast does not own these rows."""

    async def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.close_async()


def _environment(config: RepoConfig) -> dict[str, str]:
    """The environment, with the settings that feature_store.yaml implies and has."""
    path = str(config.registry.path)
    implied = {"project": config.project} | ({"registry": path[: -len(_REGISTRY)]} if path.endswith(_REGISTRY) else {})
    names = {f"{PREFIX}{name.upper()}": str(value) for name, value in implied.items()}
    given = {f"{PREFIX}{name.upper()}": str(value) for name, value in (config.online_store.model_extra or {}).items()}
    return {**names, **os.environ, **given}


def _request(
    store: FeatureStore, grouped_refs: Any, join_key_values: Mapping[str, Sequence[Any]]
) -> tuple[FeatureService, dict[str, list[Any]]]:
    """Feast's request as a service whose views are called v0, v1, ..., and the keys of each view by column.

    Raises InvalidRequest for a missing join key, and NotFound errors.
    """
    parts: list[FeatureViewProjection] = []
    columns: dict[str, list[Any]] = {}
    for number, (table, features) in enumerate(grouped_refs):
        view = store.served_view(table.projection.name)
        for key in view.join_keys:
            given = table.projection.join_key_map.get(key, key)
            if given not in join_key_values:
                raise InvalidRequest(f"entity_rows lack join key '{given}' of {view}.")
            columns[f"v{number}_{key}"] = list(map(to_python, join_key_values[given]))
        parts.append(view[tuple(features)].alias(f"v{number}", {key: f"v{number}_{key}" for key in view.join_keys}))
    count = max(map(len, join_key_values.values()), default=1)
    return FeatureService("feast", parts), {**columns, "rows": [None] * count}


def _answer(response: OnlineResponse, grouped_refs: Any, proto: Any, full_feature_names: bool) -> None:  # noqa: FBT001
    """Add the values, statuses and times to Feast's response."""
    for number, (table, features) in enumerate(grouped_refs):
        for feature in features:
            values, statuses = _values(response, f"v{number}__{feature}")
            vector = GetOnlineFeaturesResponse.FeatureVector(
                values=values,
                statuses=[FieldStatus.Value(status) for status in statuses],
                event_timestamps=[_timestamp(time) for time in response.event_timestamps[f"v{number}__{feature}"]],
            )
            proto.results.append(vector)
            name = f"{table.projection.name_to_use()}__{feature}" if full_feature_names else feature
            proto.metadata.feature_names.val.append(name)


def _versions(grouped_refs: Any, proto: Any) -> None:
    """Add the version of each view, always 0."""
    for name in dict.fromkeys(table.projection.name_to_use() for table, _ in grouped_refs):
        proto.metadata.feature_view_metadata.add().name = name


def _timestamp(time: datetime | None) -> Any:
    found = Timestamp()
    if time is not None:
        found.FromDatetime(time)
    return found


def _values(response: OnlineResponse, name: str) -> tuple[list[Any], Sequence[str]]:
    """A feature's values in Feast's form, with their statuses. A list that Feast cannot hold is a NULL_VALUE."""
    type_ = response.types[name]
    values = [to_feast(type_, value) for value in response.columns[name]]
    both = zip(values, response.statuses[name], strict=True)
    lost = [value.WhichOneof("val") is None and status == "PRESENT" for value, status in both]
    statuses = ["NULL_VALUE" if gone else status for gone, status in zip(lost, response.statuses[name], strict=True)]
    return values, statuses
