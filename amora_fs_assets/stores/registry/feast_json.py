"""The catalogue as Feast's RegistryProto, in the JSON form of Protocol Buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.entity import Entity
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP, PUSH_SOURCE
from amora_fs_assets.domain.places.place import Where
from amora_fs_assets.domain.records import Snapshot
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.settings import Settings
from amora_fs_assets.store_table import OFFLINE_STORES

# Feast has no date type; its own stores convert dates to timestamps.
_TYPES = {
    DataType.INT64: "INT64",
    DataType.FLOAT64: "DOUBLE",
    DataType.STRING: "STRING",
    DataType.BOOLEAN: "BOOL",
    DataType.BYTES: "BYTES",
    DataType.DATE: "UNIX_TIMESTAMP",
    DataType.TIMESTAMP: "UNIX_TIMESTAMP",
    DataType.DECIMAL: "DECIMAL",
    DataType.TIME: "STRING",
    DataType.UUID: "UUID",
    DataType.JSON: "JSON",
}
# Feast's own names for a view without an entity.
_DUMMY_ENTITY, _DUMMY_KEY = "__dummy", "__dummy_id"
_FILE = "feast.infra.offline_stores.file_source.FileSource"


def registry(catalogue: Catalogue, snapshot: Snapshot, settings: Settings) -> dict[str, Any]:
    """The whole registry; `versionId` is the snapshot's hash."""
    project, at = settings.project, {"lastUpdatedTimestamp": snapshot.applied_at.isoformat()}
    keys = {c.name: c for view in catalogue.feature_views.values() for c in view.key_columns}
    entities = [spec for each in catalogue.entities.values() for spec in _entities(each, keys)]
    if any(not view.entities for view in catalogue.feature_views.values()):
        entities.append({"name": _DUMMY_ENTITY, "joinKey": _DUMMY_KEY, "valueType": "STRING"})
    views = [_view(view, settings) for view in catalogue.feature_views.values()]
    sources = [_source(source, settings) for source in catalogue.sources.values()]
    batches = [spec["batchSource"] for spec in views]
    pushes = {spec["streamSource"]["name"]: spec["streamSource"] for spec in views if "streamSource" in spec}
    pushes = {
        name: spec for name, spec in pushes.items() if name not in {each["name"] for each in (*sources, *batches)}
    }
    services = [_service(service) for service in catalogue.feature_services.values()]
    return {
        "registrySchemaVersion": "1",
        "versionId": snapshot.hash,
        "lastUpdated": snapshot.applied_at.isoformat(),
        "projects": [{"spec": {"name": project}, "meta": at}],
        "entities": [{"spec": {"project": project, **spec}, "meta": at} for spec in entities],
        "dataSources": [{"project": project, **spec} for spec in (*sources, *batches, *pushes.values())],
        "featureViews": [{"spec": {"project": project, **spec}, "meta": at} for spec in views],
        "featureServices": [{"spec": {"project": project, **spec}, "meta": at} for spec in services],
    }


def _entities(entity: Entity, keys: Mapping[str, Column]) -> Iterator[dict[str, Any]]:
    """A Feast entity has one join key, so an entity with several keys becomes several Feast entities."""
    for key in entity.join_keys:
        yield {
            "name": _entity_name(entity, key),
            "joinKey": key,
            "valueType": _TYPES[keys[key].type] if key in keys else "STRING",
            "description": entity.description,
            "tags": dict(entity.tags),
        }


def _entity_name(entity: Entity, key: str) -> str:
    return entity.name if len(entity.join_keys) == 1 else f"{entity.name}__{key}"


def _view(view: FeatureView, settings: Settings) -> dict[str, Any]:
    keys = [_column(column) for column in view.key_columns]
    batch = {**_batch_source(view, settings), "description": view.description, "owner": view.owner}
    return {
        "name": view.name,
        "entities": [_entity_name(e, key) for e in view.entities for key in e.join_keys] or [_DUMMY_ENTITY],
        "entityColumns": keys or [{"name": _DUMMY_KEY, "valueType": "STRING"}],
        "features": [_column(column) for column in view.features],
        "ttl": _ttl(view),
        "online": True,
        "offline": True,
        "description": view.description,
        "owner": view.owner,
        "tags": dict(view.tags),
        "batchSource": batch,
        **({"streamSource": _push_source(view.tags[PUSH_SOURCE], batch)} if PUSH_SOURCE in view.tags else {}),
    }


