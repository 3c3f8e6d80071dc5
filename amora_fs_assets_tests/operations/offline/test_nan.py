"""What checks make of NaN and of infinities: the same on both engines, and as IEEE 754 has it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import pandera.ibis as pandera
import pyarrow as pa
import pytest

from amora_fs_assets import Entity, FeatureSchema, FeatureView, Field, Interval
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.rules.checks import keeps
from amora_fs_assets.operations.expressions.tables import unbound
from amora_fs_assets.operations.offline.gate import check
from amora_fs_assets_tests.operations.engines import ENGINES, engine_store
from amora_fs_assets_tests.small import at

GOLDEN = Path(__file__).parent / "golden_checks"


class Measured(FeatureSchema):
    """A column for each kind of comparison; each row holds one value in all of them."""

    sensor: int
    any_: float = Field(nullable=True)
    ge: float = Field(ge=0, nullable=True)
    gt: float = Field(gt=0, nullable=True)
    le: float = Field(le=5, nullable=True)
    lt: float = Field(lt=5, nullable=True)
    in_range: float = Field(in_range={"min_value": 0, "max_value": 5}, nullable=True)
    eq: float = Field(eq=1, nullable=True)
    ne: float = Field(ne=1, nullable=True)
    isin: float = Field(isin=[1.0, 2.0], nullable=True)
    notin: float = Field(notin=[1.0, 2.0], nullable=True)
    finite: float = Field(gt=-math.inf, lt=math.inf, nullable=True)
    own: float = Field(nullable=True)

    @pandera.check("own")
    @classmethod
    def above_ge(cls, data: Any) -> Any:
        return data.table[data.key] >= data.table["ge"]

    @pandera.dataframe_check
    @classmethod
    def not_above_five(cls, data: Any) -> Any:
        return ~(data.table["any_"] > 5)


VIEW = FeatureView("measured", Measured, [Entity("sensor")], start="2020-01-01", transform=lambda: None)
COLUMNS = [feature.name for feature in VIEW.features]
BROKEN = {
    None: set(),
    1.0: {"ne", "notin"},
    math.nan: {"ge", "gt", "le", "lt", "in_range", "eq", "isin", "finite", "own"},
    math.inf: {"le", "lt", "in_range", "eq", "isin", "finite", "rows"},
    -math.inf: {"ge", "gt", "in_range", "eq", "isin", "finite"},
}


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OfflineStore]:
    with engine_store(request, tmp_path) as store:
        yield store


def test_a_nan_keeps_no_comparison_but_that_it_is_another_number(store: OfflineStore) -> None:
    schema = pa.schema([(c.name, IBIS_TYPES[c.type].to_pyarrow()) for c in VIEW.row_columns])
    found = {}
    for value in BROKEN:
        row = {"sensor": 1, "event_timestamp": at(1), **dict.fromkeys(COLUMNS, value)}
        staged = store.stage(pa.Table.from_pylist([row], schema), name="measured", run_id=str(value))
        checked = check(unbound(VIEW.row_columns, staged), VIEW, Interval(at(1), at(2)), store)
        found[value] = {result.name for result in checked.results if not result.passed}
    assert found == BROKEN


@pytest.mark.parametrize("engine", ["duckdb", "bigquery"])
def test_the_sql_of_checks_is_as_reviewed(engine: str) -> None:
    rows = ibis.table({c.name: IBIS_TYPES[c.type] for c in VIEW.row_columns}, name="rows")
    schema = Measured.to_schema()
    rules = {name: keeps(each, rows, name) for name in COLUMNS for each in schema.columns[name].checks}
    rules["rows"] = keeps(schema.checks[0], rows, None)
    sql = str(ibis.to_sql(rows.select(**rules), dialect=engine)) + "\n"
    golden = GOLDEN / f"{engine}.sql"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(sql)
    assert sql == golden.read_text()
    assert ("IS_NAN" if engine == "bigquery" else "ISNAN") in sql
