"""docs/protocol.md, rule by rule: who may publish, what a load concludes, what a push and a reader may rely on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ibis.expr.types import Table

from amora_fs_assets import Entity, FeatureSchema, FeatureStore, FeatureView, Field, Settings, Timestamp
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionNotApplied, OnlineStateLost, OnlineStoreError, PublicationRefused
from amora_fs_assets.domain.protocol import TRIES, belongs, new_incarnation
from amora_fs_assets.operations.offline import compute as verb
from amora_fs_assets.operations.offline.load_source import load as load_source
from amora_fs_assets.stores.redis.online_store import RedisOnlineStore
from amora_fs_assets_tests import small
from amora_fs_assets_tests.small import at

Rows = list[tuple[int, datetime, float | None]]
Opened = Callable[..., FeatureStore]
ALL = ("2020-01-01", small.CLOCK)


class Doubled(small.Spending):
    """What a customer spends, and twice that."""

    double: float = Field(description="Twice the amount [EUR].")


class Whole(FeatureSchema):
    """What a customer spends, in whole units."""

    customer: int
    amount: int = Field(nullable=True)


class Known(FeatureSchema):
    """What a customer spends, with the time at which that became known."""

    customer: int
    created_timestamp: Timestamp = Field(nullable=True)
    amount: float


def doubled(orders: Table) -> Table:
    return orders.select("customer", "amount", double=orders["amount"] * 2, event_timestamp=orders["at"])


def whole(orders: Table) -> Table:
    return orders.select("customer", amount=orders["amount"].cast("int64"), event_timestamp=orders["at"])


def view_of(rows: Rows, schema: type[FeatureSchema] = small.Spending, transform: Any = None, **more: Any) -> Catalogue:
    """The view `spending` over these orders."""
    arguments: dict[str, Any] = {"partitions": "month", "start": "2020-01-01", **more}
    entities = arguments.pop("entities", [small.customer])
    copied = transform or (lambda orders: orders.select("customer", "amount", event_timestamp=orders["at"]))
    source = small.orders(rows)
    return Catalogue.of([FeatureView("spending", schema, entities, [source], transform=copied, **arguments)])


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Feature stores of one home, as processes with their own code have them."""
    stores: list[FeatureStore] = []

    def open_(code: Catalogue | None = None, *, now: str | None = small.CLOCK, breaking: bool = True) -> FeatureStore:
        store = FeatureStore(Settings(home=tmp_path, now=now))  # type: ignore[arg-type]
        if code is not None:
            store.code = code
            store.apply(allow_breaking=breaking)
            for source in code.sources.values():
                load_source(source, run_id=f"load-{len(stores)}", store=store.offline, registry=store.registry)
        stores.append(store)
        return store

    yield open_
    for store in stores:
        store.close()


def served(store: FeatureStore, *customers: int, feature: str = "amount") -> list[Any]:
    return store.get_online_features([f"spending:{feature}"], {"customer": list(customers)}).to_dict()[feature]


def kept(store: FeatureStore) -> list[Any]:
    rows = store.get_historical_features("spending", start="2020-01-01", end="2020-03-01").to_arrow()
    return sorted(rows["amount"].to_pylist())


