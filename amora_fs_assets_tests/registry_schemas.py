"""JSON Schemas of the registry's objects, for tools in other languages; `make docs` writes them.

Readers ignore unknown fields, so the schemas allow them.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from amora_fs_assets.domain.records import Ancestor, RunRecord
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.stores.registry.registry_json import Head

FOLDER = Path(__file__).parents[1] / "docs" / "registry"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


_ONE_WORD = "|".join(re.escape(type_) for type_ in DataType)
Type = Annotated[
    str,
    msgspec.Meta(
        description="A type of one word, a list, a struct, a map, a list of structs. Timestamps are UTC microseconds.",
        pattern=rf"^({_ONE_WORD}|(list<)?struct<.+>|map<string, .+>|list<[^<]+>)$",
    ),
]


class Rule(msgspec.Struct):
    """A check on a column's values."""

    name: str
    arguments: dict[str, Any]


class Column(msgspec.Struct):
    """A join key, a time or a feature."""

    name: str
    type: Type
    nullable: bool
    description: str
    rules: list[Rule]
    tags: dict[str, str] = {}


class Entity(msgspec.Struct):
    """A thing that features describe."""

    name: str
    join_keys: list[str]
    description: str
    tags: dict[str, str] = {}


class Source(msgspec.Struct):
    """A table from which features are computed: either timestamp_field or valid_from is set, the other is null.

    `max_lateness_seconds`: the longest time from `timestamp_field` until a row becomes known (`available_at`).
    `loader`: SHA-256 of the code that fills the table, empty for an external table. `query` replaces the table, and so
    does `path` (in a DuckDB file: the table `path_table`). `field_mapping`: names in the schema by stored columns.
    `timezone`: the zone of times without one.
    """

    name: str
    table: str
    timestamp_field: str | None
    available_at: str | None
    valid_from: datetime | None
    description: str
    owner: str
    columns: list[Column]
    max_lateness_seconds: float | None = None
    asset: list[str] = []
    loader: str | None = None
    query: str | None = None
    path: str | None = None
    path_table: str | None = None
    field_mapping: dict[str, str] = {}
    timezone: str = "UTC"
    tags: dict[str, str] = {}


class Meaning(msgspec.Struct):
    """What a transform computes: SHA-256 of each column's value, and of the selection of the rows.

    `form` is the version of the hashed canonical form.
    """

    form: int
    rows: str
    columns: dict[str, str]


class FeatureView(msgspec.Struct):
    """Features over time. `entities` and `sources` are names in the same catalogue. `table`: an external table.

    `query`, `path`, `path_table`, `field_mapping` and `timezone` are as in a source.
    """

    name: str
    entities: list[str]
    sources: list[str]
    table: str | None
    timestamp_field: str
    ttl_seconds: float | None
    partitions: Literal["hour", "day", "week", "month"] | None
    start: datetime | None
    lookback_seconds: float | None
    table_partitions: Literal["hour", "day", "month"]
    description: str
    owner: str
    tags: dict[str, str]
    code_hash: str
    columns: list[Column]
    asset: list[str] = []
    meaning: Meaning | None = None
    query: str | None = None
    path: str | None = None
    path_table: str | None = None
    created_timestamp_column: str = "created_timestamp"
    valid_to_field: str | None = None
    field_mapping: dict[str, str] = {}
    timezone: str = "UTC"


class Projection(msgspec.Struct):
    """Selected features of a view; `join_keys` maps each key to a column of the request."""

    view: str
    features: list[str]
    alias: str | None
    join_keys: dict[str, str]


class OnDemandColumn(Column, kw_only=True):
    """A feature that is computed at request time.

    `formula` is a list of steps `[operation, [places of earlier steps], ...]`, of which the last one is the value;
    docs/request-time-operations.md has the operations.
    """

    formula: list[list[Any]]


class OnDemandFeatureView(msgspec.Struct):
    """Features that are computed at request time, from stored features and columns of the request.

    A formula names a feature of the inputs by its name, or by `<view or alias>__<feature>` if two inputs have it.
    """

    name: str
    inputs: list[Projection]
    request: list[Column]
    columns: list[OnDemandColumn]
    description: str
    owner: str
    tags: dict[str, str]


class OnDemandProjection(msgspec.Struct):
    """Selected features of an on-demand feature view."""

    view: str
    features: list[str]


class FeatureService(msgspec.Struct):
    """The features of one model. `version` is a hash of the features as the model reads them."""

    name: str
    version: str
    features: list[Projection]
    description: str
    owner: str
    tags: dict[str, str]
    on_demand: list[OnDemandProjection] = []


class TrainingSet(msgspec.Struct):
    """A spine joined with a service; `service` is the name of a service or view, `sources` of views or sources.

    `known_time`: rows of the views are used only from their created_timestamp on.
    """

    name: str
    service: str
    sources: list[str]
    description: str
    owner: str
    tags: dict[str, str]
    known_time: bool
    code_hash: str
    meaning: Meaning | None = None


class Gate(msgspec.Struct):
    """A view's rules, each as the name of the check and a text, and a DuckDB query with a column per rule.

    The query reads a table `rows` of pushed rows and returns true if a row keeps the rule.
    """

    version: int
    rules: list[tuple[str, str]]
    sql: str


class Catalogue(msgspec.Struct):
    """All definitions. `packages` has the package of each definition: `{"feature_views": {"departure_delay": "..."}}`.

    `format` is 2 if there are on-demand feature views, otherwise 1.

    `gates` has the rules that a push checks, by view. `view_ids` identifies the life of each view's name (see
    docs/protocol.md); empty for a view that an earlier release applied. None of these is in `catalogue_hash`.
    """

    format: int
    entities: list[Entity]
    sources: list[Source]
    feature_views: list[FeatureView]
    feature_services: list[FeatureService]
    training_sets: list[TrainingSet]
    packages: dict[str, dict[str, str]] = {}
    gates: dict[str, Gate] = {}
    view_ids: dict[str, str] = {}
    on_demand_feature_views: list[OnDemandFeatureView] = []


class Snapshot(msgspec.Struct):
    """snapshots/<sha256 of these bytes>.json"""

    format: int
    parent: str | None
    applied_at: datetime
    number: int
    ancestors: tuple[Ancestor, ...]
    catalogue_hash: str
    catalogue: Catalogue


class Manifest(msgspec.Struct):
    """training_sets/<name>/<version>.json"""

    format: int
    name: str
    version: str
    manifest: dict[str, Any]


OBJECTS: dict[str, Any] = {"head": Head, "snapshot": Snapshot, "run": RunRecord, "training_set": Manifest}


def schema(name: str) -> dict[str, Any]:
    """The schema of one kind of object."""
    made: dict[str, Any] = {"$schema": DIALECT, **msgspec.json.schema(OBJECTS[name])}
    if name == "run":
        record = made["$defs"]["RunRecord"]
        record["properties"]["format"] = {"type": "integer"}
        # Newer releases have kinds that older ones keep as they stand.
        for field in ("kind", "status"):
            known = record["properties"].pop(field)
            record["properties"][field] = {"type": "string", "examples": known["enum"]}
    return made


def main() -> None:
    """Write them all."""
    FOLDER.mkdir(exist_ok=True)
    for name in OBJECTS:
        (FOLDER / f"{name}.schema.json").write_text(text(name))


def text(name: str) -> str:
    """The file of one kind of object, whole."""
    return json.dumps(schema(name), indent=2) + "\n"


if __name__ == "__main__":
    main()
