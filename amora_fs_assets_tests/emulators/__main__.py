"""Runs a command with Google Cloud on this machine: emulators of its own, and settings that name them.

    python -m amora_fs_assets_tests.emulators amora-fs demo

What the command leaves behind is gone when it ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from amora_fs_assets_tests.emulators.bigquery import bigquery_emulator
from amora_fs_assets_tests.emulators.gcs import gcs_emulator
from amora_fs_assets_tests.emulators.process import EmulatorUnavailableError


def main(command: list[str]) -> int:
    """The command's exit code; 2 without a command or an emulator."""
    if not command:
        sys.stderr.write(__doc__ or "")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / name for name in ("bigquery", "gcs", "home")]
        for place in places:
            place.mkdir()
        try:
            with bigquery_emulator(places[0]) as bigquery, gcs_emulator(places[1]) as gcs:
                environment = {
                    "BIGQUERY_EMULATOR_HOST": bigquery.host,
                    "BIGQUERY_STORAGE_GRPC_ENDPOINT": bigquery.grpc_address,
                    "STORAGE_EMULATOR_HOST": gcs.host,
                    "AMORA_FS_OFFLINE_STORE": "bigquery",
                    "AMORA_FS_BIGQUERY_PROJECT": bigquery.project,
                    "AMORA_FS_REGISTRY": f"gs://{gcs.new_bucket()}/registry",
                    "AMORA_FS_HOME": str(places[2]),
                }
                return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode
        except EmulatorUnavailableError as reason:
            sys.stderr.write(f"{reason}\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
