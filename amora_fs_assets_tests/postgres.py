"""A real Postgres on a free loopback port, stopped by its id."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amora_fs_assets_tests.emulators.process import EmulatorUnavailableError, free_ports

PASSWORD = "not the one of production"


def _program(name: str) -> str:
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if found is None:
        raise EmulatorUnavailableError("There is no Postgres: apt-get install postgresql.")
    return found


def _somebody() -> dict[str, Any]:
    """Postgres refuses to be run by root."""
    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []} if os.getuid() == 0 else {}


@contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """The environment by which `deploy/dagster.yaml` finds it. Raises EmulatorUnavailableError."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        (home / "password").write_text(PASSWORD)
        if somebody := _somebody():
            for each in (home, home / "password"):
                shutil.chown(each, somebody["user"], somebody["group"])
        data, log = home / "data", home / "postgres.log"
        subprocess.run(
            [_program("initdb"), "-D", data, "-U", "dagster", "--auth=scram-sha-256", f"--pwfile={home}/password",
             "--encoding=UTF8", "--locale=C", "--no-sync"],
            check=True, capture_output=True, cwd=home, **somebody,
        )  # fmt: skip
        with log.open("wb") as output:
            server = subprocess.Popen(
                [_program("postgres"), "-D", data, "-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1",
                 "-c", "fsync=off"],
                stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=home, **somebody,
            )  # fmt: skip
        try:
            _wait(server, port, folder, log)
            yield {
                "DAGSTER_POSTGRES_HOST": "127.0.0.1",
                "DAGSTER_POSTGRES_PORT": str(port),
                "DAGSTER_POSTGRES_USER": "dagster",
                "DAGSTER_POSTGRES_PASSWORD": PASSWORD,
                "DAGSTER_POSTGRES_DB": "postgres",
            }
        finally:
            server.send_signal(signal.SIGINT)  # disconnect all, stop
            server.wait(timeout=30)


def _wait(server: subprocess.Popen[bytes], port: int, folder: str, log: Path) -> None:
    for _ in range(300):
        if server.poll() is not None:
            break
        ready = [_program("pg_isready"), "-h", folder, "-p", str(port)]
        if subprocess.run(ready, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text())
