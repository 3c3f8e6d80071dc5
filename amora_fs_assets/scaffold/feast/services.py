"""Feast's services, with the names of this package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from amora_fs_assets.scaffold.feast import names
from amora_fs_assets.scaffold.feast.model import PartText, ServiceText
from amora_fs_assets.scaffold.feast.names import Names
from amora_fs_assets.scaffold.feast.report import Report


def service_of(
    spec: Mapping[str, Any],
    service_names: Names,
    views: Mapping[str, str],
    columns: Mapping[str, Mapping[str, str]],
    report: Report,
) -> ServiceText | None:
    """The service without what was left out; None if nothing is left.

    `views` and `columns` have the written names of the imported views and their features, by Feast's names.
    """
    what = f"feature service `{spec['name']}`"
    parts: dict[tuple[str, str | None, tuple[tuple[str, str], ...]], PartText] = {}
    for part in _parts(spec, what, views, columns, report):
        key = (part.view, part.alias, tuple(part.join_keys.items()))
        known = parts.get(key)
        if known and known.features and part.features:  # two selections of one view
            part = replace(part, features=tuple(dict.fromkeys((*known.features, *part.features))))
        parts[key] = part
    if list(parts.values()) == [PartText(views.get(spec["name"], ""), None, None, {})]:
        return None  # a view is a service with its own name
    if not parts:
        report.left_out.append(f"{what}: none of its features is imported.")
        return None
    if spec.get("loggingConfig"):
        report.left_out.append(f"{what}: its logging_config.")
    return ServiceText(
        service_names[spec["name"]],
        tuple(parts.values()),
        spec.get("description", ""),
        names.owner(spec.get("owner", ""), what, report),
        names.tags(spec.get("tags", {}), what, report),
    )


def _parts(
    spec: Mapping[str, Any],
    what: str,
    views: Mapping[str, str],
    columns: Mapping[str, Mapping[str, str]],
    report: Report,
) -> Iterator[PartText]:
    given = (each.get("featureViewNameAlias") or "" for each in spec.get("features", ()))
    aliases = Names(f"{what}: alias", report, given)
    for projection in spec.get("features", ()):
        view = projection["featureViewName"]
        if view not in views:
            report.left_out.append(f"{what}: `{view}`, which is not imported.")
            continue
        asked = [each["name"] for each in projection.get("featureColumns", ())]
        picked = tuple(columns[view][each] for each in asked if each in columns[view])
        if not picked:
            report.left_out.append(f"{what}: `{view}`, none of whose selected features is imported.")
            continue
        if "versionTag" in projection:
            report.left_out.append(
                f"{what}: version {projection['versionTag']} of `{view}`: it reads the present view."
            )
        join_keys = {
            names.columns([key], [key], what, report)[key]: names.columns([column], [column], what, report)[column]
            for key, column in projection.get("joinKeyMap", {}).items()
        }
        alias = projection.get("featureViewNameAlias") or (view if join_keys else None)
        name = None if alias is None else views[view] if alias == view else aliases[alias]
        whole = picked == tuple(columns[view].values())
        yield PartText(views[view], None if whole else picked, name, join_keys)
