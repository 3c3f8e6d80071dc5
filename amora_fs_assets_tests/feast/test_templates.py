"""Feast's own template projects move in, and answer as before."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.feast import asked
from amora_fs_assets_tests.feast.metadata_server import metadata_server

pytestmark = pytest.mark.slow

DRIVERS = range(1001, 1007)  # Feast's templates have rows of five drivers
STATS = ("conv_rate", "acc_rate", "avg_daily_trips")
NESTED = ("driver_metadata", "driver_config", "driver_profile")
"""A map, which the file has as a struct, a JSON text and a struct."""


def test_the_local_template_with_parquet_files(feast_python: str, tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
    moments = [now, now - timedelta(hours=5), now - timedelta(days=14), datetime(2021, 4, 12, 8, tzinfo=UTC)]
    spine = [
        {"row": row, "driver_id": DRIVERS[row % 6], "event_timestamp": moments[row % 4].isoformat()}
        for row in range(24)
    ]
    features = [f"driver_hourly_stats:{name}" for name in (*STATS, *NESTED)]
    keys = [{"driver_id": driver} for driver in DRIVERS]
    repository = tmp_path / "drivers" / "feature_repo"
    request = {
        "repository": str(repository),
        "template": "local",
        "load": [(now - timedelta(days=30)).isoformat(), now.isoformat()],
        "historical": [{"features": features, "spine": spine}],
        "online": [{"features": features, "rows": keys}],
    }
    theirs = asked.feast(feast_python, tmp_path, request)
    asked.imported(feast_python, repository, tmp_path / "moved")
    with asked.store(tmp_path / "moved", now=now) as ours:
        ours.materialize_incremental()
        found = asked.historical(ours, features, spine)
        expected = {row["row"]: row for row in theirs["historical"][0]}
        assert len(expected) >= 12  # Feast's local store loses rows
        assert [row for row in found if row["row"] in expected] == [
            {name: expected[row["row"]][name] for name in row} for row in found if row["row"] in expected
        ]
        newest = asked.online(ours, features, keys)
        texts = newest["driver_hourly_stats__driver_config"]  # Feast parses them when it reads online
        newest["driver_hourly_stats__driver_config"] = [text and json.loads(text) for text in texts]
        assert newest == theirs["online"][0]


TABLE = "feast-oss.demo_data.driver_hourly_stats_2"
QUERY = f"SELECT * FROM `{TABLE}` WHERE driver_id < 1005"
ASKED = f"""BigQuerySource(
    name="asked", query="{QUERY}", timestamp_field="event_timestamp", created_timestamp_column="created"
)"""


@pytest.fixture
def demo_table(bigquery_emulator: BigQueryEmulator, monkeypatch: pytest.MonkeyPatch) -> BigQueryEmulator:
    """The table of Feast's template, in the project in which Feast has it."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_emulator.host)
    monkeypatch.setenv("BIGQUERY_STORAGE_GRPC_ENDPOINT", bigquery_emulator.grpc_address)
    start = datetime(2021, 4, 1, tzinfo=UTC)
    rows: list[dict[str, Any]] = [
        {
            "driver_id": 1001 + number % 5, "event_timestamp": start + timedelta(hours=number),
            "created": start + timedelta(hours=number, minutes=5), "conv_rate": number / 512, "acc_rate": number / 256,
            "avg_daily_trips": number,
        }
        for number in range(400)
    ]  # fmt: skip
    rows += [{**row, "created": row["created"] + timedelta(days=1), "avg_daily_trips": -1} for row in rows[::50]]
    with bigquery.Client(
        "feast-oss", AnonymousCredentials(), client_options={"api_endpoint": bigquery_emulator.host}
    ) as client:
        client.create_dataset("demo_data", exists_ok=True)
        plain = [{name: v.isoformat() if isinstance(v, datetime) else v for name, v in row.items()} for row in rows]
        kinds = {"driver_id": "INT64", "event_timestamp": "TIMESTAMP", "created": "TIMESTAMP", "conv_rate": "FLOAT64",
                 "acc_rate": "FLOAT64", "avg_daily_trips": "INT64"}  # fmt: skip
        schema = [bigquery.SchemaField(name, kind) for name, kind in kinds.items()]
        config = bigquery.LoadJobConfig(schema=schema, write_disposition="WRITE_TRUNCATE")
        client.load_table_from_json(plain, TABLE, job_config=config).result()
    return bigquery_emulator


@pytest.mark.google
def test_the_template_of_google_with_a_table_of_another_project_and_a_query(
    feast_python: str, demo_table: BigQueryEmulator, tmp_path: Path
) -> None:
    moments = [datetime(2021, 4, day, 10, 59, 42, tzinfo=UTC) for day in (1, 5, 12, 30)]
    spine = [
        {"row": row, "driver_id": DRIVERS[row % 6], "event_timestamp": moments[row % 4].isoformat()}
        for row in range(24)
    ]
    views = ("driver_hourly_stats", "driver_hourly_stats_fresh")
    asked_for = [[f"{view}:{name}" for name in STATS] for view in views]
    keys = [{"driver_id": driver} for driver in DRIVERS]
    repository = tmp_path / "drivers" / "feature_repo"
    yaml = "offline_store: {type: bigquery, project_id: team-project, dataset: temporary}\nprovider: local"
    request = {
        "repository": str(repository),
        "template": "gcp",
        "replaced": {
            "feature_store.yaml": {"provider: gcp": yaml},
            "feature_definitions.py": {"batch_source=driver_stats_source": f"batch_source={ASKED}"},
        },
        "load": ["2021-03-01T00:00:00+00:00", "2021-05-01T00:00:00+00:00"],
        "historical": [{"features": features, "spine": spine} for features in asked_for],
        "online": [{"features": features, "rows": keys} for features in asked_for],
    }
    with metadata_server() as host:
        variables = {"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host, "BIGQUERY_EMULATOR_HOST": demo_table.host}
        theirs = asked.feast(feast_python, tmp_path, request, **variables)
    # Without credentials: from the registry, which has the types of all keys.
    asked.imported(feast_python, repository / "data" / "registry.db", tmp_path / "moved")
    settings: dict[str, Any] = {"offline_store": "bigquery", "bigquery_project": "team-project", "dataset": "moved"}
    with asked.store(tmp_path / "moved", now=datetime(2021, 5, 1, tzinfo=UTC), **settings) as ours:
        assert ours.get_feature_view("driver_hourly_stats").table == TABLE
        assert ours.get_feature_view("driver_hourly_stats_fresh").query == QUERY
        ours.materialize_incremental()
        assert [asked.historical(ours, features, spine) for features in asked_for] == theirs["historical"]
        assert [asked.online(ours, features, keys) for features in asked_for] == theirs["online"]
