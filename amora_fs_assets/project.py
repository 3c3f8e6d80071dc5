"""The project that a process works in: `[tool.amora_fs]` in the nearest pyproject.toml."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amora_fs_assets.domain.errors import SettingsError

TABLE = "tool.amora_fs"


@dataclass(frozen=True)
class Project:
    """A folder and the settings in its pyproject.toml."""

    folder: Path
    """Relative paths in settings are below this folder."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None
    """The pyproject.toml with the table; None without one, in which case the folder is the working directory."""


def nearest(start: str | os.PathLike[str] | None = None) -> Project:
    """The project of a file or folder: the nearest pyproject.toml with a table [tool.amora_fs], in the folder or above.

    `start` is the working directory by default. Raises SettingsError for a file that is not TOML.
    """
    place = Path.cwd() if start is None else Path(start).absolute()
    for folder in (place, *place.parents):
        file = folder / "pyproject.toml"
        if not file.is_file():
            continue
        try:
            table = tomllib.loads(file.read_text()).get("tool", {}).get("amora_fs")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file} is not valid TOML: {error}.") from error
        if table is None:
            continue
        if not isinstance(table, dict):
            raise SettingsError(f"{file}: {TABLE} is not a table. Write `[{TABLE}]`, with one setting per line.")
        return Project(folder, table, file)
    return Project(Path.cwd() if start is None or place.is_file() else place)
