"""The registry of Feast, in the JSON form of Protocol Buffers, as definitions with the names of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from amora_fs_assets.domain import arguments
from amora_fs_assets.domain.errors import DefinitionError, InvalidRequest
from amora_fs_assets.scaffold.feast import names, tables, types
from amora_fs_assets.scaffold.feast.model import Column, EntityText, Imported, SourceText, Table, ViewText
from amora_fs_assets.scaffold.feast.names import Names
from amora_fs_assets.scaffold.feast.report import Report
from amora_fs_assets.scaffold.feast.services import service_of
from amora_fs_assets.scaffold.feast.settings import settings_of
from amora_fs_assets.scaffold.feast.tables import STREAMS, NoCounterpart

VERSION = "1"
"""The version of Feast's registry that this module knows."""
DUMMY_ENTITY = "__dummy"
"""Feast's own entity of a view without entities."""
_OTHERS = {
    "savedDatasets": ("saved dataset", "build a training set instead: a version of it can be read again"),
    "validationReferences": ("validation reference", "write the checks into the schema of the view"),
    "permissions": ("permission", "see AMORA_FS_API_TOKENS, and the roles of the tables and the bucket"),
    "featureTables": ("feature table", "it is of a Feast before 0.10"),
}


class Registry:
    """The objects of one project in a registry of Feast."""

    def __init__(self, answer: Mapping[str, Any], project: str | None = None) -> None:
        """`answer` is that of stores/registry/feast_script.py. Raises InvalidRequest."""
        self._plain: Mapping[str, Any] = answer["registry"]
        self.config: Mapping[str, Any] = answer["config"]
        self.problems: list[str] = answer["problems"]
        version = self._plain.get("registrySchemaVersion", "")
        if version != VERSION:
            raise InvalidRequest(
                f"The registry is of version '{version}'; this release reads version {VERSION}, that of Feast 0.67. "
                "Run `feast apply` of that release, and import its registry."
            )
        self.project = self._project(project)

    def _project(self, project: str | None) -> str:
        known = {each["spec"]["name"] for each in self._plain.get("projects", ()) if each["spec"].get("name")}
        kinds = ("entities", "featureViews", "featureServices")
        known |= {each["spec"].get("project", "") for kind in kinds for each in self._plain.get(kind, ())} - {""}
        known = known or {str(self.config.get("project", "feast"))}
        if project is None and len(known) > 1 and self.config.get("project") in known:
            project = self.config["project"]
        if (project is None and len(known) > 1) or (project is not None and project not in known):
            raise InvalidRequest(f"The registry has the projects {', '.join(sorted(known))}. Give one with --project.")
        return project or next(iter(known))

    @property
    def description(self) -> str:
        """The project's description."""
        return next(
            (str(each.get("description", "")) for each in self.specs("projects") if each["name"] == self.project), ""
        )

    def specs(self, kind: str) -> list[dict[str, Any]]:
        """The project's objects of a kind, such as "featureViews", by name: a registry has them in any order."""
        specs = (each.get("spec", each) for each in self._plain.get(kind, ()))
        own = (spec for spec in specs if spec.get("project") in (None, "", self.project))
        return sorted(own, key=lambda spec: str(spec.get("name", "")))


