"""The code location that Dagster loads: quickly, quietly, and alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LOAD = """
import json, sys, time

asked = []
def hook(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.bind"}:
        asked.append(f"{event} {arguments[1:]}")
sys.addaudithook(hook)
from amora_fs_assets.definitions import defs
graph = defs.resolve_asset_graph()
print(json.dumps({
    "seconds": time.process_time(),
    "asked": asked,
    "assets": len(graph.get_all_asset_keys()),
    "google": sorted(name for name in sys.modules if name in {"dagster_gcp", "google.cloud.bigquery"}),
    "executor": defs.executor.name,
    "made": sorted(path.name for path in __import__("pathlib").Path().iterdir()),
}))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a fresh process sees that loads the definitions and their graph."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AMORA_FS_", "DAGSTER"))}
    said = subprocess.check_output(
        [sys.executable, "-c", LOAD], env=environment, text=True, cwd=tmp_path_factory.mktemp("empty")
    )
    read: dict[str, object] = json.loads(said)
    return read


def test_the_definitions_load_within_five_seconds_of_work(loaded: dict[str, object]) -> None:
    assert loaded["assets"] == 22
    assert float(str(loaded["seconds"])) < 5


def test_loading_them_asks_nobody_and_makes_nothing(loaded: dict[str, object]) -> None:
    assert loaded["asked"] == []
    assert loaded["made"] == []


def test_without_a_cloud_nothing_of_google_is_imported(loaded: dict[str, object]) -> None:
    assert loaded["google"] == []


def test_local_runs_are_in_process(loaded: dict[str, object]) -> None:
    assert loaded["executor"] == "in_process"


@pytest.mark.slow
def test_dg_finds_nothing_wrong() -> None:
    """As `make lint` asks."""
    dg = Path(sys.executable).parent / "dg"
    done = subprocess.run([dg, "check", "defs"], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout + done.stderr
