"""The catalogue's JSON form: definitions to plain data, and plain data to definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from amora_fs_assets.domain.column import Column, Rule
from amora_fs_assets.domain.entity import Entity
from amora_fs_assets.domain.errors import DefinitionError, RegistryCorrupt
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.meaning import Meaning
from amora_fs_assets.domain.names import CREATED_TIMESTAMP
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.places import place
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.request_time.formula import Formula
from amora_fs_assets.domain.rules.gate import Gate
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.training_set import TrainingSet
from amora_fs_assets.domain.types import DataType

_Read = TypeVar("_Read")


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type.value,
        "nullable": column.nullable,
        "description": column.description,
        "rules": [{"name": rule.name, "arguments": dict(rule.arguments)} for rule in column.rules],
        **_tags(column),
    }


def _tags(tagged: Column | Entity | Source) -> dict[str, Any]:
    """The tags. Left out if there are none, so that the hashes of definitions of earlier releases stay."""
    return {"tags": dict(tagged.tags)} if tagged.tags else {}


def entity(entity: Entity) -> dict[str, Any]:
    """The entity as plain data."""
    return {
        "name": entity.name,
        "join_keys": list(entity.join_keys),
        "description": entity.description,
        **_tags(entity),
    }


def source(source: Source) -> dict[str, Any]:
    """The source as plain data."""
    return {
        "name": source.name,
        "table": source.table,
        "timestamp_field": source.timestamp_field,
        "available_at": source.available_at,
        # Left out if None, so that the hashes of sources without max_lateness stay the same as in earlier releases.
        **({} if source.max_lateness is None else {"max_lateness_seconds": _seconds(source.max_lateness)}),
        "valid_from": source.valid_from.isoformat() if source.valid_from else None,
        **place.to_plain(source.where),
        **_asset(source),
        "description": source.description,
        "owner": source.owner,
        "columns": [_column(each) for each in source.columns],
        **_tags(source),
        **({} if source.loader_hash is None else {"loader": source.loader_hash}),
    }


def feature_view(view: FeatureView) -> dict[str, Any]:
    """The feature view as plain data; entities and sources by name."""
    return {
        "name": view.name,
        "entities": [entity.name for entity in view.entities],
        "sources": [source.name for source in view.sources],
        "table": view.table,
        "timestamp_field": view.timestamp_field,
        "ttl_seconds": _seconds(view.ttl),
        "partitions": view.partitions.value if view.partitions else None,
        "start": view.start.isoformat() if view.start else None,
        "lookback_seconds": _seconds(view.lookback),
        "table_partitions": view.table_partitions.value,
        "description": view.description,
        "owner": view.owner,
        "tags": dict(view.tags),
        "code_hash": view.code_hash,
        "columns": [_column(each) for each in view.columns],
        **place.to_plain(view.where),
        **_times(view),
        **_asset(view),
        **_meaning(view),
    }


def _asset(definition: Source | FeatureView) -> dict[str, Any]:
    """The asset that fills the table. Left out if none is named, so that the hashes of such definitions stay."""
    return {"asset": list(definition.asset)} if definition.asset else {}


def _times(view: FeatureView) -> dict[str, Any]:
    """The columns with the times at which rows became known and end. Left out if they are the defaults."""
    name, ends = view.created_timestamp_column, view.valid_to_field
    created = {} if name == CREATED_TIMESTAMP else {"created_timestamp_column": name}
    return created if ends is None else {**created, "valid_to_field": ends}


def gates(views: Mapping[str, FeatureView]) -> dict[str, Any]:
    """The views' gates by name. Not compared: gates follow from the definitions and the release."""
    return {name: view.gate.to_plain() for name, view in views.items() if view.gate is not None}


def _meaning(definition: FeatureView | TrainingSet) -> dict[str, Any]:
    """Empty if a release before meanings applied the definition: its JSON form and its hash stay the same."""
    return {} if definition.meaning is None else {"meaning": definition.meaning.to_plain()}


def _projection(projection: FeatureViewProjection) -> dict[str, Any]:
    return {
        "view": projection.view.name,
        "features": list(projection.features),
        "alias": projection.name_alias,
        "join_keys": dict(projection.join_key_map),
    }


