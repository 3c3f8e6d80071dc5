"""Offline -> online: what is online after each load is the newest row of each key, by the offline store."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amora_fs_assets import FeatureView
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.ports.offline import Draft, OfflineStore
from amora_fs_assets.domain.ports.online import OnlineRows, OnlineStore
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.online.materialize import Materialized, materialize
from amora_fs_assets.operations.online.parity import online_rows
from amora_fs_assets_tests.small import at, orders, spending
from amora_fs_assets_tests.stores.offline_store_contract import COLUMNS, FEBRUARY, JANUARY, OfflineStoreContract, rows
from amora_fs_assets_tests.stores.online_rows import request

VIEW = spending(orders(), ttl=None)
END = at(1, month=3)
Row = tuple[int, datetime, float | None]


def publish(offline: OfflineStore, *values: Row, interval: Interval | None = JANUARY, **more: Any) -> None:
    OfflineStoreContract().publish(offline, rows(*values), interval, **more)


def publish_whole(offline: OfflineStore) -> FeatureView:
    """A view without entities, with two rows: on the first and the ninth of January."""
    columns = COLUMNS[1:]
    view = FeatureView("whole", (COLUMNS[2],), start="2020-01-01")
    data = rows((at(1), 1.0), (at(9), 9.0), columns=columns)  # type: ignore[arg-type]
    draft = Draft(
        name="whole", table="feature_store.whole", columns=columns, time="event_timestamp", interval=JANUARY,
        run_id="run", published_at=END,
    )  # fmt: skip
    offline.publish(offline.stage(data, name="whole", run_id="run"), draft)
    return view


def load(offline: OfflineStore, online: OnlineStore, *, view: FeatureView = VIEW, **more: Any) -> Materialized:
    return materialize(view, store=offline, online=online, expire=False, **{"clock": END, **more})


def served(online: OnlineStore, *keys: int, view: FeatureView = VIEW) -> list[Any]:
    """Time and amount of each key, or None."""
    found: list[OnlineRows] = online.read([request(view, keys)])
    return [row and (row["event_timestamp"], row["amount"]) for row in online_rows(view, found[0])]


def test_the_first_load_brings_the_newest_row_of_each_key(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0), (1, at(3), 3.0), (2, at(2), None))
    assert load(offline, online) == Materialized(rows=2, new_generation=True, published_through=1)
    assert served(online, 1, 2, 3) == [(at(3), 3.0), (at(2), None), None]


def test_nothing_new_is_nothing_sent(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0))
    load(offline, online)
    assert load(offline, online) == Materialized(rows=0, new_generation=False, published_through=1)


def test_only_keys_that_were_published_are_sent(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0), (2, at(1), 1.0))
    load(offline, online)
    publish(offline, (2, at(1, month=2), 2.0), interval=FEBRUARY)
    assert load(offline, online).rows == 1
    assert served(online, 1, 2) == [(at(1), 1.0), (at(1, month=2), 2.0)]


def test_a_corrected_value_of_the_same_time_arrives(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0))
    load(offline, online)
    publish(offline, (1, at(1), 9.0))
    load(offline, online)
    assert served(online, 1) == [(at(1), 9.0)]


def test_a_row_that_moved_back_in_time_arrives(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(5), 1.0))
    load(offline, online)
    publish(offline, (1, at(2), 1.0))
    load(offline, online)
    assert served(online, 1) == [(at(2), 1.0)]


def test_a_deleted_newest_row_gives_way_to_the_one_before(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0))
    publish(offline, (1, at(1, month=2), 2.0), interval=FEBRUARY)
    load(offline, online)
    publish(offline, interval=FEBRUARY)
    load(offline, online)
    assert served(online, 1) == [(at(1), 1.0)]


def test_a_key_whose_rows_are_all_deleted_is_gone(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0), (2, at(1), 2.0))
    load(offline, online)
    publish(offline, (2, at(1), 2.0))
    load(offline, online)
    assert served(online, 1, 2) == [None, (at(1), 2.0)]


def test_a_late_row_older_than_what_is_there_changes_nothing(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1, month=2), 2.0), interval=FEBRUARY)
    load(offline, online)
    publish(offline, (1, at(1), 1.0))
    load(offline, online)
    assert served(online, 1) == [(at(1, month=2), 2.0)]


def test_a_late_row_of_a_new_key_arrives_however_old(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1, month=2), 2.0), interval=FEBRUARY)
    load(offline, online)
    publish(offline, (7, at(1), 1.0))
    load(offline, online)
    assert served(online, 7) == [(at(1), 1.0)]


def test_rows_in_the_future_come_when_their_time_has_come(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0), (1, at(9), 9.0), (2, at(10), 10.0))
    load(offline, online, clock=at(5))
    assert served(online, 1, 2) == [(at(1), 1.0), None]
    assert load(offline, online, clock=at(9)).rows == 1  # the instant itself included
    assert served(online, 1, 2) == [(at(9), 9.0), None]
    load(offline, online, clock=at(20))
    assert served(online, 1, 2) == [(at(9), 9.0), (at(10), 10.0)]


def test_several_publications_are_one_load(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0))
    load(offline, online)
    publish(offline, (1, at(1), 2.0))
    publish(offline, (1, at(1), 3.0), (2, at(1), 3.0))
    publish(offline, (1, at(1), 4.0))
    assert load(offline, online) == Materialized(rows=2, new_generation=False, published_through=4)
    assert served(online, 1, 2) == [(at(1), 4.0), None]


def test_publications_of_other_views_do_not_count(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0))
    load(offline, online)
    publish(offline, (1, at(1), 1.0), name="other")
    assert load(offline, online).rows == 0


def test_a_full_load_forgets_what_offline_does_not_hold(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0))
    load(offline, online)
    loaded = load(offline, online, full=True)
    assert (loaded.new_generation, loaded.rows) == (True, 1)


def test_since_brings_only_keys_with_rows_from_there_on(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0), (2, at(5), 2.0))
    load(offline, online, since=at(5))
    assert served(online, 1, 2) == [None, (at(5), 2.0)]


def test_other_columns_are_a_new_generation(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0))
    load(offline, online)
    wider = FeatureView(
        "spending",
        (COLUMNS[0], COLUMNS[2], Column("note", DataType.STRING, nullable=True)),
        VIEW.entities,
        start="2020-01-01",
    )
    data = rows((1, at(1), 2.0, "x"), columns=(*COLUMNS, wider.features[1]))  # type: ignore[arg-type]
    OfflineStoreContract().publish(offline, data, columns=(*COLUMNS, wider.features[1]))
    assert load(offline, online, view=wider).new_generation
    assert served(online, 1, view=wider) == [(at(1), 2.0)]


def test_an_earlier_clock_is_a_new_generation_that_goes_back(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0), (1, at(9), 9.0))
    load(offline, online)
    assert load(offline, online, clock=at(5)).new_generation
    assert served(online, 1) == [(at(1), 1.0)]


def test_a_row_known_later_wins_over_one_of_the_same_time(offline: OfflineStore, online: OnlineStore) -> None:
    created = Column("created_timestamp", DataType.TIMESTAMP, nullable=True)
    columns = (COLUMNS[0], COLUMNS[1], created, COLUMNS[2])
    view = FeatureView("spending", (COLUMNS[0], created, COLUMNS[2]), VIEW.entities, start="2020-01-01")
    values = [(1, at(1), None, 1.0), (1, at(1), at(3), 3.0), (1, at(1), at(2), 2.0)]
    OfflineStoreContract().publish(offline, rows(*values, columns=columns), columns=columns)  # type: ignore[arg-type]
    load(offline, online, view=view)
    assert served(online, 1, view=view) == [(at(1), 3.0)]


def test_a_load_from_scratch_and_incremental_loads_agree_after_a_new_generation(
    offline: OfflineStore, online: OnlineStore
) -> None:
    publish(offline, (1, at(1), 1.0), (2, at(2), 2.0))
    load(offline, online)
    load(offline, online, full=True)
    publish(offline, (2, at(3), 3.0))
    load(offline, online)
    assert served(online, 1, 2) == [None, (at(3), 3.0)]


_ROWS = st.dictionaries(
    st.tuples(st.integers(1, 4), st.integers(0, 50).map(lambda hours: at(1 + hours // 24, hours % 24))),
    st.none() | st.integers(0, 9).map(float),
    max_size=8,
)


_HISTORIES = st.lists(st.tuples(_ROWS, st.integers(0, 60)), min_size=1, max_size=4)
_hypothesis = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], phases=[Phase.explicit, Phase.generate]
)


@settings(_hypothesis, max_examples=8)
@given(_HISTORIES)
def test_after_any_history_what_is_online_is_the_newest_row_of_each_key(
    offline: OfflineStore, online: OnlineStore, history: list[tuple[dict[tuple[int, datetime], float | None], int]]
) -> None:
    """Replaced intervals and a clock that goes on, against a brute-force oracle."""
    clock = at(1)
    for published, hours in history:
        publish(offline, *((key, time, value) for (key, time), value in published.items()))
        clock = max(clock, at(1 + hours // 24, hours % 24))
        load(offline, online, clock=clock)
        newest: dict[int, tuple[datetime, float | None]] = {}
        for (key, time), value in sorted(published.items(), key=lambda item: item[0][1]):
            if time <= clock:
                newest[key] = (time, value)
        assert served(online, 1, 2, 3, 4) == [newest.get(key) for key in (1, 2, 3, 4)]


@pytest.mark.slow
@settings(_hypothesis, max_examples=60)
@given(_HISTORIES)
def test_after_many_histories_too(
    offline: OfflineStore, online: OnlineStore, history: list[tuple[dict[tuple[int, datetime], float | None], int]]
) -> None:
    """All in one store, so that each load has the publications of all histories before."""
    test_after_any_history_what_is_online_is_the_newest_row_of_each_key.hypothesis.inner_test(  # type: ignore[attr-defined]
        offline, online, history
    )


def test_a_key_whose_new_rows_all_lie_in_the_future_loses_the_old_ones(
    offline: OfflineStore, online: OnlineStore
) -> None:
    publish(offline, (1, at(1), 1.0))
    load(offline, online, clock=at(5))
    publish(offline, (1, at(9), 9.0))
    load(offline, online, clock=at(5))
    assert served(online, 1) == [None]


def test_a_redis_that_lost_everything_is_filled_again(
    offline: OfflineStore, online: OnlineStore, embedded: Path
) -> None:
    publish(offline, (1, at(1), 1.0))
    load(offline, online)
    redis.Redis(unix_socket_path=str(embedded)).flushall()
    assert load(offline, online).new_generation
    assert served(online, 1) == [(at(1), 1.0)]


def test_an_external_table_is_loaded_as_a_whole(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0), (2, at(1), 2.0), name="theirs")
    view = FeatureView("external", (COLUMNS[0], COLUMNS[2]), VIEW.entities, table="feature_store.theirs")
    load(offline, online, view=view)
    publish(offline, (2, at(1), 3.0), name="theirs")
    assert load(offline, online, view=view).new_generation
    assert served(online, 1, 2, view=view) == [None, (at(1), 3.0)]


@pytest.mark.parametrize("clock", [at(5), END])
def test_a_view_without_entities_is_one_row(offline: OfflineStore, online: OnlineStore, clock: datetime) -> None:
    view = publish_whole(offline)
    load(offline, online, view=view, clock=clock)
    (found,) = online.read([request(view, [(), ()])])
    assert list(found.columns["amount"]) == [1.0 if clock == at(5) else 9.0] * 2
