"""Mistakes put in on purpose: BigQuery's SQL that means something else than DuckDB's. The witness sees each of them.

The emulator, DuckDB underneath, sees some. The table in docs/bigquery.md is of these cases.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from google.api_core.exceptions import GoogleAPIError
from google.cloud import bigquery

from amora_fs_assets.testing import RefusedByGoogleSQL, Witness
from amora_fs_assets_tests.conftest import missing
from amora_fs_assets_tests.emulators.bigquery import bigquery_emulator
from amora_fs_assets_tests.emulators.process import EmulatorUnavailableError
from amora_fs_assets_tests.operations.stores import fill_bigquery

ROWS = pa.table(
    {
        "k": [1, 2, 3, 4, 5],
        "n": [7, -7, 0, 3, 1],
        "x": pa.array([0.5, math.nan, None, 2.5, -1.5]),
        "z": [0.0, 1.0, 2.0, 4.0, -1.0],
        "s": ["a", "ab", "", "1,2", None],
        "t": pa.array([datetime(2020, 1, 1, 23, 30, tzinfo=UTC)] * 5, pa.timestamp("us", tz="UTC")),
        "known": pa.array([None, *[datetime(2020, 1, 2, tzinfo=UTC)] * 4], pa.timestamp("us", tz="UTC")),
    }
)
PAGE = Path(__file__).parents[2] / "docs" / "bigquery.md"


@dataclass(frozen=True)
class Mistake:
    meant: str  # in DuckDB
    written: str  # for BigQuery
    emulator: bool  # whether the emulator sees it


MISTAKES = {
    "NaN order": Mistake(
        "row_number() OVER (ORDER BY x DESC NULLS LAST)", "ROW_NUMBER() OVER (ORDER BY x DESC NULLS LAST)", False
    ),
    "NaN compared": Mistake("x >= 0", "x >= 0", False),
    "NaN in a list": Mistake("x IN (0.5, 'nan'::DOUBLE)", "x IN (0.5, CAST('nan' AS FLOAT64))", False),
    "NaN in MIN": Mistake("min(x) OVER ()", "MIN(x) OVER ()", False),
    "NaN in LEAST": Mistake(
        "CASE WHEN x IS NOT NULL THEN least(x, z) END", "CASE WHEN x IS NOT NULL THEN LEAST(x, z) END", False
    ),
    "SUBSTR from 0": Mistake("substr(s, 0, 1)", "SUBSTR(s, 0, 1)", False),
    "root of a negative number": Mistake("pow(z - 9, 1 / 3)", "POW(z - 9, 1 / 3)", False),
    "a float that overflows": Mistake("z * 1e308 * 10", "z * 1e308 * 10", False),
    "a moment without a zone": Mistake(
        "t >= TIMESTAMP '2020-01-01 00:00:00'", "t >= DATETIME '2020-01-01 00:00:00'", False
    ),
    "the remainder of a float": Mistake("z % 2", "MOD(z, 2)", False),
    "the day of the month in text": Mistake("strftime(t, '%-d')", "FORMAT_TIMESTAMP('%e', t)", False),
    "SAFE_DIVIDE for /": Mistake("n / z", "SAFE_DIVIDE(n, z)", True),
    "IFNULL lost in GREATEST": Mistake("greatest(t, known)", "GREATEST(t, known)", True),
    "half-even rounding": Mistake("CAST(z + 0.5 AS BIGINT)", "CAST(z + 0.5 AS INT64)", True),
    "zone dropped": Mistake(
        "date_trunc('day', t AT TIME ZONE 'Asia/Tokyo') AT TIME ZONE 'Asia/Tokyo'", "TIMESTAMP_TRUNC(t, DAY)", True
    ),
}  # fmt: skip
Answer = list[Any]


def comparable(values: Answer) -> Answer:
    return [
        "NaN" if value != value else value.timestamp() if isinstance(value, datetime) else value for value in values
    ]


def by_duckdb(expression: str) -> Answer:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("rows", ROWS)
        return comparable(
            [value for (value,) in connection.execute(f"SELECT {expression} FROM rows ORDER BY k").fetchall()]
        )


@pytest.fixture(scope="module")
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[bigquery.Client]:
    """Of an emulator of this module's own: of what the others are sent nothing may be refused."""
    try:
        with bigquery_emulator(tmp_path_factory.mktemp("bigquery")) as emulator, emulator.client() as client:
            fill_bigquery(client, {"mistakes.rows": ROWS})
            yield client
    except EmulatorUnavailableError as reason:
        missing(request.config, str(reason))


@pytest.mark.parametrize("name", MISTAKES)
def test_the_witness_sees_it_and_the_emulator_only_some(name: str, witness: Witness, client: bigquery.Client) -> None:
    mistake = MISTAKES[name]
    sql = f"SELECT {mistake.written} AS v FROM `mistakes`.`rows` ORDER BY k"
    meant = by_duckdb(mistake.meant)
    try:
        witnessed: Answer | None = comparable(witness.execute(sql, {"mistakes.rows": ROWS})["v"].to_pylist())
    except RefusedByGoogleSQL:
        witnessed = None
    try:
        emulated: Answer | None = comparable([row["v"] for row in client.query(sql, timeout=60).result(timeout=60)])
    except GoogleAPIError:
        emulated = None
    assert witnessed != meant
    assert (emulated != meant) == mistake.emulator


def test_the_page_has_the_table() -> None:
    rows = [f"| {name} | {'yes' if each.emulator else 'no'} | yes |" for name, each in MISTAKES.items()]
    missing = [row for row in rows if row not in PAGE.read_text()]
    assert missing == []