def on_demand_feature_view(view: OnDemandFeatureView) -> dict[str, Any]:
    """The on-demand feature view as plain data; views by name."""
    return {
        "name": view.name,
        "inputs": [_projection(part) for part in view.inputs],
        "request": [_column(each) for each in view.request],
        "columns": [{**_column(each), "formula": deepcopy(view.formulas[each.name].plain)} for each in view.features],
        "description": view.description,
        "owner": view.owner,
        "tags": dict(view.tags),
    }


def feature_service(service: FeatureService) -> dict[str, Any]:
    """The feature service as plain data; views by name."""
    return {
        "name": service.name,
        "version": service.version,
        "features": [_projection(projection) for projection in service.projections],
        **_on_demand(service),
        "description": service.description,
        "owner": service.owner,
        "tags": dict(service.tags),
    }


def _on_demand(service: FeatureService) -> dict[str, Any]:
    """The features of on-demand views. Left out without any, so that the hashes of such services stay."""
    parts = [{"view": part.view.name, "features": list(part.features)} for part in service.on_demand]
    return {"on_demand": parts} if parts else {}


def training_set(each: TrainingSet) -> dict[str, Any]:
    """The training set as plain data; service and sources by name."""
    return {
        "name": each.name,
        "service": each.service.name,
        "sources": [source.name for source in each.sources],
        "description": each.description,
        "owner": each.owner,
        "tags": dict(each.tags),
        "known_time": each.known_time,
        "code_hash": each.code_hash,
        **_meaning(each),
    }


def _read_columns(plain: list[dict[str, Any]]) -> tuple[Column, ...]:
    return tuple(
        Column(
            each["name"],
            DataType(each["type"]),
            each["nullable"],
            each["description"],
            tuple(Rule(rule["name"], rule["arguments"]) for rule in each["rules"]),
            each.get("tags", {}),
        )
        for each in plain
    )


def read(plain: Mapping[str, Any], view_ids: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """Read the definitions by kind (an attribute of Catalogue) and name, the views with their `view_ids`.

    Raises RegistryCorrupt, which names the malformed definition.
    """
    entities = {e["name"]: _named("Entity", e, _entity) for e in plain["entities"]}
    sources = {s["name"]: _named("Source", s, _source) for s in plain["sources"]}
    views: dict[str, FeatureView] = {}
    pending = list(plain["feature_views"])
    while pending:
        ready = [v for v in pending if all(name in sources or name in views for name in v["sources"])]
        if not ready:
            raise RegistryCorrupt(
                f"Feature view '{pending[0]['name']}' reads a source or view that is not in the registry."
            )
        for v in ready:
            view_id = view_ids.get(v["name"], "")
            read_one = partial(
                _view, entities=entities, readable={**sources, **views}, catalogue=plain, view_id=view_id
            )
            views[v["name"]] = _named("Feature view", v, read_one)
        pending = [v for v in pending if v["name"] not in views]
    views = {v["name"]: views[v["name"]] for v in plain["feature_views"]}
    computed = {
        v["name"]: _named("On-demand feature view", v, lambda v: _on_demand_view(v, views))
        for v in plain.get("on_demand_feature_views", ())
    }
    services = {
        s["name"]: _named("Feature service", s, lambda s: _service(s, views, computed))
        for s in plain["feature_services"]
    }
    readable: dict[str, Source | FeatureView] = {**views, **sources}
    training_sets = {
        t["name"]: _named("Training set", t, lambda t: _training_set(t, {**views, **computed}, services, readable))
        for t in plain["training_sets"]
    }
    return {
        "entities": entities,
        "sources": sources,
        "feature_views": views,
        "on_demand_feature_views": computed,
        "feature_services": services,
        "training_sets": training_sets,
    }


def _named(kind: str, plain: Mapping[str, Any], read: Callable[[Mapping[str, Any]], _Read]) -> _Read:
    try:
        return read(plain)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, DefinitionError) as error:
        reason = str(error) if isinstance(error, DefinitionError) else repr(error)
        raise RegistryCorrupt(f"{kind} '{plain['name']}' cannot be read: {reason}") from error


