"""The sample's data are what they are said to be, and the gate stops what is wrong in them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import duckdb
import pandas as pd
import pytest
from ibis.expr.types import Table

from amora_fs_assets import FeatureService, FeatureStore, FeatureView, Interval, Source, known_at
from amora_fs_assets.features import entities, sources
from amora_fs_assets.features.airport_weather import AirportWeather, airport_weather
from amora_fs_assets.features.departure import departure
from amora_fs_assets.operations.expressions.tables import all_rows
from amora_fs_assets.operations.offline import compute
from amora_fs_assets.operations.offline.transform import query_of
from amora_fs_assets_tests.features.sample import CLOCK, CODE, COMPUTED, at, rows_of


def one(sample: FeatureStore, sql: str) -> Any:
    """What a query over the loaded sources gives."""
    with duckdb.connect(str(sample.settings.home / "offline.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


@pytest.mark.parametrize(
    ("what", "sql", "expected"),
    [
        ("flights", "count(*) FROM raw.flights", 336_776),
        ("cancelled flights", "count(*) FROM raw.flights WHERE departed_at IS NULL", 8_255),
        ("flights that left", "count(*) FROM raw.flights WHERE dep_delay IS NOT NULL", 328_521),
        ("flights without a tail number", "count(*) FROM raw.flights WHERE tailnum IS NULL", 2_512),
        (
            "of these, flights that left",
            "count(*) FROM raw.flights WHERE tailnum IS NULL AND departed_at IS NOT NULL",
            0,
        ),
        (
            "flights by scheduled time, carrier and number",
            "count(DISTINCT (scheduled_at, carrier, flight)) FROM raw.flights",
            336_776,
        ),
        (
            "departures that are not schedule plus delay",
            "count(*) FROM raw.flights WHERE departed_at <> scheduled_at + to_minutes(dep_delay::BIGINT)",
            0,
        ),
        ("aircraft", "count(DISTINCT tailnum) FROM raw.flights", 4_043),
        (
            "aircraft that are not registered",
            "count(DISTINCT tailnum) FROM raw.flights WHERE tailnum NOT IN (SELECT tailnum FROM raw.planes)",
            721,
        ),
        ("hours of weather", "count(*) FROM raw.weather", 26_115),
        ("hours of weather by airport", "count(DISTINCT (airport, observed_at)) FROM raw.weather", 26_115),
        (
            "hours of weather known an hour later",
            "count(*) FROM raw.weather WHERE known_at = observed_at + to_hours(1)",
            26_115,
        ),
        ("planes", "count(*) FROM raw.planes", 3_322),
        ("airports", "count(*) FROM reference.airports", 1_458),
        ("first hour of weather", "min(observed_at) = TIMESTAMPTZ '2013-01-01 06:00:00+00' FROM raw.weather", True),
        ("last hour of weather", "max(observed_at) = TIMESTAMPTZ '2013-12-30 23:00:00+00' FROM raw.weather", True),
        ("late flights", "round(100 * avg((dep_delay > 15)::INT), 1) FROM raw.flights", 21.5),
    ],
)  # fmt: skip
def test_the_data_are_what_they_are_said_to_be(what: str, sql: str, expected: object, sample: FeatureStore) -> None:
    assert one(sample, f"SELECT {sql}") == expected, what


def test_an_hour_of_2013_in_new_york_may_lie_in_2014_in_utc(sample: FeatureStore) -> None:
    assert one(sample, "SELECT max(scheduled_at)::VARCHAR FROM raw.flights") == "2014-01-01 04:59:00+00"


def without_cleaning(weather: Table) -> Table:
    return weather.select(
        "airport",
        event_timestamp=known_at(weather),
        temperature=weather.temp,
        humidity=weather.humid,
        wind_speed=weather.wind_speed,
        precipitation=weather.precip,
        visibility=weather.visib,
    )


RAW_WEATHER = FeatureView(
    "raw_weather", AirportWeather, [entities.airport], [sources.weather], transform=without_cleaning,
    partitions="month", start="2013-01-01",
)  # fmt: skip


def test_the_gate_stops_the_wind_of_1048_miles_an_hour(sample: FeatureStore) -> None:
    store = sample.offline
    february = Interval(at(2, 1), at(3, 1))
    computed = compute.stage(RAW_WEATHER, february, store=store, run_id="gate", definition_hash="")
    assert {result.name for result in computed.checked.results if not result.passed} == {"wind_speed"}
    (bad,) = next(result for result in computed.checked.results if not result.passed).failing_rows
    assert (bad["airport"], bad["event_timestamp"]) == ("EWR", "2013-02-12T09:00:00+00:00")
    assert bad["wind_speed"] == pytest.approx(1_048.36058)
    assert "wind_speed: 1 row not less_than_or_equal_to(max_value=200.0)" in str(compute.refusal(computed))
    store.discard(computed.staged)


def test_the_rest_of_the_year_passes_that_gate(sample: FeatureStore) -> None:
    for interval in (Interval(at(1, 1), at(2, 1)), Interval(at(3, 1), CLOCK)):
        computed = compute.stage(RAW_WEATHER, interval, store=sample.offline, run_id="gate", definition_hash="")
        assert computed.checked.passed
        sample.offline.discard(computed.staged)


def test_the_view_itself_takes_that_speed_as_unknown_and_keeps_the_rest_of_the_row(sample: FeatureStore) -> None:
    rows = rows_of(airport_weather, at(2, 12, 9), at(2, 12, 10), sample.offline).set_index("airport")
    assert rows.loc["EWR"].isna().to_dict() == {
        "event_timestamp": False, "temperature": False, "humidity": False, "wind_speed": True, "precipitation": False,
        "visibility": False,
    }  # fmt: skip
    assert rows["wind_speed"].notna().to_dict() == {"EWR": False, "JFK": True, "LGA": True}


def scans(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The scans of a plan: table, filters, and how many rows came out."""
    info = plan.get("extra_info") or {}
    found = [{**info, "rows": plan["operator_cardinality"]}] if "Table" in info else []
    return found + [each for child in plan.get("children", []) for each in scans(child)]


