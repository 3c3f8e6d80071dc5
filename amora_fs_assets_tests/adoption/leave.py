"""Makes `left/`: what a release leaves of `shop`. It was run by the code of commit 13a86c4, before meanings.

`git archive 13a86c4 | tar -x -C OLD; cp -r amora_fs_assets_tests/adoption OLD/amora_fs_assets_tests/`, then in OLD:
`python -m amora_fs_assets_tests.adoption.leave FOLDER`.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import redis

from amora_fs_assets import FeatureStore, Settings

CLOCK = datetime(2020, 1, 5, tzinfo=UTC)
DEFINITIONS = "amora_fs_assets_tests.adoption.shop"


def leave(folder: Path) -> None:
    """Apply, compute, build, load; then write the registry, the offline store and Redis as text."""
    home = Path(tempfile.mkdtemp())
    with FeatureStore(Settings(home=home, now=CLOCK), DEFINITIONS) as store:
        store.apply()
        store.compute("2020-01-01", "2020-01-05")
        store.materialize_incremental()
        client: Any = redis.Redis(unix_socket_path=str(next(home.rglob("*.sock"))))
        keys = sorted(client.keys("*"))
        kept = [[key.hex(), client.dump(key).hex()] for key in keys]
        (folder / "redis.json").write_text(json.dumps(kept, indent=0))
        shutil.copytree(home / "registry", folder / "registry")
    with duckdb.connect(str(home / "offline.duckdb"), read_only=True) as connection:
        connection.execute(f"EXPORT DATABASE '{folder / 'offline'}'")
    load = folder / "offline" / "load.sql"
    load.write_text(load.read_text().replace(str(folder / "offline"), "LEFT"))
    (folder / "registry" / ".lock").unlink(missing_ok=True)
    shutil.rmtree(home)


if __name__ == "__main__":
    leave(Path(sys.argv[1]))
