"""The real flights, weather, planes and airports, loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.operations.offline import load_source as sources
from amora_fs_assets_tests.features.sample import CLOCK, at


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """The sample, applied, its sources loaded; no view is computed yet, but for the one that another view reads."""
    home: Path = tmp_path_factory.mktemp("sample")
    store = FeatureStore(Settings(home=home, now=CLOCK))
    store.apply()
    for source in store.code.sources.values():
        sources.load(source, run_id="sample", store=store.offline, registry=store.registry)
    store.compute(at(1, 1), CLOCK, ["airport_weather"])
    return store
