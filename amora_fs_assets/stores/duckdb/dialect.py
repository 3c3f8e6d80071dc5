"""What operations must know about DuckDB."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.types import IntegerValue, TimestampValue

from amora_fs_assets.domain.ports.dialect import Dialect, engine_function
from amora_fs_assets.domain.time import Period
from amora_fs_assets.stores.duckdb.formulas import OPERATIONS

_YEAR_1 = int(datetime.min.replace(tzinfo=UTC).timestamp()) * 1_000_000  # in microseconds since 1970


def _period_number(instant: TimestampValue, unit: Period) -> IntegerValue:
    # Truncating a timestamp takes several times as long as dividing a number.
    since = engine_function("epoch_us", dt.int64, instant) + ibis.literal(-_YEAR_1, "int64")
    length = ibis.literal(int(unit.shortest.total_seconds()) * 1_000_000, "int64")
    return cast("IntegerValue", engine_function("divide", dt.int64, since, length))


DUCKDB = Dialect(
    name="duckdb",
    has_asof_join=True,
    estimates_scans=False,
    json=lambda row: engine_function("to_json", dt.string, row),
    md5=lambda text: text.hexdigest("md5"),
    # Ibis' own hash makes a signed number from a bit string. That takes longer than the hash itself.
    hash=lambda row: engine_function("hash", dt.uint64, row),
    period_number=_period_number,
    json_text=lambda value: value.cast("string"),
    entries=lambda value: engine_function(
        "map_entries", dt.Array(dt.Struct({"key": value.type().key_type, "value": value.type().value_type})), value
    ),
    in_zone=lambda local, zone: engine_function(
        "timezone", dt.Timestamp("UTC", 6), ibis.literal(zone), local.cast("timestamp(6)")
    ),
    operations=OPERATIONS,
)
