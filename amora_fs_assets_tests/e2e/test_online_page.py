"""The commands of docs/online.md and docs/http.md, as they stand there, on the sample."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets_tests.conftest import missing
from amora_fs_assets_tests.e2e.conftest import UNTIL, Demo, copied
from amora_fs_assets_tests.emulators.process import free_ports

pytestmark = pytest.mark.e2e
DOCS = Path(__file__).parents[2] / "docs"
AMORA_FS = str(Path(sys.executable).with_name("amora-fs"))


def commands(page: str, heading: str) -> list[list[str]]:
    """The commands of the first block under a heading, without their remarks."""
    block = re.search(rf"# {heading}\n.*?```\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert block is not None
    return [shlex.split(line, comments=True) for line in block[1].splitlines()]


@pytest.fixture
def home(demo: Demo, tmp_path: Path) -> Path:
    """A copy of the demo's home: others look at that."""
    return copied(demo.home, tmp_path / "home")


def environment(home: Path) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("AMORA_FS_", "DAGSTER"))}
    return {**plain, "AMORA_FS_HOME": str(home), "AMORA_FS_NOW": UNTIL}


def test_the_curl_of_the_page_gets_what_python_gets(home: Path, request: pytest.FixtureRequest) -> None:
    if shutil.which("curl") is None:
        missing(request.config, "There is no curl: apt-get install curl.")
    serve, curl = commands("http.md", "HTTP")
    assert serve[:2] == ["amora-fs", "serve"]
    (port,) = free_ports(1)
    curl = [word.replace(":8666", f":{port}") for word in curl]
    assert f":{port}" in curl[2]
    server = subprocess.Popen(
        [AMORA_FS, *serve[1:], "--port", str(port)], env=environment(home), cwd=home, start_new_session=True
    )
    try:
        for _ in range(300):
            ready = subprocess.run(["curl", "-sf", f"localhost:{port}/ready"], capture_output=True, check=False)
            if ready.returncode == 0:
                break
            time.sleep(0.1)
        answer = json.loads(subprocess.check_output(curl))
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)
    store = FeatureStore(Settings(home=home, now=datetime.fromisoformat(UNTIL).replace(tzinfo=UTC)))
    expected = store.get_online_features("carrier_punctuality", {"carrier": ["UA"]})
    store.close()
    names = answer["metadata"]["feature_names"]
    assert {n: r["values"] for n, r in zip(names, answer["results"], strict=True)} == expected.to_dict()
    assert all(result["statuses"] == ["PRESENT"] for result in answer["results"])


def test_the_pages_status_rollback_and_parity_work_on_the_sample(home: Path) -> None:
    def ran(*words: str) -> str:
        done = subprocess.run(
            [AMORA_FS, *words], env=environment(home), cwd=home, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    view = "carrier_punctuality"
    ran("materialize-incremental", "--full", "--feature-views", view)  # a second generation, to go back from
    status, rollback, unpin, parity = (command[1:] for command in commands("online.md", "Generations"))
    assert [status[0], rollback[0], unpin[-1], parity[0]] == ["status", "rollback", "--unpin", "parity"]
    before = ran(*status)
    assert view in before
    assert "pinned" not in before
    ran(*rollback)
    assert "pinned" in ran(*status)
    ran(*unpin)
    assert "pinned" not in ran(*status)
    said = ran(*parity)
    assert re.search(r"\b(equal|same)\b", said), said