def between(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Do something between the reading and the publishing of the next computation."""
    real = verb.publish

    def publish(computed: verb.StagedRows, **more: Any) -> Any:
        monkeypatch.setattr(verb, "publish", real)
        action()
        return real(computed, **more)

    monkeypatch.setattr(verb, "publish", publish)


def test_a_computation_that_read_first_does_not_publish_over_one_that_read_later(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(view_of([(1, at(2), 1.0)]))
    between(monkeypatch, lambda: opened(view_of([(1, at(2), 2.0)])).compute(*ALL))
    store.compute(*ALL)
    assert kept(store) == [2.0]
    (refused,) = store.registry.records("spending", kind="compute", status="failed")
    assert "published the same interval" in refused.error


def test_a_computation_that_is_refused_again_and_again_says_which_run_came_between(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = opened(view_of([(1, at(2), 1.0)])), opened(view_of([(1, at(2), 1.0)]))
    real = verb.publish
    deep: list[str] = []

    def publish(computed: verb.StagedRows, **more: Any) -> Any:
        if not deep:
            deep.append("the other run is at work")
            other.compute(*ALL)
            deep.clear()
        return real(computed, **more)

    monkeypatch.setattr(verb, "publish", publish)
    with pytest.raises(PublicationRefused, match=r"run compute-\S+ published the same interval .* Run the computation"):
        store.compute(*ALL)
    assert len(list(store.registry.records("spending", kind="compute", status="failed"))) == TRIES


def test_a_push_beside_a_computation_is_carried_over(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(view_of([(1, at(2), 1.0)]))
    store.compute(*ALL)
    store.materialize_incremental()
    push = {"customer": 1, "event_timestamp": at(3), "amount": 10.0}
    between(monkeypatch, lambda: store.push("spending", [push]))
    store.compute(*ALL)
    assert kept(store) == [1.0, 10.0]
    store.compute(*ALL)  # it began after the push, so that its rows replace the pushed one
    assert kept(store) == [1.0]


def test_a_pushed_row_gives_way_to_a_computed_one_of_its_key_and_time(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(view_of([(1, at(2), 1.0)]))
    store.compute(*ALL)
    store.materialize_incremental()
    between(monkeypatch, lambda: store.push("spending", [{"customer": 1, "event_timestamp": at(2), "amount": 9.0}]))
    store.compute(*ALL)
    assert kept(store) == [1.0]


def test_a_definition_that_counts_no_more_does_not_publish(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(view_of([(1, at(2), 1.0)]))

    def another() -> None:
        opened(view_of([(1, at(2), 1.0)], Doubled, doubled)).compute(*ALL)

    between(monkeypatch, another)
    with pytest.raises(DefinitionNotApplied, match="another definition was applied"):
        store.compute(*ALL)
    assert opened().get_historical_features(
        ["spending:double"], start="2020-01-01", end="2020-03-01"
    ).to_arrow()["double"].to_pylist() == [2.0]  # fmt: skip


def test_a_publication_repairs_what_an_apply_that_was_killed_did_not_write(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(view_of([(1, at(2), 1.0)]))
    (before,) = store.offline.applied()
    with monkeypatch.context() as killed:
        killed.setattr(FeatureStore, "_sync_applied", lambda _: None)
        store = opened(view_of([(1, at(2), 1.0)], Doubled, doubled))
    assert store.offline.applied() == (before,)
    store.compute(*ALL)
    (after,) = store.offline.applied()
    assert (after.applied_number, after.view_id) == (before.applied_number + 1, before.view_id)
    assert after.identity != before.identity


def test_a_pruned_view_may_not_be_published_for(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    code = view_of([(1, at(2), 1.0)])
    store = opened(code)

    def prune() -> None:
        other = opened()
        other.code = Catalogue.of([small.customer])
        other.apply(prune=True)

    between(monkeypatch, prune)
    with pytest.raises(DefinitionNotApplied):
        store.compute(*ALL)


def test_a_view_that_is_pruned_and_added_again_is_another_view(opened: Opened) -> None:
    store = opened(view_of([(1, at(2), 1.0), (2, at(2, month=2), 2.0)]))
    store.compute(*ALL)
    store.materialize_incremental()
    store.code = Catalogue.of([small.customer])
    store.apply(prune=True)

    def thousandfold(orders: Table) -> Table:
        return orders.select("customer", amount=orders["amount"] * 1000, event_timestamp=orders["at"])

    rows: Rows = [(1, at(2), 1.0), (2, at(2, month=2), 2.0)]
    store = opened(view_of(rows, transform=thousandfold, start="2020-02-01"))
    assert served(store, 1, 2) == [None, None]
    store.compute(*ALL)
    loaded = store.materialize_incremental()["spending"]
    assert loaded.because == "the online rows belong to an earlier view of this name"
    assert served(store, 1, 2) == [None, 2000.0]
    assert kept(store) == [2000.0]
    with pytest.raises(OnlineStoreError, match="a generation before"):
        store.rollback("spending")


def test_a_table_that_was_made_anew_is_loaded_whole(opened: Opened) -> None:
    store = opened(view_of([(1, at(2), 1.0), (2, at(2), 2.0)]))
    store.compute(*ALL)
    store.materialize_incremental()
    opened(view_of([(2, at(2), 2.0)], Whole, whole)).compute(*ALL)
    store = opened(view_of([(2, at(2), 2.0)]))
    store.compute(*ALL)
    assert store.materialize_incremental()["spending"].because == "the table was recreated"
    assert served(store, 1, 2) == [None, 2.0]
    assert store.parity("spending").passed


@pytest.mark.parametrize("begun_anew", [False, True], ids=["restored", "begun anew"])
def test_a_store_that_does_not_have_the_publication_of_the_cursor_is_loaded_whole(
    opened: Opened, tmp_path: Path, *, begun_anew: bool
) -> None:
    store = opened(view_of([(1, at(2), 1.0)]))
    store.compute(*ALL)
    file = tmp_path / "offline.duckdb"
    shutil.copy(file, tmp_path / "backup.duckdb")
    for _ in range(3):
        store.compute(*ALL)
    store.materialize_incremental()
    file.unlink()
    if not begun_anew:
        shutil.copy(tmp_path / "backup.duckdb", file)
    store = opened(view_of([(1, at(2), 100.0)]))
    store.compute(*ALL)
    because = store.materialize_incremental()["spending"].because
    assert "was recreated" in because if begun_anew else "it was restored or started empty" in because
    assert served(store, 1) == [100.0]


@pytest.mark.parametrize("later_pushes", [0, 3])
def test_a_store_that_lost_a_push_of_which_the_row_is_online_is_loaded_whole(
    opened: Opened, tmp_path: Path, later_pushes: int
) -> None:
    """The publication of the cursor is in the backup; the one of the push is not, and others may have its sequence."""
    store = opened(view_of([(1, at(2), 1.0), (2, at(2), 2.0)]))
    store.compute(*ALL)
    store.materialize_incremental()
    file = tmp_path / "offline.duckdb"
    shutil.copy(file, tmp_path / "backup.duckdb")
    store.push("spending", [{"customer": 1, "event_timestamp": at(3), "amount": 10.0}])
    shutil.copy(tmp_path / "backup.duckdb", file)
    store = opened()
    assert served(store, 1, 2) == [10.0, 2.0]
    assert not store.parity("spending").passed
    for day in range(later_pushes):
        store.push("spending", [{"customer": 2, "event_timestamp": at(3 + day), "amount": 20.0 + day}])
    assert "lost a publication whose rows are online" in store.materialize_incremental()["spending"].because
    assert served(store, 1, 2) == [1.0, 19.0 + later_pushes if later_pushes else 2.0]
    assert store.parity("spending").passed
    assert not store.materialize_incremental()["spending"].new_generation


def test_no_prefix_is_used_again_after_redis_was_emptied(opened: Opened) -> None:
    store = opened(view_of([(1, at(2), 1.0)]))
    store.compute(*ALL)
    store.materialize_incremental()
    online = store.online
    assert isinstance(online, RedisOnlineStore)
    before = online.state("spending").generations[-1].location
    online._connection.run(lambda client: client.flushall())
    store.materialize_incremental()
    assert online.state("spending").generations[-1].location != before


def test_a_longer_ttl_brings_back_what_redis_collected(opened: Opened) -> None:
    now = datetime.now(UTC)
    span = (now - timedelta(days=20), now)
    start = (now - timedelta(days=30)).replace(day=1).date().isoformat()
    rows: Rows = [(1, now - timedelta(days=2), 1.0), (2, now - timedelta(hours=1), 2.0)]
    store = opened(view_of(rows, ttl=timedelta(hours=2), start=start), now=None)
    store.compute(*span)
    store.materialize_incremental()
    assert served(store, 1, 2) == [None, 2.0]
    store = opened(view_of(rows, ttl=timedelta(days=20), start=start), now=None)
    assert "the ttl is longer" in store.materialize_incremental()["spending"].because
    assert served(store, 1, 2) == [1.0, 2.0]


def test_a_push_before_the_first_load_is_served_and_the_load_brings_the_rest(opened: Opened) -> None:
    store = opened(view_of([(1, at(2), 1.0)]))
    store.compute(*ALL)
    assert store.push("spending", [{"customer": 5, "event_timestamp": at(3), "amount": 10.0}]) == 1
    assert kept(store) == [1.0, 10.0]
    assert served(store, 1, 5) == [None, 10.0]
    store.materialize_incremental()
    assert served(store, 1, 5) == [1.0, 10.0]


def test_a_push_that_was_slow_before_the_first_load_does_not_hide_it(opened: Opened) -> None:
    """It sees no generation; the load goes live; then it would begin one of its own."""
    store = opened(view_of([(1, at(2), 1.0)]))
    store.compute(*ALL)
    real = store.online.load
    first: list[bool] = []

    def load(view: FeatureView, batches: Any, **options: Any) -> int:
        if not first:
            first.append(True)
            store.materialize_incremental()
        return real(view, batches, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.online, "load", load)
        store.push("spending", [{"customer": 5, "event_timestamp": at(3), "amount": 10.0}])
    assert served(store, 1, 5) == [1.0, 10.0]
    assert len(store.online.state("spending").generations) == 1


def test_a_push_leaves_a_generation_of_other_columns_as_it_is(opened: Opened) -> None:
    store = opened(view_of([(1, at(2), 1.0), (2, at(2), 2.0)]))
    store.compute(*ALL)
    store.materialize_incremental()
    store = opened(view_of([(1, at(2), 1.0), (2, at(2), 2.0)], Doubled, doubled))
    store.compute(*ALL)
    store.materialize_incremental()
    store.push("spending", [{"customer": 1, "event_timestamp": at(3), "amount": 10.0, "double": 20.0}])
    assert served(store, 1, 2) == [10.0, 2.0]
    store.rollback("spending")
    assert served(opened(), 1, 2) == [1.0, 2.0]


def test_a_push_that_is_slow_brings_nothing_back_that_was_deleted(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(view_of([(1, at(2), 1.0)]))
    store.compute(*ALL)
    store.materialize_incremental()
    real = store.online.push

    def slow(*args: Any, **more: Any) -> int:
        store.compute(*ALL)
        store.materialize_incremental()
        return real(*args, **more)

    monkeypatch.setattr(store.online, "push", slow)
    rows = [{"customer": 1, "event_timestamp": at(3), "amount": 10.0}]
    rows.append({"customer": 7, "event_timestamp": at(3), "amount": 70.0})
    assert store.push("spending", rows) == 0
    assert served(store, 1, 7) == [1.0, None]
    assert store.parity("spending", sample=100).passed


def test_a_push_beside_a_full_load_does_not_stop_it(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(view_of([(1, at(2), 1.0)]))
    store.compute(*ALL)
    store.materialize_incremental()
    written = RedisOnlineStore._written

    def and_push(self: Any, *args: Any, **more: Any) -> Any:
        result = written(self, *args, **more)
        store.push("spending", [{"customer": 1, "event_timestamp": at(3), "amount": 10.0}], to_offline=False)
        return result

    monkeypatch.setattr(RedisOnlineStore, "_written", and_push)
    assert store.materialize_incremental(full=True)["spending"].new_generation
    assert served(store, 1) == [10.0]


def test_a_null_created_timestamp_is_event_timestamp(opened: Opened) -> None:
    def known(orders: Table) -> Table:
        # 4.0 became known a day early, 5.0 at its time
        early = (orders["amount"] == 4.0).ifelse(at(4), None).cast("timestamp('UTC', 6)")
        return orders.select("customer", "amount", event_timestamp=orders["at"], created_timestamp=early)

    store = opened(view_of([(1, at(5), 4.0), (1, at(5), 5.0)], Known, known))
    store.compute(*ALL)
    store.materialize_incremental()
    assert served(store, 1) == [5.0]
    asked = small.orders_table([(1, at(9), None)]).rename_columns({"customer": "customer", "at": "event_timestamp",
                                                                  "amount": "none"})  # fmt: skip
    assert store.get_historical_features("spending", asked).to_arrow()["amount"].to_pylist() == [5.0]


def test_a_redis_that_was_emptied_is_told_from_an_entity_that_is_not_there(opened: Opened) -> None:
    store = opened(view_of([(1, at(2), 1.0)]))
    assert served(store, 1) == [None], "it was never loaded"
    store.compute(*ALL)
    store.materialize_incremental()
    assert served(opened(), 1, 9) == [1.0, None]
    store.online._connection.run(lambda client: client.flushall())  # type: ignore[attr-defined]
    with pytest.raises(OnlineStateLost, match="Redis was emptied"):
        served(opened(), 1)
    store.materialize_incremental()
    assert served(opened(), 1) == [1.0]


def test_a_rollback_goes_to_the_generation_that_went_live_before(opened: Opened) -> None:
    store = opened(view_of([(1, at(2), 1.0)]))
    store.compute(*ALL)
    store.materialize_incremental()
    first = store.online.state("spending").live_number
    store.materialize_incremental(full=True)
    assert store.rollback("spending").number == first


def test_join_keys_in_another_order_are_served_by_a_process_that_read_the_old_ones(opened: Opened) -> None:
    class Pair(FeatureSchema):
        """Of a customer and a till."""

        customer: int
        till: int
        amount: float = Field(nullable=True)

    def of_till(orders: Table) -> Table:
        return orders.select("customer", "amount", till=orders["customer"] * 10, event_timestamp=orders["at"])

    till = Entity("till")
    store = opened(view_of([(1, at(2), 1.0)], Pair, of_till, entities=[small.customer, till]))
    store.compute(*ALL)
    store.materialize_incremental()
    server = opened()
    asked = {"customer": [1], "till": [10]}
    assert server.get_online_features("spending", asked).to_dict()["amount"] == [1.0]
    store = opened(view_of([(1, at(2), 1.0)], Pair, of_till, entities=[till, small.customer]))
    store.materialize_incremental()
    server._served.refresh()
    assert server.get_online_features("spending", asked).to_dict()["amount"] == [1.0]


def test_a_table_belongs_to_the_view_that_it_was_made_for() -> None:
    assert belongs(new_incarnation("a1b2"), "a1b2")
    assert not belongs(new_incarnation("a1b2"), "")
    assert not belongs(new_incarnation(""), "a1b2")
    assert belongs(new_incarnation(""), "")
    assert belongs("", ""), "a table of an earlier release"
    assert not belongs("", "a1b2")
