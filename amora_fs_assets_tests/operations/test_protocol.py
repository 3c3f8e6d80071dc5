"""docs/protocol.md, rule by rule: who may publish."""

from __future__ import annotations

from typing import Any

import pytest
from ibis.expr.types import Table

from amora_fs_assets import FeatureStore
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionNotApplied, OnlineStoreError, PublicationRefused
from amora_fs_assets.domain.protocol import TRIES, belongs, new_incarnation
from amora_fs_assets.operations.offline import compute as verb
from amora_fs_assets_tests import small
from amora_fs_assets_tests.operations.spending import (
    ALL,
    Doubled,
    Opened,
    Rows,
    between,
    doubled,
    kept,
    served,
    view_of,
)
from amora_fs_assets_tests.small import at


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


def test_a_table_belongs_to_the_view_that_it_was_made_for() -> None:
    assert belongs(new_incarnation("a1b2"), "a1b2")
    assert not belongs(new_incarnation("a1b2"), "")
    assert not belongs(new_incarnation(""), "a1b2")
    assert belongs(new_incarnation(""), "")
    assert belongs("", ""), "a table of an earlier release"
    assert not belongs("", "a1b2")
