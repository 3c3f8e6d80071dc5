"""Whatever is called like SQL does no harm: names are refused, values are only values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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
from amora_fs_assets.domain.errors import DefinitionError, SettingsError
from amora_fs_assets.operations import runs
from amora_fs_assets.operations.definitions import apply
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator

HOSTILE = [
    "'; DROP TABLE feature_store.notes; --",
    '"; DROP TABLE feature_store.notes; --',
    "`; DROP TABLE feature_store.notes; --",
    "\\'; SELECT 1; --",
    "@name ? $1 %s {x}",
    "*\r\nFLUSHALL\r\n",
    "line\nbreak\x00nul",
    "amora_fs:notes:live",
    "",
]
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
        description="'; DROP TABLE feature_store.notes; --", owner="o'brien@example.com", tags={"a": "'; --"},
    )  # fmt: skip
    return Catalogue.of([view, FeatureService("reading", [view])])


@pytest.fixture(params=["duckdb", pytest.param("bigquery", marks=pytest.mark.google)])
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
    code = catalogue(HOSTILE)
    apply(code, store.registry, clock=CLOCK)
    view = code.feature_view("notes")
    parts: Any = {"store": store.offline, "registry": store.registry, "run_id": "'; --"}
    runs.load_missing([view], code, **parts)
    runs.compute(view, view.interval(CLOCK).start, CLOCK, clock=CLOCK, **parts)
    store.materialize_incremental()

    spine = pd.DataFrame({"author": HOSTILE, "event_timestamp": [MOMENT] * len(HOSTILE)})
    assert store.get_historical_features("reading", spine).to_df()["text"].to_list() == HOSTILE
    assert store.get_online_features("reading", {"author": HOSTILE}).to_dict()["text"] == HOSTILE
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


@pytest.mark.parametrize("table", ["a", "a.b.c", "a.b; DROP TABLE x", "a.`b`", 'a."b"', "a.b -- "])
def test_a_table_that_would_need_quoting_is_refused(table: str) -> None:
    with pytest.raises(DefinitionError, match="dataset.table"):
        FeatureView("notes", Notes, [Entity("author")], table=table)


@pytest.mark.parametrize("dataset", ["a`; DROP SCHEMA x", "a.b", "a-b", ""])
def test_a_dataset_that_would_need_quoting_is_refused(dataset: str) -> None:
    with pytest.raises(SettingsError, match="BIGQUERY_DATASET"):
        Settings(bigquery_dataset=dataset)