class Conversion:
    """Converts a project, and writes the report meanwhile."""

    def __init__(
        self, registry: Registry, path_of: Callable[[str], str], stored: Callable[[str], Mapping[str, Any]]
    ) -> None:
        """Prepare the conversion.

        Args:
            registry: What is converted.
            path_of: Makes the path of a file in the definitions from Feast's.
            stored: The Arrow types of the columns of a file, by Feast's path; empty for a file that cannot be read.

        """
        self._registry = registry
        self._path_of = path_of
        self._stored = stored
        self.report = Report()
        self._entities = {each["name"]: each for each in registry.specs("entities") if each["name"] != DUMMY_ENTITY}
        self._entity_names = Names("entity", self.report, self._entities)
        self._view_names = Names("feature view", self.report, (each["name"] for each in registry.specs("featureViews")))
        self._columns: dict[str, dict[str, str]] = {}
        """By view of Feast: the written columns by Feast's names."""
        self._key_types: dict[str, tuple[str, str]] = {}
        """By join key: its annotation and the view that has it."""
        self._sources: dict[str, SourceText] = {}

    def run(self) -> Imported:
        """All definitions. Raises InvalidRequest if there is no view to write."""
        entities = tuple(self._entity(each) for each in self._entities.values())
        views = tuple(view for spec in self._registry.specs("featureViews") if (view := self._view(spec)))
        if not views:
            reasons = " ".join(self.report.left_out)
            raise InvalidRequest(f"There is no feature view to import. {reasons}".rstrip())
        self._without_counterpart()
        others = self._view_names.given
        source_names = Names("data source", self.report, self._sources, others, suffix="source", short=tables.short)
        sources = tuple(replace(each, name=source_names[name]) for name, each in self._sources.items())
        services = self._registry.specs("featureServices")
        service_names = Names(
            "feature service", self.report, (each["name"] for each in services), others, suffix="service"
        )
        given = {name: self._view_names[name] for name in self._columns}
        found = (service_of(spec, service_names, given, self._columns, self.report) for spec in services)
        settings = settings_of(self._registry.config, self._registry.project, sources, self.report)
        kept = tuple(service for service in found if service)
        return Imported(self._registry.project, entities, sources, views, kept, settings)

    def _entity(self, spec: Mapping[str, Any]) -> EntityText:
        name = self._entity_names[spec["name"]]
        what = f"entity `{spec['name']}`"
        key = spec.get("joinKey") or spec["name"]
        mended = names.columns([key], [key], what, self.report)[key]
        if spec.get("owner"):
            self.report.left_out.append(f"{what}: its owner `{spec['owner']}`: an entity has none here.")
        tags = names.tags(spec.get("tags", {}), what, self.report)
        return EntityText(name, mended, spec.get("description", ""), tags)

    def _view(self, spec: Mapping[str, Any]) -> ViewText | None:
        what = f"feature view `{spec['name']}`"
        try:
            if spec.get("featureTransformation") or spec.get("sourceViews"):
                raise NoCounterpart(
                    "Feast computes it with a transformation: write the transform as an Ibis expression, "
                    "in a @feature_view"
                )
            table = tables.table_of(spec.get("batchSource"), self._path_of)
            keys = self._keys(spec)
            features = self._features(spec, table, what)
        except NoCounterpart as reason:
            self.report.left_out.append(f"{what}: {reason}.")
            return None
        all_ = names.columns([*keys, *(each.name for each in features)], keys, what, self.report)
        own = {new: old for old, new in spec["batchSource"].get("fieldMapping", {}).items()}
        columns = (
            *(
                Column(all_[key], annotation, own.get(key, key), nullable=False, description=described)
                for key, (annotation, described) in keys.items()
            ),
            *(replace(each, name=all_[each.name]) for each in features),
        )
        self._columns[spec["name"]] = {each.name: all_[each.name] for each in features}
        self._key_types |= {all_[key]: (annotation, spec["name"]) for key, (annotation, _) in keys.items()}
        self._source(spec["batchSource"], table, columns)
        self._remarks(spec, what)
        return ViewText(
            self._view_names[spec["name"]],
            tuple(self._entity_names[each] for each in spec.get("entities", ()) if each != DUMMY_ENTITY),
            table,
            columns,
            self._ttl(spec, what),
            spec.get("description", ""),
            names.owner(spec.get("owner", ""), what, self.report),
            names.tags({**_push_source(spec), **spec.get("tags", {})}, what, self.report),
        )

    def _keys(self, spec: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
        """The annotation and the description of each join key. Raises NoCounterpart."""
        typed = {each["name"]: each.get("valueType", "INVALID") for each in spec.get("entityColumns", ())}
        keys: dict[str, tuple[str, str]] = {}
        for name in spec.get("entities", ()):
            if name == DUMMY_ENTITY:
                continue
            entity = self._entities.get(name)
            if entity is None:
                raise NoCounterpart(f"its entity '{name}' is not in the registry")
            key = entity.get("joinKey") or name
            annotation = types.annotation(typed.get(key) or entity.get("valueType", "INVALID"))
            if annotation is None:
                why = next((each for each in self._registry.problems if f"'{spec['name']}'" in each), "")
                raise NoCounterpart(
                    f"Feast does not say the type of join key '{key}'{f' ({why})' if why else ''}: give the entity a "
                    f"value_type, or run `feast apply` and import the registry"
                )
            if annotation not in types.KEYS:
                raise NoCounterpart(f"join key '{key}' is {types.shown(typed[key])}: a join key is an int or a str")
            known, other = self._key_types.get(key, (annotation, ""))
            if known != annotation:
                raise NoCounterpart(f"join key '{key}' is {annotation}, but {known} in view '{other}'")
            keys[key] = (annotation, entity.get("description") or "")
        return keys

    def _features(self, spec: Mapping[str, Any], table: Table, what: str) -> list[Column]:
        """The features whose type has a counterpart, with Feast's names. Raises NoCounterpart if there is none."""
        found = []
        own = {new: old for old, new in spec["batchSource"].get("fieldMapping", {}).items()}
        maps = table.kind == "path" and any(each.get("valueType") == "MAP" for each in spec.get("features", ()))
        stored = self._stored(spec["batchSource"]["fileOptions"]["uri"]) if maps else {}
        for each in spec.get("features", ()):
            name, type_, tags = each["name"], each.get("valueType", "INVALID"), each.get("tags", {})
            column = own.get(name, name)
            annotation = types.annotation(type_, tags, stored.get(column))
            if annotation is None or column in (table.timestamp_field, table.created_timestamp_column):
                why = f"of type {types.shown(type_)}" if annotation is None else "is the time of the rows"
                self.report.left_out.append(f"{what}: feature `{name}` {why}.")
                continue
            if each.get("vectorIndex"):
                self.report.left_out.append(f"{what}: feature `{name}`: its index for vector search.")
            tags = {key: value for key, value in tags.items() if not key.startswith("feast:")}
            tags = names.tags(tags, f"{what}: feature `{name}`", self.report)
            found.append(Column(name, annotation, column, description=each.get("description", ""), tags=tags))
        if not found:
            raise NoCounterpart("it has no feature whose type has a counterpart")
        return found

    def _source(self, plain: Mapping[str, Any], table: Table, columns: tuple[Column, ...]) -> None:
        """Add the view's columns to those of its source."""
        name, what = tables.name_of(plain), f"data source `{tables.name_of(plain)}`"
        known = self._sources.get(name)
        if known is None:
            owner = names.owner(plain.get("owner", ""), what, self.report)
            tags = names.tags(plain.get("tags", {}), what, self.report)
            known = SourceText(name, table, (), plain.get("description", ""), owner, tags)
            if plain.get("datePartitionColumn"):
                self.report.to_do.append(
                    f"{what}: date_partition_column `{plain['datePartitionColumn']}` is not used. Rows are found by "
                    f"`{table.timestamp_field}`: partition the table by it, or a read scans the whole table."
                )
        seen = {each.name.lower() for each in known.columns}
        new = tuple(replace(each, nullable=True) for each in columns if each.name.lower() not in seen)
        self._sources[name] = replace(known, columns=(*known.columns, *new))

    def _remarks(self, spec: Mapping[str, Any], what: str) -> None:
        stream = spec.get("streamSource", {})
        if stream and stream.get("type") != "PUSH_SOURCE":
            system = STREAMS.get(stream.get("type"), "stream")
            self.report.left_out.append(
                f"data source `{stream.get('name')}` ({system}): push its rows to the view "
                f"`{self._view_names[spec['name']]}`."
            )
        if not spec.get("online", False):
            self.report.to_do.append(
                f"{what}: online=False has no counterpart: name the other views in --feature-views of `materialize`, "
                "or every view is loaded."
            )
        if spec.get("disabled"):
            self.report.to_do.append(f"{what} is disabled in Feast, but is read here: delete it if nobody needs it.")

    def _ttl(self, spec: Mapping[str, Any], what: str) -> timedelta | None:
        """The view's ttl. Feast's 0 means no limit."""
        seconds = Decimal(spec.get("ttl", "0s").removesuffix("s"))
        if not seconds:
            return None
        try:
            return arguments.duration("", "ttl", timedelta(microseconds=int(seconds * 1_000_000)))
        except (DefinitionError, OverflowError):
            self.report.renamed.append(f"{what}: its ttl of {seconds} s is too long: its values never expire.")
            return None

    def _without_counterpart(self) -> None:
        left_out = self.report.left_out
        for spec in self._registry.specs("onDemandFeatureViews"):
            computed = ", ".join(each["name"] for each in spec.get("features", ()))
            left_out.append(
                f"on-demand feature view `{spec['name']}` ({computed}): write its expressions with "
                "@on_demand_feature_view."
            )
        for spec in self._registry.specs("streamFeatureViews"):
            left_out.append(
                f"stream feature view `{spec['name']}`: write a view of its batch table, and push the stream's rows."
            )
        for spec in self._registry.specs("labelViews"):
            left_out.append(
                f"label view `{spec['name']}`: write a source of its table, and read the labels in a training set."
            )
        for kind, (word, instead) in _OTHERS.items():
            for spec in self._registry.specs(kind):
                left_out.append(f"{word} `{spec.get('name', '')}`: {instead}.")
        for spec in self._registry.specs("dataSources"):
            self._unread(spec)

    def _unread(self, spec: Mapping[str, Any]) -> None:
        name, type_ = spec.get("name", ""), spec.get("type", "")
        if type_ == "REQUEST_SOURCE":
            self.report.left_out.append(f"request source `{name}`: give its values to the model directly.")
        elif type_ != "PUSH_SOURCE" and type_ not in STREAMS and tables.name_of(spec) not in self._sources:
            self.report.left_out.append(f"data source `{name}`: no imported view reads it, so its columns are unknown.")


def _push_source(spec: Mapping[str, Any]) -> dict[str, str]:
    """The tag by which a push to the source finds the view."""
    stream = spec.get("streamSource", {})
    return {"push_source": stream.get("name", "")} if stream.get("type") == "PUSH_SOURCE" else {}
