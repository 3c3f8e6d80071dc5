"""The command reference, as the commands' own help has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from amora_fs_assets.cli.main import main

INTRODUCTION = """# amora-fs

Written by `make docs` from `amora-fs --help`. Settings are the environment's `AMORA_FS_*`: see
[settings.md](settings.md). Errors are one message, with exit code 1.
"""


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
    (Path(__file__).parents[1] / "docs" / "cli.md").write_text(cli_reference())
