"""No view of the sample looks into the future, and none depends on how time is cut into intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta

import duckdb
import ibis
import pandas as pd
import pytest
from ibis.expr.types import Table

from amora_fs_assets import FeatureSchema, FeatureStore, FeatureView, Interval
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.features import sources
from amora_fs_assets.operations.offline.audit import audit
from amora_fs_assets_tests.features.sample import COMPUTED, assert_same, at, known_at, rows_of

Transform = Callable[[Table], Table]
by_name = pytest.mark.parametrize("view", COMPUTED, ids=lambda view: view.name)


def additive(view: FeatureView, start: datetime, middle: datetime, end: datetime, store: OfflineStore) -> None:
    """f([start, end)) is f([start, middle)) and f([middle, end))."""
    parts = [rows_of(view, start, middle, store), rows_of(view, middle, end, store)]
    together = pd.concat(parts).sort_values([*view.join_keys, EVENT_TIMESTAMP], ignore_index=True)
    assert all(len(part) for part in parts)
    assert_same(together, rows_of(view, start, end, store))


@by_name
@pytest.mark.parametrize(
    "middle",
    [at(3, 1), at(3, 1, 12), at(3, 2, 13, 27)],
    ids=["at the edge of a partition", "on the hour", "within an hour"],
)
def test_a_view_is_the_same_however_time_is_cut(view: FeatureView, middle: datetime, sample: FeatureStore) -> None:
    additive(view, at(2, 26, 7, 30), middle, at(3, 4, 10, 15), sample.offline)


@pytest.fixture(scope="module", params=[at(3, 3, 16), at(3, 3, 16, 37)], ids=["on the hour", "within an hour"])
def then(
    request: pytest.FixtureRequest, sample: FeatureStore, tmp_path_factory: pytest.TempPathFactory
) -> tuple[datetime, OfflineStore]:
    """An instant, and a store that knows what was known then."""
    return request.param, known_at(request.param, sample, tmp_path_factory.mktemp("then"))


def sees_no_future(view: FeatureView, then: tuple[datetime, OfflineStore], sample: FeatureStore) -> None:
    """The rows up to an instant are the same for who knows what came later."""
    instant, past = then
    start, end = instant - timedelta(days=2), instant + timedelta(days=2)
    later = rows_of(view, start, end, sample.offline)
    assert_same(
        rows_of(view, start, instant + timedelta(microseconds=1), past),
        later[later[EVENT_TIMESTAMP] <= instant].reset_index(drop=True),
    )


@by_name
def test_a_row_depends_on_nothing_that_was_not_known_at_its_time(
    view: FeatureView, then: tuple[datetime, OfflineStore], sample: FeatureStore
) -> None:
    sees_no_future(view, then, sample)


@by_name
def test_the_audit_finds_nothing(view: FeatureView, sample: FeatureStore) -> None:
    found = audit(view, Interval(at(2, 26, 7, 30), at(3, 4, 10, 15)), store=sample.offline, instants=2, parts=3)
    assert found.passed, "\n".join(map(str, found.findings))
    assert found.rows > 0


class Trailing(FeatureSchema):
    """A window by hand, over the hours in which there were departures."""

    departures_24h: int


def trailing(**window: int) -> Transform:
    """Departures by hours, summed over a window of preceding and following hours."""

    def transform(flights: Table) -> Table:
        departed = flights.filter(flights.departed_at.notnull())
        ends = departed.departed_at.truncate("h") + ibis.interval(hours=1)
        hourly = departed.group_by(event_timestamp=ends).aggregate(n=departed.count())
        hours = ibis.range_window(**window, order_by=hourly.event_timestamp.epoch_seconds() // 3600)
        return hourly.select("event_timestamp", departures_24h=hourly.n.sum().over(hours))

    return transform


def by_hand(transform: Transform, lookback: timedelta) -> FeatureView:
    return FeatureView(
        "by_hand", Trailing, [], [sources.flights], transform=transform, partitions="month", start="2013-01-01",
        lookback=lookback,
    )  # fmt: skip


def test_a_view_that_looks_an_hour_ahead_is_found_out(
    then: tuple[datetime, OfflineStore], sample: FeatureStore
) -> None:
    honest = trailing(preceding=23, following=0)
    sees_no_future(by_hand(honest, timedelta(hours=24)), then, sample)
    with pytest.raises(AssertionError):
        sees_no_future(by_hand(trailing(preceding=23, following=1), timedelta(hours=24)), then, sample)


def test_a_view_whose_lookback_is_too_short_is_found_out(sample: FeatureStore) -> None:
    honest = trailing(preceding=23, following=0)
    additive(by_hand(honest, timedelta(hours=24)), at(2, 26), at(3, 1), at(3, 4), sample.offline)
    with pytest.raises(AssertionError):
        additive(by_hand(honest, timedelta(hours=23)), at(2, 26), at(3, 1), at(3, 4), sample.offline)


BRUTE = """
SELECT count(*) AS n, avg(dep_delay) AS delay FROM raw.flights
WHERE departed_at >= $from AND departed_at < $to AND ($origin IS NULL OR origin = $origin)
  AND ($dest IS NULL OR dest = $dest) AND ($carrier IS NULL OR carrier = $carrier)
"""
WINDOWS = [
    ("network_load", timedelta(days=7), "network_departures_7d", "network_delay_7d", {}),
    ("airport_congestion", timedelta(hours=3), "airport_departures_3h", "airport_delay_3h", {"airport": "origin"}),
    ("airport_congestion", timedelta(hours=24), "airport_departures_24h", "airport_delay_24h", {"airport": "origin"}),
    ("carrier_punctuality", timedelta(hours=1), "departures_1h", "mean_delay_1h", {"carrier": "carrier"}),
    ("carrier_punctuality", timedelta(days=30), "departures_30d", "mean_delay_30d", {"carrier": "carrier"}),
    ("route_delays", timedelta(days=7), "route_departures_7d", "route_delay_7d", {"origin": "origin", "dest": "dest"}),
]


@pytest.mark.parametrize(("name", "window", "count", "mean", "keys"), WINDOWS, ids=[window[2] for window in WINDOWS])
def test_a_window_crosses_the_edge_of_a_partition(
    name: str, window: timedelta, count: str, mean: str, keys: dict[str, str], sample: FeatureStore
) -> None:
    (view,) = [each for each in COMPUTED if each.name == name]
    rows = rows_of(view, at(3, 1), at(3, 2), sample.offline).iloc[::11]
    with duckdb.connect(str(sample.settings.home / "offline.duckdb"), read_only=True) as connection:
        for row in rows.to_dict("records"):
            end = row[EVENT_TIMESTAMP].to_pydatetime()
            asked = {"origin": None, "dest": None, "carrier": None, "from": end - window, "to": end}
            asked |= {column: row[key] for key, column in keys.items()}
            found = connection.execute(BRUTE, asked).fetchone()
            assert found is not None
            assert row[count] == found[0]
            assert row[mean] == pytest.approx(math.nan if found[1] is None else found[1], rel=1e-9, nan_ok=True)
