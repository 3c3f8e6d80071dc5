"""`compute` without times computes what is missing or stale, and nothing else; plan shows it until it is done."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pytest
from ibis.expr.types import Table

from amora_fs_assets import FeatureSchema, FeatureStore, FeatureView, Field, Interval, Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.identity.definition import definition_hash
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.operations.expressions.tables import rows_of
from amora_fs_assets.operations.offline.coverage import State
from amora_fs_assets_tests import small
from amora_fs_assets_tests.small import at

ROWS: list[tuple[int, datetime, float | None]] = [(1, at(1), 10.0), (2, at(2), 20.0), (1, at(3), 30.0)]


class Total(FeatureSchema):
    customer: int
    total: float = Field(nullable=True)


def running_total(spending: Table) -> Table:
    return spending.select("customer", total=spending.amount + 0.0, event_timestamp=spending.event_timestamp)


def doubled(orders: Table) -> Table:
    return orders.select("customer", amount=orders.amount * 2, event_timestamp=orders["at"])


def code(transform: Callable[..., Any] = small._spending, **changes: Any) -> Catalogue:
    view = small.spending(small.orders(ROWS), transform, **{"partitions": "day", **changes})
    down = FeatureView(
        "totals", Total, [small.customer], [view], transform=running_total, start="2020-01-01",
        lookback=timedelta(days=1), partitions="day",
    )  # fmt: skip
    return Catalogue.of([view, down])


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., FeatureStore]:
    """A store over definitions that are applied, at a clock."""

    def open_(catalogue: Catalogue, now: datetime) -> FeatureStore:
        store = FeatureStore(Settings(home=tmp_path, now=now), catalogue)
        store.apply()
        return store

    return open_


def computed(found: dict[str, tuple[Publication, ...]]) -> dict[str, list[Interval | None]]:
    return {name: [each.computed for each in publications] for name, publications in found.items()}


def states(store: FeatureStore, name: str) -> list[tuple[State, Interval]]:
    return [(each.state, each.interval) for each in store.coverage()[name].stretches]


def published(store: FeatureStore, name: str) -> list[tuple[Any, ...]]:
    rows = rows_of(store.code.feature_view(name), "feature_store")
    with store.offline.read(rows.order_by(["event_timestamp"])) as batches:
        return [tuple(row.values()) for row in batches.read_all().to_pylist()]


def test_all_is_missing_at_first_then_current_and_a_second_call_computes_nothing(
    opened: Callable[..., FeatureStore],
) -> None:
    store = opened(code(), at(4))
    assert states(store, "spending") == [(State.MISSING, Interval(at(1), at(4)))]
    whole = [Interval(at(1), at(4))]
    assert computed(store.compute()) == {"spending": whole, "totals": whole}
    assert store.compute() == {}
    assert store.coverage()["totals"].complete
    assert store.plan().recompute == ()
    assert len(store.offline.publications("spending")) == 1


def test_an_interval_that_ends_at_the_clock_is_part_computed_once_the_clock_moves_on(
    opened: Callable[..., FeatureStore],
) -> None:
    opened(code(), at(3) + timedelta(seconds=5)).compute()
    later = opened(code(), at(5, 12))
    began = at(3) + timedelta(seconds=5)
    assert states(later, "spending") == [
        (State.CURRENT, Interval(at(1), began)),
        (State.PART, Interval(began, at(4))),
        (State.MISSING, Interval(at(4), at(5, 12))),
    ]
    left = [Interval(began, at(5, 12))]
    assert computed(later.compute()) == {"spending": left, "totals": left}
    assert later.compute() == {}


def test_a_half_recomputed_view_is_planned_until_all_of_it_is_what_the_definition_says(
    opened: Callable[..., FeatureStore],
) -> None:
    opened(code(), at(4)).compute()
    store = opened(code(doubled), at(4))
    store.compute(at(3), at(4), ["spending"])
    plan = store.plan()
    assert plan.empty
    assert plan.exit_code == 0
    assert [(each.view, each.interval, each.because) for each in plan.recompute] == [
        ("spending", Interval(at(1), at(3)), "stale: another definition"),
        # the view reads a day back, and a row of spending is read for a day
        ("totals", Interval(at(1), at(3)), "stale: 'spending' must be computed first"),
        ("totals", Interval(at(3), at(4)), "stale: 'spending' was published again"),
    ]
    assert "to compute: feature view 'spending' [2020-01-01" in str(plan)
    assert computed(store.compute()) == {
        "spending": [Interval(at(1), at(3))],
        "totals": [Interval(at(1), at(4))],
    }
    assert [row[-1] for row in published(store, "spending")] == [20.0, 40.0, 60.0]
    assert [row[-1] for row in published(store, "totals")] == [20.0, 40.0, 60.0]
    assert store.plan().recompute == ()


def test_a_view_is_stale_where_what_it_read_was_published_again(opened: Callable[..., FeatureStore]) -> None:
    store = opened(code(), at(6))
    store.compute()
    store.compute(at(2), at(3), ["spending"])
    assert [(each.view, each.interval) for each in store.plan().recompute] == [("totals", Interval(at(2), at(4)))]
    assert computed(store.compute()) == {"totals": [Interval(at(2), at(4))]}


def test_pushed_rows_cover_nothing_and_change_what_others_read(opened: Callable[..., FeatureStore]) -> None:
    from amora_fs_assets.operations.online.push import _append

    store = opened(code(), at(4))
    view = store.code.feature_view("spending")
    _append(view, small.orders_table([(1, at(2), 1.0)]).rename_columns(["customer", "event_timestamp", "amount"]),
            store.offline, "push-1", definition_hash(view))  # fmt: skip
    assert states(store, "spending") == [(State.MISSING, Interval(at(1), at(4)))]
    store.compute()
    _append(view, small.orders_table([(1, at(3), 1.0)]).rename_columns(["customer", "event_timestamp", "amount"]),
            store.offline, "push-2", definition_hash(view))  # fmt: skip
    assert store.coverage()["spending"].complete
    assert states(store, "totals")[1][0] is State.STALE


def test_of_picked_views_what_they_read_is_taken_as_it_is(opened: Callable[..., FeatureStore]) -> None:
    store = opened(code(), at(4))
    store.compute(at(1), at(2), ["spending"])
    assert computed(store.compute(feature_views=["totals"])) == {"totals": [Interval(at(1), at(4))]}
    assert store.compute(feature_views=["totals"]) == {}
    assert [(each.view, each.because) for each in store.plan().recompute][-1][0] == "totals"
    assert computed(store.compute())["totals"] == [Interval(at(2), at(4))]


def test_an_earlier_start_is_missing_and_a_later_one_is_not_asked_for(opened: Callable[..., FeatureStore]) -> None:
    opened(code(start="2020-01-03"), at(4)).compute()
    assert states(opened(code(start="2020-01-01"), at(4)), "spending")[0] == (
        State.MISSING,
        Interval(at(1), at(3)),
    )
    assert opened(code(start="2020-01-04"), at(4)).coverage()["spending"].stretches == ()


def test_a_view_without_partitions_is_computed_as_a_whole_up_to_the_clock(opened: Callable[..., FeatureStore]) -> None:
    whole = code(partitions=None)
    store = opened(whole, at(3))
    assert computed(store.compute())["spending"] == [Interval(at(1), at(3))]
    assert store.compute() == {}
    later = opened(whole, at(4))
    assert states(later, "spending") == [
        (State.CURRENT, Interval(at(1), at(3))),
        (State.PART, Interval(at(3), at(4))),
    ]
    assert computed(later.compute())["spending"] == [Interval(at(1), at(4))]
    assert later.compute() == {}


def test_a_view_whose_partitions_are_given_up_is_computed_once(opened: Callable[..., FeatureStore]) -> None:
    opened(code(), at(3)).compute()
    assert opened(code(partitions=None), at(3)).compute() == {}
    later = opened(code(partitions=None), at(4))
    assert computed(later.compute())["spending"] == [Interval(at(1), at(4))]


def test_publications_of_an_earlier_release_count_where_the_definition_is_the_same(
    opened: Callable[..., FeatureStore],
) -> None:
    opened(code(), at(4)).compute()
    store = opened(code(), at(4))
    with store.offline._open(write=True) as connection:  # type: ignore[attr-defined]
        for column in ("identity", "inputs", "computed_from", "computed_until"):
            connection.execute(f"ALTER TABLE feature_store._publications DROP COLUMN {column}")
    assert store.compute() == {}
    left = opened(code(doubled), at(4)).plan().recompute
    assert (left[0].view, left[0].because) == ("spending", "stale: another definition")


def test_a_plan_says_where_the_offline_store_cannot_be_asked(
    opened: Callable[..., FeatureStore], tmp_path: Path
) -> None:
    store = opened(code(), at(4))
    (tmp_path / "offline.duckdb").write_text("no database")
    plan = store.plan()
    assert plan.empty
    assert "offline.duckdb" in plan.unread


def test_one_time_alone_is_refused(opened: Callable[..., FeatureStore]) -> None:
    with pytest.raises(InvalidRequest, match="both start and end, or neither"):
        opened(code(), at(4)).compute(at(1))  # type: ignore[call-overload]


def test_under_a_running_clock_each_call_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    start = (datetime.now().astimezone() - timedelta(days=2)).date().isoformat()
    store = FeatureStore(Settings(home=tmp_path), code(start=start))
    assert [each.view for each in store.plan().recompute] == ["spending", "totals"]  # and not what came meanwhile
    store.apply()
    (first,) = store.compute(feature_views=["spending"])["spending"]
    (second,) = store.compute(feature_views=["spending"])["spending"]
    assert first.computed is not None
    assert second.computed is not None
    assert second.computed.start == first.computed.end
    assert second.computed.end - second.computed.start < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("transform", "rows", "said"),
    [
        (
            lambda orders: orders.select("customer", "amount", event_timestamp=orders["at"] + ibis.interval(days=9)),
            ROWS,
            r"all 3 rows .* from 2020-01-10T00:00:00\+00:00 to .*lookback=0:00:00 is too short",
        ),
        (
            lambda orders: orders.select("customer", "amount", event_timestamp=orders["at"] - ibis.interval(days=9)),
            ROWS,
            "all 3 rows .* outside the interval.*known_at",
        ),
        (small._spending, [(1, at(9), 1.0)], "source 'orders' has no rows that became known in"),
        (
            lambda orders: small._spending(orders.filter(orders.amount > 100)),
            ROWS,
            r"the transform returned no rows from the rows that it read \(3 of source 'orders'\).*lookback",
        ),
    ],
)
def test_a_run_that_publishes_no_row_says_why_in_the_log_and_the_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, transform: Callable[..., Any], rows: Any, said: str
) -> None:
    store = FeatureStore(Settings(home=tmp_path, now=at(4)), small.catalogue(rows, transform, partitions="day"))
    store.apply()
    store.compute(feature_views=["spending"])
    assert re.search(said, caplog.text)
    record = next(iter(store.registry.records("spending")))
    assert re.search(said, record.details["warning"])
