"""Values of every type go through both engines and come out as they went in: published, newest, joined."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from amora_fs_assets import Entity, FeatureService, FeatureView
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.ports.offline import Draft, OfflineStore
from amora_fs_assets.domain.row_order import newest_by
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.tables import rows_of
from amora_fs_assets.operations.training.historical import historical_features
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests import nested
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.operations.oracle import brute_force
from amora_fs_assets_tests.small import at

Row = dict[str, Any]
_numbers = itertools.count()
TEXTS = ("", " ", "a", "é", "e\u0301", "日本", "🦩\u200d", "\x00\x01", "it's `\"\\\n", "NULL", "x" * 1_000)
EXTREMES: dict[DataType, tuple[Any, ...]] = {
    DataType.INT64: (0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63)),
    DataType.FLOAT64: (0.0, -0.5, 0.1, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan),
    DataType.STRING: TEXTS,
    DataType.BOOLEAN: (True, False),
    DataType.BYTES: (b"", b"\x00", b"\xff\xfe", b"YQ==", b"a", bytes(range(256))),
    DataType.DATE: (date(1, 1, 1), date(1969, 12, 31), date(2020, 2, 29), date(9999, 12, 31)),
    DataType.TIMESTAMP: (
        datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), at(1),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
    ),
    DataType.TIME: (time(0), time(23, 59, 59, 999_999), time(12, 30)),
    DataType.UUID: ("00000000-0000-0000-0000-000000000000", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
    DataType.JSON: ("null", '{"a":[1,2.5,"é"]}', '"text"', "[]"),
    DataType.DECIMAL: (Decimal(0), Decimal("-0.000000001"), Decimal("9" * 29 + "." + "9" * 9), Decimal("-" + "9" * 29)),
}  # fmt: skip
KEY, TIME = Column("number", DataType.INT64), Column("event_timestamp", DataType.TIMESTAMP)
LIST = Column("sizes", DataType.LIST_INT64, nullable=True)
TYPES = (*DataType, *nested.NESTED)
FEATURES = [Column(f"f_{type_.name.lower()}", type_, nullable=True) for type_ in TYPES]


def value(rng: Random, type_: DataType) -> Any:
    if type_.is_list and not type_.is_nested:
        return [rng.choice(EXTREMES[type_.item]) for _ in range(rng.randint(0, 4))]
    if type_.is_list:
        return [value(rng, type_.item) or dict.fromkeys(type_.item.fields) for _ in range(rng.randint(0, 2))]
    if type_.is_map:
        return {text: value(rng, type_.fields["value"]) for text in rng.sample(TEXTS, rng.randint(0, 3))}
    if type_.is_struct:
        return {name: value(rng, field) for name, field in type_.fields.items()} if rng.random() < 0.85 else None
    return None if rng.random() < 0.15 else rng.choice(EXTREMES[type_])


def generated(rng: Random) -> tuple[FeatureView, list[Row]]:
    """A view with keys of some types and a feature of each, and rows of few keys and times."""
    keys = [KEY, Column("text", DataType.STRING)]
    rng.shuffle(keys)
    keys = keys[: rng.randint(1, 2)]
    created = [Column("created_timestamp", DataType.TIMESTAMP, nullable=True)] * rng.randint(0, 1)
    features = rng.sample(FEATURES, len(FEATURES))
    view = FeatureView(
        "generated", (*keys, TIME, *created, *features),
        [Entity(key.name) for key in keys], ttl=rng.choice((None, timedelta(hours=30))), start="2020-01-01",
    )  # fmt: skip
    rows: dict[Any, Row] = {}
    for _ in range(40):
        row: Row = {key.name: rng.choice(EXTREMES[key.type]) for key in keys}
        row["event_timestamp"] = at(rng.randint(1, 4), rng.randint(0, 1)) + timedelta(microseconds=rng.randint(0, 1))
        if created:
            row["created_timestamp"] = rng.choice((None, row["event_timestamp"] + timedelta(hours=rng.randint(0, 3))))
        known = row.get("created_timestamp") or row["event_timestamp"]
        rows[*row.values(), known] = row | {feature.name: value(rng, feature.type) for feature in features}
    return view, list(rows.values())


def arrow(columns: Any, rows: list[Row]) -> pa.Table:
    schema = pa.schema([(column.name, IBIS_TYPES[column.type].to_pyarrow()) for column in columns])
    return nested.table({column.name: column.type for column in columns}, rows, schema)


def read_rows(view: FeatureView, rows: pa.Table) -> list[Row]:
    return nested.python({column.name: column.type for column in view.features}, rows.to_pylist())


def publish(view: FeatureView, rows: pa.Table, store: OfflineStore) -> None:
    draft = Draft(
        name=view.name, table=table_name(view, store.dataset), columns=view.row_columns, keys=view.join_keys,
        time="event_timestamp", run_id="run", published_at=at(1),
    )  # fmt: skip
    store.publish(store.stage(rows, name=view.name, run_id="run"), draft)


same = nested.comparable


def comparable(rows: list[Row]) -> list[tuple[Any, ...]]:
    return sorted((tuple(same(row[name]) for name in sorted(row)) for row in rows), key=repr)


@pytest.fixture(params=["duckdb", pytest.param("bigquery", marks=pytest.mark.google)])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], OfflineStore]]:
    if request.param == "duckdb":
        yield lambda: DuckDBOfflineStore(tmp_path, dataset=f"types_{next(_numbers)}")
        return
    emulator: BigQueryEmulator = request.getfixturevalue("bigquery_emulator")
    with emulator.client() as client:
        yield lambda: BigQueryOfflineStore(
            client, dataset=f"types_{next(_numbers)}", storage_client=emulator.read_client()
        )


@pytest.mark.parametrize("seed", [1, *[pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 5)]])
def test_every_type_is_published_read_and_joined_as_it_is(new_store: Callable[[], OfflineStore], seed: int) -> None:
    rng, store = Random(seed), new_store()
    view, rows = generated(rng)
    publish(view, arrow(view.row_columns, rows), store)

    table = rows_of(view, store.dataset)
    with store.read(table) as batches:
        assert comparable(read_rows(view, batches.read_all())) == comparable(rows)

    names = [feature.name for feature in view.features]
    keys = {key: key for key in view.join_keys}
    end: Row = {"event_timestamp": at(20)}
    newest = brute_force([{**end, **row} | end for row in rows], rows, keys, names, None, False)
    with store.read(newest_by(table, view, list(view.join_keys))) as batches:
        assert comparable(read_rows(view, batches.read_all())) == comparable(
            list({id(r): r for r in newest if r}.values())
        )

    moments = [{**{key: row[key] for key in keys}, "event_timestamp": row["event_timestamp"] + timedelta(hours=h)}
               for row in rows for h in (-1, 0, 29)]  # fmt: skip
    asked = arrow([*view.key_columns, TIME], moments)
    found = historical_features(FeatureService("all", [view]), asked, store=store).to_arrow()
    joined = read_rows(view, found)
    truth = brute_force(moments, rows, keys, names, view.ttl, False)
    for row, true in zip(joined, truth, strict=True):
        for feature in view.features:
            nothing: Any = None
            if store.dialect.name == "bigquery":  # has no null lists, and stores maps as lists
                nothing = [] if feature.type.is_list else {} if feature.type.is_map else None
            assert same(row[feature.name]) == same(true[feature.name] if true else nothing), feature.name


def test_a_list_that_is_null_is_an_empty_one_to_bigquery_alone(new_store: Callable[[], OfflineStore]) -> None:
    view, store = FeatureView("lists", (KEY, TIME, LIST), [Entity("number")], start="2020-01-01"), new_store()
    publish(view, arrow(view.row_columns, [{"number": 1, "event_timestamp": at(1), "sizes": None}]), store)
    with store.read(rows_of(view, store.dataset)) as batches:
        assert batches.read_all()["sizes"].to_pylist() == [None if store.dialect.name == "duckdb" else []]


RISING: dict[DataType, list[Any]] = {
    DataType.struct_of({"a": DataType.STRING, "b": DataType.LIST_BYTES}): [
        None, {"a": "x", "b": []}, {"a": "x", "b": [b"a"]}, {"a": "xa", "b": []}, {"a": "y", "b": []},
    ],
    DataType.map_of(DataType.INT64): [{"b": 1}, {"c": 1}, {"a": 1, "b": None}, {"a": 2, "b": 1}],
    DataType.list_of(DataType.struct_of({"d": DataType.DATE})): [
        [], [{"d": date(2020, 1, 1)}], [{"d": date(2020, 1, 2)}], [{"d": date(2020, 1, 1)}] * 2,
    ],
    DataType.TIME: [None, time(1), time(2)],
}  # fmt: skip
"""Values of which the later one wins where two rows of an external table are equal otherwise."""


def test_of_equal_rows_the_greater_by_its_structs_and_maps_counts(new_store: Callable[[], OfflineStore]) -> None:
    store = new_store()
    pairs = [(type_, pair) for type_, values in RISING.items() for pair in itertools.combinations(values, 2)]
    features = [Column(f"f{place}", type_, nullable=True) for place, type_ in enumerate(RISING)]
    names = {type_: f"f{place}" for place, type_ in enumerate(RISING)}
    view = FeatureView("rows", (KEY, TIME, *features), [Entity("number")], start="2020-01-01")
    rows = [{**dict.fromkeys(names.values()), "number": number, "event_timestamp": at(1), names[type_]: each}
            for number, (type_, pair) in enumerate(pairs) for each in reversed(pair)]  # fmt: skip
    publish(view, arrow(view.row_columns, rows), store)
    external = FeatureView("external", (KEY, *features), [Entity("number")], table=f"{store.dataset}.rows")
    with store.read(newest_by(rows_of(external, store.dataset), external, ["number"])) as batches:
        found = {row["number"]: row for row in read_rows(external, batches.read_all())}
    for number, (type_, (_, greater)) in enumerate(pairs):
        assert found[number][names[type_]] == greater, pairs[number]
