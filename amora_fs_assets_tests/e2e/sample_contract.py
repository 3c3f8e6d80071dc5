"""What the sample on Google Cloud has to come to: what it comes to on the embedded parts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.operations.expressions.tables import rows_of

CLOCK = "2014-01-01T05:00Z"


@dataclass(frozen=True)
class Demos:
    """Two stores that ran the same demo."""

    embedded: FeatureStore
    cloud: FeatureStore


def demo(home: Path, settings: dict[str, str]) -> FeatureStore:
    """Run it as a new user would, and open what it left."""
    settings = {**settings, "AMORA_FS_HOME": str(home), "AMORA_FS_NOW": CLOCK}
    command = [str(Path(sys.executable).with_name("amora-fs")), "demo", "--until", "2013-02-01"]
    subprocess.run(command, env={**os.environ, **settings}, check=True, timeout=800)
    return FeatureStore(Settings.from_env(settings))


def same(cloud: pd.DataFrame, embedded: pd.DataFrame) -> None:
    """Keys, times, integers and strings exactly; computed floats within 1e-9: engines sum in no fixed order."""
    columns = list(embedded.columns)
    left, right = (frame.sort_values(columns[:4], ignore_index=True) for frame in (cloud, embedded))
    pd.testing.assert_frame_equal(left, right, check_exact=False, rtol=1e-9)


class SampleContract:
    """Inherit it, and define the fixture `demos`."""

    def test_every_view_has_the_same_rows(self, demos: Demos) -> None:
        views = demos.cloud.list_feature_views()
        assert len(views) == 8
        for view in views:
            frames = []
            for store in (demos.cloud, demos.embedded):
                with store.offline.read(rows_of(view, store.offline.dataset)) as batches:
                    frames.append(batches.read_all().to_pandas())
            assert len(frames[0]) > 500
            same(*frames)

    def test_the_training_set_has_the_same_rows(self, demos: Demos) -> None:
        cloud, embedded = (store.load_training_set("departure_delay") for store in (demos.cloud, demos.embedded))
        assert len(cloud) == 336_776
        keys = ["scheduled_at", "carrier", "flight", "origin"]
        order = [*keys, *(column for column in embedded.columns if column not in keys)]
        same(cloud[order], embedded[order])

    def test_what_is_served_is_the_same(self, demos: Demos) -> None:
        rows = demos.embedded.load_training_set("departure_delay").drop_duplicates("carrier")
        keys = [*demos.embedded.get_feature_service("departure_delay").join_keys, "scheduled_at"]
        asked = {key: [None if pd.isna(value) else value for value in rows[key]] for key in keys}
        cloud, embedded = (
            store.get_online_features("departure_delay", asked) for store in (demos.cloud, demos.embedded)
        )
        assert cloud.statuses == embedded.statuses
        assert {"PRESENT", "OUTSIDE_MAX_AGE"} <= {status for column in cloud.statuses.values() for status in column}
        same(cloud.to_df(), embedded.to_df())

    def test_each_run_has_its_record_as_an_object_in_the_bucket(self, demos: Demos) -> None:
        def facts(store: FeatureStore) -> list[tuple[object, ...]]:
            return sorted((r.kind, r.name, r.status, r.rows, r.clipped_rows) for r in store.registry.records())

        assert facts(demos.cloud) == facts(demos.embedded)
        kinds = Counter(kind for kind, *_ in facts(demos.cloud))
        assert kinds == {"load_source": 4, "compute": 7, "check": 1, "materialize": 8, "parity": 8, "training_set": 1}
