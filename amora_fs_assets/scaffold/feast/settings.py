"""Settings for an imported project, from feature_store.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amora_fs_assets.scaffold.feast.model import SourceText
from amora_fs_assets.scaffold.feast.report import Report


def settings_of(
    config: Mapping[str, Any], project: str, sources: Sequence[SourceText], report: Report
) -> dict[str, str]:
    """The lines of [tool.amora_fs]. The report names the settings that a person gives: addresses may be secret."""
    settings = {"project": project}
    if any(source.table.kind != "path" for source in sources):
        settings["offline_store"] = "bigquery"
        given = config.get("offline_store")
        options = given if isinstance(given, Mapping) else {}
        for key, setting in (("project_id", "bigquery_project"), ("location", "bigquery_location")):
            if options.get(key):
                settings[setting] = str(options[key])
        if "bigquery_project" not in settings:
            report.to_do.append(
                "Set AMORA_FS_BIGQUERY_PROJECT to the Google Cloud project in which queries run; without it the "
                "credentials' project is used."
            )
    online = config.get("online_store")
    type_ = online.get("type", "") if isinstance(online, Mapping) else str(online or "")
    if type_ == "redis":
        report.to_do.append(
            "Set AMORA_FS_ONLINE_STORE_URL to a Redis (redis://host:6379) and load it with `amora-fs "
            "materialize-incremental`. Rows of Feast in the same Redis are not read and not changed."
        )
    elif type_ and type_ not in ("sqlite", "None"):
        report.to_do.append(f"The online store `{type_}` has no counterpart: set AMORA_FS_ONLINE_STORE_URL to a Redis.")
    return settings
