"""`amora-fs serve` as a process of its own, and reads of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from amora_fs_assets_tests.emulators.process import free_ports
from amora_fs_assets_tests.soak.worker import own_environment


class HttpServer:
    """The server over the home that all share."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self._home, self._environment = home, environment
        self._process: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(timeout=30, trust_env=False)

    def start(self) -> None:
        """Run it, and wait until it answers."""
        (port,) = free_ports(1)
        command = [str(Path(sys.executable).with_name("amora-fs")), "serve", "--port", str(port)]
        environment = {**own_environment(), **self._environment, "AMORA_FS_HOME": str(self._home)}
        with (self._home / "http.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False)
        deadline = time.monotonic() + 60
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                if self._client.get("/ready").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError((self._home / "http.log").read_text())

    def kill(self) -> None:
        """At once, whatever it is at."""
        self._client.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def read(self, features: Sequence[str], entities: Mapping[str, Sequence[Any]]) -> Mapping[str, Any]:
        """Values and statuses by full feature name."""
        body = {"features": list(features), "entities": entities, "full_feature_names": True}
        answer = self._client.post("/get-online-features", json=body)
        if answer.status_code != 200:
            raise AssertionError(f"HTTP {answer.status_code}: {answer.text}")
        found = answer.json()
        pairs = list(zip(found["metadata"]["feature_names"], found["results"], strict=True))
        return {
            "values": {name: each["values"] for name, each in pairs},
            "statuses": {name: each["statuses"] for name, each in pairs},
        }
