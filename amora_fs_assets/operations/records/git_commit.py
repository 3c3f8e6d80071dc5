"""Which commit code is at: that of the git checkout that its package lies in."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

_TIMEOUT = 10.0  # seconds: a repository on a network drive stops no run


def commit_of(package: str | ModuleType) -> str:
    """The commit of the checkout that the package or module is in, with "-dirty" where the checkout differs from it.

    Empty where there is no checkout, no git, or where the package is ignored by it, as an installed one is in `.venv`.
    Dirty is a change of any file that git knows, or a new file within the package. Git is asked once a process: what
    it runs is what was imported.
    """
    folder = _folder(package)
    return "" if folder is None else _commit(folder)


def _folder(package: str | ModuleType) -> Path | None:
    """Where the package's modules are, found without importing it."""
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
    if len(commit) < 40:  # "(initial)": nothing is committed yet
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
