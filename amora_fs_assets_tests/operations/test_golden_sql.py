"""The SQL of each shape of point-in-time join, as reviewed. `UPDATE_GOLDEN=1` writes what is compiled now."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import ibis
import pytest

from amora_fs_assets import Entity, FeatureService, FeatureView
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.ports.dialect import Dialect
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.point_in_time import point_in_time
from amora_fs_assets.stores.bigquery.dialect import BIGQUERY
from amora_fs_assets.stores.duckdb.dialect import DUCKDB
from amora_fs_assets_tests.small import at

GOLDEN = Path(__file__).parent / "golden"
CARRIER, AIRPORT = Column("carrier", DataType.STRING), Column("airport", DataType.STRING)
TIME, CREATED = Column("event_timestamp", DataType.TIMESTAMP), Column("created_timestamp", DataType.TIMESTAMP, True)
DELAY, WIND, NOTES = (
    Column("delay", DataType.FLOAT64, True), Column("wind", DataType.INT64, True),
    Column("notes", DataType.LIST_STRING, True),
)  # fmt: skip
carrier, airport = Entity("carrier"), Entity("airport")


def view(name: str, *columns: Column, entities: Any = (carrier,), **options: Any) -> FeatureView:
    return FeatureView(name, columns, entities, start=None if "table" in options else "2020-01-01", **options)


PLAIN = view("plain", CARRIER, TIME, DELAY)
LIMITED = view("limited", CARRIER, TIME, DELAY, ttl=timedelta(hours=2))
CORRECTED = view("corrected", CARRIER, TIME, CREATED, DELAY, ttl=timedelta(days=1))
EXTERNAL = view("foreign", CARRIER, AIRPORT, TIME, DELAY, NOTES, entities=(carrier, airport), table="theirs.foreign")
NETWORK = view("network", TIME, DELAY, entities=())
WEATHER = view("weather", AIRPORT, TIME, WIND, entities=(airport,), ttl=timedelta(days=2))
SHAPES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "plain": ([PLAIN], {}),
    "ttl_within_bounds": ([LIMITED], {"bounds": (at(1), at(31))}),
    "corrections": ([CORRECTED], {}),
    "known_time": ([CORRECTED], {"known_time": True, "bounds": (at(1), at(31))}),
    "somebody_elses_table": ([EXTERNAL], {}),
    "no_entity": ([NETWORK], {}),
    "two_views_of_one_key": ([PLAIN, LIMITED], {"full_feature_names": True}),
    "one_view_in_two_roles": (
        [WEATHER.alias("from", {"airport": "origin"}), WEATHER.alias("to", {"airport": "dest"})],
        {"full_feature_names": True},
    ),
}


@pytest.mark.parametrize("dialect", [DUCKDB, BIGQUERY], ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_sql_is_as_reviewed(shape: str, dialect: Dialect) -> None:
    parts, options = SHAPES[shape]
    service = FeatureService("golden", parts)
    keys = dict.fromkeys(service.join_keys, "string")
    spine = ibis.table({**keys, "event_timestamp": "timestamp('UTC', 6)", "label": "int64"}, name="spine")
    query = point_in_time(spine, service, dialect=dialect, dataset="feature_store", **options)
    sql = str(ibis.to_sql(query, dialect=dialect.name)) + "\n"
    golden = GOLDEN / dialect.name / f"{shape}.sql"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(sql)
    assert sql == golden.read_text()


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*/*.sql")} == set(SHAPES)
