"""docs/protocol.md, rule by rule: what a load concludes, what a push and a reader may rely on."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ibis.expr.types import Table

from amora_fs_assets import Entity, FeatureSchema, FeatureView, Field
from amora_fs_assets.domain.errors import OnlineStateLost
from amora_fs_assets.stores.redis.online_store import RedisOnlineStore
from amora_fs_assets_tests import small
from amora_fs_assets_tests.operations.spending import (
    ALL,
    Doubled,
    Known,
    Opened,
    Rows,
    Whole,
    doubled,
    kept,
    served,
    view_of,
    whole,
)
from amora_fs_assets_tests.small import at


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
