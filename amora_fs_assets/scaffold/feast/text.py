"""The files of an imported project."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from string import Template

from amora_fs_assets.domain.names import CREATED_TIMESTAMP
from amora_fs_assets.scaffold.additions import class_name
from amora_fs_assets.scaffold.feast import names
from amora_fs_assets.scaffold.feast.model import (
    Column,
    EntityText,
    Imported,
    PartText,
    ServiceText,
    SourceText,
    Table,
    ViewText,
)
from amora_fs_assets.scaffold.project import words

_TOP = Path(__file__).parents[1] / "top"
_TEMPLATES = {
    "pyproject.toml": "pyproject.toml",
    "workspace.yaml": "workspace.yaml",
    "gitignore": ".gitignore",
    "definitions.py": "{package}/definitions.py",
}
_PLAIN = frozenset(dir(object)) | {
    "Config", "empty", "example", "strategy", "validate",
}  # fmt: skip
"""Names that an attribute of a schema cannot have: Pandera's own."""


def project_files(imported: Imported, package: str, description: str) -> dict[str, str]:
    """The text of each file, by its path in the project."""
    given = words(package)
    files = {
        target.format(package=package): Template((_TOP / f"{template}.tmpl").read_text()).substitute(given)
        for template, target in _TEMPLATES.items()
    }
    lines = "".join(f"{name} = {quoted(value)}\n" for name, value in imported.settings.items())
    setting = f'definitions = "{package}"\n'
    files["pyproject.toml"] = files["pyproject.toml"].replace(setting, setting + lines)
    modules = view_modules(imported.views)
    files[f"{package}/__init__.py"] = f"{docstring(description or f'The features of {imported.project}.')}\n"
    files[f"{package}/entities.py"] = _entities(imported.entities)
    files[f"{package}/sources.py"] = _sources(imported.sources)
    variables = entity_variables(imported.entities)
    for view in imported.views:
        files[f"{package}/{modules[view.name]}.py"] = _view(view, package, variables, modules[view.name])
    if imported.services:
        files[f"{package}/services.py"] = _services(imported.services, package, modules)
    return files


def view_modules(views: Sequence[ViewText]) -> dict[str, str]:
    """The module and variable of each view, by its name."""
    found: dict[str, str] = {}
    for view in views:
        found[view.name] = names.variable(view.name, "view", found.values())
    return found


def entity_variables(entities: Sequence[EntityText]) -> dict[str, str]:
    """The variable of each entity, by its name."""
    found: dict[str, str] = {}
    for entity in entities:
        found[entity.name] = names.variable(entity.name, "entity", found.values())
    return found


