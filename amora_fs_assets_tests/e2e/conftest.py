"""A home in which the demo ran, for all tests that look at it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.register_assert_rewrite("amora_fs_assets_tests.e2e.sample_contract")

UNTIL = "2013-01-22"


@dataclass(frozen=True)
class Demo:
    """Where the demo ran and what it said."""

    home: Path
    output: str


def amora_fs(home: Path, *words: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """The console script, as somebody types it."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AMORA_FS_", "DAGSTER", "NYC"))
    }
    return subprocess.run(
        [Path(sys.executable).parent / "amora-fs", *words],
        env={**environment, "AMORA_FS_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=home,
    )


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """`amora-fs demo` over three weeks of flights."""
    home = tmp_path_factory.mktemp("demo")
    done = amora_fs(home, "demo", "--until", UNTIL)
    assert done.returncode == 0, done.stdout + done.stderr
    return Demo(home, done.stdout)
