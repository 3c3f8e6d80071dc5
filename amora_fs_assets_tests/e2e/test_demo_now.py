"""`amora-fs demo --now`: the whole sample on a running clock, its times moved so that it ends last midnight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from amora_fs_assets import FeatureStore, FeatureView, Settings, load_training_set
from amora_fs_assets_tests.e2e.conftest import amora_fs

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("demo_now")]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureStore]:
    """A model server's or a notebook's store after the demo. It has no clock of its own: time goes on."""
    home: Path = tmp_path_factory.mktemp("demo-now")
    done = amora_fs(home, "demo", "--now", timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "AMORA_FS_NOW= NYCFLIGHTS_DAYS_LATER=" in done.stdout
    with FeatureStore(Settings(home=home)) as opened:
        yield opened


def test_the_last_flights_left_within_the_last_two_days(store: FeatureStore) -> None:
    newest = load_training_set("departure_delay", settings=store.settings)["event_timestamp"].max()
    assert timedelta(0) < datetime.now(UTC) - newest < timedelta(days=2)


def test_every_entity_has_the_status_that_its_newest_row_has_by_now(store: FeatureStore) -> None:
    seen: Counter[str] = Counter()
    for view in store.list_feature_views():
        newest = _newest(store, view)
        keys = list(newest)
        asked = {name: [key[place] for key in keys] for place, name in enumerate(view.join_keys)}
        before = datetime.now(UTC)
        response = store.get_online_features(view.name, asked)
        after = datetime.now(UTC)
        for feature in view.features:
            for key, status, value in zip(
                keys, response.statuses[feature.name], response.to_dict()[feature.name], strict=True
            ):
                allowed = {_status(view, newest[key], feature.name, now) for now in (before, after)}
                if "OUTSIDE_MAX_AGE" in allowed:
                    allowed.add("NOT_FOUND")  # collected since
                assert status in allowed, (view.name, key, status, allowed)
                assert value == (newest[key][feature.name] if status == "PRESENT" else None)
                seen[status] += 1
    assert seen["PRESENT"] > 5_000
    assert seen["OUTSIDE_MAX_AGE"] + seen["NOT_FOUND"] > 500, "aircraft that were quiet for longer than their ttl"


def test_what_is_served_is_at_parity(store: FeatureStore) -> None:
    for view in store.list_feature_views():
        assert store.parity(view.name).passed, view.name


def test_running_it_again_computes_nothing_before_the_next_midnight(store: FeatureStore) -> None:
    flights = load_training_set("departure_delay", settings=store.settings)
    midnight = flights["scheduled_at"].max().floor("h") + timedelta(hours=1)
    again = amora_fs(store.settings.home, "demo", "--now")
    assert again.returncode == 0
    assert "nothing has changed since" in again.stdout or datetime.now(UTC) >= midnight + timedelta(days=1)


def _newest(store: FeatureStore, view: FeatureView) -> dict[tuple[object, ...], dict[str, object]]:
    rows = store.get_historical_features(view.name, start="2000-01-01", end=datetime.now(UTC)).to_arrow().to_pylist()
    time = "event_timestamp"
    newest: dict[tuple[object, ...], dict[str, object]] = {}
    for row in rows:
        key = tuple(row[name] for name in view.join_keys)
        if key not in newest or newest[key][time] < row[time]:
            newest[key] = row
    return newest


def _status(view: FeatureView, row: dict[str, object], feature: str, now: datetime) -> str:
    at = row["event_timestamp"]
    assert isinstance(at, datetime)
    if view.ttl is not None and at < now - view.ttl:
        return "OUTSIDE_MAX_AGE"
    return "NULL_VALUE" if row[feature] is None else "PRESENT"
