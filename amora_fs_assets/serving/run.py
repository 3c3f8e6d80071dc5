"""Runs the HTTP server: one process, or several workers that share the port."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict
from functools import partial
from typing import Any

import msgspec
import uvicorn

from amora_fs_assets.feature_store import FeatureStore
from amora_fs_assets.serving.app import Limits, create_app
from amora_fs_assets.serving.asgi import Application
from amora_fs_assets.serving.connections import PatientConnection
from amora_fs_assets.settings import Settings

_LIMITS = "_AMORA_FS_SERVE_LIMITS"  # passes the limits to worker processes; not a setting
SECONDS_TO_FINISH = 20


def run(settings: Settings, *, workers: int = 1, access_log: bool = False, limits: Limits | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Requests in progress are answered first.

    Workers read their settings from the environment, as this process did.
    """
    limits = limits or Limits()
    os.environ[_LIMITS] = msgspec.json.encode(asdict(limits)).decode()
    connection: Any = partial(PatientConnection, seconds=limits.seconds)  # Uvicorn only calls it, but declares a class
    with tempfile.TemporaryDirectory() as numbers:
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = numbers
        uvicorn.run(
            f"{__name__}:app" if workers > 1 else create_app(FeatureStore(settings), limits),
            factory=workers > 1,
            host=settings.http_host,
            port=settings.http_port,
            workers=workers,
            access_log=access_log,
            log_level="info" if access_log else "warning",
            loop="auto",
            http=connection,
            ws="none",
            lifespan="on",
            proxy_headers=access_log,  # the client's address is only logged
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=SECONDS_TO_FINISH,
        )


def app() -> Application:
    """The application of a worker process."""
    return create_app(FeatureStore(Settings.from_env()), msgspec.json.decode(os.environ[_LIMITS], type=Limits))
