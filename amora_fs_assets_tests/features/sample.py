"""What the tests of the sample share: rows of an interval, and what was known at an instant."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
from pandas.testing import assert_frame_equal

from amora_fs_assets import FeatureStore, FeatureView, Interval, Settings, Source
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import Draft, OfflineStore
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.operations.expressions.tables import all_columns, all_rows, within
from amora_fs_assets.operations.offline.transform import query_of
from amora_fs_assets.operations.registry.apply import collect

CLOCK = datetime(2014, 1, 1, 5, tzinfo=UTC)
CODE = collect("amora_fs_assets.features")
COMPUTED = [view for view in CODE.in_order if view.transform is not None]


def at(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2013, month, day, hour, minute, tzinfo=UTC)


def rows_of(view: FeatureView, start: datetime, end: datetime, store: OfflineStore) -> pd.DataFrame:
    """f([start, end)): what the transform gives of the interval, in an order of its own keys."""
    interval = Interval(start, end)
    query = query_of(view, interval, store.dataset)
    with store.read(query.filter(within(query[EVENT_TIMESTAMP], interval))) as batches:
        frame: pd.DataFrame = batches.read_all().to_pandas()
    return frame.sort_values([*view.join_keys, EVENT_TIMESTAMP], ignore_index=True)


def known_at(instant: datetime, sample: FeatureStore, home: Path) -> OfflineStore:
    """A store whose sources hold only what was known at the instant."""
    store = FeatureStore(Settings(home=home, now=CLOCK))
    read: list[Source | FeatureView] = [*CODE.sources.values(), CODE.feature_view("airport_weather")]
    for each in read:
        _copy(each, instant, sample.offline, store.offline)
    return store.offline


def _copy(read: Source | FeatureView, instant: datetime, whole: OfflineStore, part: OfflineStore) -> None:
    with whole.read(all_rows(read, whole.dataset)) as batches:
        rows = batches.read_all()
    time: str | None = EVENT_TIMESTAMP
    table, columns = table_name(read, part.dataset), all_columns(read)
    if isinstance(read, Source):
        time = read.available_at or read.timestamp_field
    if time is not None:
        rows = rows.filter(pc.less_equal(rows[time], instant))
    staged = part.stage(rows, name=read.name, run_id="part")
    part.publish(staged, Draft(name=read.name, table=table, columns=columns, run_id="part", published_at=CLOCK))


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Equal row for row; computed floats within 1e-9, since engines sum in no fixed order."""
    assert len(expected) > 0
    assert_frame_equal(found, expected, check_exact=False, rtol=1e-9, atol=1e-9)
