"""What our client adds to BigQuery's work, on the emulator: computing beside the same SQL, reading beside the bare API.

python -m benchmarks.bigquery
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from google.cloud import bigquery
from google.cloud.bigquery_storage import BigQueryReadClient
from google.cloud.bigquery_storage_v1.types import DataFormat, ReadSession
from ibis.expr.types import Table

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureStore,
    FeatureView,
    Field,
    Settings,
    Source,
    SourceSchema,
    Timestamp,
)
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.operations.expressions.tables import unbound
from amora_fs_assets.operations.offline.load_source import load
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator, bigquery_emulator
from benchmarks.measure import median, peak_memory, report, table

ROWS, CUSTOMERS, ROUNDS = 1_000_000, 50_000, 5
START = datetime(2020, 1, 1, tzinfo=UTC)
END = START + timedelta(days=30)


class Orders(SourceSchema):
    """Rows of a source."""

    customer: int
    at: Timestamp
    amount: float


class Spending(FeatureSchema):
    """What a customer spends in a day."""

    customer: int
    orders: int = Field(ge=1)
    amount: float = Field(ge=0)
    largest: float = Field(ge=0)


def rows() -> pa.Table:
    """A million orders in thirty days."""
    step = (END - START) / ROWS
    times = pa.array([START + step * number for number in range(ROWS)], pa.timestamp("us", "UTC"))
    numbers = pa.array(range(ROWS), pa.int64())
    return pa.table(
        {
            "customer": pa.array([number * 7919 % CUSTOMERS for number in range(ROWS)], pa.int64()),
            "at": times,
            "amount": numbers.cast(pa.float64()),
        }
    )


orders = Source("orders", Orders, timestamp_field="at", loader=rows)


def transform(orders: Table) -> Table:
    """By customer and day."""
    day = orders["at"].truncate("D").cast("timestamp('UTC', 6)")
    grouped = orders.group_by("customer", event_timestamp=day)
    return grouped.aggregate(orders=orders.count(), amount=orders["amount"].sum(), largest=orders["amount"].max())


VIEW = FeatureView("spending", Spending, [Entity("customer")], [orders], transform=transform, start=START)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came out."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


class Recorder:
    """The statements that a client sends, in order."""

    def __init__(self, client: bigquery.Client) -> None:
        self.sent: list[tuple[str, Any]] = []
        self._query = client.query
        client.query = self  # type: ignore[method-assign,assignment]

    def __call__(self, sql: str, **options: Any) -> Any:
        self.sent.append((sql, options["job_config"].query_parameters))
        return self._query(sql, **options)

    def by_hand(self) -> None:
        """The same statements again, one after the other, with nothing between."""
        for sql, parameters in self.sent:
            config = bigquery.QueryJobConfig(query_parameters=parameters)
            self._query(sql, job_config=config, timeout=120).result(timeout=120)


def bare(emulator: BigQueryEmulator, reader: BigQueryReadClient, name: str) -> int:
    """Rows of a table through the Storage Read API, by its client alone."""
    dataset, _, table_name = name.partition(".")
    parent = f"projects/{emulator.project}"
    wanted = ReadSession(table=f"{parent}/datasets/{dataset}/tables/{table_name}", data_format=DataFormat.ARROW)
    session = reader.create_read_session(parent=parent, read_session=wanted, max_stream_count=1)
    return sum(reader.read_rows(stream.name).to_arrow(session).num_rows for stream in session.streams)


def main() -> None:
    """Print and keep the table."""
    compute: dict[str, list[float]] = {"ours": [], "the same SQL": []}
    reading: dict[str, list[float]] = {"ours": [], "Storage Read API": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        bigquery_emulator(Path(folder)) as emulator,
        emulator.client() as client,
    ):
        reader = emulator.read_client()
        store = FeatureStore(Settings(home=Path(folder) / "home", now=END))
        offline = BigQueryOfflineStore(client, dataset="bench", storage_client=reader)
        store.__dict__.update(code=Catalogue.of([VIEW]), offline=offline)
        store.apply()
        load(orders, run_id="load", store=offline, registry=store.registry)
        client_query = client.query
        statements = 0
        for number in range(ROUNDS + 1):
            recorder = Recorder(client)
            ours, _ = timed(lambda: store.compute(START, END))
            client.query = client_query
            if number:  # the first makes the tables
                hand, _ = timed(recorder.by_hand)
                statements = len(recorder.sent)
                compute["ours"].append(ours)
                compute["the same SQL"].append(hand)
        query = unbound(VIEW.row_columns, "bench.spending")

        def read() -> int:
            with offline.read(query) as batches:
                return int(batches.read_all().num_rows)

        for number in range(ROUNDS + 1):
            ours, count = timed(read)
            hand, alone = timed(lambda: bare(emulator, reader, "bench.spending"))
            assert count == alone > 0
            if number:
                reading["ours"].append(ours)
                reading["Storage Read API"].append(hand)
    lines = [
        [f"computing {ROWS:,} rows into {count:,}, {statements} statements", *shown(compute), "1.3"],
        [f"reading {count:,} rows to Arrow", *shown(reading), "1.2"],
    ]
    report(
        "bigquery",
        "What the client adds to BigQuery's work",
        "make bench-bigquery",
        table(["", "ours [s]", "by hand [s]", "ratio", "wanted at most"], lines),
        f"On the emulator, medians of {ROUNDS} in turns. By hand: the very statements that computing sent, one after "
        "the other; a read session of the table and its rows. Ours computes, checks, publishes and records, and reads "
        f"the result of a query. Peak memory of the process {peak_memory():,.0f} MiB.",
    )
    sys.stdout.flush()


def shown(times: dict[str, list[float]]) -> list[str]:
    """Both sides and their ratio."""
    ours, theirs = (median(each) for each in times.values())
    return [f"{ours:.2f}", f"{theirs:.2f}", f"{ours / theirs:.2f}"]


if __name__ == "__main__":
    main()
