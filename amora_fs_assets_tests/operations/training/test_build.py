"""Versions of training sets: the same rows a year later, or a refusal that says what is gone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import ibis
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner
from ibis.expr.types import Table

from amora_fs_assets import Entity, FeatureStore, FeatureView, TrainingSet
from amora_fs_assets.cli.main import main
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import InvalidRequest, TrainingSetAltered, TrainingSetNotFound, TransformError
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.identity.definition import definition_hash
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.table_fingerprint import contents_of
from amora_fs_assets.operations.training import build as training_sets
from amora_fs_assets.operations.training import versions
from amora_fs_assets.operations.training.build import TrainingSetBuild
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests import small
from amora_fs_assets_tests.operations.cases import VALUES
from amora_fs_assets_tests.operations.offline.test_compute import feature_store
from amora_fs_assets_tests.operations.stores import fill

FIRST = datetime(2020, 3, 1, 12, tzinfo=UTC)


def build(store: FeatureStore, *, now: datetime = FIRST, run_id: str = "run") -> str:
    """A version of `bought`, as its asset makes one."""
    code = store.code.training_set("bought")
    run = TrainingSetBuild(code, store=store.offline, registry=store.registry, run_id=run_id, now=lambda: now)
    run.stage(store.registry.catalogue())
    return str(run.publish().details["version"])


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose views are computed."""
    home = tmp_path_factory.mktemp("computed")
    feature_store(home, small.catalogue()).compute("2020-01-01", "2020-03-01")
    return home


@pytest.fixture
def store(computed: Path, tmp_path: Path) -> FeatureStore:
    """A store of its own for each test: a copy."""
    shutil.copytree(computed, tmp_path, dirs_exist_ok=True)
    return feature_store(tmp_path, small.catalogue(), apply=False)


def _doubled(orders: Table) -> Table:
    return orders.select("customer", amount=orders["amount"] * 2, event_timestamp=orders["at"])


def recomputed(store: FeatureStore) -> FeatureStore:
    """The same features with other values."""
    later = feature_store(store.settings.home, small.catalogue(transform=_doubled))
    later.compute("2020-01-01", "2020-03-01")
    return later


def altered(store: FeatureStore, sql: str) -> None:
    (table,) = [p.table for p in store.offline.publications("bought")]
    with store.offline._open(write=True) as connection:  # type: ignore[attr-defined]
        connection.execute(sql.format(table=table))


@pytest.mark.parametrize(("known_time", "learned"), [(False, [3, 2]), (True, [1, 2])])
def test_a_later_correction_is_learned_from_unless_known_time_is_asked_for(
    tmp_path: Path, known_time: bool, learned: list[int]
) -> None:
    rows = {
        "customer": [1, 1, 2], "event_timestamp": [small.at(1)] * 3,
        "created_timestamp": [small.at(1), small.at(5), small.at(1)], "x": [1, 3, 2],
    }  # fmt: skip
    types = dict.fromkeys(("event_timestamp", "created_timestamp"), pa.timestamp("us", "UTC"))
    fill(tmp_path, {"theirs.v": pa.table({name: pa.array(each, types.get(name)) for name, each in rows.items()})})
    columns = [Column("customer", DataType.INT64), Column("event_timestamp", DataType.TIMESTAMP)]
    columns += [Column("created_timestamp", DataType.TIMESTAMP), Column("x", DataType.INT64)]
    view = FeatureView("v", tuple(columns), [Entity("customer")], table="theirs.v")

    def moments(v: Table) -> Table:
        return v.select("customer", event_timestamp=ibis.literal(small.at(3)), label=True).distinct()

    bought = TrainingSet("bought", view, [view], spine=moments, known_time=known_time)
    store = feature_store(tmp_path, Catalogue.of([bought]))
    assert store.registry.catalogue().training_set("bought").known_time is known_time
    build(store)
    assert store.load_training_set("bought").sort_values("customer")["x"].tolist() == learned


def test_a_version_holds_the_spine_its_labels_and_the_features(store: FeatureStore) -> None:
    build(store)
    rows = store.load_training_set("bought", as_type="arrow").sort_by("event_timestamp").to_pylist()
    assert list(rows[0]) == ["customer", "event_timestamp", "label", "amount"]
    assert [(row["customer"], row["label"], row["amount"]) for row in rows] == [
        (1, False, 10.0), (2, False, 20.0), (1, True, 30.0), (1, True, 40.0), (3, True, 50.0),
    ]  # fmt: skip


