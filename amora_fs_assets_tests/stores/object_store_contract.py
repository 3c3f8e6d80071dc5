"""What a registry needs of a store of objects. Each implementation runs through these tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.ports.registry import ObjectStore
from amora_fs_assets_tests.stores.at_once import at_once

OpenStore = Callable[[], ObjectStore]


class ObjectStoreContract:
    """Inherit it, and define the fixture `open_store`: a function that opens the same, empty store each time."""

    @pytest.fixture
    def store(self, open_store: OpenStore) -> ObjectStore:
        return open_store()

    def test_what_was_never_written_is_none(self, store: ObjectStore) -> None:
        assert store.read("head.json") is None
        assert store.read("runs/of/nothing.json") is None
        assert list(store.names("")) == []
        assert list(store.names("runs/of/nothing")) == []

    def test_an_object_is_read_back_byte_for_byte(self, store: ObjectStore, open_store: OpenStore) -> None:
        data = bytes(range(256)) * 1000
        assert store.create("a/b.json", data)
        stored = open_store().read("a/b.json")
        assert stored is not None and stored.data == data

    def test_an_object_may_be_empty(self, store: ObjectStore) -> None:
        assert store.create("empty", b"")
        stored = store.read("empty")
        assert stored is not None and stored.data == b""

    def test_an_object_is_created_once(self, store: ObjectStore) -> None:
        assert store.create("a.json", b"first")
        assert not store.create("a.json", b"second")
        assert not store.create("a.json", b"first")
        stored = store.read("a.json")
        assert stored is not None and stored.data == b"first"

    def test_a_replacement_names_the_generation_that_it_replaces(self, store: ObjectStore) -> None:
        assert store.replace("head", b"1", generation=None)
        first = store.read("head")
        assert first is not None
        assert store.replace("head", b"2", generation=first.generation)
        assert not store.replace("head", b"3", generation=first.generation)
        assert not store.replace("head", b"3", generation=None)
        second = store.read("head")
        assert second is not None and second.data == b"2"

    def test_an_object_that_is_not_there_is_not_replaced(self, store: ObjectStore) -> None:
        assert store.create("other", b"1")
        other = store.read("other")
        assert other is not None
        assert not store.replace("head", b"1", generation=other.generation)
        assert store.read("head") is None

    def test_the_same_bytes_again_are_another_generation(self, store: ObjectStore) -> None:
        store.create("head", b"A")
        first = store.read("head")
        assert first is not None
        assert store.replace("head", b"B", generation=first.generation)
        between = store.read("head")
        assert between is not None
        assert store.replace("head", b"A", generation=between.generation)
        assert not store.replace("head", b"C", generation=first.generation)

    def test_names_are_sorted_and_start_with_the_prefix(self, store: ObjectStore) -> None:
        names = ["b/2", "b/1", "b/10/x", "b-1/x", "a", "c/1"]
        for name in names:
            assert store.create(name, b"")
        assert list(store.names("")) == sorted(names)
        assert list(store.names("b/")) == ["b/1", "b/10/x", "b/2"]
        assert list(store.names("b/1")) == ["b/1", "b/10/x"]
        assert list(store.names("b")) == ["b-1/x", "b/1", "b/10/x", "b/2"]
        assert list(store.names("d/")) == []

    @pytest.mark.parametrize(
        "name",
        ["", "/etc/passwd", "../up", "a/../../up", "a//b", "a/", ".lock", "a/.b", "a\\b", "a\nb", "ü", "a" * 1000],
    )
    def test_a_name_that_could_leave_the_registry_is_refused(self, store: ObjectStore, name: str) -> None:
        with pytest.raises(InvalidRequest):
            store.read(name)
        with pytest.raises(InvalidRequest):
            store.create(name, b"")
        with pytest.raises(InvalidRequest):
            store.replace(name, b"", generation=None)

    def test_a_prefix_does_not_leave_the_registry(self, store: ObjectStore) -> None:
        with pytest.raises(InvalidRequest):
            list(store.names("../"))

    @pytest.mark.parametrize("processes", [6, pytest.param(20, marks=pytest.mark.slow)])
    def test_of_processes_that_create_one_object_one_succeeds(self, open_store: OpenStore, processes: int) -> None:
        def create(number: int) -> list[bool]:
            store = open_store()
            return [store.create(f"object-{each}", str(number).encode()) for each in range(10)]

        for each, answers in enumerate(zip(*at_once(create, processes), strict=True)):
            stored = open_store().read(f"object-{each}")
            assert sum(answers) == 1
            assert stored is not None and int(stored.data) == answers.index(True)

    @pytest.mark.parametrize("processes", [6, pytest.param(20, marks=pytest.mark.slow)])
    def test_processes_that_count_by_replacing_lose_no_count(self, open_store: OpenStore, processes: int) -> None:
        def count(number: int) -> None:
            store, left = open_store(), 5
            while left:
                stored = store.read("count")
                value = int(stored.data) if stored else 0
                generation = stored.generation if stored else None
                left -= store.replace("count", str(value + 1).encode(), generation=generation)

        at_once(count, processes)
        stored = open_store().read("count")
        assert stored is not None and int(stored.data) == 5 * processes

    def test_a_reader_sees_the_old_bytes_or_the_new(self, open_store: OpenStore) -> None:
        open_store().create("head", b"")

        def write_or_read(number: int) -> list[int]:
            store = open_store()
            if number:
                seen = [stored.data if (stored := store.read("head")) else None for _ in range(60)]
                assert all(data is not None and data == data[:1] * len(data) for data in seen)
                return [len(data or b"") for data in seen]
            for size in range(1, 61):
                stored = store.read("head")
                assert stored is not None
                assert store.replace("head", bytes([size]) * size * 1000, generation=stored.generation)
            return []

        for lengths in at_once(write_or_read, 3):
            assert lengths == sorted(lengths)  # never back to an older state
