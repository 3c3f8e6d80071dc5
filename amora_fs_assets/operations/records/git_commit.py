"""The git commit of a package's checkout."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

_TIMEOUT = 10.0  # [s], so that a slow network drive does not block a run


def commit_of(package: str | ModuleType) -> str:
    """The commit of the checkout that contains the package or module; with "-dirty" if the checkout has changes.

    Empty without a checkout or git, or if git ignores the package, such as an installed package in `.venv`. Changes are
    a change of any tracked file, or a new file within the package. The result is cached per process, which runs the
    code as it was imported.
    """
    folder = _folder(package)
    return "" if folder is None else _commit(folder)


def _folder(package: str | ModuleType) -> Path | None:
    """The folder of the package's modules, found without importing the package."""
    if isinstance(package, ModuleType):
        file = getattr(package, "__file__", None)
        return Path(file).parent if file else None
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin).parent if spec.has_location and spec.origin else None


@cache
def _commit(folder: Path) -> str:
    inside = _git(folder, "ls-files", "-t", "--cached", "--others", "--exclude-standard", "--", ".")
    if not inside:
        return ""
    changes = _git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no") or ""
    lines = changes.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), "")
    if len(commit) < 40:  # "(initial)": there is no commit yet
        return ""
    new = any(line.startswith("?") and not line.endswith(".pyc") for line in inside.splitlines())
    return f"{commit}-dirty" if new or any(not line.startswith("#") for line in lines) else commit


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
