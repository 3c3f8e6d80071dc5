"""Whatever is called like SQL does no harm: names are refused, values are only values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from ibis.expr.types import Table

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    Settings,
    Source,
    SourceSchema,
    Timestamp,
)
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionError, OnlineStoreError, SettingsError
from amora_fs_assets.operations import runs
from amora_fs_assets.operations.registry.apply import apply
from amora_fs_assets.orchestration.code_location import build_definitions
from amora_fs_assets_tests import small
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.servers import bundled_valkey, redis_server

HOSTILE = [
    "'; DROP TABLE feature_store.notes; --",
    '"; DROP TABLE feature_store.notes; --',
    "`; DROP TABLE feature_store.notes; --",
    "\\'; SELECT 1; --",
    "@name ? $1 %s {x}",
    "*\r\nFLUSHALL\r\n",
    "line\nbreak",
    "amora_fs:notes:live",
    "",
]
NUL = "line\nbreak\x00nul"  # on DuckDB only: the emulator's list of data files cannot quote NUL in the bounds of a join
MOMENT = datetime(2020, 1, 2, tzinfo=UTC)
CLOCK = datetime(2020, 1, 3, tzinfo=UTC)


class Written(SourceSchema):
    author: str
    at: Timestamp
    text: str


class Notes(FeatureSchema):
    """What was written last, with words that '`\" engines quote; -- and a comment."""

    author: str = Field(description="'; DROP TABLE feature_store.notes; --")
    text: str = Field(nullable=True, description='"; DROP TABLE feature_store.notes; --')


def _notes(written: Table) -> Table:
    return written.select("author", "text", event_timestamp=written["at"])


def catalogue(values: list[str]) -> Catalogue:
    def loaded() -> pa.Table:
        return pa.table(
            {"author": values, "at": pa.array([MOMENT] * len(values), pa.timestamp("us", "UTC")), "text": values}
        )

    source = Source("written", Written, timestamp_field="at", loader=loaded)
    view = FeatureView(
        "notes", Notes, [Entity("author")], [source], transform=_notes, partitions="month", start="2020-01-01",
        description="'; DROP TABLE feature_store.notes; --", owner="team:o'brien; --", tags={"a": "--"},
    )  # fmt: skip
    return Catalogue.of([view, FeatureService("reading", [view])])


@pytest.fixture(params=["duckdb", pytest.param("bigquery", marks=[pytest.mark.google, pytest.mark.slow])])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FeatureStore]:
    settings: dict[str, Any] = {"home": tmp_path, "now": CLOCK}
    if request.param == "bigquery":
        emulator: BigQueryEmulator = request.getfixturevalue("bigquery_emulator")
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", emulator.host)
        monkeypatch.setenv("BIGQUERY_STORAGE_GRPC_ENDPOINT", emulator.grpc_address)
        settings |= {"offline_store": "bigquery", "bigquery_project": "safety"}
    made = FeatureStore(Settings(**settings))
    yield made
    made.online.close()


def test_hostile_values_are_computed_joined_and_served_as_they_are(store: FeatureStore) -> None:
    values = HOSTILE if store.settings.offline_store == "bigquery" else [*HOSTILE, NUL]
    code = catalogue(values)
    apply(code, store.registry, clock=CLOCK)
    view = code.feature_view("notes")
    parts: Any = {"store": store.offline, "registry": store.registry, "run_id": "'; --"}
    runs.load_missing([view], code, **parts)
    runs.compute(view, view.interval(CLOCK).start, CLOCK, clock=CLOCK, **parts)
    store.materialize_incremental()

    spine = pd.DataFrame({"author": values, "event_timestamp": [MOMENT] * len(values)})
    assert store.get_historical_features("reading", spine).to_df()["text"].to_list() == values
    assert store.get_online_features("reading", {"author": values}).to_dict()["text"] == values
    (record,) = store.registry.records("notes", limit=1)
    assert record.run_id.startswith("materialize")


@pytest.mark.parametrize("name", ["a; DROP TABLE x", "a`b", 'a"b', "a.b", "a b", "A", "", "é", "../a"])
def test_a_name_that_would_need_quoting_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match="lower-case"):
        Entity(name)
    with pytest.raises(DefinitionError, match="lower-case"):
        Source(name, Written, timestamp_field="at")
    with pytest.raises(DefinitionError, match="lower-case"):
        FeatureView(name, Notes, [Entity("author")], table="a.b")


@pytest.mark.parametrize("table", ["a", "a.b.c.d", "a.b; DROP TABLE x", "a.`b`", 'a."b"', "a.b -- "])
def test_a_table_that_would_need_quoting_is_refused(table: str) -> None:
    with pytest.raises(DefinitionError, match="dataset.table"):
        FeatureView("notes", Notes, [Entity("author")], table=table)


