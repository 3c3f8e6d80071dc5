"""Lineage for OpenLineage's receivers, by the package dagster-openlineage from the metadata that our assets have."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.project import QUIET, Project

CONFIG = """
telemetry: {enabled: false}
event_log_storage:
  module: dagster_openlineage
  class: OpenLineageEventLogStorage
  config:
    wrapped:
      module: dagster._core.storage.event_log
      class: SqliteEventLogStorage
      config: {base_dir: HOME/events}
    namespace: shop
    timeout: 20
"""


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The events that a receiver on a socket gets."""
    events: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_address[1]}")
    yield events
    server.shutdown()
    server.server_close()


def test_a_receiver_gets_the_checks_and_the_column_lineage_of_a_view(
    tmp_path: Path, received: list[dict[str, Any]]
) -> None:
    project = Project(tmp_path / "home", small.catalogue(), now=small.CLOCK)
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(CONFIG.replace("HOME", str(home)))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        done = project.defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(["raw", "orders"]), dg.AssetKey(["feature_view", "spending"])],
            run_config=QUIET,
        )
    project.close()
    assert done.success
    outputs = [output for event in received for output in event.get("outputs", [])]
    facets = [each.get("facets", {}) for each in outputs if "spending" in each["name"]]
    lineage = next(each["columnLineage"] for each in facets if "columnLineage" in each)
    (origin,) = lineage["fields"]["amount"]["inputFields"]
    assert (origin["field"], "orders" in origin["name"]) == ("amount", True)
    checks = [
        each for event in received for each in event["run"]["facets"].get("dagster_asset_check", {}).get("checks", [])
    ]
    assert {each["assertion"] for each in checks} >= {"customer", "amount", "unique_key"}
    assert all(each["passed"] for each in checks)
