"""What the stores' tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from amora_fs_assets.domain.ports.registry import ObjectStore
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.gcs import GcsObjectStore
from amora_fs_assets_tests.emulators.gcs import GcsEmulator

if TYPE_CHECKING:
    from google.cloud.storage import Client

OpenObjects = Callable[[], ObjectStore]

pytest.register_assert_rewrite("amora_fs_assets_tests.stores.object_store_contract")


@pytest.fixture
def gcs_client(gcs_emulator: GcsEmulator) -> Callable[[], Client]:
    """Makes clients of the emulator: each process needs its own."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    return lambda: Client("test", AnonymousCredentials(), client_options={"api_endpoint": gcs_emulator.host})


@pytest.fixture
def bucket(gcs_client: Callable[[], Client]) -> str:
    """A new, empty bucket."""
    return str(gcs_client().create_bucket(f"registry-{uuid4().hex}", timeout=20).name)


@pytest.fixture(params=["folder", pytest.param("gcs", marks=pytest.mark.google)])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> OpenObjects:
    """Opens the same objects again and again, in any process."""
    if request.param == "folder":
        return lambda: FolderObjectStore(tmp_path / "registry")
    client, bucket = request.getfixturevalue("gcs_client"), request.getfixturevalue("bucket")
    return lambda: GcsObjectStore(client(), bucket, "registry")