@pytest.mark.parametrize("dataset", ["a`; DROP SCHEMA x", "a.b", "a-b", ""])
def test_a_dataset_that_would_need_quoting_is_refused(dataset: str) -> None:
    with pytest.raises(SettingsError, match="DATASET"):
        Settings(dataset=dataset)


def test_a_password_is_in_no_error_log_record_or_metadata(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    password, wrong = "hush-hush-7", "not-the-hush-9"
    (tmp_path / "server").mkdir()
    (tmp_path / "home" / "dagster").mkdir(parents=True)
    with redis_server(bundled_valkey(), tmp_path / "server", "--requirepass", password) as server:

        def settings(secret: str) -> Settings:
            url = f"redis://:{secret}@127.0.0.1:{server.port}"
            return Settings(home=tmp_path / "home", online_store_url=url, now=datetime(2020, 1, 10, tzinfo=UTC))

        store = FeatureStore(settings(password))
        apply(small.catalogue(), store.registry, clock=CLOCK)
        successes = []
        for secret in (password, wrong):
            definitions = build_definitions(settings(secret), definitions=small.catalogue())
            with dg.DagsterInstance.local_temp(str(tmp_path / "home" / "dagster")) as instance:
                for keys, partition in (
                    (["raw/orders"], None),
                    (["feature_view/spending"], "2020-01-01"),
                    (["online/spending"], None),
                ):
                    run = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
                        instance=instance, asset_selection=[dg.AssetKey(key.split("/")) for key in keys],
                        partition_key=partition, raise_on_error=False,
                    )  # fmt: skip
            successes.append(run.success)
        assert successes == [True, False]
        assert store.get_online_features("shopping", {"customer": [1]}).statuses["amount"] == ["PRESENT"]
        with pytest.raises(OnlineStoreError) as caught:
            FeatureStore(settings(wrong)).get_online_features("shopping", {"customer": [1]})
        store.close()
    said = "".join(capfd.readouterr()) + str(caught.value)
    kept = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert len(kept) > 10
    for secret in (password, wrong):
        assert secret not in said
        assert [path for path in kept if secret.encode() in path.read_bytes()] == []


class Keywords(FeatureSchema):
    """Names that are SQL's own words, and names of what engines add to a query."""

    order: str
    select: int = Field(ge=0)
    table: str = Field(nullable=True)
    end: float = Field(nullable=True)
    null: list[str] = Field(nullable=True)
    current_timestamp: bool = Field(nullable=True)


class KeywordRows(SourceSchema):
    order: str
    at: Timestamp
    select: int
    table: str
    end: float
    null: list[str]
    current_timestamp: bool


def _keywords(where: Table) -> Table:
    return where.select(*(name for name in where.columns if name != "at"), event_timestamp=where["at"])


def test_names_that_are_words_of_sql_are_only_names(store: FeatureStore) -> None:
    row = {"order": "o", "at": MOMENT, "select": 1, "table": "t", "end": 0.5, "null": ["x"], "current_timestamp": True}
    types: Any = {"at": pa.timestamp("us", "UTC")}
    source = Source(
        "where", KeywordRows, table="raw.group", timestamp_field="at",
        loader=lambda: pa.table({name: pa.array([value], types.get(name)) for name, value in row.items()}),
    )  # fmt: skip
    view = FeatureView(
        "from", Keywords, [Entity("order")], [source], transform=_keywords, partitions="month", start="2020-01-01"
    )
    code = Catalogue.of([view, FeatureService("union", [view, view.alias("join", {"order": "by"})])])
    apply(code, store.registry, clock=CLOCK)
    parts: Any = {"store": store.offline, "registry": store.registry, "run_id": "select"}
    runs.load_missing([view], code, **parts)
    for _ in range(2):  # the second replaces rows, and looks for keys that were dropped
        runs.compute(view, view.interval(CLOCK).start, CLOCK, clock=CLOCK, **parts)
    store.materialize_incremental()

    features = {name: value for name, value in row.items() if name not in ("order", "at")}
    spine = pd.DataFrame({"order": ["o"], "by": ["o"], "event_timestamp": [MOMENT]})
    (joined,) = store.get_historical_features("union", spine, full_feature_names=True).to_arrow().to_pylist()
    served = store.get_online_features("union", {"order": ["o"], "by": ["o"]}, full_feature_names=True).to_dict()
    for name, value in features.items():
        for role in ("from", "join"):
            assert joined[f"{role}__{name}"] == value
            assert served[f"{role}__{name}"] == [value]
