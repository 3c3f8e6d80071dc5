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
        client = redis.Redis.from_url(store.online.url) if hasattr(store.online, "url") else _client(home)
        keys = sorted(client.keys("*"))
        kept = [[key.hex(), client.dump(key).hex()] for key in keys]
        (folder / "redis.json").write_text(json.dumps(kept, indent=0))
        shutil.copytree(home / "registry", folder / "registry")
    with duckdb.connect(str(home / "offline.duckdb"), read_only=True) as connection:
        connection.execute(f"EXPORT DATABASE '{folder / 'offline'}'")
    shutil.rmtree(home)


def _client(home: Path) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(next(home.rglob("*.sock"))))


if __name__ == "__main__":
    leave(Path(sys.argv[1]))
