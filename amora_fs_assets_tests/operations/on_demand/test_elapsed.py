"""The time since a stored time: one line, and the same on a running clock and in a training set."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from amora_fs_assets import FeatureService, FeatureStore, Settings, elapsed
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets_tests.operations.on_demand.shop import TABLES, TIME, profile, spend
from amora_fs_assets_tests.operations.stores import fill

friend = spend.alias("friend_spend", {"customer": "friend"})
reminders = FeatureService(
    "reminders", [spend["orders_30d"], elapsed(spend["last_order"]), elapsed(friend["last_order"], name="friends")]
)


def test_the_features_are_named_and_described_after_the_times() -> None:
    view = elapsed(spend["last_order"])
    assert view.name == "spend_elapsed"
    assert [(each.name, each.description) for each in view.features] == [
        ("since_last_order", "Time since last_order of spend [s].")
    ]
    assert str(view.formulas["since_last_order"]) == "float(microseconds(request_time() - last_order)) / 1000000.0"
    assert elapsed(friend["last_order"]).join_keys == ("friend",)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (spend, "'spend:spend_30d' is float64. Select features that are times"),
        (profile["birth_date"], "'profile:birth_date' is date"),
        ("spend", "times='spend' is of type str. Select features that are times, .*elapsed(view['last_order'])"),
    ],
)
def test_another_argument_than_times_is_refused(times: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=re.escape(message).replace(r"\.\*", ".*")):
        elapsed(times)


def test_it_runs_with_the_clock_and_a_training_row_has_what_was_served(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    last = now - timedelta(hours=5)
    rows = {
        "customer": pa.array([1, 2], pa.int64()),
        "event_timestamp": pa.array([last, last], TIME),
        "spend_30d": [100.0, 1.0],
        "orders_30d": pa.array([3, 1], pa.int64()),
        "last_order": pa.array([last, None], TIME),
    }
    fill(tmp_path, {**TABLES, "theirs.spend": pa.table(rows)})
    with FeatureStore(Settings(home=tmp_path), Catalogue.of([reminders])) as store:
        store.apply()
        store.materialize_incremental()
        asked: dict[str, list[Any]] = {"customer": [1, 2, 3], "friend": [2, 3, 1]}
        first, second = (store.get_online_features("reminders", asked, full_feature_names=True) for _ in range(2))
        for answer in (first, second):
            at = answer.event_timestamps["spend_elapsed__since_last_order"][0]
            assert at is not None
            served = answer.to_dict()
            seconds = (at - last) / timedelta(seconds=1)
            assert served["spend_elapsed__since_last_order"] == [seconds, None, None]
            assert served["friends__since_last_order"] == [None, None, seconds]
            spine = pd.DataFrame({**asked, "event_timestamp": [at] * 3})
            joined = store.get_historical_features("reminders", spine, full_feature_names=True).to_arrow().to_pydict()
            assert {name: joined[name] for name in served} == served
        name = "spend_elapsed__since_last_order"
        assert second.to_dict()[name][0] > first.to_dict()[name][0]
