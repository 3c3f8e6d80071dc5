"""The store's names and the users' never meet: every word of the store's own code is a column, a view, a project."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from amora_fs_assets import Entity, FeatureService, FeatureView, Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.names import RESERVED_COLUMNS, unused, unused_prefix
from amora_fs_assets.domain.ports.offline import Draft, OfflineStore
from amora_fs_assets.domain.row_order import newest_by
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.table_fingerprint import contents_of
from amora_fs_assets.operations.expressions.tables import dropped_keys, rows_of, unbound
from amora_fs_assets.operations.offline.gate import check
from amora_fs_assets.operations.training.historical import historical_features
from amora_fs_assets.orchestration.code_location import build_definitions
from amora_fs_assets.stores.redis.keys import PREFIXES, namer, prefix_of, state_name
from amora_fs_assets.stores.redis.row_codec import encode_part
from amora_fs_assets_tests.operations.engines import ENGINES, engine_store
from amora_fs_assets_tests.operations.hostile_names import COLUMN, NAME, SPELLED, apart, names
from amora_fs_assets_tests.small import at

_numbers = itertools.count()
MONTH = Interval(at(1), at(1, month=2))
HANDED = [word for word in apart(list(SPELLED)) if COLUMN.fullmatch(word)]


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OfflineStore]:
    """An empty one of each engine."""
    with engine_store(request, tmp_path) as store:
        yield store


@cache
def words() -> list[str]:
    return [word for word in apart(names()) if COLUMN.fullmatch(word) and word.casefold() not in RESERVED_COLUMNS]


def view_of(keys: Sequence[str], features: Sequence[str], name: str = "hostile") -> FeatureView:
    columns = (
        *(Column(key, DataType.INT64) for key in keys),
        Column("event_timestamp", DataType.TIMESTAMP),
        Column("created_timestamp", DataType.TIMESTAMP, nullable=True),
        *(Column(feature, DataType.INT64, nullable=True) for feature in features),
    )
    return FeatureView(name, columns, [Entity("e", list(keys))], start="2020-01-01", partitions="month")


def rows(view: FeatureView, key: int, day: int) -> pa.Table:
    """One row: every key is `key`, every feature a number of its own."""
    features = {feature.name: number for number, feature in enumerate(view.features)}
    row = {"event_timestamp": at(day), "created_timestamp": at(day), **dict.fromkeys(view.join_keys, key), **features}
    schema = pa.schema([(c.name, IBIS_TYPES[c.type].to_pyarrow()) for c in view.row_columns])
    return pa.Table.from_pylist([row], schema)


def lives(view: FeatureView, store: OfflineStore, extra: Sequence[str]) -> None:
    """All that goes through the engine: gate, publications, joins with columns called `extra`, contents."""

    def publish(data: pa.Table, run: str, *, appended: bool = False) -> None:
        staged = store.stage(data, name=view.name, run_id=run)
        if not appended:
            assert check(unbound(view.row_columns, staged), view, MONTH, store).passed
        draft = Draft(
            name=view.name, table=f"{store.dataset}.{view.name}", columns=view.row_columns, keys=view.join_keys,
            time="event_timestamp", interval=MONTH, appended=appended, run_id=run, definition_hash="1",
            published_at=at(1),
        )  # fmt: skip
        store.publish(staged, draft)

    publish(rows(view, 7, 1), "first")
    publish(rows(view, 1, 2), "second")
    publish(rows(view, 1, 2), "push-third", appended=True)
    gone = dropped_keys(view, store)
    assert gone is not None
    with store.read(gone) as batches:
        assert batches.read_all().to_pylist() == [dict.fromkeys(view.join_keys, 7)]
    with store.read(newest_by(rows_of(view, store.dataset), view, list(view.join_keys))) as batches:
        assert batches.read_all().num_rows == 1
    contents = contents_of(f"{store.dataset}.{view.name}", view.row_columns, store)
    assert contents.rows == 1
    assert contents.statistics[view.features[-1].name]["max"] == len(view.features) - 1

    own = [name for name in extra if name.casefold() not in {key.casefold() for key in view.join_keys}]
    given = {"event_timestamp": pa.array([at(3)], pa.timestamp("us", tz="UTC")), **{key: [1] for key in view.join_keys}}
    asked = pa.table({**given, **{name: [f"of {name}"] for name in own}})
    staged = store.stage(asked, name="asked", run_id="asked")
    columns = [Column(name, DataType.STRING) for name in own]
    moments = unbound([*(Column(key, DataType.INT64) for key in view.join_keys), *columns], staged)
    late = moments.mutate(event_timestamp=at(3))
    for spine, known_time in (
        (asked, False), (asked, True), (late, True),
        (late.cast({"event_timestamp": "timestamp"}), False),  # a time without a zone, which the join casts
    ):  # fmt: skip
        result = historical_features(
            FeatureService("s", [view]), spine, store=store, full_feature_names=True, known_time=known_time
        ).to_arrow()
        (row,) = result.to_pylist()
        assert {name: row[name] for name in own} == {name: f"of {name}" for name in own}
        wanted = {f"{view.name}__{feature.name}": number for number, feature in enumerate(view.features)}
        assert {name: row[name] for name in wanted} == wanted
    store.discard(staged)


def test_words_of_the_store_that_are_columns_stay_what_they_are(store: OfflineStore) -> None:
    half = len(HANDED) // 2
    for keys, features in ((HANDED[:half], HANDED[half:]), (HANDED[half:], HANDED[:half])):
        lives(view_of(keys, features, f"hostile_{next(_numbers)}"), store, [*SPELLED, "_m", "_moment", "__x", "_s0"])


# The emulator takes minutes for a view of a hundred keys: there the handed names stand for the others.
@pytest.mark.slow
@pytest.mark.parametrize("store", ["duckdb"], indirect=True)
@pytest.mark.parametrize("part", range(12))
def test_every_word_of_the_store_may_be_a_column(store: OfflineStore, part: int) -> None:
    keys, features, extra = (words()[(part + shift) % 12 :: 12] for shift in range(3))
    lives(view_of(keys, features), store, [*extra, *(f"_{word}" for word in extra)])


def test_a_name_that_is_made_beside_others_is_none_of_them() -> None:
    for taken in ([], ["_x"], ["__", "a"], ["_1", "___"], words()):
        prefix = unused_prefix(taken)
        assert not any(name.startswith(prefix) for name in taken)
    assert unused("Rows", ["rows", "_ROWS"]) == "__Rows"


def test_no_name_in_redis_is_another_ones() -> None:
    """Of any project and any view, and rows of any generation and key."""
    words = [word for word in names() if NAME.fullmatch(word)]
    projects = [*words[::7], "amora_fs", "f1", "f2", "fs", "a:b", "feature_store"]
    states = {state_name(project, view): (project, view) for project in projects for view in words}
    assert len(states) == len({*projects}) * len(words)
    assert PREFIXES not in states
    assert state_name("amora_fs", "prefixes") in states
    keys = [b"", *(encode_part(value) for value in (*range(128), "a", "view"))]
    for tagged in (False, True):
        for number in range(1, 1_500, 7):
            for row in namer(prefix_of(number, tagged=tagged))(keys):
                assert row.startswith(b"%")
    assert not any(state.startswith("%") for state in states)


def test_every_word_of_the_store_may_be_a_view_in_dagster(tmp_path: Path) -> None:
    shown = ["prefixes", "publications", "sequence", "rows", "raw", "online", "training_set", "feature_view", "staged",
             "feature_store", "full", "load", "shards", "entity_rows", "offline", "config"]  # fmt: skip
    shown += [f"{name}__{step}" for name in ("rows", "raw") for step in ("begin", "shard", "finish", "load")]
    columns = (Column("event_timestamp", DataType.TIMESTAMP), Column("x", DataType.INT64))
    views = [FeatureView(name, columns, table=f"theirs.{name}", ttl=timedelta(1)) for name in shown]
    for shards in (1, 3):
        settings = Settings(home=tmp_path, online_shards=shards)
        dg.Definitions.validate_loadable(build_definitions(settings, definitions=Catalogue.of(views)))
