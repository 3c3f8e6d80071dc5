"""What a day of automation reads, as `plan` says it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.cli.rendering.plan import markdown, plain
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.operations.offline import load_source as sources
from amora_fs_assets_tests import small

NOW = small.at(10, hour=12)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """Two orders in the hour before NOW, one long ago; a view by the day and one without partitions."""
    source = small.orders([(1, NOW - HOUR / 2, 1.0), (2, NOW - HOUR / 4, 1.0), (1, small.at(2), 1.0)])
    daily = small.spending(source, name="daily", partitions="day")
    code = Catalogue.of([daily, small.spending(source, name="whole", partitions=None)])
    made = FeatureStore(Settings(home=tmp_path, now=NOW), code)
    sources.load(source, run_id="theirs", store=made.offline, registry=made.registry)
    return made


def test_a_day_is_what_the_newest_slot_reads_as_often_as_it_comes(store: FeatureStore) -> None:
    found = {each.view: (each.runs, each.scan.amount) for each in store.plan(every=HOUR).day}
    assert found == {"daily": (24, 48), "whole": (1, 3)}


def test_it_stands_in_every_form_of_the_plan(store: FeatureStore) -> None:
    plan = store.plan(every=HOUR)
    assert "| together | 25 | 51 rows |" in markdown(plan).replace("`", "")
    days = json.loads(json.dumps(plain(plan)))["day"]
    assert [(each["feature_view"], each["runs"], each["scan"]["amount"]) for each in days] == [
        ("daily", 24, 48),
        ("whole", 1, 3),
    ]


def test_it_is_not_asked_for_by_itself(store: FeatureStore) -> None:
    assert store.plan().day == ()


@pytest.mark.parametrize("every", [15, timedelta(0), timedelta(days=2)])
def test_a_cadence_is_a_length_of_time_up_to_a_day(store: FeatureStore, every: Any) -> None:
    with pytest.raises(InvalidRequest, match="a timedelta from one second to one day"):
        store.plan(every=every)
