"""The emulators do what the project needs of them, through the real Google clients."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.api_core.exceptions import PreconditionFailed

from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.emulators.gcs import GcsEmulator
from amora_fs_assets_tests.emulators.process import EmulatorFailedError, running

pytestmark = pytest.mark.google
SECONDS = 60


@pytest.fixture(scope="module")
def delays(bigquery_emulator: BigQueryEmulator) -> str:
    """A table with three days of one carrier's delays, partitioned by day and clustered by carrier."""
    table = f"{bigquery_emulator.project}.emulator_test.delays"
    with bigquery_emulator.client() as client:
        client.create_dataset("emulator_test", exists_ok=True, timeout=SECONDS)
        client.query_and_wait(
            f"""
            CREATE TABLE `{table}` (carrier STRING NOT NULL, event_timestamp TIMESTAMP NOT NULL, delay FLOAT64)
            PARTITION BY DATE(event_timestamp) CLUSTER BY carrier
            """,
            wait_timeout=SECONDS,
        )
        client.query_and_wait(
            f"""
            INSERT INTO `{table}`
            SELECT 'UA', TIMESTAMP_ADD(TIMESTAMP '2013-01-01', INTERVAL day DAY), day
            FROM UNNEST([0, 1, 2]) AS day
            """,
            wait_timeout=SECONDS,
        )
    return table


def test_bigquery_answers_a_query_in_arrow_over_the_storage_read_api(
    bigquery_emulator: BigQueryEmulator, delays: str
) -> None:
    with bigquery_emulator.client() as client:
        rows = client.query(f"SELECT * FROM `{delays}` ORDER BY event_timestamp", timeout=SECONDS).result(
            timeout=SECONDS
        )
        arrow = rows.to_arrow(bqstorage_client=bigquery_emulator.read_client(), timeout=SECONDS)

    assert arrow.to_pylist() == [
        {"carrier": "UA", "event_timestamp": datetime(2013, 1, day, tzinfo=UTC), "delay": day - 1.0}
        for day in (1, 2, 3)
    ]


def test_bigquery_replaces_an_interval_in_one_transaction(bigquery_emulator: BigQueryEmulator, delays: str) -> None:
    replace = f"""
        BEGIN TRANSACTION;
        DELETE FROM `{delays}` WHERE event_timestamp >= '2013-01-02' AND event_timestamp < '2013-01-03';
        INSERT INTO `{delays}` VALUES ('AA', TIMESTAMP '2013-01-02', 7.0);
        COMMIT TRANSACTION;
    """
    with bigquery_emulator.client() as client:
        client.query_and_wait(replace, wait_timeout=SECONDS)
        rows = client.query_and_wait(
            f"SELECT carrier, delay FROM `{delays}` ORDER BY event_timestamp", wait_timeout=SECONDS
        )
        assert [tuple(row) for row in rows] == [("UA", 0.0), ("AA", 7.0), ("UA", 2.0)]


def test_gcs_creates_an_object_only_once(gcs_emulator: GcsEmulator, gcs_bucket: str) -> None:
    blob = gcs_emulator.client().bucket(gcs_bucket).blob("catalogue/1.json")
    blob.upload_from_string("first", if_generation_match=0, timeout=SECONDS)

    with pytest.raises(PreconditionFailed):
        blob.upload_from_string("second", if_generation_match=0, timeout=SECONDS)

    assert blob.download_as_text(timeout=SECONDS) == "first"


def test_gcs_compare_and_swap_loses_no_acknowledged_write(gcs_emulator: GcsEmulator, gcs_bucket: str) -> None:
    gcs_emulator.client().bucket(gcs_bucket).blob("head").upload_from_string("0", timeout=SECONDS)

    def count_up(times: int) -> None:
        bucket = gcs_emulator.client().bucket(gcs_bucket)
        for _ in range(times):
            while True:
                head = bucket.get_blob("head", timeout=SECONDS)
                assert head is not None
                try:
                    following = str(int(head.download_as_text(timeout=SECONDS)) + 1)
                    bucket.blob("head").upload_from_string(
                        following, if_generation_match=head.generation, timeout=SECONDS
                    )
                except PreconditionFailed:
                    continue
                break

    writers = [threading.Thread(target=count_up, args=(5,)) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert gcs_emulator.client().bucket(gcs_bucket).blob("head").download_as_text(timeout=SECONDS) == "40"


def test_an_emulator_that_does_not_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(EmulatorFailedError, match=r"ended with 3. Its log ends:\nno such flag"),
        running(
            lambda _: ["sh", "-c", "echo no such flag; exit 3"], ports=1, health_path="/", log=tmp_path / "emulator.log"
        ),
    ):
        pass