def quoted(text: str) -> str:
    """A text as a literal, in double quotes: of Python and of TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def docstring(text: str) -> str:
    """A text as a docstring, on one line."""
    return f'""{quoted(" ".join(text.split()))}""'


def _entities(entities: Sequence[EntityText]) -> str:
    parts = ['"""The entities that features describe."""\n\nfrom amora_fs_assets import Entity\n']
    variables = entity_variables(entities)
    for each in entities:
        keys = [f"join_keys=[{quoted(each.join_key)}]"] if each.join_key != each.name else []
        parts.append(
            _call(variables[each.name], "Entity", [quoted(each.name), *keys, *_texts(each.description, "", each.tags)])
        )
    return "\n".join(parts)


def _sources(sources: Sequence[SourceText]) -> str:
    classes: list[str] = []
    variables: list[str] = []
    parts = []
    for each in sources:
        classes.append(names.unique(_class(each.name), classes))
        variables.append(names.variable(each.name, "source", variables))
        columns = (*each.columns, *_times(each.table, {column.name for column in each.columns}))
        parts.append(_schema(classes[-1], "SourceSchema", columns))
        arguments = [quoted(each.name), classes[-1], *_table(each.table, columns, each.table.created_timestamp_column)]
        arguments += _texts(each.description, each.owner, each.tags)
        parts.append(_call(variables[-1], "Source", arguments))
    head = _head("The tables of Feast's data sources.", ["Field", "Source", "SourceSchema"], "".join(parts))
    return "\n\n".join([head, *parts])


def _view(view: ViewText, package: str, entities: Mapping[str, str], variable: str) -> str:
    schema = _class(view.name)
    arguments = [quoted(view.name), schema]
    if view.entities:
        arguments.append(f"entities=[{', '.join(f'entities.{entities[each]}' for each in view.entities)}]")
    created = view.table.created_timestamp_column
    columns = view.columns
    if created == CREATED_TIMESTAMP:  # the schema's own name
        columns += (Column(created, "Timestamp", created, description="When the values became known (UTC)."),)
        created = ""
    arguments += _table(view.table, (*columns, *_times(view.table, set())), created)
    if view.ttl is not None:
        arguments.append(f"ttl={_duration(view.ttl)}")
    arguments += _texts(view.description, view.owner, view.tags)
    body = [_schema(schema, "FeatureSchema", columns), _call(variable, "FeatureView", arguments)]
    own = f"from {package} import entities\n" if view.entities else ""
    head = _head(
        f"The feature view `{view.name}`, imported from Feast.", ["FeatureSchema", "FeatureView", "Field"],
        "".join(body), own,
    )  # fmt: skip
    return "\n\n".join([head, *body])


def _services(services: Sequence[ServiceText], package: str, modules: Mapping[str, str]) -> str:
    used = sorted({modules[part.view] for each in services for part in each.parts})
    parts = [
        '"""The services: each has the features of one model."""\n\nfrom amora_fs_assets import FeatureService\n',
        "".join(f"from {package}.{module} import {module}\n" for module in used),
    ]
    variables = [*used]
    for each in services:
        variables.append(names.variable(each.name, "service", variables))
        features = ", ".join(_part(part, modules) for part in each.parts)
        arguments = [quoted(each.name), f"[{features}]", *_texts(each.description, each.owner, each.tags)]
        parts.append(_call(variables[-1], "FeatureService", arguments))
    return "\n".join(parts)


def _part(part: PartText, modules: Mapping[str, str]) -> str:
    text = modules[part.view]
    if part.features is not None:
        text += f"[{', '.join(map(quoted, part.features))}]"
    if part.alias is not None:
        keys = f", join_keys={_dict(part.join_keys)}" if part.join_keys else ""
        text += f".alias({quoted(part.alias)}{keys})"
    return text


def _head(title: str, imported: Sequence[str], body: str, own: str = "") -> str:
    """The docstring and the imports of a module with the `body`."""
    standard = [
        *(["from datetime import timedelta"] if "timedelta(" in body else []),
        *(["from typing import Annotated"] if "Annotated[" in body else []),
        *(["from uuid import UUID"] if ": UUID = " in body else []),
    ]
    third = ["import ibis.expr.datatypes as dt"] if re.search(r"\bdt\.", body) else []
    used = sorted({*imported, *(["Timestamp"] if "Timestamp" in body else [])})
    third.append(f"from amora_fs_assets import {', '.join(used)}")
    groups = [docstring(title), "\n".join(standard), "\n".join(third), own.rstrip()]
    return "\n\n".join(group for group in groups if group) + "\n"


def _schema(name: str, base: str, columns: Sequence[Column]) -> str:
    return f"class {name}({base}):\n" + "".join(f"    {line}\n" for line in _fields(columns))


def _fields(columns: Sequence[Column]) -> Iterator[str]:
    taken = {column.name for column in columns}
    for column in columns:
        attribute, given = column.name, []
        if not _is_attribute(column.name):
            attribute = names.unique(f"{column.name}_", taken)
            given.append(f"alias={quoted(column.name)}")
        given += ["nullable=True"] if column.nullable else []
        given += [f"description={quoted(column.description)}"] if column.description else []
        given += [f"tags={_dict(column.tags)}"] if column.tags else []
        yield f"{attribute}: {column.annotation} = Field({', '.join(given)})"


def _is_attribute(name: str) -> bool:
    """Whether a schema can have an attribute of the name: no keyword, no name of Pandera or of the annotations."""
    annotations = (
        "int",
        "float",
        "str",
        "bool",
        "bytes",
        "list",
        "dict",
        "dt",
        "Timestamp",
        "Annotated",
        "Field",
        "UUID",
    )
    methods = name.startswith(("to_", "from_", "build_", "get_", "pydantic_", "columns_of", "description_of"))
    return not (keyword.iskeyword(name) or name in _PLAIN or name in annotations or methods)


def _times(table: Table, known: set[str]) -> Iterator[Column]:
    """The columns of the table's times that are not `known` as columns."""
    created = table.created_timestamp_column
    for time in dict.fromkeys(each for each in (table.timestamp_field, created) if each):
        if names.column(time) not in known:
            yield Column(names.column(time), "Timestamp", time, nullable=time != table.timestamp_field)


def _table(table: Table, columns: Sequence[Column], created: str) -> list[str]:
    """The arguments that say where the rows are; `columns` with the times."""
    time = names.column(table.timestamp_field)
    arguments = [f"{table.kind}={quoted(table.value)}", f"timestamp_field={quoted(time)}"]
    if created:
        arguments.append(f"created_timestamp_column={quoted(names.column(created))}")
    mapping = {column.table_column: column.name for column in columns if column.table_column != column.name}
    return arguments + ([f"field_mapping={_dict(mapping)}"] if mapping else [])


def _texts(description: str, owner: str, tags: Mapping[str, str]) -> list[str]:
    given = [f"description={quoted(description)}"] if description else []
    given += [f"owner={quoted(owner)}"] if owner else []
    return given + ([f"tags={_dict(tags)}"] if tags else [])


def _call(variable: str, called: str, arguments: Sequence[str]) -> str:
    line = f"{variable} = {called}({', '.join(arguments)})\n"
    if len(line) <= 89:
        return line
    return f"{variable} = {called}(\n" + "".join(f"    {each},\n" for each in arguments) + ")\n"


def _dict(given: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{quoted(key)}: {quoted(value)}" for key, value in given.items()) + "}"


def _duration(ttl: timedelta) -> str:
    given = {"days": ttl.days, "seconds": ttl.seconds, "microseconds": ttl.microseconds}
    if ttl.seconds % 3600 == 0:
        given = {"days": ttl.days, "hours": ttl.seconds // 3600, "microseconds": ttl.microseconds}
    return f"timedelta({', '.join(f'{unit}={number}' for unit, number in given.items() if number)})"


def _class(name: str) -> str:
    found = class_name(name)
    return f"{found}Rows" if found in names.OWN_CLASSES or not found.isidentifier() else found
