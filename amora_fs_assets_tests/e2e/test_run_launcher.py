"""`deploy/run-launcher-docker.yaml`: a run whose container is gone ends, by Dagster's monitoring and Docker's API."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster_shared.yaml_utils import load_yaml_from_path

DEPLOY = Path(__file__).parents[2] / "deploy"
RUNNING, GONE = "a" * 64, "b" * 64


class _Docker(BaseHTTPRequestHandler):
    """As much of Docker's API as asking for a container takes: one is running, any other is not there."""

    def do_GET(self) -> None:
        found = RUNNING in self.path or self.path.endswith("/version")
        state = {"ApiVersion": "1.45", "Id": RUNNING, "State": {"Status": "running"}, "Config": {"Labels": {}}}
        body = json.dumps(state if found else {"message": "No such container"}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002  (the base's name)


@contextmanager
def docker() -> Iterator[str]:
    """The address of such a server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Docker) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()


def _yaml(name: str) -> dict[str, Any]:
    found = load_yaml_from_path(str(DEPLOY / name))
    assert isinstance(found, dict)
    return found


def test_a_run_whose_container_is_gone_ends_and_one_that_runs_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = pytest.importorskip("dagster_docker.docker_run_launcher").DOCKER_CONTAINER_ID_TAG
    config = {**_yaml("dagster.yaml"), **_yaml("run-launcher-docker.yaml")}
    overrides = {key: config[key] for key in ("run_launcher", "run_monitoring", "run_retries", "telemetry")}
    monkeypatch.setenv("FEATURE_STORE_IMAGE", "feature-store")
    monkeypatch.setenv("DOCKER_NETWORK", "dagster")

    @dg.job
    def feature_store() -> None: ...

    with docker() as address, dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
        monkeypatch.setenv("DOCKER_HOST", address)
        runs = {
            container: instance.create_run_for_job(
                feature_store, status=dg.DagsterRunStatus.STARTED, tags={tag: container}
            )
            for container in (RUNNING, GONE)
        }
        for run in runs.values():  # as a run says that it began
            instance.report_dagster_event(
                dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=run.job_name, message="began"), run.run_id
            )
        with WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as workspace:
            list(execute_run_monitoring_iteration(workspace, logging.getLogger(__name__)))
        status = {name: instance.get_run_by_id(run.run_id) for name, run in runs.items()}
        said = [entry.message for entry in instance.all_logs(runs[GONE].run_id)]
    assert {name: run.status for name, run in status.items() if run} == {
        RUNNING: dg.DagsterRunStatus.STARTED, GONE: dg.DagsterRunStatus.FAILURE
    }  # fmt: skip
    assert any("Could not find container" in line for line in said), said
