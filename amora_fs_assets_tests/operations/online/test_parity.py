"""Parity: faults in what is served are counted and shown, and what is no fault is counted apart."""

from __future__ import annotations

import pytest

from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import OnlineStore
from amora_fs_assets.operations.online import parity as verb
from amora_fs_assets.operations.online.parity import Parity, parity
from amora_fs_assets_tests.operations.online.test_materialize import VIEW, load, publish
from amora_fs_assets_tests.operations.online.test_push import ROW, pushed
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.stores.online_rows import batch


@pytest.fixture
def loaded(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0), (2, at(9), None))
    load(offline, online)


def counts(found: Parity) -> dict[str, int]:
    names = ("equal", "missing", "extra", "stale", "different", "ahead", "behind")
    return {name: getattr(found, name) for name in names if getattr(found, name)}


def damage(online: OnlineStore, *rows: tuple[object, ...]) -> None:
    """Write into the live generation what no load would."""
    live = online.generation(VIEW)
    assert live is not None
    online.load(
        VIEW, [batch(VIEW, *rows)], published_through=live.published_through, clock=live.clock, new_generation=True
    )


@pytest.mark.usefixtures("loaded")
class TestParity:
    def test_what_was_loaded_is_equal(self, offline: OfflineStore, online: OnlineStore) -> None:
        found = parity(VIEW, offline, online)
        assert (found.sampled, counts(found), found.passed) == (2, {"equal": 2}, True)

    @pytest.mark.parametrize(
        ("row", "verdict"),
        [((1, at(1), 7.0), "different"), ((1, at(1), None), "different"), ((1, at(2), 1.0), "different"),
         ((1, at(1, hour=-0), 1.0), "equal"), (None, "missing")],
    )  # fmt: skip
    def test_a_fault_is_counted_and_shown(
        self, offline: OfflineStore, online: OnlineStore, row: tuple[object, ...] | None, verdict: str
    ) -> None:
        damage(online, (2, at(9), None), *([row] if row else []))
        found = parity(VIEW, offline, online)
        assert counts(found) == ({"equal": 2} if verdict == "equal" else {"equal": 1, verdict: 1})
        assert [(each["customer"], each["wrong"]) for each in found.examples] == (
            [] if verdict == "equal" else [(1, verdict)]
        )
        assert found.passed is (verdict == "equal")

    def test_an_older_row_is_stale(self, offline: OfflineStore, online: OnlineStore) -> None:
        damage(online, (2, at(8), None), (1, at(1), 1.0))
        assert counts(parity(VIEW, offline, online)) == {"equal": 1, "stale": 1}

    def test_a_key_that_offline_has_lost_and_online_still_has_is_extra(
        self, offline: OfflineStore, online: OnlineStore
    ) -> None:
        publish(offline, (2, at(9), None))
        load(offline, online)
        damage(online, (2, at(9), None), (1, at(1), 1.0))
        assert counts(parity(VIEW, offline, online)) == {"equal": 1, "extra": 1}

    def test_what_was_pushed_is_ahead_and_no_fault(self, offline: OfflineStore, online: OnlineStore) -> None:
        pushed(online, None, ROW)
        found = parity(VIEW, offline, online)
        assert (counts(found), found.passed) == ({"equal": 1, "ahead": 1}, True)

    def test_what_was_published_since_is_behind_and_no_fault(self, offline: OfflineStore, online: OnlineStore) -> None:
        publish(offline, (1, at(1), 5.0), (3, at(1), 3.0))
        found = parity(VIEW, offline, online)
        assert (counts(found), found.passed) == ({"behind": 3}, True)

    def test_all_keys_are_compared_some_at_a_time(
        self, offline: OfflineStore, online: OnlineStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = [(customer, at(1), float(customer)) for customer in range(50)]
        publish(offline, *rows)
        load(offline, online)
        wrong = {7: (7, at(1), -1.0), 31: (31, at(1), None)}
        strange = [(customer, at(1), 0.0) for customer in range(50, 60)]
        damage(online, *(wrong.get(row[0], row) for row in rows if row[0] != 40), *strange)
        monkeypatch.setattr(verb, "_AT_A_TIME", 7)
        found = parity(VIEW, offline, online, sample=None)
        assert (found.sampled, counts(found)) == (60, {"equal": 47, "different": 2, "missing": 1, "extra": 10})

    def test_a_pushed_row_that_the_offline_store_does_not_have_is_a_fault(
        self, offline: OfflineStore, online: OnlineStore
    ) -> None:
        online.push(VIEW, batch(VIEW, (1, at(2), 5.0), (3, at(2), 5.0)), sequence=99, publication_id="lost")
        found = parity(VIEW, offline, online)
        assert (counts(found), found.passed) == ({"equal": 1, "different": 1, "extra": 1}, False)

    def test_rows_whose_time_had_not_come_at_the_load_do_not_count(
        self, offline: OfflineStore, online: OnlineStore
    ) -> None:
        publish(offline, (1, at(1), 1.0), (1, at(20), 20.0))
        load(offline, online, clock=at(10))
        assert counts(parity(VIEW, offline, online)) == {"equal": 2}  # 2 has lost its row, there and here


def test_a_view_that_was_never_loaded_says_so(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0))
    with pytest.raises(OnlineStoreError, match="never loaded"):
        parity(VIEW, offline, online)