def test_a_version_is_the_same_after_its_features_were_recomputed_with_other_values(store: FeatureStore) -> None:
    first = build(store)
    before = store.load_training_set("bought", first)
    later = recomputed(store)
    second = build(later, now=FIRST + timedelta(days=1), run_id="other")
    pd.testing.assert_frame_equal(later.load_training_set("bought", first), before)
    assert sorted(later.load_training_set("bought", second)["amount"]) == [20.0, 40.0, 60.0, 80.0, 100.0]
    assert sorted(later.load_training_set("bought")["amount"]) == [20.0, 40.0, 60.0, 80.0, 100.0]


def test_as_of_is_the_newest_version_of_its_time(store: FeatureStore) -> None:
    first = build(store)
    second = build(store, now=FIRST + timedelta(days=1), run_id="other")
    found = [versions.training_set_version("bought", None, time, store.registry) for time in
             (FIRST, FIRST + timedelta(hours=23, minutes=59), FIRST + timedelta(days=1), "2030-01-01")]  # fmt: skip
    assert found == [first, first, second, second]
    with pytest.raises(TrainingSetNotFound, match=f"'bought' had no version at 2020-03-01T11:.*The first: {first}"):
        store.load_training_set("bought", as_of=FIRST - timedelta(minutes=1))
    with pytest.raises(InvalidRequest, match="a version or as_of, not both"):
        store.load_training_set("bought", first, as_of=FIRST)


def test_it_is_loaded_as_what_is_asked_for(store: FeatureStore) -> None:
    build(store)
    arrow = store.load_training_set("bought", as_type="arrow")
    assert isinstance(arrow, pa.Table)
    frame, polars = store.load_training_set("bought"), store.load_training_set("bought", as_type="polars")
    assert frame.dtypes.astype(str).to_dict() == {
        "customer": "Int64", "event_timestamp": "datetime64[us, UTC]", "label": "boolean", "amount": "float64",
    }  # fmt: skip
    assert isinstance(polars, pl.DataFrame)
    assert polars.height == len(frame) == 5
    assert sum(batch.num_rows for batch in store.load_training_set("bought", as_type="batches")) == 5
    with pytest.raises(InvalidRequest, match="as_type is 'numpy'; give one of pandas, arrow, polars, batches"):
        store.load_training_set("bought", as_type="numpy")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DROP TABLE {table}", "table feature_store.training_set_bought_.* is missing"),
        ("ALTER TABLE {table} DROP COLUMN amount", "column 'amount' is missing"),
        ("ALTER TABLE {table} ALTER amount TYPE VARCHAR", "column 'amount' is string now"),
        ("ALTER TABLE {table} ADD COLUMN more INT", "column 'more' is new"),
        (
            "DELETE FROM {table} WHERE customer = 3",
            "it has 4 rows, but was built with 5; column 'customer': max is 2, but was 3",
        ),
        ("UPDATE {table} SET amount = 11 WHERE amount = 10", "column 'amount': min is 11.0, but was 10.0"),
        ("UPDATE {table} SET label = NULL WHERE amount = 10", "column 'label': nulls is 1, but was 0"),
        # Nothing but the checksum can tell that two rows have changed places.
        (
            "UPDATE {table} SET amount = CASE amount WHEN 10 THEN 20 ELSE 10 END WHERE amount IN (10, 20)",
            "has changed: its checksum is [0-9a-f]{{32}}, but was [0-9a-f]{{32}}",
        ),
    ],
)
def test_a_table_that_was_altered_by_hand_is_refused(store: FeatureStore, sql: str, said: str) -> None:
    build(store)
    altered(store, sql)
    message = said.replace("{{", "{").replace("}}", "}")
    with pytest.raises(TrainingSetAltered, match=f"'bought', version .*{message}.*build a new version"):
        store.load_training_set("bought")


def test_a_table_whose_rows_are_in_another_order_is_the_same(store: FeatureStore) -> None:
    build(store)
    altered(store, "CREATE OR REPLACE TABLE {table} AS FROM {table} ORDER BY amount DESC")
    assert len(store.load_training_set("bought")) == 5


def test_what_was_never_built_is_named(store: FeatureStore) -> None:
    with pytest.raises(TrainingSetNotFound, match="'bought' has no version yet: materialize asset training_set/bought"):
        store.load_training_set("bought")
    version = build(store)
    with pytest.raises(TrainingSetNotFound, match=f"'bought' has no version 'x'. Newest: {version}"):
        store.load_training_set("bought", "x")


