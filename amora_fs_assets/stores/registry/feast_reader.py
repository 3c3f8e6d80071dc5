"""Reads a Feast repository or registry.db, in a process of an interpreter that has Feast."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from amora_fs_assets.domain.errors import InvalidRequest

_SCRIPT = Path(__file__).with_name("feast_script.py")
_SECONDS = 600
"""The longest wait for the code of a repository [s]."""


def read(place: Path, *, python: str | None = None) -> dict[str, Any]:
    """The answer of feast_script.py: `registry`, `config` and `problems`.

    Args:
        place: A folder with feature_store.yaml, whose code runs, or a file with a registry.
        python: The interpreter that has Feast; by default this one.

    Raises:
        InvalidRequest: the place is neither, its code fails, or the interpreter has no Feast.

    """
    if not place.exists():
        raise InvalidRequest(f"There is no {place}. Give a folder with feature_store.yaml, or a registry.db.")
    if place.is_dir() and not (place / "feature_store.yaml").is_file():
        raise InvalidRequest(f"{place} has no feature_store.yaml. Give the folder that has it, or a registry.db.")
    if python is None and importlib.util.find_spec("feast") is None:
        raise InvalidRequest(
            "This environment has no Feast. Give the interpreter of the environment in which `feast apply` runs, with "
            "--python .venv/bin/python, or install it: pip install 'amora-fs-assets[feast]'."
        )
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [
            python or sys.executable,
            "-W",
            "ignore",
            "-c",
            _SCRIPT.read_text(),
            str(place.absolute()),
            str(answer),
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", check=False, timeout=_SECONDS
            )
        except OSError as error:
            raise InvalidRequest(f"{python} is not an interpreter: {error.strerror}. Give another --python.") from None
        except subprocess.TimeoutExpired:
            raise InvalidRequest(f"{place} did not load within {_SECONDS} s.") from None
        if done.returncode:
            raise InvalidRequest(_refusal(place, done.stderr))
        found: dict[str, Any] = json.loads(answer.read_text())
    return found


def _refusal(place: Path, stderr: str) -> str:
    """The message for an interpreter that failed: its last line, and the line of the repository that raised."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    reason = lines[-1].strip() if lines else "it ended without a message"
    if "No module named 'feast'" in reason:
        return "That interpreter has no Feast. Give the one of the environment in which `feast apply` runs: --python."
    if place.is_file():
        return reason
    inside = re.escape(str(place.absolute()))
    where = [f" ({file}, line {line})" for file, line in re.findall(rf'File "{inside}/(.+?)", line (\d+)', stderr)]
    return (
        f"Feast cannot load {place}: {reason}{where[-1] if where else ''}. Mend the repository until `feast plan` "
        "works, or import its registry.db. Nothing was written."
    )
