"""Each aggregate takes a type of column, and then both engines run it, or refuses the type at import with the fix."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from amora_fs_assets import Interval, Source
from amora_fs_assets import windows as agg
from amora_fs_assets.domain.arrow import arrow_table, arrow_type, arrow_values
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.known import handing
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.tables import unbound
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.windows import Windows, rolling
from amora_fs_assets_tests.domain.windows.test_rolling_oracle import SOURCES
from amora_fs_assets_tests.operations.cases import VALUES
from amora_fs_assets_tests.operations.stores import fill
from amora_fs_assets_tests.small import at

AGGREGATES: dict[str, Any] = {
    "count": agg.count("value"),
    "sum_": agg.sum_("value"),
    "mean": agg.mean("value"),
    "min_": agg.min_("value"),
    "max_": agg.max_("value"),
    "stddev": agg.stddev("value"),
    "nunique": agg.nunique("value"),
    "first": agg.first("value"),
    "last": agg.last("value"),
    "last_k": agg.last_k("value", 2),
    "top_k": agg.top_k("value", 2),
    "quantile": agg.quantile("value", 0.5),
}
ORDERED = {*AGGREGATES} - {"sum_", "mean", "stddev", "quantile"}
TAKEN = {type_: ORDERED for type_ in VALUES if not type_.is_list} | {
    DataType.INT64: {*AGGREGATES},
    DataType.DECIMAL: {*AGGREGATES},
    DataType.FLOAT64: {*AGGREGATES} - {"top_k"},
}
NUMBERS: dict[DataType, list[Any]] = {DataType.INT64: [5, -3, None, 5], DataType.FLOAT64: [0.0, math.nan, -0.0, 0.5]}
WINDOWS = Windows("1h", "3h")
REFUSED = re.compile(r"column 'value' is .*first: `|cannot be compared. Take another column")
DAY = Interval("2020-01-01", "2020-01-02")


def result(table: Any, source: Source, names: set[str]) -> Any:
    with handing({"orders": table}, {"orders": source}):
        return rolling(
            table, WINDOWS, by="customer", time="at", interval=DAY, **{name: AGGREGATES[name] for name in names}
        )


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("type_", VALUES)
def test_each_aggregate_takes_a_type_or_refuses_it(type_: DataType, source: Source, tmp_path: Path) -> None:
    rng = Random(1)
    values: list[Any] = NUMBERS.get(type_, [VALUES[type_](rng) for _ in range(4)])
    times = [at(1, 9), at(1, 10), at(1, 10), at(1, 11)]
    names = {"customer": DataType.INT64, "at": DataType.TIMESTAMP, "loaded": DataType.TIMESTAMP, "value": type_}
    columns = [Column(name, each) for name, each in names.items()]
    given: list[list[Any]] = [[1, 1, 1, 1], times, [each + timedelta(hours=1) for each in times], values]
    arrays = {
        column.name: pa.array(arrow_values(column.type, each), arrow_type(column.type))
        for column, each in zip(columns, given, strict=True)
    }
    fill(tmp_path, {"theirs.orders": arrow_table(pa.table(arrays))})
    table = unbound(columns, "theirs.orders")
    taken, refused = set(), []
    for name in AGGREGATES:
        try:
            result(table, source, {name})
            taken.add(name)
        except DefinitionError as error:
            refused.append(str(error))
    assert all(REFUSED.search(each) for each in refused), refused
    assert taken == TAKEN.get(type_, {"count"})
    with DuckDBOfflineStore(tmp_path).read(result(table, source, taken)) as batches:
        rows = batches.read_all().sort_by("event_timestamp").to_pylist()
    assert [row["count_1h"] for row in rows][-1] == 0
    assert len(rows) == 6