def _entity(plain: Mapping[str, Any]) -> Entity:
    return Entity(plain["name"], plain["join_keys"], plain["description"], plain.get("tags"))


def _source(plain: Mapping[str, Any]) -> Source:
    return Source(
        plain["name"],
        _read_columns(plain["columns"]),
        timestamp_field=plain["timestamp_field"],
        available_at=plain["available_at"],
        valid_from=plain["valid_from"],
        description=plain["description"],
        owner=plain["owner"],
        **place.of_plain(plain),
        max_lateness=_duration(plain.get("max_lateness_seconds")),
        asset=plain.get("asset", ()),
        tags=plain.get("tags"),
        applied_loader=plain.get("loader"),
    )


def _view(
    plain: Mapping[str, Any],
    entities: Mapping[str, Entity],
    readable: Mapping[str, Source | FeatureView],
    catalogue: Mapping[str, Any],
    view_id: str,
) -> FeatureView:
    return read_view(plain, entities, readable, Gate.read(catalogue.get("gates", {}).get(plain["name"])), view_id)


def _read_projection(plain: Mapping[str, Any], views: Mapping[str, FeatureView]) -> FeatureViewProjection:
    return FeatureViewProjection(views[plain["view"]], tuple(plain["features"]), plain["alias"], plain["join_keys"])


def _on_demand_view(plain: Mapping[str, Any], views: Mapping[str, FeatureView]) -> OnDemandFeatureView:
    return OnDemandFeatureView.applied(
        name=plain["name"],
        inputs=tuple(_read_projection(each, views) for each in plain["inputs"]),
        request=_read_columns(plain["request"]),
        features=_read_columns(plain["columns"]),
        formulas={each["name"]: Formula.from_plain(each["formula"]) for each in plain["columns"]},
        description=plain["description"],
        owner=plain["owner"],
        tags=plain["tags"],
    )


def _service(
    plain: Mapping[str, Any], views: Mapping[str, FeatureView], computed: Mapping[str, OnDemandFeatureView]
) -> FeatureService:
    return FeatureService.applied(
        plain["name"],
        [_read_projection(each, views) for each in plain["features"]],
        plain["description"],
        plain["owner"],
        plain["tags"],
        on_demand=[computed[each["view"]][tuple(each["features"])] for each in plain.get("on_demand", ())],
    )


def _training_set(
    plain: Mapping[str, Any],
    views: Mapping[str, FeatureView | OnDemandFeatureView],
    services: Mapping[str, FeatureService],
    readable: Mapping[str, Source | FeatureView],
) -> TrainingSet:
    return TrainingSet(
        plain["name"],
        services.get(plain["service"]) or views[plain["service"]],
        [readable[name] for name in plain["sources"]],
        description=plain["description"],
        owner=plain["owner"],
        tags=plain["tags"],
        known_time=plain.get("known_time", False),
        code_hash=plain["code_hash"],
        applied_meaning=Meaning.of_plain(plain.get("meaning")),
    )


def read_view(
    plain: Mapping[str, Any],
    entities: Mapping[str, Entity],
    readable: Mapping[str, Source | FeatureView],
    gate: Gate | None = None,
    view_id: str = "",
) -> FeatureView:
    """Read a feature view over these entities, sources and views."""
    return FeatureView(
        plain["name"],
        _read_columns(plain["columns"]),
        [entities[name] for name in plain["entities"]],
        [readable[name] for name in plain["sources"]],
        **place.of_plain(plain),
        timestamp_field=plain["timestamp_field"],
        created_timestamp_column=plain.get("created_timestamp_column", CREATED_TIMESTAMP),
        valid_to_field=plain.get("valid_to_field"),
        asset=plain.get("asset", ()),
        ttl=_duration(plain["ttl_seconds"]),
        partitions=plain["partitions"],
        start=plain["start"],
        lookback=_duration(plain["lookback_seconds"]) or timedelta(0),
        table_partitions=plain.get("table_partitions", "day"),
        description=plain["description"],
        owner=plain["owner"],
        tags=plain["tags"],
        code_hash=plain["code_hash"],
        gate=gate,
        view_id=view_id,
        applied_meaning=Meaning.of_plain(plain.get("meaning")),
    )
