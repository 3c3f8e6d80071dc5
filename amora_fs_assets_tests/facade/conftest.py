"""A small store that is computed and loaded, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.domain.time import utc
from amora_fs_assets_tests import small


@pytest.fixture(scope="module")
def fs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureStore]:
    settings = Settings(home=tmp_path_factory.mktemp("home"), now=utc(small.CLOCK))
    with FeatureStore(settings, small.catalogue(ttl=None)) as store:
        store.apply()
        store.compute("2020-01-01", "2020-03-01")
        store.materialize_incremental()
        yield store
