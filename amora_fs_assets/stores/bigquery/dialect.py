"""What operations must know about BigQuery."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.types import IntegerValue, StringValue, TimestampValue, Value

from amora_fs_assets.domain.ports.dialect import Dialect, engine_function
from amora_fs_assets.domain.time import Period
from amora_fs_assets.stores.bigquery.formulas import OPERATIONS

_YEAR_1 = datetime.min.replace(tzinfo=UTC)


def _json(row: Value) -> StringValue:
    return cast("StringValue", engine_function("TO_JSON_STRING", dt.string, row))


def _period_number(instant: TimestampValue, unit: Period) -> IntegerValue:
    return cast("IntegerValue", instant.delta(ibis.literal(_YEAR_1), unit="h" if unit is Period.HOUR else "D"))


BIGQUERY = Dialect(
    name="bigquery",
    has_asof_join=False,
    estimates_scans=True,
    json=_json,
    md5=lambda text: engine_function("TO_HEX", dt.string, text.hashbytes("md5")),
    hash=lambda row: engine_function("FARM_FINGERPRINT", dt.int64, _json(row)),
    period_number=_period_number,
    json_text=_json,
    entries=lambda value: value,  # BigQuery has no maps
    in_zone=lambda local, zone: engine_function(
        "TIMESTAMP", dt.Timestamp("UTC", 6), local.cast("timestamp(6)"), ibis.literal(zone)
    ),
    operations=OPERATIONS,
)
