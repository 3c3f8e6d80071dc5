"""`materialize(START, END)`: the window picks entities, and what is online of the others stays as it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amora_fs_assets import FeatureView
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import Generation, OnlineStore
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.online import materialize as verb
from amora_fs_assets.operations.online.materialize import Materialized
from amora_fs_assets.operations.online.parity import parity
from amora_fs_assets.operations.online.sample_check import check_sample
from amora_fs_assets.stores.redis.online_store import RedisOnlineStore
from amora_fs_assets.stores.redis.state import decoded
from amora_fs_assets_tests.operations.online.test_materialize import VIEW, load, publish, publish_whole, served
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.stores.offline_store_contract import (
    COLUMNS,
    FEBRUARY,
    OfflineStoreContract,
    rows,
)
from amora_fs_assets_tests.stores.online_rows import batch, request


def window(offline: OfflineStore, online: OnlineStore, start: datetime, end: datetime, **more: Any) -> Materialized:
    return load(offline, online, since=start, clock=end, **more)


def newest(online: OnlineStore) -> Generation:
    found = online.generation(VIEW)
    assert found is not None
    return found


def test_windows_day_by_day_bring_every_entity_and_keep_it(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0), (2, at(20), 2.0))
    assert window(offline, online, at(1), at(10)) == Materialized(rows=1, new_generation=True, published_through=1)
    assert window(offline, online, at(10), at(21)) == Materialized(rows=1, new_generation=False, published_through=1)
    assert served(online, 1, 2) == [(at(1), 1.0), (at(20), 2.0)]


def test_both_ends_belong_to_the_window(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(4), 1.0), (2, at(5), 2.0), (3, at(9), 3.0), (4, at(9, hour=1), 4.0))
    window(offline, online, at(5), at(9))
    assert served(online, 1, 2, 3, 4) == [None, (at(5), 2.0), (at(9), 3.0), None]


def test_an_entity_gets_its_newest_row_up_to_the_generations_clock_however_old_the_window(
    offline: OfflineStore, online: OnlineStore
) -> None:
    publish(offline, (1, at(1), 1.0), (1, at(9), 9.0), (1, at(20), 20.0))
    load(offline, online, clock=at(10))
    publish(offline, (1, at(1), 1.5), (1, at(9), 9.5), (1, at(20), 20.0))
    window(offline, online, at(1), at(2))
    assert served(online, 1) == [(at(9), 9.5)]


def test_a_window_after_a_longer_one_brings_no_older_row(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0), (1, at(20), 20.0), (2, at(2), 2.0))
    load(offline, online, clock=at(5))
    window(offline, online, at(15), at(25))
    publish(offline, (2, at(2, month=2), 2.0), interval=FEBRUARY)
    window(offline, online, at(1), at(3))
    assert served(online, 1, 2) == [(at(20), 20.0), (at(2), 2.0)]


def test_the_next_incremental_load_goes_on_from_where_the_last_one_was(
    offline: OfflineStore, online: OnlineStore
) -> None:
    publish(offline, (1, at(1), 1.0), (2, at(2), 2.0), (3, at(12), 3.0))
    load(offline, online, clock=at(5))
    publish(offline, (1, at(1), 1.5), (2, at(2), 2.5), (3, at(12), 3.5))
    assert window(offline, online, at(2), at(2)).published_through == 1
    assert (newest(online).published_through, newest(online).clock) == (1, at(5))
    assert served(online, 1, 2, 3) == [(at(1), 1.0), (at(2), 2.5), None]
    assert load(offline, online, clock=at(20)) == Materialized(rows=3, new_generation=False, published_through=2)
    assert served(online, 1, 2, 3) == [(at(1), 1.5), (at(2), 2.5), (at(12), 3.5)]
    assert newest(online).reach is None


def test_without_a_generation_one_starts_and_the_next_incremental_load_completes_it(
    offline: OfflineStore, online: OnlineStore
) -> None:
    publish(offline, (1, at(1), 1.0), (2, at(20), 2.0))
    window(offline, online, at(15), at(21))
    assert (newest(online).partial, served(online, 1, 2)) == (True, [None, (at(20), 2.0)])
    found = parity(VIEW, offline, online)
    assert (found.equal, found.outside, found.passed) == (1, 1, True)
    assert load(offline, online, clock=at(21)) == Materialized(rows=2, new_generation=True, published_through=1)
    assert (newest(online).partial, served(online, 1, 2)) == (False, [(at(1), 1.0), (at(20), 2.0)])


def test_parity_finds_what_is_wrong_in_a_partial_generation(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0), (2, at(20), 2.0))
    online.load(
        VIEW, [batch(VIEW, (2, at(20), 7.0))], published_through=1, clock=at(21), new_generation=True, window=True
    )
    found = parity(VIEW, offline, online, expire=False)
    assert (found.different, found.outside, found.passed) == (1, 1, False)


def test_parity_takes_a_row_past_the_clock_for_what_a_window_brought_or_for_a_fault(
    offline: OfflineStore, online: OnlineStore
) -> None:
    publish(offline, (1, at(1), 1.0), (1, at(9), 9.0), (2, at(9), 9.0))
    load(offline, online, clock=at(5))
    window(offline, online, at(8), at(10))
    found = parity(VIEW, offline, online)
    assert (found.sampled, found.ahead, found.passed) == (2, 2, True)
    live = newest(online)
    wrong = [batch(VIEW, (1, at(9), 7.0))]
    online.load(VIEW, wrong, published_through=live.published_through, clock=at(10), new_generation=False, window=True)
    assert parity(VIEW, offline, online).different == 1


def test_an_incremental_load_before_the_end_of_a_window_goes_back_to_its_own_clock(
    offline: OfflineStore, online: OnlineStore
) -> None:
    publish(offline, (1, at(1), 1.0), (1, at(20), 20.0))
    load(offline, online, clock=at(5))
    window(offline, online, at(15), at(25))
    assert load(offline, online, clock=at(10)).new_generation
    assert served(online, 1) == [(at(1), 1.0)]


def test_other_columns_bring_everything_so_that_no_entity_is_lost(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0), (2, at(20), 2.0))
    load(offline, online, clock=at(22))
    note = Column("note", DataType.STRING, nullable=True)
    wider = FeatureView("spending", (COLUMNS[0], COLUMNS[2], note), VIEW.entities, start="2020-01-01")
    data = rows((1, at(1), 1.0, "x"), (2, at(20), 2.0, "y"), columns=(*COLUMNS, note))  # type: ignore[arg-type]
    OfflineStoreContract().publish(offline, data, columns=(*COLUMNS, note))
    assert window(offline, online, at(1), at(2), view=wider).rows == 2
    assert (newest(online).partial, newest(online).clock) == (False, at(22))
    assert served(online, 1, 2, view=wider) == [(at(1), 1.0), (at(20), 2.0)]


def test_an_external_table_is_loaded_by_windows_too(offline: OfflineStore, online: OnlineStore) -> None:
    publish(offline, (1, at(1), 1.0), (2, at(20), 2.0), name="theirs")
    view = FeatureView("external", (COLUMNS[0], COLUMNS[2]), VIEW.entities, table="feature_store.theirs")
    window(offline, online, at(1), at(2), view=view)
    assert parity(view, offline, online).passed
    window(offline, online, at(15), at(21), view=view)
    assert served(online, 1, 2, view=view) == [(at(1), 1.0), (at(20), 2.0)]


def test_a_view_without_entities_is_its_newest_row_where_the_window_holds_one(
    offline: OfflineStore, online: OnlineStore
) -> None:
    view = publish_whole(offline)

    def amount() -> Any:
        (found,) = online.read([request(view, [()])])
        return found.columns["amount"][0]

    window(offline, online, at(2), at(3), view=view)
    assert amount() is None
    window(offline, online, at(1), at(3), view=view)
    assert amount() == 1.0
    window(offline, online, at(4), at(10), view=view)
    assert amount() == 9.0


def test_a_partial_generation_gives_way_to_a_load_that_went_live_beside_it(
    offline: OfflineStore, online: OnlineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(offline, (1, at(1), 1.0), (2, at(20), 2.0))

    def slow(*arguments: Any, **more: Any) -> None:
        monkeypatch.setattr(verb, "check_sample", check_sample)
        load(offline, online, clock=at(10))
        check_sample(*arguments, **more)

    monkeypatch.setattr(verb, "check_sample", slow)
    with pytest.raises(OnlineStoreError, match="went live during this load. Run this load again"):
        window(offline, online, at(15), at(21))
    assert (newest(online).partial, served(online, 1, 2)) == (False, [(at(1), 1.0), None])
    window(offline, online, at(15), at(21))
    assert served(online, 1, 2) == [(at(1), 1.0), (at(20), 2.0)]


def test_a_state_that_was_written_before_there_were_windows_is_read() -> None:
    before = (
        b'{"live":2,"pinned":false,"generations":[{"number":2,"schema_hash":"ab","keys":[["customer","int64"]],'
        b'"features":[["amount","float64"]],"cursor":7,"clock":"2020-01-01T00:00:00Z","loaded_at":'
        b'"2020-01-01T00:00:01Z","prefix":"f1:","newest_event":null,"retired_at":null}],"filling":[]}'
    )
    seen = decoded(before).live
    assert seen is not None
    assert (seen.partial, seen.reach, seen.reached) == (False, None, at(1))


@dataclass
class Model:
    """The same in plain Python."""

    truth: dict[tuple[int, datetime], float | None] = field(default_factory=dict)
    online: dict[int, tuple[datetime, float | None]] = field(default_factory=dict)
    reached: datetime | None = None

    def newest(self, until: datetime) -> dict[int, tuple[datetime, float | None]]:
        newest: dict[int, tuple[datetime, float | None]] = {}
        for (key, time), value in sorted(self.truth.items(), key=lambda item: item[0][1]):
            if time <= until:
                newest[key] = (time, value)
        return newest

    def incremental(self, clock: datetime) -> None:
        self.online, self.reached = self.newest(clock), clock

    def window(self, start: datetime, end: datetime) -> None:
        self.reached = max(end, self.reached or end)
        newest = self.newest(self.reached)
        self.online |= {key: newest[key] for key, time in self.truth if start <= time <= end}


_MOMENTS = st.integers(0, 50).map(lambda hours: at(1) + timedelta(hours=hours))
_ROWS = st.dictionaries(st.tuples(st.integers(1, 4), _MOMENTS), st.none() | st.integers(0, 9).map(float), max_size=8)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), _ROWS),
        st.tuples(st.just("window"), st.tuples(_MOMENTS, _MOMENTS).map(sorted)),
        st.tuples(st.just("incremental"), _MOMENTS),
    ),
    min_size=2,
    max_size=8,
)
_hypothesis = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], phases=[Phase.explicit, Phase.generate]
)


_EXAMPLES = count()


def lived(offline: OfflineStore, embedded: Path, steps: list[tuple[str, Any]]) -> None:
    """After each step what is served is what the model says, and parity finds no fault."""
    online = RedisOnlineStore(project=f"tests_{next(_EXAMPLES)}", url=f"unix://{embedded}")
    model = Model()
    publish(offline)
    for verb_, given_ in steps:
        match verb_:
            case "publish":
                publish(offline, *((key, time, value) for (key, time), value in given_.items()))
                model.truth = given_
            case "window":
                window(offline, online, *given_)
                model.window(*given_)
            case "incremental":
                load(offline, online, clock=given_)
                model.incremental(given_)
        assert served(online, 1, 2, 3, 4) == [model.online.get(key) for key in (1, 2, 3, 4)]
        if model.reached is not None:
            found = parity(VIEW, offline, online)
            assert found.passed, found
    online.close()


@settings(_hypothesis, max_examples=4)
@given(_STEPS)
def test_after_any_steps_what_is_served_is_what_the_model_says(
    offline: OfflineStore, embedded: Path, steps: list[tuple[str, Any]]
) -> None:
    lived(offline, embedded, steps)


@pytest.mark.slow
@settings(_hypothesis, max_examples=35)
@given(_STEPS)
def test_after_many_steps_too(offline: OfflineStore, embedded: Path, steps: list[tuple[str, Any]]) -> None:
    lived(offline, embedded, steps)
