"""What every online store does; each implementation's tests inherit these."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pytest

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.ports.online import Key, OnlineRows, OnlineStore
from amora_fs_assets.domain.types import DataType
from amora_fs_assets_tests.servers import eventually
from amora_fs_assets_tests.stores.online_push_contract import OnlinePushContract
from amora_fs_assets_tests.stores.online_rows import AMOUNT, CUSTOMER, NOTE, batch, hour, micros, request, view_of


class OnlineStoreContract(OnlinePushContract):
    """Subclasses give the fixture `store`: an empty one."""

    def test_a_view_that_was_never_loaded_has_no_generation_and_no_rows(self, store: OnlineStore) -> None:
        assert store.generation(view_of()) is None
        assert self.values(store, view_of(), 1, None) == [None, None]

    def test_rows_come_in_the_order_of_the_keys(self, store: OnlineStore) -> None:
        view = view_of()
        assert self.load(store, view, (1, hour(0), 1.5, "a"), (2, hour(0), None, None)) == 2
        assert self.values(store, view, 2, 1, 3, None, 1) == [[None, None], [1.5, "a"], None, None, [1.5, "a"]]

    def test_a_row_says_when_it_holds_from_and_when_it_became_known(self, store: OnlineStore) -> None:
        view = view_of(created=True)
        self.load(store, view, (1, hour(0), hour(2), 1.5, "a"), (2, hour(-9e5), None, 1.5, "a"))
        (found,) = store.read([request(view, [1, 2])])
        assert list(found.event_timestamps) == [micros(hour(0)), micros(hour(-9e5))]
        assert list(found.created_timestamps) == [micros(hour(2)), None]

    def test_views_of_different_keys_are_read_together(self, store: OnlineStore) -> None:
        pair = view_of(
            AMOUNT, keys=[Column("shop", DataType.STRING), CUSTOMER], name="pairs"
        )  # composite, and of another order
        whole = view_of(NOTE, keys=[], name="whole")
        self.load(store, view_of(), (1, hour(0), 1.0, "a"))
        self.load(store, pair, ("x", 1, hour(0), 2.0))
        self.load(store, whole, (hour(0), "all"))
        assert self.read(store, (view_of(), [1]), (pair, [("x", 1), ("x", 2)]), (whole, [()])) == [
            [[1.0, "a"]],
            [[2.0], None],
            [["all"]],
        ]

    def test_composite_keys_are_never_joined_as_text(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT, keys=[Column("a", DataType.STRING), Column("b", DataType.STRING)])
        self.load(store, view, ("1", "12", hour(0), 1.0), ("11", "2", hour(0), 2.0), ("", "112", hour(0), 3.0))
        assert self.values(store, view, ("1", "12"), ("11", "2"), ("", "112"), ("112", "")) == [
            [1.0], [2.0], [3.0], None,
        ]  # fmt: skip

    def test_a_number_is_not_its_text(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(0), 1.0))
        assert self.values(store, view, "1") == [None]

    def test_what_was_loaded_is_said_by_the_generation(self, store: OnlineStore) -> None:
        view = view_of()
        self.load(store, view, (1, hour(0), 1.0, ""), published_through=7, clock=hour(3))
        first = store.generation(view)
        assert first is not None
        assert (first.published_through, first.clock, first.schema_hash) == (7, hour(3), view.schema_hash)
        self.load(store, view, (1, hour(1), 2.0, ""), published_through=9, clock=hour(4))
        second = store.generation(view)
        assert second is not None
        assert (second.number, second.published_through, second.clock) == (first.number, 9, hour(4))

    def test_a_later_publication_wins_whatever_the_times(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(5), 1.0), (2, hour(5), 1.0), published_through=1)
        self.load(
            store, view, (1, hour(5), 2.0), (2, hour(3), 2.0), published_through=2
        )  # a correction, a row that moved
        assert self.values(store, view, 1, 2) == [[2.0], [2.0]]

    def test_an_earlier_publication_loses_whatever_the_times(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 2.0), published_through=2)
        self.load(store, view, (1, hour(9), 1.0), published_through=1)
        assert self.values(store, view, 1) == [[2.0]]

    def test_of_one_publication_the_newer_time_stays(self, store: OnlineStore) -> None:
        """Two loads, of which the one with the earlier clock comes last."""
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0), published_through=2, clock=hour(1))
        self.load(store, view, (1, hour(2), 2.0), published_through=2, clock=hour(2))
        self.load(store, view, (1, hour(1), 1.0), published_through=2, clock=hour(1))
        assert self.values(store, view, 1) == [[2.0]]

    def test_a_load_that_knows_less_does_not_set_the_cursor_back(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0), published_through=5, clock=hour(5))
        self.load(store, view, (2, hour(1), 1.0), published_through=3, clock=hour(5))
        self.load(store, view, (2, hour(1), 1.0), published_through=5, clock=hour(4))
        live = store.generation(view)
        assert live is not None
        assert (live.published_through, live.clock) == (5, hour(5))

    def test_a_tombstone_takes_a_key_away(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0), (2, hour(1), 1.0), published_through=1)
        self.load(store, view, (1, None, None), (3, None, None), published_through=2)
        assert self.values(store, view, 1, 2, 3) == [None, [1.0], None]

    def test_keys_with_a_row_are_counted_up_to_a_limit(self, store: OnlineStore) -> None:
        view, whole = view_of(AMOUNT), view_of(NOTE, keys=[], name="whole")
        assert store.count(view, 10) == 0
        self.load(store, view, (1, hour(1), 1.0), (2, hour(1), 1.0), (3, hour(1), 1.0), published_through=1)
        self.load(store, view, (1, None, None), published_through=2)
        self.load(store, whole, (hour(0), "all"))
        assert [store.count(view, most) for most in (1, 3, 10)] == [None, 2, 2]
        assert store.count(view, 2) in (2, None)  # a store may count a key whose row was taken away towards the limit
        assert store.count(whole, 10) == 1

    def test_a_key_that_was_taken_away_can_come_back(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, None, None), published_through=2)
        self.load(store, view, (1, hour(1), 3.0), published_through=3)
        assert self.values(store, view, 1) == [[3.0]]

    def test_a_slow_load_does_not_undo_a_newer_one_that_ends_before_it(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0), (2, hour(1), 1.0), published_through=1)

        def slow() -> Iterator[pa.RecordBatch]:
            self.load(store, view, (1, hour(0), 3.0), (2, None, None), published_through=3)
            yield batch(view, (1, hour(9), 2.0), (2, hour(9), 2.0))

        store.load(view, slow(), published_through=2, clock=hour(100), new_generation=False)
        assert self.values(store, view, 1, 2) == [[3.0], None]
        live = store.generation(view)
        assert live is not None
        assert live.published_through == 3

    def test_a_new_generation_that_knows_less_than_a_load_beside_it_does_not_go_live(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0), published_through=1)

        def slow() -> Iterator[pa.RecordBatch]:
            self.load(store, view, (1, hour(1), 3.0), published_through=3, new_generation=True)
            yield batch(view, (1, hour(1), 2.0))

        store.load(view, slow(), published_through=2, clock=hour(100), new_generation=True)
        assert self.values(store, view, 1) == [[3.0]]

    def test_a_stale_load_does_not_bring_a_deleted_key_back(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, None, None), published_through=2)
        self.load(store, view, (1, hour(1), 3.0), published_through=1)
        assert self.values(store, view, 1) == [None]

    def test_a_new_generation_holds_only_what_it_was_given(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0), (2, hour(1), 1.0), published_through=4)
        first = store.generation(view)
        self.load(store, view, (2, hour(1), 2.0), published_through=4, new_generation=True)
        second = store.generation(view)
        assert first is not None
        assert second is not None
        assert second.number > first.number
        assert self.values(store, view, 1, 2) == [None, [2.0]]

    def test_a_window_brings_some_keys_and_leaves_all_else_as_it_is(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0), (2, hour(1), 1.0), published_through=1, clock=hour(5))
        store.load(
            view,
            [batch(view, (2, hour(9), 2.0))],
            published_through=3,
            clock=hour(10),
            new_generation=False,
            window=True,
        )
        assert self.values(store, view, 1, 2) == [[1.0], [2.0]]
        live = store.generation(view)
        assert live is not None
        assert (live.published_through, live.clock, live.reached, live.partial) == (1, hour(5), hour(10), False)
        self.load(store, view, (1, hour(11), 3.0), published_through=4, clock=hour(12))
        live = store.generation(view)
        assert live is not None
        assert (live.published_through, live.clock, live.reached) == (4, hour(12), hour(12))

    def test_a_window_that_begins_a_generation_leaves_it_partial(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        rows = [batch(view, (2, hour(9), 2.0))]
        store.load(view, rows, published_through=3, clock=hour(10), new_generation=True, window=True)
        live = store.generation(view)
        assert live is not None
        assert (live.partial, self.values(store, view, 1, 2)) == (True, [None, [2.0]])

    def test_readers_see_a_new_generation_only_when_it_is_complete(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0), (2, hour(1), 1.0))

        def batches() -> Iterator[pa.RecordBatch]:
            yield batch(view, (1, hour(1), 2.0))
            assert self.values(store, view, 1, 2) == [[1.0], [1.0]]
            yield batch(view, (2, hour(1), 2.0))
            assert self.values(store, view, 1, 2) == [[1.0], [1.0]]

        store.load(view, batches(), published_through=1, clock=hour(100), new_generation=True)
        assert self.values(store, view, 1, 2) == [[2.0], [2.0]]

    def test_a_new_generation_that_fails_leaves_the_old_one(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0))

        def batches() -> Iterator[pa.RecordBatch]:
            yield batch(view, (1, hour(1), 2.0), (5, hour(1), 5.0))
            raise RuntimeError("the offline store is gone")

        with pytest.raises(RuntimeError):
            store.load(view, batches(), published_through=1, clock=hour(100), new_generation=True)
        assert self.values(store, view, 1, 5) == [[1.0], None]
        self.load(store, view, (1, hour(1), 3.0), new_generation=True)
        assert self.values(store, view, 1, 5) == [[3.0], None]

    def test_more_rows_than_one_write_takes(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        rows = [(number, hour(0), float(number)) for number in range(5_000)]
        assert store.load(view, [batch(view, *rows)], published_through=1, clock=hour(1), new_generation=True) == 5_000
        assert self.values(store, view, *range(0, 6_000, 500)) == [
            [float(number)] if number < 5_000 else None for number in range(0, 6_000, 500)
        ]

    def test_an_empty_load_makes_a_view_that_is_loaded_and_empty(self, store: OnlineStore) -> None:
        view = view_of()
        assert self.load(store, view, new_generation=True) == 0
        assert store.generation(view) is not None
        assert self.values(store, view, 1) == [None]

    def test_columns_that_are_not_online_yet_are_not_given_out(self, store: OnlineStore) -> None:
        self.load(store, view_of(AMOUNT), (1, hour(0), 1.0))
        (found,) = store.read([request(view_of(AMOUNT, NOTE), [1])])
        assert found.columns == {"amount": [1.0], "note": [None]}
        assert found.added == {"note"}

    def test_join_keys_of_other_types_than_those_online_are_refused(self, store: OnlineStore) -> None:
        self.load(store, view_of(AMOUNT), (1, hour(0), 1.0))
        with pytest.raises(OnlineStoreError, match="spending.*'customer': 'int64'.*materialize"):
            store.read([request(view_of(AMOUNT, keys=[Column("customer", DataType.STRING)]), ["1"])])

    def test_nothing_asked_for_is_nothing_found(self, store: OnlineStore) -> None:
        assert store.read([]) == []
        assert self.values(store, view_of()) == []

    def test_keys_of_every_size_are_told_apart(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT, keys=[CUSTOMER])
        numbers = [0, -1, 127, 128, -128, 2**31, -(2**63), 2**63 - 1]
        self.load(store, view, *((number, hour(0), float(place)) for place, number in enumerate(numbers)))
        assert self.values(store, view, *numbers) == [[float(place)] for place in range(len(numbers))]

    def test_a_removed_view_was_never_loaded(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0))
        self.load(store, view, (1, hour(1), 2.0), published_through=2, new_generation=True)
        store.remove(view.name)
        assert store.generation(view) is None
        eventually(lambda: self.values(store, view, 1) == [None])
        self.load(store, view, (2, hour(1), 1.0))
        eventually(lambda: self.values(store, view, 1, 2) == [None, [1.0]])

    def test_a_reader_that_knows_the_old_generation_notices_the_new_one(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0))
        assert self.values(store, view, 1) == [[1.0]]
        self.load(store, view, (1, hour(1), 2.0), new_generation=True)
        assert self.noticed(store, view, [[1.0]]) == [[2.0]]

    def test_a_check_that_fails_keeps_a_generation_from_going_live(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0))
        seen: list[Any] = []

        def check(read: Callable[[Sequence[Key]], OnlineRows]) -> None:
            seen.extend(read([(1,), (2,)]).columns["amount"])
            raise OnlineStoreError("it differs")

        with pytest.raises(OnlineStoreError, match="it differs"):
            store.load(
                view,
                [batch(view, (1, hour(1), 2.0))],
                published_through=1,
                clock=hour(1),
                new_generation=True,
                check=check,
            )
        assert seen == [2.0, None]
        assert self.values(store, view, 1) == [[1.0]]
        assert store.state(view.name).filling == ()

    def test_the_event_loop_reads_the_same(self, store: OnlineStore) -> None:
        view = view_of(AMOUNT)
        self.load(store, view, (1, hour(1), 1.0))

        async def read() -> OnlineRows:
            found = await store.read_async([request(view, [1, 2])])
            return (await store.read_async([request(view, [1, 2])]) and found)[0]

        for _ in range(2):  # each with a loop of its own
            assert list(asyncio.run(read()).columns["amount"]) == [1.0, None]
