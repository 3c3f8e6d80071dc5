"""What every online store does with pushed rows and rollbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from amora_fs_assets import FeatureView
from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.ports.online import OnlineStore
from amora_fs_assets_tests.servers import eventually
from amora_fs_assets_tests.stores.online_calls import OnlineCalls
from amora_fs_assets_tests.stores.online_rows import AMOUNT, NOTE, batch, hour, view_of


class OnlinePushContract(OnlineCalls):
    """Part of OnlineStoreContract, which gives the fixture `store`."""

    def test_a_pushed_row_wins_if_it_is_newer(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0), (2, hour(1), 1.0), (3, hour(1), 1.0))
        rows = batch(view, (1, hour(2), 2.0), (2, hour(1), 2.0), (3, hour(0), 2.0), (4, hour(0), 2.0))
        assert store.push(view, rows, sequence=None) == 2
        assert self.values(store, view, 1, 2, 3, 4) == [[2.0], [1.0], [1.0], [2.0]]

    def test_of_pushed_rows_the_newest_wins_in_any_order(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view)
        for moment in (2, 3, 1):
            store.push(view, batch(view, (1, hour(moment), float(moment))), sequence=None)
        assert self.values(store, view, 1) == [[3.0]]

    def test_of_pushed_rows_of_one_time_the_one_known_later_wins(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT, created=True)
        self.load(store, view)
        for known in (hour(2), hour(3), hour(1), None):
            store.push(view, batch(view, (1, hour(0), known, 1.0 if known == hour(3) else 0.0)), sequence=None)
        assert self.values(store, view, 1) == [[1.0]]

    def test_a_pushed_row_yields_to_a_batch_row_that_is_equal_or_newer(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view)
        store.push(view, batch(view, *((key, hour(5), 1.0) for key in (1, 2, 3))), sequence=None)
        self.load(store, view, (1, hour(4), 2.0), (2, hour(5), 2.0), (3, hour(6), 2.0), published_through=9)
        assert self.values(store, view, 1, 2, 3) == [[1.0], [2.0], [2.0]]

    def test_a_pushed_row_is_like_any_other_once_its_publication_is_loaded(self, store: OnlineStore) -> None:
        """What offline then says counts: here, that it was corrected, moved back in time, and deleted."""
        view = view_of(AMOUNT)
        self.load(store, view, published_through=1)
        store.push(view, batch(view, *((key, hour(5), 1.0) for key in (1, 2, 3))), sequence=4)
        self.load(store, view, (1, hour(3), 2.0), (2, None, None), published_through=3)
        assert self.values(store, view, 1, 2, 3) == [[1.0], [1.0], [1.0]]
        self.load(store, view, (1, hour(3), 2.0), (2, None, None), published_through=5)
        assert self.values(store, view, 1, 2, 3) == [[2.0], None, [1.0]]

    def test_pushed_rows_are_in_the_generation_that_is_being_filled_too(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0))

        def filling() -> Iterator[pa.RecordBatch]:
            yield batch(view, (1, hour(1), 1.0))
            store.push(view, batch(view, (1, hour(2), 2.0), (2, hour(2), 2.0)), sequence=None)

        store.load(view, filling(), published_through=2, clock=hour(100), new_generation=True)
        assert self.values(store, view, 1, 2) == [[2.0], [2.0]]

    def test_nothing_is_pushed_into_a_view_that_was_never_loaded_or_has_other_columns(self, store: OnlineStore) -> None:
        with pytest.raises(OnlineStoreError, match="spending.*never loaded"):
            store.push(view_of(AMOUNT), batch(view_of(AMOUNT), (1, hour(0), 1.0)), sequence=None)
        self.load(store, view_of(AMOUNT))
        with pytest.raises(OnlineStoreError, match="spending.*other columns"):
            store.push(view_of(NOTE), batch(view_of(NOTE), (1, hour(0), "a")), sequence=None)

    def test_a_rollback_shows_the_generation_before_until_it_is_unpinned(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0))
        self.load(store, view, (1, hour(1), 2.0), new_generation=True)
        assert self.rolled_back(store, view, lambda: store.rollback(view.name).number) == [[1.0]]
        self.load(store, view, (1, hour(2), 3.0), published_through=2)  # goes on in the newest, unseen
        assert self.values(store, view, 1) == [[1.0]]
        self.load(store, view, (1, hour(2), 4.0), published_through=3, new_generation=True)  # even then
        assert self.values(store, view, 1) == [[1.0]]
        assert self.rolled_back(store, view, lambda: store.unpin(view.name).number) == [[4.0]]

    def rolled_back(self, store: OnlineStore, view: FeatureView, change: Callable[[], int]) -> list[Any]:
        """What a reader finds, after at most a moment of what it found before the change."""
        before = self.values(store, view, 1)
        number = change()
        assert store.state(view.name).live_number == number
        return self.noticed(store, view, before)

    def noticed(self, store: OnlineStore, view: FeatureView, before: list[Any]) -> list[Any]:
        """The first answer that is another one."""
        eventually(lambda: self.values(store, view, 1) != before)
        return self.values(store, view, 1)

    def test_a_rollback_to_what_is_not_there_is_refused(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        with pytest.raises(OnlineStoreError, match="never loaded"):
            store.unpin(view.name)
        self.load(store, view, (1, hour(1), 1.0))
        for to in (None, 7):
            with pytest.raises(OnlineStoreError, match="spending.*does not exist"):
                store.rollback(view.name, to)
