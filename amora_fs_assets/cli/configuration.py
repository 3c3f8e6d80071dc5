"""amora-fs configuration: the settings in use, and where each comes from."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

import click

from amora_fs_assets.cli.rendering.tables import print_json, print_rows
from amora_fs_assets.cli.shared import examples, explained
from amora_fs_assets.feature_store import FeatureStore
from amora_fs_assets.project import nearest
from amora_fs_assets.settings import PREFIX, Settings

_HIDDEN = "(hidden)"


@click.command(epilog=examples("configuration", "configuration --json"))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
@explained
def configuration(store: FeatureStore, as_json: bool) -> None:  # noqa: FBT001
    """Show the value of each setting, and where the value comes from. Passwords and tokens are hidden."""
    project = nearest()
    found = []
    for each in fields(Settings):
        variable, value = PREFIX + each.name.upper(), getattr(store.settings, each.name)
        if os.environ.get(variable):
            origin = "environment"
        elif each.name in project.settings:
            origin = str(project.file)
        else:
            origin = "default"
        found.append({"setting": variable, "value": _shown(each.name, value, hidden=not each.repr), "from": origin})
    if as_json:
        print_json(found)
    else:
        print_rows(["setting", "value", "from"], (list(each.values()) for each in found))


def _shown(name: str, value: Any, *, hidden: bool) -> str:
    """The value as text, without secrets."""
    if value in (None, "", ()):
        return ""
    if name == "online_store_url":
        parts = urlsplit(str(value))
        secret, at, place = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{_HIDDEN}{at}{place}" if secret else place, query="").geturl()
    return _HIDDEN if hidden else str(value)


COMMANDS = (configuration,)
