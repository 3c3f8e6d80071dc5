"""What the stores' tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from amora_fs_assets_tests.emulators.gcs import GcsEmulator

if TYPE_CHECKING:
    from google.cloud.storage import Client

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
