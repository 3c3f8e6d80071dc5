"""On a running clock Redis collects rows by their age: nothing that compares takes such a row for a difference."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amora_fs_assets import FeatureView
from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.expiry import KEPT_BEYOND_TTL, SLACK, may_be_collected, oldest_kept
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import OnlineStore
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.online import sharded
from amora_fs_assets.operations.online.materialize import materialize
from amora_fs_assets.operations.online.parity import parity
from amora_fs_assets_tests.operations.online.test_materialize import publish, served
from amora_fs_assets_tests.small import at, orders, spending
from amora_fs_assets_tests.stores.online_rows import batch

WEEK = timedelta(days=7)
VIEW = spending(orders(), ttl=WEEK)
NOW = datetime.now(UTC).replace(microsecond=0)
EVER = Interval(at(1), NOW + timedelta(days=1))
FRESH, QUIET, COLLECTED = NOW - timedelta(hours=1), NOW - WEEK - timedelta(hours=2), NOW - timedelta(days=30)


def load(offline: OfflineStore, online: OnlineStore, *, view: FeatureView = VIEW, full: bool = False) -> None:
    materialize(view, store=offline, online=online, clock=datetime.now(UTC), full=full, expire=True)


def load_in_shards(offline: OfflineStore, online: OnlineStore) -> None:
    now = datetime.now(UTC)
    begun = sharded.begin(VIEW, store=offline, online=online, clock=now, shards=2, run_id="r", now=now, full=True)
    written = [sharded.write(VIEW, begun, n, store=offline, online=online, expire=True) for n in range(2)]
    sharded.finish(VIEW, begun, written, store=offline, online=online, expire=True)


@pytest.mark.parametrize("loaded", [load, load_in_shards])
def test_a_view_with_an_entity_that_fell_silent_goes_online(
    offline: OfflineStore, online: OnlineStore, loaded: object
) -> None:
    publish(offline, (1, FRESH, 1.0), (2, QUIET, 2.0), (3, COLLECTED, 3.0), interval=EVER)
    assert callable(loaded)
    loaded(offline, online)
    assert served(online, 1, 2, 3) == [(FRESH, 1.0), (QUIET, 2.0), None]
    found = parity(VIEW, offline, online)
    assert (found.sampled, found.equal, found.aged_out, found.passed) == (3, 2, 1, True)


def test_a_view_of_which_every_entity_fell_silent_goes_online(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, *((key, COLLECTED, 1.0) for key in range(300)), interval=EVER)
    load(offline, online)
    assert served(online, 1) == [None]
    assert parity(VIEW, offline, online).aged_out == 300


def test_a_row_that_is_missing_before_its_time_is_a_difference_still(
    offline: OfflineStore, online: OnlineStore
) -> None:
    publish(offline, (1, FRESH, 1.0), (2, QUIET, 2.0), (3, COLLECTED, 3.0), interval=EVER)
    load(offline, online)
    live = online.generation(VIEW)
    assert live is not None
    only = [batch(VIEW, (1, FRESH, 1.0))]
    online.load(VIEW, only, published_through=live.published_through, clock=live.clock, new_generation=True)
    found = parity(VIEW, offline, online)
    assert (found.missing, found.aged_out, found.passed) == (1, 1, False)


def test_under_a_fixed_clock_no_row_is_collected_so_each_missing_one_is_a_difference(
    offline: OfflineStore, online: OnlineStore
) -> None:
    publish(offline, (3, COLLECTED, 3.0), interval=EVER)
    materialize(VIEW, store=offline, online=online, clock=NOW, expire=False)
    assert served(online, 3) == [(COLLECTED, 3.0)]
    online.load(VIEW, [], published_through=1, clock=NOW, new_generation=True)
    assert parity(VIEW, offline, online, expire=False).missing == 1


def test_rows_of_another_value_do_not_go_live_however_old_the_others_are(
    offline: OfflineStore, online: OnlineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(offline, (1, FRESH, 1.0), *((key, COLLECTED, 3.0) for key in range(2, 500)), interval=EVER)
    whole = online.load
    monkeypatch.setattr(
        online, "load", lambda view, batches, **more: whole(view, [batch(view, (1, FRESH, 7.0))], **more)
    )
    with pytest.raises(OnlineStoreError, match="1 of 1 sampled keys.*'customer': 1"):
        load(offline, online)


def test_a_row_as_old_as_that_replaces_a_deleted_newer_one_for_good(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, COLLECTED, 1.0), (1, FRESH, 2.0), interval=EVER)
    load(offline, online)
    slow = online.begin(VIEW, published_through=1, clock=datetime.now(UTC), new_generation=False, lasting=WEEK)
    assert slow is not None
    publish(offline, (1, COLLECTED, 1.0), interval=EVER)
    load(offline, online)
    assert served(online, 1) == [(COLLECTED, 1.0)]  # kept for a day, though it is too old to be given out
    online.write(VIEW, slow, [batch(VIEW, (1, FRESH, 2.0))], lasting=WEEK, expire=True)
    assert served(online, 1) == [(COLLECTED, 1.0)]
    assert parity(VIEW, offline, online).passed


def test_a_row_may_be_collected_from_a_day_after_its_ttl_on_less_the_slack() -> None:
    oldest = NOW - WEEK - KEPT_BEYOND_TTL + SLACK
    assert oldest_kept(VIEW, NOW) == oldest
    assert not may_be_collected(VIEW, oldest, NOW)
    assert may_be_collected(VIEW, oldest - timedelta(microseconds=1), NOW)
    assert not may_be_collected(VIEW, at(1), None)
    assert not may_be_collected(spending(orders(), ttl=None), at(1), NOW)
    assert not may_be_collected(spending(orders(), ttl=timedelta(days=365_250)), at(1), NOW)


_AGES = st.timedeltas(timedelta(0), timedelta(days=20)).filter(
    lambda age: abs(age - WEEK - KEPT_BEYOND_TTL) > timedelta(minutes=5)
)


@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate],
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.dictionaries(st.integers(1, 9), _AGES, min_size=1))
def test_whatever_the_ages_a_load_goes_live_and_parity_tells_silence_from_loss(
    offline: OfflineStore, online: OnlineStore, ages: dict[int, timedelta]
) -> None:
    publish(offline, *((key, NOW - age, 1.0) for key, age in ages.items()), interval=EVER)
    load(offline, online, full=True)
    kept = {key for key, age in ages.items() if age < WEEK + KEPT_BEYOND_TTL}
    assert served(online, *ages) == [(NOW - age, 1.0) if key in kept else None for key, age in ages.items()]
    found = parity(VIEW, offline, online)
    assert (found.aged_out, found.missing, found.passed) == (len(ages) - len(kept), 0, True)
