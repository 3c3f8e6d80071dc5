"""`dagster dev -w workspace.yaml` over a home, for tests and for the pictures in docs/."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from amora_fs_assets_tests.emulators.process import running

ROOT = Path(__file__).parents[2]


@contextmanager
def dagster_dev(home: Path, *, now: str) -> Iterator[str]:
    """The URL of the UI over `home`, where the demo ran; nothing of it is left behind."""
    with running(
        lambda ports: [
            Path(sys.executable).parent / "dagster", "dev", "-w", ROOT / "workspace.yaml", "-h", "127.0.0.1",
            "-p", str(ports[0]),
        ],
        ports=1,
        health_path="/server_info",
        log=home / "dagster" / "dev.log",
        environment={"DAGSTER_HOME": str(home / "dagster"), "AMORA_FS_HOME": str(home), "AMORA_FS_NOW": now},
    ) as (port,):  # fmt: skip
        started = {process for process in psutil.Process().children(recursive=True) if str(port) in _words(process)}
        tree = {each for process in started for each in (process, *process.children(recursive=True))}
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            tree |= {each for process in started if process.is_running() for each in process.children(recursive=True)}
    # Its code servers and daemon outlive it for a moment, some in sessions of their own.
    _, alive = psutil.wait_procs(tree, timeout=5)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=5)


def _words(process: psutil.Process) -> list[str]:
    """The words of its command; none of a process that has ended, such as another test's."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # a zombie is one, too
        return []


def graphql(url: str, query: str) -> Any:
    """The data of a GraphQL answer."""
    request = urllib.request.Request(
        f"{url}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
        answer = json.load(response)
    assert "errors" not in answer, answer
    return answer["data"]
