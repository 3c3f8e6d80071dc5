"""A new offline engine and a new online store: each is a module and a row in the table of stores."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pandas as pd
import pytest
from ibis.expr.types import Table
from pandas.testing import assert_frame_equal

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import SettingsError
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import OnlineStore
from amora_fs_assets.store_table import OFFLINE_STORES, ONLINE_STORES, Implementation
from amora_fs_assets.stores.open import open_offline_store, open_online_store
from amora_fs_assets_tests.fakes.offline import MemoryOfflineStore, forget
from amora_fs_assets_tests.fakes.online import MemoryOnlineStore
from amora_fs_assets_tests.small import CLOCK, at, catalogue
from amora_fs_assets_tests.stores.offline_store_contract import OfflineStoreContract
from amora_fs_assets_tests.stores.online_store_contract import OnlineStoreContract


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Of both fakes: two rows in the table, and nothing else."""
    fakes = "amora_fs_assets_tests.fakes"
    monkeypatch.setitem(OFFLINE_STORES, "fake", Implementation(opener=f"{fakes}.offline:opened"))
    monkeypatch.setitem(ONLINE_STORES, "memory", Implementation(opener=f"{fakes}.online:opened"))
    yield Settings(home=tmp_path, offline_store="fake", online_store_url=f"memory://{uuid4().hex}", now=CLOCK)  # type: ignore[arg-type]
    forget(tmp_path)


class TestOfflineStore(OfflineStoreContract):
    @pytest.fixture
    def store(self, settings: Settings) -> OfflineStore:
        store = open_offline_store(settings)
        assert isinstance(store, MemoryOfflineStore)
        return store


class TestOnlineStore(OnlineStoreContract):
    @pytest.fixture
    def store(self, settings: Settings) -> OnlineStore:
        store = open_online_store(settings)
        assert isinstance(store, MemoryOnlineStore)
        return store


def doubled(orders: Table) -> Table:
    return orders.select("customer", amount=orders["amount"] * 2, event_timestamp=orders["at"])


def test_a_feature_store_lives_on_both(settings: Settings) -> None:
    served = [served_by(settings, catalogue(ttl=timedelta(days=60)))]
    served += [served_by(settings, catalogue(transform=doubled, ttl=timedelta(days=60)))]
    assert served == [[40.0, 20.0, 50.0, None], [80.0, 40.0, 100.0, None]]

    with FeatureStore(settings) as store:
        assert store.push("spending", [{"customer": 4, "event_timestamp": at(9, month=2), "amount": 4.0}]) == 1
        assert amounts(store) == [80.0, 40.0, 100.0, 4.0]
        assert store.parity("spending", sample=None).passed

        store.rollback("spending")
        assert amounts(store) == [40.0, 20.0, 50.0, 4.0]
        assert store.parity("spending", sample=None).behind == 3
        store.unpin("spending")
        assert amounts(store) == [80.0, 40.0, 100.0, 4.0]

        moments = [(1, at(2)), (1, at(3)), (2, at(1)), (2, at(1, month=3)), (2, at(9, month=4))]
        spine = pd.DataFrame(
            {"customer": [key for key, _ in moments], "event_timestamp": [time for _, time in moments]}
        )
        history = store.get_historical_features("shopping", spine)
        assert "ASOF" not in history.to_sql().upper()
        nan = float("nan")
        assert_frame_equal(history.to_df(), spine.assign(amount=[20.0, 60.0, nan, 40.0, nan]), check_dtype=False)


def served_by(settings: Settings, code: Catalogue) -> list[float | None]:
    """What readers get once the definitions were applied, computed and loaded."""
    with FeatureStore(settings, code) as store:
        store.apply()
        store.compute()
        store.materialize_incremental(full=True)
        return amounts(store)


def amounts(store: FeatureStore) -> list[float | None]:
    found = store.get_online_features("shopping", {"customer": [1, 2, 3, 4]}).to_dict()
    return list(found["amount"])


@pytest.mark.parametrize("extra", ["scylla", ""])
def test_a_row_whose_package_is_missing_names_what_to_install(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    monkeypatch.setitem(ONLINE_STORES, "memory", Implementation(opener="scylla_driver.store:opened", extra=extra))
    with pytest.raises(SettingsError, match="'scylla_driver', which .* is not installed") as refused:
        open_online_store(settings)
    wanted = "amora-fs-assets[scylla]" if extra else "scylla_driver"
    assert f"Run `pip install '{wanted}'`" in str(refused.value)
