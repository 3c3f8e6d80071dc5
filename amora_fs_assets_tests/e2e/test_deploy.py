"""`deploy/`: its dagster.yaml on a real Postgres, with queue, daemon, webserver and code location; its Dockerfile."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from amora_fs_assets_tests.conftest import missing
from amora_fs_assets_tests.e2e.dagster_dev import graphql
from amora_fs_assets_tests.emulators.process import EmulatorUnavailableError, free_ports
from amora_fs_assets_tests.postgres import PASSWORD, postgres

DEPLOY = Path(__file__).parents[2] / "deploy"
BIN = Path(sys.executable).parent
CODE_LOCATION = """
from amora_fs_assets.orchestration.code_location import FORKED, build_definitions
from amora_fs_assets.settings import Settings

# As on BigQuery: steps side by side, although they wait for one DuckDB file here.
defs = build_definitions(
    Settings.from_env(), definitions="amora_fs_assets.features", overrides={"executor": FORKED}
)
"""
LAUNCH = """mutation {{ launchRun(executionParams: {{
    selector: {{repositoryName: "__repository__", repositoryLocationName: "feature_store", jobName: "feature_store",
        assetSelection: [{{path: ["raw", "flights"]}}, {{path: ["feature_view", "carrier_punctuality"]}},
            {{path: ["online", "carrier_punctuality"]}}]}},
    executionMetadata: {{tags: [{tags}]}}
}}) {{ __typename ... on LaunchRunSuccess {{ run {{ runId }} }} ... on PythonError {{ message }} }} }}"""
MONTHS = ("2013-01-01", "2013-02-01")


@contextmanager
def running(home: Path, *words: str) -> Iterator[psutil.Process]:
    """A command until the block ends; all that it started is stopped with it."""
    with (home / "processes.log").open("ab") as log:
        process = subprocess.Popen(
            [BIN / words[0], *words[1:]], cwd=home, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    watched = psutil.Process(process.pid)
    try:
        yield watched
    finally:
        tree = [*watched.children(recursive=True), watched] if watched.is_running() else []
        process.terminate()
        _, alive = psutil.wait_procs(tree, timeout=15)
        for each in alive:
            each.kill()
        process.wait(timeout=15)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    """$DAGSTER_HOME with the files of deploy/ as they are, and the sample's definitions applied."""
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(DEPLOY / name, tmp_path)
    (tmp_path / "definitions.py").write_text(CODE_LOCATION)
    settings = {
        "DAGSTER_HOME": str(tmp_path), "AMORA_FS_HOME": str(tmp_path / "features"), "AMORA_FS_NOW": "2013-03-01",
        "CODE_LOCATION_HOST": "127.0.0.1", "CODE_LOCATION_PORT": str(free_ports(1)[0]),
    }  # fmt: skip
    with ExitStack() as stack:
        try:
            settings |= stack.enter_context(postgres())
        except EmulatorUnavailableError as reason:
            missing(request.config, str(reason))
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        subprocess.run([BIN / "amora-fs", "apply"], check=True, capture_output=True)
        yield tmp_path


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_sample_runs_through_the_queue_in_processes_of_its_own(home: Path) -> None:
    (port,) = free_ports(1)
    with ExitStack() as stack:
        server = stack.enter_context(code_location(home))
        stack.enter_context(running(home, "dagster-daemon", "run", "-w", "workspace.yaml"))
        webserver = stack.enter_context(
            running(home, "dagster-webserver", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port))
        )
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 60
        while time.monotonic() < until and not _listens(webserver, port):
            time.sleep(0.2)
        for month in MONTHS:
            launched(url, **{"dagster/partition": month})
        with dg.DagsterInstance.get() as instance:
            runs = _finished(instance, len(MONTHS))
            log = (home / "processes.log").read_text()[-3_000:]
            assert type(instance.run_storage).__name__ == "PostgresRunStorage"
            assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * len(MONTHS), log
            pids: set[str] = set()
            for run in runs:
                events = [entry.dagster_event for entry in instance.all_logs(run.run_id) if entry.dagster_event]
                assert "PIPELINE_ENQUEUED" in {event.event_type_value for event in events}
                said = [event.message or "" for event in events]
                pids |= {pid for line in said for pid in re.findall(r"\bpid: (\d+)", line)}
            assert len(pids) > 2 * len(MONTHS), "each run is a process of its own, and so is each of its steps"
            assert str(server.pid) not in pids
        listed = graphql(url, "{ runsOrError { ... on Runs { results { status } } } }")
        assert [each["status"] for each in listed["runsOrError"]["results"]] == ["SUCCESS"] * len(MONTHS)
        with dg.DagsterInstance.get() as instance:
            _a_run_whose_code_location_is_replaced_ends(home, url, server, instance)
    assert not list(home.rglob("runs.db")), "Postgres has them, no SQLite file beside it"
    assert not any(PASSWORD in each.read_text(errors="replace") for each in home.rglob("*") if each.is_file())


def _a_run_whose_code_location_is_replaced_ends(
    home: Path, url: str, server: psutil.Process, instance: dg.DagsterInstance
) -> None:
    (month,) = MONTHS[:1]
    tags = {"dagster/partition": month, "dagster/max_runtime": "1", "dagster/max_retries": "0"}
    orphan = launched(url, **tags)
    _wait_for(lambda: _status(instance, orphan) is dg.DagsterRunStatus.STARTED)
    for each in [*server.children(recursive=True), server]:
        each.kill()
    with code_location(home):
        _wait_for(lambda: _status(instance, orphan) in FINISHED_STATUSES)
        assert _status(instance, orphan) is dg.DagsterRunStatus.FAILURE
        said = [entry.message for entry in instance.all_logs(orphan)]
        assert any("Canceling due to exceeding maximum runtime of 1 seconds" in each for each in said)
        graphql(url, "mutation { reloadWorkspace { __typename } }")  # as a person does in the UI
        again = launched(url, **{"dagster/partition": month})
        _wait_for(lambda: _status(instance, again) in FINISHED_STATUSES)
        assert _status(instance, again) is dg.DagsterRunStatus.SUCCESS


def _status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


@contextmanager
def code_location(home: Path) -> Iterator[psutil.Process]:
    """The code location of deploy/, listening."""
    code = ("code-server", "start", "-f", "definitions.py", "-h", "127.0.0.1")
    port = os.environ["CODE_LOCATION_PORT"]
    with running(home, "dagster", *code, "-p", port) as server:
        _wait_for(lambda: _listens(server, int(port)))
        yield server


def launched(url: str, **tags: str) -> str:
    """The id of a run of the job with these tags, which waits in the queue."""
    words = ", ".join(f'{{key: "{key}", value: "{value}"}}' for key, value in tags.items())
    answer = graphql(url, LAUNCH.format(tags=words))["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def _wait_for(holds: Callable[[], bool], seconds: float = 200) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.2)


def _listens(process: psutil.Process, port: int) -> bool:
    listening = [c for each in (process, *process.children(recursive=True)) for c in each.net_connections()]
    return any(c.status == "LISTEN" and c.laddr.port == port for c in listening)


def _finished(instance: dg.DagsterInstance, count: int) -> list[dg.DagsterRun]:
    until = time.monotonic() + 400
    runs: list[dg.DagsterRun] = []
    while time.monotonic() < until:
        runs = list(instance.get_runs())
        if len(runs) == count and all(run.status in FINISHED_STATUSES for run in runs):
            break
        time.sleep(1)
    return runs
