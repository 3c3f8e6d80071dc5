"""A page of docs/ as a program: its commands and calls are run in the order in which they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# ([\w/]+\.py)\n")


def script(page: str, replaced: Mapping[str, str]) -> str:
    """The blocks of a page as a script of Bash, with some texts `replaced`.

    Lines of a console block that begin with `$` are commands. A Python block that begins with a comment of a path is
    written to that file; any other one is run.
    """
    text = (DOCS / page).read_text()
    for old, new in replaced.items():
        assert old in text, f"{page} does not have {old!r}"
        text = text.replace(old, new)
    lines = ["set -euo pipefail"]
    for language, body in _BLOCK.findall(text):
        named = _FILE.match(body)
        if language == "console":
            lines += [line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ ")]
        else:
            command = f"cat > {named[1]}" if named else "python -"
            lines.append(f"{command} <<'END_OF_BLOCK'\n{body}END_OF_BLOCK")
    return "\n".join(lines)


def environment() -> dict[str, str]:
    """The environment of a shell in which nothing is set, with this interpreter's commands."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AMORA_", "DAGSTER", "VIRTUAL_ENV", "PYTHON", "FEAST")) and "proxy" not in name.lower()
    }
    return kept | {"PATH": f"{Path(sys.executable).parent}:{kept['PATH']}", "FEAST_USAGE": "False"}


def shell(commands: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Run commands in a folder, and return what they print."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=folder, env=dict(environment), capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout
