"""The reference pages: of the commands, from their own help; of the definitions, from their docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

import amora_fs_assets
from amora_fs_assets.cli.main import main

INTRODUCTION = """# amora-fs

Written by `make docs` from `amora-fs --help`. Settings are the environment's `AMORA_FS_*`: see
[settings.md](settings.md). Errors are one message, with exit code 1.
"""


DEFINED = (
    "Entity", "Source", "FeatureView", "feature_view", "known_at", "OnDemandFeatureView", "FeatureService",
    "TrainingSet", "training_set", "build_definitions", "FeatureStoreTranslator", "AssetProps", "FeatureStoreComponent",
    "Automation",
)  # fmt: skip
OF_REGISTRY = {"code_hash", "gate", "view_id", "applied_meaning", "applied_loader"}
"""Arguments of definitions that are read from the registry."""
DEFINITIONS = """# Definitions

Written by `make docs` from the docstrings. All names are imported from `amora_fs_assets`.
[Feature views](feature-views.md) explains how definitions are used, [your own project](your-own-project.md) where they
are written.
"""
_SECTION = re.compile(r"^(Args|Raises):$", re.MULTILINE)
_ENTRY = re.compile(r"^    (\w+): ", re.MULTILINE)


def definitions_reference() -> str:
    """docs/definitions.md, whole."""
    return "\n".join([DEFINITIONS, *map(_definition, DEFINED)])


def _definition(name: str) -> str:
    defined = getattr(amora_fs_assets, name)
    parameters = inspect.signature(defined).parameters.values()
    given = [each.name + "=" * (each.default is not each.empty) for each in parameters if each.name not in OF_REGISTRY]
    text, *sections = _SECTION.split(inspect.getdoc(defined) or "")
    lines = [f"## {name}", "", f"`{name}({', '.join(given)})`", "", text.strip(), ""]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        head = "argument" if title == "Args" else "raises"
        entries = _ENTRY.split(body.rstrip() + "\n")[1:]
        lines += [f"| {head} | |", "| --- | --- |"]
        lines += [
            f"| `{key}` | {' '.join(value.split())} |" for key, value in zip(entries[::2], entries[1::2], strict=True)
        ]
        lines.append("")
    return "\n".join(lines)


def cli_reference() -> str:
    """docs/cli.md, whole."""
    parts = [f"## {path}\n\n```\n{text}\n```\n" for path, text in _helps(main, "amora-fs")]
    return "\n".join([INTRODUCTION, *parts])


def _helps(command: click.Command, path: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    name = path.rpartition(" ")[2]
    context = command.make_context(name, [], parent=parent, resilient_parsing=True, terminal_width=100)
    with context:
        yield path, command.get_help(context)
    if isinstance(command, click.Group):
        for name, each in sorted(command.commands.items()):
            yield from _helps(each, f"{path} {name}", context)


if __name__ == "__main__":
    docs = Path(__file__).parents[1] / "docs"
    (docs / "cli.md").write_text(cli_reference())
    (docs / "definitions.md").write_text(definitions_reference())
