"""The rows of the two files that the repository for imports reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(days=4)
"""The end of all rows: the clock of the comparison."""


def write(folder: Path) -> None:
    """Write orders.parquet and balances.parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write_table(orders(), folder / "orders.parquet")
    parquet.write_table(balances(), folder / "balances.parquet")


def orders() -> pa.Table:
    """Orders of three customers in two branches, with corrections: the same time, written later."""
    rows: list[dict[str, Any]] = []
    for number in range(60):
        placed = START + timedelta(hours=number)
        row = {
            "cust": 1 + number % 3, "branch": "ab"[number % 2], "placed_at": placed, "written_at": placed,
            "amount": None if number % 7 == 0 else number / 4, "order count": number, "class": f"c{number % 5}",
        }  # fmt: skip
        rows.append(row)
        if number % 10 == 0:
            rows.append({**row, "written_at": placed + timedelta(minutes=5), "amount": -1.0 - number})
    naive = pa.timestamp("us")  # without a zone, as pandas writes most files
    schema = pa.schema(
        [("cust", pa.int64()), ("branch", pa.string()), ("placed_at", naive), ("written_at", naive),
         ("amount", pa.float64()), ("order count", pa.int64()), ("class", pa.string())]
    )  # fmt: skip
    return pa.Table.from_pylist([{**r, **_naive(r, "placed_at", "written_at")} for r in rows], schema)


def balances() -> pa.Table:
    """Balances of four customers, with a value of each type and nulls."""
    rows = [
        {
            "customer_id": 1 + number % 4, "event_timestamp": START + timedelta(hours=7 * number, microseconds=number),
            "points": number, "score": number / 8, "active": number % 3 == 0, "token": bytes([number, 255]),
            "since": START - timedelta(days=number), "recent": list(range(number % 4)), "labels": [f"l{number}", "x"],
        }
        for number in range(12)
    ]  # fmt: skip
    rows[5] |= {"points": None, "score": None, "active": None, "token": None, "since": None}
    schema = pa.schema(
        [("customer_id", pa.int64()), ("event_timestamp", pa.timestamp("us", "UTC")), ("points", pa.int32()),
         ("score", pa.float32()), ("active", pa.bool_()), ("token", pa.binary()), ("since", pa.timestamp("us", "UTC")),
         ("recent", pa.list_(pa.int64())), ("labels", pa.list_(pa.string()))]
    )  # fmt: skip
    return pa.Table.from_pylist(rows, schema)


def spine() -> list[dict[str, Any]]:
    """Keys and moments: on a row's time, a microsecond before, at the end of a ttl and after it, unknown keys."""
    moments = [
        START, START + timedelta(hours=10), START + timedelta(hours=10, minutes=5), START + timedelta(hours=30),
        START + timedelta(hours=30) - timedelta(microseconds=1), START + timedelta(days=2),
        END - timedelta(hours=1), END,
    ]  # fmt: skip
    return [
        {"row": row, "customer_id": 1 + row % 5, "branch": "abc"[row % 3], "buyer_id": 1 + row % 2,
         "friend_id": 4 - row % 3, "event_timestamp": moments[row % len(moments)].isoformat()}
        for row in range(40)
    ]  # fmt: skip


def _naive(row: dict[str, Any], *names: str) -> dict[str, datetime]:
    return {name: row[name].replace(tzinfo=None) for name in names}
