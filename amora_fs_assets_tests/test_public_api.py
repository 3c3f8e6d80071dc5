"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import amora_fs_assets
from amora_fs_assets.domain.errors import FeatureStoreError

HEAVY = ("dagster", "ibis", "pandas", "google.cloud", "pyarrow", "duckdb", "redis")


def test_every_public_name_is_there() -> None:
    assert list(amora_fs_assets.__all__) == sorted(amora_fs_assets.__all__)
    for name in amora_fs_assets.__all__:
        assert getattr(amora_fs_assets, name).__doc__ or name == "Timestamp"


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, amora_fs_assets; print([m for m in {HEAVY} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_model_server_reads_without_ibis_pandas_dagster_or_google(tmp_path: object) -> None:
    code = f"""
import sys
from amora_fs_assets import FeatureStore, Settings
store = FeatureStore(Settings(home={str(tmp_path)!r}))
assert store.list_feature_views() == []
store.online.generation
import amora_fs_assets.operations.online.read, amora_fs_assets.operations.online.catalogue_cache
print([m for m in ("dagster", "ibis", "pandas", "google.cloud", "pyarrow", "duckdb") if m in sys.modules])
"""
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_what_reads_imports_msgspec_beside_redis_and_pythons_own_modules_alone() -> None:
    """So importing it costs little more than Redis' client does."""
    reading = ", ".join(
        f"amora_fs_assets.{each}"
        for each in (
            "feature_store",
            "operations.online.read",
            "operations.online.catalogue_cache",
            "stores.redis.online_store",
            "stores.registry.object_registry",
        )
    )
    code = f"""
import sys, redis
with_redis = set(sys.modules)
import {reading}
print(*{{each.partition(".")[0] for each in {{*sys.modules}} - with_redis}} - sys.stdlib_module_names)
"""
    imported = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert set(imported) <= {"amora_fs_assets", "msgspec", "typing_extensions"}


def test_the_message_of_an_error_can_be_printed() -> None:
    assert str(FeatureStoreError("no feature 'a\ud800'")).encode() == b"no feature 'a\\ud800'"
