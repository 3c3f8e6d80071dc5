"""A writer touches only the tables that it made itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from amora_fs_assets import FeatureService, FeatureStore, Settings, TrainingSet
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionError, FeatureStoreError, InvalidRequest, OfflineStoreError
from amora_fs_assets_tests.small import CLOCK, _spine, at, catalogue, orders, spending

ASKED = pa.table({"customer": [1], "event_timestamp": pa.array([at(5)], pa.timestamp("us", tz="UTC"))})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeatureStore]:
    """With its source and its view computed."""
    store = FeatureStore(Settings(home=tmp_path, now=datetime.fromisoformat(CLOCK)), catalogue())
    store.apply()
    store.compute("2020-01-01", CLOCK)
    yield store
    store.close()


def tables(store: FeatureStore) -> dict[str, int]:
    """Each table and its number of rows."""
    with duckdb.connect(str(store.settings.home / "offline.duckdb"), read_only=True) as connection:
        names = connection.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables()").fetchall()
        return {name: connection.sql(f"FROM {name}").shape[0] for (name,) in names}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("feature_store.spending", "feature_store.spending belongs to Feature view 'spending'"),
        ("feature_store.SPENDING", "Feature view 'spending'"),
        ("raw.orders", "raw.orders belongs to Source 'orders'"),
        ("feature_store._publications", "feature_store._publications has a name of the store's internal tables"),
        ("feature_store._dropped_spending", "the store's internal tables"),
        ("lab.by_hand", "lab.by_hand is external: it holds rows that to_table did not publish"),
        ("lab.empty", "lab.empty is external: it holds rows that to_table did not publish"),
        ("feature_store.training_set_old_1", "training_set_old_1 is external"),
    ],
)
def test_to_table_refuses_a_table_that_it_did_not_write(store: FeatureStore, table: str, said: str) -> None:
    with duckdb.connect(str(store.settings.home / "offline.duckdb")) as connection:
        connection.execute(
            "CREATE SCHEMA lab; CREATE TABLE lab.by_hand AS SELECT 1 AS x; CREATE TABLE lab.empty (x INT)"
        )
        connection.execute("CREATE TABLE feature_store.training_set_old_1 AS SELECT 1 AS x")
    before = tables(store)
    for asked in (ASKED, "SELECT 1 AS customer, TIMESTAMPTZ '2020-01-05' AS event_timestamp"):
        with pytest.raises(OfflineStoreError, match=said):
            store.get_historical_features("spending", asked).to_table(table)
    assert tables(store) == before


def test_to_table_replaces_what_to_table_wrote(store: FeatureStore) -> None:
    two = pa.concat_tables([ASKED, ASKED])
    assert store.get_historical_features("spending", two).to_table("lab.spending") == 2
    assert store.get_historical_features("spending", ASKED).to_table("lab.spending") == 1
    assert tables(store)["lab.spending"] == 1


def test_a_definition_does_not_take_a_table_that_to_table_wrote(store: FeatureStore) -> None:
    store.get_historical_features("spending", ASKED).to_table("feature_store.bought_often")
    source = orders()
    store.code = Catalogue.of([spending(source), spending(source, name="bought_often")])
    store.apply()
    with pytest.raises(OfflineStoreError, match=r"bought_often belongs to to_table.*Rename the feature view"):
        store.compute("2020-01-01", CLOCK, ["bought_often"])
    assert not [name for name in tables(store) if "_staged_" in name]


def test_a_table_that_to_table_wrote_is_no_publication_of_a_view(store: FeatureStore) -> None:
    store.materialize_incremental()
    store.get_historical_features("spending", ASKED).to_table("lab.spending")
    assert not store.materialize_incremental()["spending"].new_generation
    assert not store.materialize_incremental()["spending"].rows


@pytest.mark.parametrize(
    "table", ["spending", "a.b.c", "", "lab.", "lab.x; DROP TABLE raw.orders", "lab.é", "\ud800.x"]
)
def test_to_table_refuses_what_is_no_tables_name(store: FeatureStore, table: str) -> None:
    with pytest.raises(InvalidRequest, match="to_table"):
        store.get_historical_features("spending", ASKED).to_table(table)


@pytest.mark.parametrize("wrong", [None, 1, b"lab.x", ["lab.x"]])
def test_to_table_refuses_what_is_no_text(store: FeatureStore, wrong: object) -> None:
    with pytest.raises(InvalidRequest, match="to_table"):
        store.get_historical_features("spending", ASKED).to_table(wrong)  # type: ignore[arg-type]


def test_nothing_stays_staged_where_the_rows_cannot_be_kept(store: FeatureStore) -> None:
    asked = "SELECT 1 AS customer, TIMESTAMPTZ '2020-01-05' AS event_timestamp, {'a': 1} AS s"
    with pytest.raises(FeatureStoreError, match="'s'"):
        store.get_historical_features("spending", asked).to_table("lab.x")
    assert not [name for name in tables(store) if "_staged_" in name or name.startswith("lab")]


def test_views_sources_and_training_sets_share_no_name() -> None:
    source = orders()
    view = spending(source)
    service = FeatureService("shopping", [view])
    for name, kind in (("spending", "feature view"), ("orders", "source")):
        with pytest.raises(DefinitionError, match=f"Training set '{name}' has the name of a {kind}. Rename one"):
            Catalogue.of([TrainingSet(name, service, [source], spine=_spine)])
