"""Registry, publications and Redis of the release before meanings (commit 13a86c4) are taken over as they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import redis

from amora_fs_assets import FeatureStore, Settings, feature_view
from amora_fs_assets.domain.errors import DefinitionNotApplied
from amora_fs_assets.domain.identity.definition import computing_identity
from amora_fs_assets.stores.embedded.server import EmbeddedServer
from amora_fs_assets_tests.adoption import shop
from amora_fs_assets_tests.adoption.leave import CLOCK

LEFT = Path(__file__).parent / "left"
KEYS = [{"customer": 1}, {"customer": 2}]
ONLINE = {"customer": [1, 2], "amount": [60.0, 80.0], "code": ["a", "b"], "total": [80.0, 120.0]}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeatureStore]:
    """The feature store whose parts the earlier release left."""
    shutil.copytree(LEFT / "registry", tmp_path / "registry")
    with duckdb.connect(str(tmp_path / "offline.duckdb")) as connection:
        for name in ("schema.sql", "load.sql"):
            connection.execute((LEFT / "offline" / name).read_text().replace("LEFT", str(LEFT / "offline")))
    server = EmbeddedServer(tmp_path)
    client = redis.Redis(unix_socket_path=str(server.acquire()))
    for key, value in json.loads((LEFT / "redis.json").read_text()):
        client.restore(bytes.fromhex(key), 0, bytes.fromhex(value))
    with FeatureStore(Settings(home=tmp_path, now=CLOCK), definitions=shop) as store:
        yield store
    server.release()


def test_the_first_plan_finds_nothing_to_change_and_nothing_to_compute(store: FeatureStore) -> None:
    plan = store.plan()
    assert (plan.changes, plan.recompute) == ((), ())


def test_the_first_apply_gives_every_definition_its_meaning(store: FeatureStore) -> None:
    assert store.registry.catalogue().feature_view("spending").meaning is None
    store.apply()
    applied = store.registry.catalogue()
    for name, view in store.code.feature_views.items():
        assert applied.feature_view(name).meaning == view.meaning
        assert computing_identity(applied.feature_view(name)) == computing_identity(view)
    assert applied.training_set("bought").meaning == store.code.training_set("bought").meaning
    plan = store.plan()
    assert (plan.changes, plan.recompute) == ((), ())


def test_what_was_published_counts_as_of_the_new_identity(store: FeatureStore) -> None:
    assert all(each.identity is None for each in store.offline.publications())
    assert {name: each.complete for name, each in store.coverage().items()} == {"spending": True, "totals": True}
    store.apply()
    assert {name: each.complete for name, each in store.coverage().items()} == {"spending": True, "totals": True}
    assert store.compute() == {}


def test_what_is_online_is_read_and_loaded_on_in_the_same_generation(store: FeatureStore) -> None:
    assert store.get_online_features("shopping", KEYS).to_dict() == ONLINE
    store.apply()
    loaded = store.materialize_incremental()
    assert {name: (each.rows, each.new_generation) for name, each in loaded.items()} == {
        "spending": (0, False),
        "totals": (0, False),
    }
    assert store.get_online_features("shopping", KEYS).to_dict() == ONLINE


def test_the_code_runs_before_it_is_applied_again(store: FeatureStore) -> None:
    published = store.compute("2020-01-04", "2020-01-05", feature_views=["spending"])["spending"]
    assert published is not None
    assert published.rows == 1


def test_the_definitions_of_an_old_run_are_found(store: FeatureStore) -> None:
    run = next(store.registry.records("spending", kind="compute"))
    before = store.registry.catalogue().hash
    store.apply()
    assert store.registry.catalogue().hash != before
    assert FeatureStore(store.settings, as_of=run.run_id).registry.catalogue().hash == before


def test_a_change_made_together_with_the_upgrade_is_seen(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop, "FACTOR", 3)
    assert shop.spending.transform is not None
    view = feature_view(
        schema=shop.Spending, entities=[shop.customer], sources=[shop.orders], ttl=shop.spending.ttl,
        start="2020-01-01", owner="shop@example.com", tags={"domain": "shop"},
    )(shop.spending.transform)  # fmt: skip
    monkeypatch.setattr(shop, "spending", view)
    monkeypatch.delattr(shop, "totals")
    monkeypatch.delattr(shop, "shopping")
    monkeypatch.delattr(shop, "bought")
    plan = store.plan()
    assert [each.what for change in plan.changes for each in change.differences] == ["code changed"]
    assert {each.view for each in plan.recompute} == {"spending", "totals"}
    with pytest.raises(DefinitionNotApplied, match="code changed"):
        store.compute("2020-01-04", "2020-01-05", feature_views=["spending"])
