"""A table that somebody changed by hand: said with the fix, on both engines, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.domain.errors import OfflineStoreError, SourceMismatch
from amora_fs_assets.operations import runs
from amora_fs_assets.operations.registry.apply import apply
from amora_fs_assets_tests import small
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.small import at

CLOCK = at(1, month=3)
CODE = small.catalogue()
VIEW = CODE.feature_view("spending")
DROPPED = "ALTER TABLE feature_store.spending DROP COLUMN amount"
RETYPED = (
    "CREATE OR REPLACE TABLE feature_store.spending AS "
    "SELECT customer, event_timestamp, CAST(amount AS {text}) AS amount FROM feature_store.spending"
)
Change = Callable[[str], None]


class Shop:
    """Two months of spending, published, and a hand that changes their table."""

    def __init__(self, store: FeatureStore, change: Change) -> None:
        self.store, self.change = store, change
        apply(CODE, store.registry, clock=at(1))
        runs.load_missing([VIEW], CODE, store=store.offline, registry=store.registry, run_id="load")
        self.compute(2)

    def compute(self, until: int) -> None:
        """From the start to the end of that month."""
        runs.compute(VIEW, at(1), at(1, month=until + 1), store=self.store.offline, registry=self.store.registry,
                     run_id="run", clock=CLOCK)  # fmt: skip

    def amounts(self) -> list[float]:
        spine = pd.DataFrame({"customer": [1, 1, 3], "event_timestamp": [at(2), at(2, month=2), at(4, month=2)]})
        joined: pd.DataFrame = self.store.get_historical_features("shopping", spine).to_df()
        return joined["amount"].to_list()


@pytest.fixture(params=["duckdb", pytest.param("bigquery", marks=[pytest.mark.google, pytest.mark.slow])])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    settings: dict[str, Any] = {"home": tmp_path, "now": CLOCK}

    def change(sql: str) -> None:
        if request.param == "duckdb":
            with duckdb.connect(tmp_path / "offline.duckdb") as connection:
                connection.execute(sql.format(text="VARCHAR"))
        else:
            store.offline._client.query_and_wait(sql.format(text="STRING"), wait_timeout=60)  # type: ignore[attr-defined]

    if request.param == "bigquery":
        emulator: BigQueryEmulator = request.getfixturevalue("bigquery_emulator")
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", emulator.host)
        monkeypatch.setenv("BIGQUERY_STORAGE_GRPC_ENDPOINT", emulator.grpc_address)
        project = f"by-hand-{request.node.callspec.params['kind']}"
        settings |= {"offline_store": "bigquery", "bigquery_project": project}
    store = FeatureStore(Settings(**settings))
    yield Shop(store, change)
    store.online.close()


@pytest.mark.parametrize(
    ("kind", "change", "read", "published"),
    [
        ("dropped", DROPPED, "feature_store.spending.*amount", "lost its column 'amount'.*from its start"),
        (
            "retyped",
            RETYPED,
            "'amount' of table feature_store.spending is string",
            "rows of other types.*from its start",
        ),
    ],
    ids=["dropped", "retyped"],
)
def test_it_is_refused_until_all_of_it_is_computed(
    shop: Shop, kind: str, change: str, read: str, published: str
) -> None:
    assert shop.amounts() == [10.0, 40.0, 50.0]
    shop.change(change)
    with pytest.raises(SourceMismatch, match=read):
        shop.amounts()
    before = shop.store.offline.publications()
    with pytest.raises(OfflineStoreError, match=published):
        shop.compute(1)
    assert shop.store.offline.publications() == before
    shop.compute(2)
    assert shop.amounts() == [10.0, 40.0, 50.0]