def test_the_manifest_says_what_a_version_was_made_of(store: FeatureStore) -> None:
    manifest = versions.manifest_of("bought", build(store), store.registry)
    orders, spending = manifest["inputs"]
    assert (orders["name"], spending["name"], spending["sequence"]) == ("orders", "spending", 2)
    assert spending["run_id"].startswith("compute-")
    assert (manifest["rows"], manifest["first"], manifest["last"], manifest["labels"]) == (
        5, "2020-01-01T00:00:00+00:00", "2020-02-03T00:00:00+00:00", ["label"],
    )  # fmt: skip
    assert manifest["service_version"] == store.code.feature_service("shopping").version
    assert "ASOF" in manifest["sql"]
    assert "raw" in manifest["spine_sql"]
    read = Catalogue.from_json(json.dumps(manifest["definitions"]))
    assert definition_hash(read.training_set("bought")) == manifest["definition_hash"]
    amount = next(each for each in manifest["columns"] if each["name"] == "amount")
    assert amount == {
        "name": "amount", "type": "float64", "statistics": {"nulls": 0, "min": 10.0, "max": 50.0, "mean": 30.0},
    }  # fmt: skip


def test_the_record_says_null_rates_label_balance_and_where_the_manifest_is(store: FeatureStore) -> None:
    build(store)
    details = next(iter(store.registry.records("bought"))).details
    assert details["label balance"] == {"label": 0.6}
    assert details["null rates"]["amount"] == 0.0
    assert Path(details["manifest"]).exists()


def test_a_spine_that_is_no_table_is_refused(store: FeatureStore) -> None:
    code = store.code.training_set("bought")
    odd = TrainingSet("bought", code.service, code.sources, spine=lambda orders: [orders])
    with pytest.raises(TransformError, match="'bought': its spine returned list"):
        training_sets.stage(odd, store=store.offline, run_id="r", now=FIRST, definition_hash="")


def test_two_versions_are_compared(store: FeatureStore) -> None:
    first = build(store)
    later = recomputed(store)
    second = build(later, now=FIRST + timedelta(days=1), run_id="other")
    difference = versions.compare("bought", first, second, later.registry)
    assert not difference.same
    assert difference.definitions == ("~ feature view 'spending'",)
    assert difference.inputs == ("spending: publication 2 -> 4",)
    assert difference.columns == ("~ amount: max 50.0 -> 100.0, mean 30.0 -> 60.0, min 10.0 -> 20.0",)
    again = build(later, now=FIRST + timedelta(days=2), run_id="third")
    assert versions.compare("bought", second, again, later.registry).same


@pytest.fixture
def run(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("AMORA_FS_HOME", str(store.settings.home))
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(main, ["training-sets", *words])


def test_the_command_lists_shows_and_compares(store: FeatureStore, run: Callable[..., Any]) -> None:
    first = build(store)
    second = build(recomputed(store), now=FIRST + timedelta(days=1), run_id="other")
    listed = run("list").output
    assert listed.index(second) < listed.index(first)
    assert "publication 2, run compute-" in run("show", "bought", first).output
    assert f"version: {first}" in run("show", "bought", "--as-of", "2020-03-01T12:00Z").output
    assert json.loads(run("show", "bought", "--json").output)["version"] == second
    assert "~ feature view 'spending'" in run("compare", "bought", first, second).output


def test_the_command_explains_what_is_not_there(run: Callable[..., Any]) -> None:
    for words in (("list", "sold"), ("show", "sold"), ("compare", "sold", "a", "b")):
        result = run(*words)
        assert result.exit_code == 1
        assert "Training set 'sold' has no version yet" in result.output


@pytest.mark.parametrize("type_", VALUES)
def test_the_checksum_tells_every_change_of_a_value(type_: DataType, tmp_path: Path) -> None:
    different: dict[DataType, tuple[Any, Any]] = {
        DataType.DECIMAL: (Decimal("12345678901234567890.123456789"), Decimal("12345678901234567890.123456788")),
        DataType.FLOAT64: (0.1, 0.1 + 2**-56),
        DataType.BYTES: (b"\x00", b"\x00\x00"),
        DataType.INT64: (2**62, 2**62 + 1),
    }  # fmt: skip
    one, other = different.get(type_, _two(type_))
    store = DuckDBOfflineStore(tmp_path)
    column = Column("x", type_, nullable=True)
    sums = []
    for number, values in enumerate(([one, one, None], [one, other, None], [one, None, None], [None, one, one])):
        rows = pa.table({"x": pa.array(values, IBIS_TYPES[type_].to_pyarrow())})
        sums.append(contents_of(store.stage(rows, name="x", run_id=str(number)), [column], store).checksum)
    assert sums[0] == sums[3]
    assert len(set(sums)) == 3


def _two(type_: DataType) -> tuple[Any, Any]:
    rng = Random(0)
    one = VALUES[type_](rng)
    return one, next(value for value in iter(lambda: VALUES[type_](rng), object()) if value != one)
