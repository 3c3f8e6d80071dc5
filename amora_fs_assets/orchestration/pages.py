"""The static part of an asset's page: description, links, the definition's file, the group."""

from __future__ import annotations

import inspect
import re
import warnings
from dataclasses import fields
from typing import Any

import dagster as dg

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.places.place import Place
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.training_set import TrainingSet
from amora_fs_assets.settings import Settings
from amora_fs_assets.store_table import OFFLINE_STORES

Shown = Source | FeatureView | OnDemandFeatureView | TrainingSet


def group_of(definition: Shown, group: str, default: str) -> str:
    """The group of the definition's assets: the value of the tag `group`, or the owner for "owner"; else `default`."""
    if group == "owner":
        value = definition.owner.removeprefix("team:").partition("@")[0]
    else:
        value = getattr(definition, "tags", {}).get(group, "")
    return re.sub(r"[^A-Za-z0-9_]+", "_", value) or default


def place_metadata(place: Place, settings: Settings) -> dict[str, Any]:
    """The table's name and page, or the query or file."""
    if place.table is not None:
        return table_metadata(place.table, settings)
    if place.where.query is not None:
        return {"query": dg.MetadataValue.md(f"```sql\n{place.where.query}\n```")}
    return {"file": str(place).removeprefix("file ")}


def table_metadata(table: str, settings: Settings) -> dict[str, Any]:
    """The table's name, and a link to the table's page if the store has one."""
    row = OFFLINE_STORES[settings.offline_store]
    page = row.load("table_page")(table, settings) if row.table_page else {}
    links = {label: dg.MetadataValue.url(url) for label, url in page.items() if label != "name"}
    return {"dagster/table_name": page.get("name", table), **links}


def code_metadata(definition: Shown) -> dict[str, Any]:
    """The file and line of the definition's function or schema; empty without a file."""
    match definition:
        case FeatureView():
            code: object = definition.transform or definition.schema
        case OnDemandFeatureView():
            code = definition.expressions
        case TrainingSet():
            code = definition.spine
        case _:
            code = definition.loader or definition.schema
    place = _place(code)
    if place is None:
        return {}
    with warnings.catch_warnings():  # Dagster would warn once per asset at each start
        warnings.simplefilter("ignore", dg.BetaWarning)
        reference = dg.LocalFileCodeReference(file_path=place[0], line_number=place[1], label=definition.name)
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])}


def _place(code: object) -> tuple[str, int] | None:
    """The file and line of a function or class; None without a file, such as in a prompt."""
    if inspect.isroutine(code) and (function := getattr(inspect.unwrap(code), "__code__", None)) is not None:
        return function.co_filename, function.co_firstlineno
    try:
        file = inspect.getsourcefile(code)  # type: ignore[arg-type]
        return (file, inspect.getsourcelines(code)[1]) if file else None  # type: ignore[arg-type]
    except (TypeError, OSError):
        return None


def view_words(view: FeatureView, code: Catalogue) -> str:
    """The description of a feature view in Markdown: entities, grain, ttl, services, and an example of a read."""
    entities = ", ".join(entity.name for entity in view.entities) or "none: features without an entity"
    grain = f"one row per {', '.join(view.row_key)}"
    period = f"{grain}, computed per {view.partitions}" if view.partitions else grain
    keys = ", ".join(f'"{key}": [...]' for key in view.join_keys)
    return "\n".join(
        [
            *([view.description, ""] if view.description else []),
            f"- **Entities**: {entities}",
            f"- **Grain**: {period}{f', from {view.start:%Y-%m-%d}' if view.start else ''}",
            f"- **Ttl**: {str(view.ttl).removesuffix(', 0:00:00') if view.ttl else 'none, values never expire'}",
            f"- **Services**: {services_of(view, code) or 'none'}",
            "",
            "```python",
            "from amora_fs_assets import FeatureStore",
            "",
            f'FeatureStore().get_online_features("{view.name}", {{{keys}}}).to_dict()',
            "```",
        ]
    )


def on_demand_words(view: OnDemandFeatureView, code: Catalogue) -> str:
    """The description of an on-demand feature view in Markdown: its columns and expressions."""
    request = ", ".join(f"{column.name} {column.type}" for column in view.request)
    using = (s.name for s in code.feature_services.values() if view.name in {part.name for part in s.on_demand})
    return "\n".join(
        [
            *([view.description, ""] if view.description else []),
            "Computed at request time, in training sets and online. Nothing is stored.",
            "",
            f"- **Request columns**: {request or 'none'}",
            f"- **Services**: {', '.join(sorted(using)) or 'none'}",
            "",
            "| feature | computed as |",
            "| --- | --- |",
            *(f"| {name} | `{str(formula).replace('|', '&#124;')}` |" for name, formula in view.formulas.items()),
        ]
    )


def training_set_words(training_set: TrainingSet) -> str:
    """The description of a training set in Markdown, with an example of a read."""
    return "\n".join(
        [
            *([training_set.description, ""] if training_set.description else []),
            f"- **Service**: {training_set.service.name}",
            f"- **Views**: {', '.join(sorted(training_set.service.views))}",
            f"- **Later corrections**: {'do not count' if training_set.known_time else 'count'}",
            "",
            "```python",
            "from amora_fs_assets import load_training_set",
            "",
            f'load_training_set("{training_set.name}")',
            "```",
        ]
    )


def services_of(view: FeatureView, code: Catalogue) -> str:
    """The code's services with features of the view."""
    using = (s.name for s in code.feature_services.values() if view.name in s.views)
    return ", ".join(sorted(using))


def settings_words(settings: Settings) -> str:
    """The settings as a Markdown table. For settings that may hold a secret, only whether they are set."""
    lines = ["| setting | value |", "| --- | --- |"]
    for each in fields(settings):
        value = getattr(settings, each.name)
        if not each.repr:
            value = "set, not shown" if value else ""
        lines.append(f"| AMORA_FS_{each.name.upper()} | {'' if value is None else value} |")
    return "\n".join(lines)
