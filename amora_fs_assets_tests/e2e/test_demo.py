"""`amora-fs demo` on three weeks of flights, end to end."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from amora_fs_assets import FeatureStore, Settings, load_training_set
from amora_fs_assets_tests.e2e.conftest import UNTIL, Demo, amora_fs

pytestmark = pytest.mark.e2e
NOW = datetime.fromisoformat(UNTIL).replace(tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(demo: Demo) -> FeatureStore:
    """A model server's or a notebook's store, beside the demo's home."""
    return FeatureStore(Settings(home=demo.home, now=NOW))


def test_it_says_what_was_computed_while_it_works(demo: Demo) -> None:
    for line in (
        r"\d s  raw/flights: 336,776 rows loaded",
        r"\d s  feature_view/carrier_punctuality: \d,\d{3} rows published",
        r"\d s  feature_view/airport_location: 1,458 rows checked",
        r"\d s  online/carrier_punctuality: 1\d entities written",
        r"\d s  training_set/departure_delay: 336,776 rows published",
    ):
        assert re.search(line, demo.output), line


def test_it_shows_the_training_set_through_the_asset_loader_with_every_column(demo: Demo) -> None:
    assert "Training set: 336,776 rows, 30 columns" in demo.output
    assert (
        'defs.load_asset_value(AssetKey(["training_set", "departure_delay"]), python_type=pd.DataFrame)' in demo.output
    )
    for column in load_training_set("departure_delay", settings=Settings(home=demo.home)).columns:
        assert re.search(rf"^{column} ", demo.output, re.MULTILINE), column
    assert "..." not in demo.output


def test_it_shows_online_features_with_their_statuses_and_whole_numbers(demo: Demo) -> None:
    assert re.search(r"AA +\d+ +-?[\d.]+ +[\d.]+ +PRESENT", demo.output)
    assert re.search(r"\?\? +- +- +- +NOT_FOUND", demo.output)


def test_it_ends_with_how_to_open_the_ui(demo: Demo) -> None:
    assert demo.output.rstrip().endswith("make dev, then http://localhost:3000")


def test_every_view_is_published_up_to_the_clock(store: FeatureStore) -> None:
    published = {each.name: each for each in store.offline.publications()}
    for view in store.list_feature_views():
        if view.table is None:
            assert (published[view.name].start, published[view.name].end) == (datetime(2013, 1, 1, tzinfo=UTC), NOW)
            assert published[view.name].rows > 0


def test_the_registry_has_a_record_with_lineage_of_every_view(store: FeatureStore) -> None:
    for view in store.list_feature_views():
        (record,) = store.registry.records(view.name, kind="check" if view.table else "compute")
        assert record.status == "succeeded"
        assert all(check.passed for check in record.checks)
        # How many rows there are is made of no column.
        made = [each.name for each in view.features if "departures_" not in each.name]
        assert view.table or all(record.column_lineage[name] for name in made)


def test_what_is_served_is_the_point_in_time_truth(store: FeatureStore) -> None:
    carriers = ["AA", "B6", "DL", "EV", "UA", "US"]
    online = store.get_online_features("carrier_punctuality", {"carrier": carriers}).to_df()
    spine = pd.DataFrame({"carrier": carriers, "event_timestamp": [NOW] * len(carriers)})
    offline = store.get_historical_features("carrier_punctuality", spine).to_df().drop(columns="event_timestamp")
    pd.testing.assert_frame_equal(online, offline, check_dtype=False)
    assert online["mean_delay_30d"].notna().all()


def test_the_service_of_the_model_is_answered_whole(store: FeatureStore) -> None:
    service = store.get_feature_service("departure_delay")
    asked = {"carrier": "UA", "tailnum": "N14228", "origin": "EWR", "dest": "IAH", "scheduled_at": NOW + HOUR}
    assert asked.keys() == {*service.join_keys, "scheduled_at"}
    response = store.get_online_features(service, [asked])
    assert response.to_dict()["minutes_to_departure"] == [60.0]
    assert set(map(tuple, response.statuses.values())) <= {("PRESENT",), ("NULL_VALUE",), ("NOT_FOUND",)}
    assert sum(statuses == ["PRESENT"] for statuses in response.statuses.values()) > 15


def test_status_shows_each_view(demo: Demo) -> None:
    said = amora_fs(demo.home, "status").stdout
    assert re.search(r"carrier_punctuality.*2013-01-01 - 2013-01-22.*generation 1", said)
    assert re.search(r"airport_location.*external table", said)


def test_running_it_again_is_quick_and_shows_the_same(demo: Demo) -> None:
    again = amora_fs(demo.home, "demo", "--until", UNTIL)
    assert again.returncode == 0
    assert "nothing has changed since" in again.stdout
    assert "rows published" not in again.stdout
    assert _shown(again.stdout) == _shown(demo.output)


def _shown(output: str) -> str:
    return output[output.index("Online features") : output.index("Done in")]