OF_SOURCES = [view for view in COMPUTED if isinstance(view.sources[0], Source)]


@pytest.mark.parametrize("view", OF_SOURCES, ids=lambda view: view.name)
def test_a_month_reads_only_its_interval_lookback_and_lateness(view: FeatureView, sample: FeatureStore) -> None:
    start, end = at(3, 1), at(4, 1)
    sql = sample.offline.sql(query_of(view, Interval(start, end), sample.offline.dataset))
    with duckdb.connect(str(sample.settings.home / "offline.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        row = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}").fetchone()
    assert row is not None
    timed = [source for source in view.sources if source.name in {"flights", "weather"}]
    for source in timed:
        (scan,) = [each for each in scans(json.loads(row[1])) if each["Table"].endswith(source.table)]
        filters = scan["Filters"]
        filters = " AND ".join(filters) if isinstance(filters, list) else filters
        assert isinstance(source, Source)
        time, first = source.timestamp_field, start - view.lookback - (source.max_lateness or timedelta(0))
        assert f"{time}>='{first:%Y-%m-%d %H:%M:%S}+00'" in filters
        assert f"{time}<'{end:%Y-%m-%d %H:%M:%S}+00'" in filters
        most = one(
            sample,
            f"SELECT count(*) FROM {source.table} WHERE {time} >= '{first}' AND {time} < '{end}'",
        )
        assert 0 < scan["rows"] <= most
    assert timed


@pytest.mark.parametrize(
    ("name", "rows"),
    [("carrier_punctuality", 80_235), ("airport_congestion", 24_427), ("network_load", 7_940), ("route_delays", 66_884),
     ("aircraft_history", 328_518), ("airport_weather", 26_115), ("recent_weather", 26_262)],
)  # fmt: skip
@pytest.mark.slow
def test_a_year_of_a_view_passes_its_gate(name: str, rows: int, sample: FeatureStore) -> None:
    computed = compute.stage(
        CODE.feature_view(name), Interval(at(1, 1), CLOCK), store=sample.offline, run_id="year", definition_hash=""
    )
    assert computed.checked.passed
    assert computed.checked.rows == rows
    sample.offline.discard(computed.staged)


def test_the_view_over_a_table_that_was_there_is_checked_joined_and_brought_online(sample: FeatureStore) -> None:
    assert sample.compute("2013-01-01", "2013-02-01", ["airport_location"]) == {"airport_location": None}
    (record,) = sample.registry.records("airport_location")
    assert (record.rows, record.status, record.sequence) == (1_458, "succeeded", None)
    spine = {"faa": ["JFK", "XXX"], "event_timestamp": [at(6, 1)] * 2}
    joined = sample.get_historical_features("airport_location", pd.DataFrame(spine)).to_df()
    assert joined["latitude"].round(2).tolist()[0] == 40.64
    assert joined["latitude"].isna().tolist() == [False, True]
    assert sample.materialize_incremental(feature_views=["airport_location"])["airport_location"].rows == 1_458
    online = sample.get_online_features("airport_location", {"faa": ["JFK", "XXX"]})
    assert online.statuses["latitude"] == ["PRESENT", "NOT_FOUND"]


def test_the_training_set_asks_one_to_four_hours_before_each_scheduled_departure(sample: FeatureStore) -> None:
    training_set = CODE.training_sets["departure_delay"]
    assert training_set.spine is not None
    spine = training_set.spine(all_rows(sources.flights, "feature_store"))
    ahead = spine.scheduled_at.delta(spine.event_timestamp, unit="hour")
    counts = spine.aggregate(
        rows=spine.count(),
        **{f"hours_{n}": (ahead == n).sum() for n in range(1, 5)},
        late=spine.late.sum(),
        unknown=spine.late.isnull().sum(),
    )
    with sample.offline.read(counts) as batches:
        (found,) = batches.read_all().to_pylist()
    assert (found["rows"], found["unknown"]) == (336_776, 8_255)
    hours = [found[f"hours_{n}"] for n in range(1, 5)]
    assert sum(hours) == 336_776
    assert min(hours) > 50_000
    assert found["late"] / (found["rows"] - found["unknown"]) == pytest.approx(0.215, abs=0.001)


PREVIOUS = """
SELECT asked.scheduled_at, asked.tailnum, asked.scheduled_at - INTERVAL 2 HOUR AS event_timestamp,
  (SELECT max_by(dep_delay, departed_at) FROM raw.flights AS before WHERE before.tailnum = asked.tailnum
   AND departed_at <= asked.scheduled_at - INTERVAL 2 HOUR AND departed_at > asked.scheduled_at - INTERVAL 14 HOUR
  ) AS expected
FROM raw.flights AS asked WHERE asked.scheduled_at BETWEEN '2013-01-15' AND '2013-01-16' AND asked.tailnum IS NOT NULL
"""


def test_the_previous_leg_is_the_departure_of_the_aircraft_in_the_last_twelve_hours(sample: FeatureStore) -> None:
    sample.compute("2013-01-01", "2013-02-01", ["aircraft_history"])
    with duckdb.connect(str(sample.settings.home / "offline.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        asked = connection.execute(PREVIOUS).df()
    joined = sample.get_historical_features(FeatureService("asked", [departure]), asked).to_df()
    found, expected = joined["previous_leg_delay"], joined["expected"]
    pd.testing.assert_series_equal(found, expected, check_names=False, check_dtype=False)
    assert 50 < expected.notna().sum() < len(expected) - 50
    assert set(joined["minutes_to_departure"]) == {120.0}
    assert (joined["scheduled_hour"] == joined["scheduled_at"].dt.hour).all()
