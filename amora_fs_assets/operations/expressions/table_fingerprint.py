"""The content of a table: an order-independent checksum and statistics by column, in one query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import ibis
from ibis.expr.types import Value

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.tables import unbound

_SLICES, _DIGITS = 4, 7  # slices of an MD5: 28-bit numbers, whose sum over 2**35 rows fits into 64 bits
_ORDERED = {DataType.INT64, DataType.FLOAT64, DataType.STRING, DataType.DATE, DataType.TIMESTAMP, DataType.DECIMAL}
_AVERAGED = {DataType.INT64, DataType.FLOAT64, DataType.BOOLEAN}


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Rows, checksum and statistics of a table."""

    rows: int
    checksum: str  # equal for the same rows in any order; comparable only within one engine
    statistics: dict[str, dict[str, Any]]  # by column: nulls, min and max (without NaN), mean (of booleans: the share)


def contents_of(table: str, columns: Sequence[Column], store: OfflineStore) -> Contents:
    """Read the table once. Raises TableNotFound.

    The checksum adds up slices of each row's MD5 over the engine's JSON form of the row. DuckDB and BigQuery write
    floats and times differently in JSON, so their checksums are not comparable.
    """
    rows = unbound(columns, table)
    row = ibis.struct({f"c{i}": _exact(rows[column.name], column.type) for i, column in enumerate(columns)})
    digest = store.dialect.md5(store.dialect.json(row))
    sums = {
        f"sum{i}": (ibis.literal("0x") + digest.substr(i * _DIGITS, _DIGITS)).cast("int64").sum().fill_null(0)
        for i in range(_SLICES)
    }
    named: dict[str, tuple[str, str]] = {}
    found: dict[str, Value] = {}
    for i, column in enumerate(columns):
        for statistic, value in _statistics(rows[column.name], column.type).items():
            named[f"s{i}_{statistic}"] = (column.name, statistic)
            found[f"s{i}_{statistic}"] = value
    with store.read(rows.aggregate(n=rows.count(), **sums, **found)) as batches:
        (result,) = batches.read_all().to_pylist()
    statistics: dict[str, dict[str, Any]] = {column.name: {} for column in columns}
    for name, (column_name, statistic) in named.items():
        statistics[column_name][statistic] = _plain(result[name])
    checksum = "".join(f"{result[f'sum{i}'] % 2**32:08x}" for i in range(_SLICES))
    return Contents(rows=result["n"], checksum=checksum, statistics=statistics)


def _exact(value: Value, type_: DataType) -> Value:
    # JSON would write a decimal as a float.
    return value.cast("string") if type_ is DataType.DECIMAL else value


def _statistics(value: Any, type_: DataType) -> dict[str, Value]:
    found = {"nulls": value.isnull().sum().fill_null(0)}
    if type_ in _ORDERED:
        # With a NaN in the column, BigQuery's min is NaN and DuckDB's is not.
        numbers = value.isnan().ifelse(None, value) if type_ is DataType.FLOAT64 else value
        found |= {"min": numbers.min(), "max": numbers.max()}
    if type_ in _AVERAGED:
        found["mean"] = value.cast("float64").mean() if type_ is not DataType.BOOLEAN else value.cast("int64").mean()
    return found


def _plain(value: Any) -> Any:
    """The JSON form of a value, so that a manifest equals itself after a round trip."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float) and value - value != 0:  # NaN and the infinities
        return str(value)
    return value if value is None or isinstance(value, int | float | str) else str(value)
