"""What the tests of historical features share."""

from __future__ import annotations

import pytest

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets_tests.operations.stores import fill
from amora_fs_assets_tests.operations.training.flights import NEVER, SERVICE, TABLES


@pytest.fixture(scope="module")
def fs(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """With the tables of flights.py; the definitions are applied."""
    home = tmp_path_factory.mktemp("home")
    fill(home, TABLES)
    store = FeatureStore(Settings(home=home), Catalogue.of([SERVICE, NEVER]))
    store.apply()
    return store
