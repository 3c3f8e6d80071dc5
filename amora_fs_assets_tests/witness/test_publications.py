"""A publication's script leaves what DuckDB's own publication leaves: rows, dropped keys, pushed rows, the log."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from amora_fs_assets import Interval, Source, SourceSchema, Timestamp
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.names import CREATED_TIMESTAMP
from amora_fs_assets.domain.ports.offline import Draft
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.tables import known_rows
from amora_fs_assets.stores.bigquery.publication import needed, parameters, transaction
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.testing.reference_store import ReferenceStore
from amora_fs_assets.testing.witness import Witness
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.witness.scripts import run
from amora_fs_assets_tests.witness.tally import TALLY

DATASET = "feature_store"
COLUMNS = (
    Column("customer", DataType.INT64), Column("shop", DataType.STRING),
    Column("event_timestamp", DataType.TIMESTAMP), Column(CREATED_TIMESTAMP, DataType.TIMESTAMP, nullable=True),
    Column("amount", DataType.FLOAT64, nullable=True), Column("sizes", DataType.LIST_INT64),
)  # fmt: skip
DRAFT = Draft(
    name="spending", table=f"{DATASET}.spending", columns=COLUMNS, keys=("customer", "shop"), time="event_timestamp",
    interval=Interval(at(2), at(4)), run_id="first", published_at=at(5), seen=0,
)  # fmt: skip


def schema(columns: Any) -> pa.Schema:
    return pa.schema([(column.name, IBIS_TYPES[column.type].to_pyarrow()) for column in columns])


def rows(rng: Random, count: int) -> pa.Table:
    """Few keys and times, so that rows replace, carry and drop each other; times at the interval's ends too."""
    times = [edge + timedelta(microseconds=k) for edge in (at(2), at(3), at(4)) for k in (-1, 0, 1)]
    made: dict[Any, Any] = {}
    for _ in range(count):
        key = rng.randint(1, 4), rng.choice("ab"), rng.choice(times)
        created = rng.choice((None, key[2], key[2] + timedelta(hours=1)))
        made[*key, created or key[2]] = (*key, created, rng.choice((None, 0.5, -1e300)), [rng.randint(0, 3)])
    return pa.Table.from_pylist(
        [dict(zip((c.name for c in COLUMNS), row, strict=True)) for row in made.values()], schema(COLUMNS)
    )


def stored(home: Path, draft: Draft) -> dict[str, pa.Table]:
    """The tables that a publication reads and writes, as DuckDB has them. Its own counter is the log."""
    with duckdb.connect(home / "offline.duckdb", read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        there = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        found = {}
        for name, columns in {draft.table: draft.columns, **needed(draft, DATASET)}.items():
            held = schema(columns)
            if name.partition(".")[2] in there:
                names = ", ".join(f'"{each}"' for each in held.names)
                found[name] = connection.execute(f"SELECT {names} FROM {name}").to_arrow_table().cast(held)
            else:
                found[name] = held.empty_table()
    newest = max([0, *found[f"{DATASET}._publications"]["sequence"].to_pylist()])
    found[f"{DATASET}._sequence"] = pa.table({"newest": [newest]})
    return found


@pytest.mark.parametrize("seed", range(12))
def test_a_publication_leaves_what_duckdbs_leaves(seed: int, witness: Witness, tmp_path: Path) -> None:
    rng, store = Random(seed), DuckDBOfflineStore(tmp_path, dataset=DATASET)
    given, pushed = rows(rng, 14), rows(rng, 4)
    store.publish(store.stage(given, name="spending", run_id="first"), DRAFT)
    push = replace(DRAFT, interval=None, appended=True, seen=None, run_id="push-1")
    anew = replace(DRAFT, run_id="second", seen=rng.choice((1, 2)))  # read before the push, or after it
    for draft, staged in ((push, pushed), (anew, rows(rng, 10))):
        before = stored(tmp_path, draft)
        staging = f"{DATASET}._staged_new"
        script = transaction(draft, staging, DATASET)
        by_google = run(script, before | {staging: staged}, parameters(draft), witness)
        store.publish(store.stage(staged, name="spending", run_id=draft.run_id), draft)
        for name, expected in stored(tmp_path, draft).items():
            got = by_google[name]
            if name.endswith("._publications"):  # DuckDB writes its own id and incarnation
                same = ["sequence", "name", "table", "run_id", "start", "end", "rows"]
                got, expected = got.select(same), expected.select(same)
            TALLY.same(f"publication: {name}", got, expected)


class Late(SourceSchema):
    happened: Timestamp
    available: Timestamp
    n: int


@pytest.mark.parametrize("seed", range(3))
def test_late_rows_are_read_when_they_became_known(seed: int, witness: Witness, tmp_path: Path) -> None:
    source = Source(
        "late", Late, timestamp_field="happened", available_at="available", max_lateness=timedelta(days=9),
        loader=lambda: None,
    )  # fmt: skip
    rng, name = Random(seed), table_name(source, DATASET)
    times = [at(day, hour) + timedelta(microseconds=k) for day in (1, 2, 3, 4) for hour in (0, 12) for k in (-1, 0)]
    held: list[dict[str, Any]] = [
        {"happened": rng.choice(times), "available": rng.choice([None, *times]), "n": n} for n in range(200)
    ]
    instant = pa.timestamp("us", tz="UTC")
    table = pa.Table.from_pylist(held, pa.schema({"happened": instant, "available": instant, "n": pa.int64()}))
    inside = Interval(at(2), at(4))
    right = [
        row["n"] for row in held
        if at(1, 12) <= max(row["happened"], row["available"] or row["happened"]) < at(4)
    ]  # fmt: skip
    query = known_rows(source, DATASET, inside, timedelta(hours=12))
    database, _, _ = name.partition(".")
    with duckdb.connect(tmp_path / "offline.duckdb") as connection:
        connection.execute(f"CREATE SCHEMA {database}")
        connection.register("given", table)
        connection.execute(f"CREATE TABLE {name} AS FROM given")
    found = []
    for store in (ReferenceStore(witness, {name: table}), DuckDBOfflineStore(tmp_path)):
        with store.read(query) as batches:
            found.append(batches.read_all())
    with TALLY.comparing("late rows", len(right)):
        assert sorted(found[0]["n"].to_pylist()) == right
    TALLY.same("late rows", *found)
