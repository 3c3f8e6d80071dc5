"""amora-fs entities, feature-views, services, sources, registry-dump: the applied definitions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click

from amora_fs_assets.cli.rendering.tables import print_fields, print_json, print_rows
from amora_fs_assets.cli.shared import Group, examples, explained
from amora_fs_assets.domain import catalogue_json
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.entity import Entity
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.feature_store import FeatureStore

Fields = list[tuple[str, str]]


@dataclass(frozen=True)
class _Kind:
    """One kind of definition, and how it is shown."""

    command: str
    words: str
    example: str
    all: Callable[[Catalogue], Mapping[str, Any]]
    get: Callable[[Catalogue, str], Any]
    plain: Callable[[Any], dict[str, Any]]
    fields: Callable[[Any], Fields]  # the columns of `list`, and the first lines of `describe`
    columns: Callable[[Any], Sequence[Sequence[str]]]  # the table of `describe`: its headings, then its rows


def _duration(value: timedelta | None, none: str) -> str:
    return none if value is None else str(value)


def _tags(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in tags.items())


def _columns(columns: Iterable[Column]) -> list[Sequence[str]]:
    head: Sequence[str] = ("column", "type", "nulls", "rules", "description", "tags")
    return [
        head,
        *(
            (
                each.name,
                str(each.type),
                "yes" if each.nullable else "no",
                "; ".join(r.words for r in each.rules),
                each.description,
                _tags(each.tags),
            )
            for each in columns
        ),
    ]


def _entity(entity: Entity) -> Fields:
    return [
        ("name", entity.name),
        ("join keys", ", ".join(entity.join_keys)),
        ("description", entity.description),
        ("tags", _tags(entity.tags)),
    ]


def _source(source: Source) -> Fields:
    return [
        ("name", source.name),
        ("rows", source.query or str(source.place)),
        ("time of a row", source.timestamp_field or ""),
        ("available at", source.available_at or ""),
        ("owner", source.owner),
        ("description", source.description),
        ("tags", _tags(source.tags)),
    ]


def _view(view: FeatureView) -> Fields:
    return [
        ("name", view.name),
        ("entities", ", ".join(entity.name for entity in view.entities)),
        ("features", str(len(view.features))),
        ("ttl", _duration(view.ttl, "none")),
        ("rows", f"computed by {view.partitions or 'whole table'}" if view.place is None else str(view.place)),
        ("owner", view.owner),
        ("description", view.description),
        ("tags", _tags(view.tags)),
    ]


def _service(service: FeatureService) -> Fields:
    return [
        ("name", service.name),
        ("version", service.version),
        ("join keys", ", ".join(service.join_keys)),
        ("features", str(len(service.references))),
        *([("request columns", _request(service.request))] if service.request else []),
        ("owner", service.owner),
        ("description", service.description),
        ("tags", _tags(service.tags)),
    ]


def _picked(service: FeatureService) -> list[Sequence[str]]:
    head: Sequence[str] = ("view", "named", "features", "join keys")
    rows = [
        (
            each.view.name,
            each.name,
            ", ".join(each.features),
            ", ".join(f"{key} from {column}" if key != column else key
                      for key, column in zip(each.view.join_keys, each.join_keys, strict=True)),
        )
        for each in service.projections
    ]  # fmt: skip
    rows += [(each.name, each.name, ", ".join(each.features), "computed at request time") for each in service.on_demand]
    return [head, *rows]


def _request(columns: Mapping[str, DataType]) -> str:
    return ", ".join(f"{name} {type_}" for name, type_ in columns.items())


def _on_demand(view: OnDemandFeatureView) -> Fields:
    return [
        ("name", view.name),
        ("features", str(len(view.features))),
        ("inputs", ", ".join(f"{part.name}:{feature}" for part in view.inputs for feature in part.features)),
        ("request columns", _request({column.name: column.type for column in view.request})),
        ("owner", view.owner),
        ("description", view.description),
        ("tags", _tags(view.tags)),
    ]


def _formulas(view: OnDemandFeatureView) -> list[Sequence[str]]:
    head: Sequence[str] = ("feature", "type", "computed as", "description", "tags")
    rows = [(e.name, str(e.type), str(view.formulas[e.name]), e.description, _tags(e.tags)) for e in view.features]
    return [head, *rows]


_KINDS = (
    _Kind(
        "entities", "entities", "carrier", lambda c: c.entities, Catalogue.entity, catalogue_json.entity, _entity,
        lambda _: [],
    ),
    _Kind(
        "feature-views", "feature views", "carrier_punctuality", lambda c: c.feature_views, Catalogue.feature_view,
        catalogue_json.feature_view, _view, lambda view: _columns(view.row_columns),
    ),
    _Kind(
        "on-demand-views", "on-demand feature views", "departure", lambda c: c.on_demand_feature_views,
        Catalogue.on_demand_feature_view, catalogue_json.on_demand_feature_view, _on_demand, _formulas,
    ),
    _Kind(
        "services", "feature services", "departure_delay", lambda c: c.feature_services, Catalogue.feature_service,
        catalogue_json.feature_service, _service, _picked,
    ),
    _Kind(
        "sources", "sources", "flights", lambda c: c.sources, Catalogue.source, catalogue_json.source, _source,
        lambda source: _columns(source.columns),
    ),
)  # fmt: skip

_JSON = click.option("--json", "as_json", is_flag=True, help="For programs: the definitions in their JSON form.")


def _group(kind: _Kind) -> click.Group:
    @click.group(
        kind.command,
        cls=Group,
        help=f"List and describe the applied {kind.words}.",
        epilog=examples(f"{kind.command} list", f"{kind.command} describe {kind.example} --json"),
    )
    def group() -> None:
        pass

    @group.command("list", help=f"List the applied {kind.words}.", epilog=examples(f"{kind.command} list"))
    @_JSON
    @click.pass_obj
    @explained
    def list_(store: FeatureStore, as_json: bool) -> None:  # noqa: FBT001
        found = list(kind.all(store.registry.catalogue()).values())
        if as_json:
            print_json([kind.plain(each) for each in found])
        elif not found:
            click.echo(f"There are no {kind.words} yet. Run `amora-fs apply`.")
        else:
            rows = [kind.fields(each) for each in found]
            print_rows([name for name, _ in rows[0]], ([value for _, value in row] for row in rows))

    @group.command(
        help=f"Show all of one of the applied {kind.words}.", epilog=examples(f"{kind.command} describe {kind.example}")
    )
    @click.argument("name")
    @_JSON
    @click.pass_obj
    @explained
    def describe(store: FeatureStore, name: str, as_json: bool) -> None:  # noqa: FBT001
        found = kind.get(store.registry.catalogue(), name)
        if as_json:
            print_json(kind.plain(found))
            return
        print_fields(kind.fields(found))
        head, *rows = kind.columns(found) or [()]
        print_rows(head, rows)

    return group


@click.command("registry-dump", epilog=examples("registry-dump", "--as-of 2026-01-01 registry-dump"))
@click.pass_obj
@explained
def registry_dump(store: FeatureStore) -> None:
    """Print all applied definitions as JSON."""
    print_json(json.loads(store.registry.catalogue().to_json()))


COMMANDS = (*map(_group, _KINDS), registry_dump)