def _push_source(name: str, batch: dict[str, Any]) -> dict[str, Any]:
    """Feast's client then takes `store.push(name, ...)`, and writes the rows to all views with the tag."""
    class_ = "feast.data_source.PushSource"
    return {"name": name, "type": "PUSH_SOURCE", "dataSourceClassType": class_, "batchSource": batch}


def file_of(view: str, settings: Settings) -> Path:
    """The Parquet file of a view for Feast, if Feast cannot read the offline store itself."""
    return settings.home / "feast" / f"{view}.parquet"


def _batch_source(view: FeatureView, settings: Settings) -> dict[str, Any]:
    """The view's rows: an exported file with our names of the times, or the table with its own."""
    store = OFFLINE_STORES[settings.offline_store]
    created = CREATED_TIMESTAMP if view.has_created_timestamp else ""
    times = {"timestampField": EVENT_TIMESTAMP, "createdTimestampColumn": created}
    if not store.feast_source:
        return {"name": view.name, **_file(str(file_of(view.name, settings))), **times}
    if view.has_valid_to and not view.path:
        return {"name": view.name, **store.load("feast_source")(view.where, settings, view), **times}
    where = Where(f"{settings.dataset}.{view.name}") if view.place is None else view.place.where
    created = view.created_timestamp_column if view.has_created_timestamp else ""
    return {
        "name": view.name,
        **_rows(view.name, where, settings),
        "timestampField": view.timestamp_field,
        "createdTimestampColumn": created,
    }


def _source(source: Source, settings: Settings) -> dict[str, Any]:
    return {
        "name": source.name,
        **_rows(source.name, source.place.where, settings),
        "timestampField": source.place.stored_name(source.timestamp_field or ""),
        "createdTimestampColumn": source.place.stored_name(source.available_at or ""),
        "description": source.description,
        "owner": source.owner,
        "tags": dict(source.tags),
    }


def _rows(name: str, where: Where, settings: Settings) -> dict[str, Any]:
    row = OFFLINE_STORES[settings.offline_store]
    mapping = {"fieldMapping": dict(where.field_mapping)} if where.field_mapping else {}
    if where.path:
        return {**_file(where.path), **mapping}
    if row.feast_source:
        return {**row.load("feast_source")(where, settings), **mapping}
    return _file(str(file_of(name, settings)))


def _file(path: str) -> dict[str, Any]:
    """A plain path: Feast's DuckDB store does not read `file://`."""
    return {
        "type": "BATCH_FILE",
        "dataSourceClassType": _FILE,
        "fileOptions": {"uri": path, "fileFormat": {"parquetFormat": {}}},
    }


def _service(service: FeatureService) -> dict[str, Any]:
    # Feast sorts the projections of a view by alias, and cannot compare an alias with none.
    aliased = {part.view.name for part in service.projections if part.name_alias}
    return {
        "name": service.name,
        "description": service.description,
        "owner": service.owner,
        "tags": {**service.tags, "amora_fs_version": service.version, **_on_demand(service)},
        "features": [
            {
                "featureViewName": part.view.name,
                "featureViewNameAlias": part.name_alias or (part.view.name if part.view.name in aliased else ""),
                "featureColumns": [_column(column) for column in part.columns],
                "joinKeyMap": dict(part.join_key_map),
            }
            for part in service.projections
        ],
    }


def _on_demand(service: FeatureService) -> dict[str, str]:
    """The on-demand features, as a tag: in Feast's registry such a view is a pickled Python function, and ours is data.

    Our server computes them, also for Feast's client.
    """
    names = [f"{part.name}:{feature}" for part in service.on_demand for feature in part.features]
    return {"amora_fs_on_demand": ",".join(names)} if names else {}


def _column(column: Column) -> dict[str, Any]:
    item = column.type.item
    value_type = "MAP" if item.is_map else "STRUCT" if item.is_struct else _TYPES[item]
    value_type += "_LIST" if column.type.is_list else ""
    return {"name": column.name, "valueType": value_type, "description": column.description, "tags": dict(column.tags)}


def _ttl(view: FeatureView) -> str:
    """The ttl in Feast's form. Zero means no limit in Feast, so a ttl of zero becomes the least positive duration."""
    return "0s" if view.ttl is None else f"{max(view.ttl.total_seconds(), 1e-6):.6f}s"
