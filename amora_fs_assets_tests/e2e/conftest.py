"""A home in which the demo ran, for all tests that look at it."""

from __future__ import annotations

import fcntl
import os
import shutil
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
def demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Demo:
    """`amora-fs demo` over three weeks of flights: run by the first worker that needs it, copied by each."""
    folder = tmp_path_factory.getbasetemp()
    ran = (folder if worker_id == "master" else folder.parent) / "demo"
    with ran.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (ran / "output").exists():
            (ran / "home").mkdir(parents=True, exist_ok=True)
            done = amora_fs(ran / "home", "demo", "--until", UNTIL)
            assert done.returncode == 0, done.stdout + done.stderr
            (ran / "output").write_text(done.stdout)
    home = copied(ran / "home", tmp_path_factory.mktemp("demo") / "home")
    return Demo(home, (ran / "output").read_text().replace(str(ran / "home"), str(home)))


def copied(home: Path, copy: Path) -> Path:
    """A copy of a demo's home, without sockets."""

    def left_out(folder: str, names: list[str]) -> list[str]:
        return [each for each in names if not (Path(folder, each).is_dir() or Path(folder, each).is_file())]

    return Path(shutil.copytree(home, copy, ignore=left_out))
