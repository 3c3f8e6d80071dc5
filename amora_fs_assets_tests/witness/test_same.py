"""`assert_same_on`: every view of the sample means the same in BigQuery; what does not is said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import ibis
import pytest
from ibis.expr.types import Table

from amora_fs_assets import Entity, FeatureSchema, FeatureView, Field, Interval, Source, SourceSchema, Timestamp
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.registry.apply import collect
from amora_fs_assets.testing import Witness, assert_same_on
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.test_sessions_and_funnels import NAMES

SAMPLE = [view for view in collect("amora_fs_assets.features").feature_views.values() if view.transform is not None]
START, END = at(10).replace(year=2013), at(12).replace(year=2013)


def _value(rng: Random, column: Column) -> Any:
    if column.nullable and rng.random() < 0.2:
        return None
    match column.type:
        case DataType.TIMESTAMP:
            return START - timedelta(days=8) + timedelta(minutes=rng.randrange(10 * 24 * 60))
        case DataType.STRING:
            return rng.choice(("EWR", "JFK", "LGA"))
        case DataType.INT64:
            return rng.randint(1, 2013)
        case DataType.FLOAT64:
            return rng.choice((-3.5, 0.0, 15.0, 15.1, 120.25, 1048.0))
    raise AssertionError(column)


def rows_of(source: Source | FeatureView, rng: Random, count: int = 60) -> list[dict[str, Any]]:
    columns = source.columns if isinstance(source, Source) else source.row_columns
    rows = [{column.name: _value(rng, column) for column in columns} for _ in range(count)]
    return list({row["tailnum"]: row for row in rows}.values()) if source.name == "planes" else rows


@pytest.mark.parametrize("view", SAMPLE, ids=lambda view: view.name)
def test_a_view_of_the_sample_means_the_same(witness: Witness, view: FeatureView) -> None:
    rows: dict[str, Any] = {source.name: rows_of(source, Random(view.name)) for source in view.sources}
    found = assert_same_on(view, Interval(START, END), witness=witness, **rows)
    assert found.num_rows > 0


class Numbers(SourceSchema):
    at: Timestamp
    n: int
    x: float = Field(nullable=True)


class Made(FeatureSchema):
    n: int
    made: float = Field(nullable=True)


numbers = Source("numbers", Numbers, timestamp_field="at", loader=lambda: None)
DAY = Interval(at(1), at(2))
ROWS: dict[str, Any] = {"numbers": [{"at": at(1), "n": n, "x": x} for n, x in ((0, None), (1, 2.5), (7, 3.5))]}


def made(value: Callable[[Table], Any]) -> FeatureView:
    def transform(numbers: Table) -> Table:
        return numbers.select("n", made=value(numbers), event_timestamp=numbers["at"])

    entity = Entity("n")
    return FeatureView("made", Made, [entity], [numbers], transform=transform, start="2020-01-01", partitions="month")


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def gamma(x: float) -> float:  # type: ignore[empty-body]
    """DuckDB alone knows it."""


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (lambda t: t.x.cast("int64").cast("float64"), r"DuckDB 4.0, BigQuery 3.0"),
        (lambda t: ibis.greatest(t.x, 1.0), r"DuckDB 1.0, BigQuery None"),
    ],
    ids=["rounding", "greatest of a null"],
)
def test_what_differs_is_said(witness: Witness, value: Callable[[Table], Any], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        assert_same_on(made(value), DAY, witness=witness, **ROWS)


def test_what_is_refused_is_said(witness: Witness) -> None:
    with pytest.raises(AssertionError, match="BigQuery refuses its SQL: .*gamma"):
        assert_same_on(made(lambda t: gamma(t.x)), DAY, engines=["bigquery"], witness=witness)


def test_rows_of_no_source_are_refused(witness: Witness) -> None:
    with pytest.raises(InvalidRequest, match="no source"):
        assert_same_on(made(lambda t: t.x), DAY, witness=witness, other=[])


@pytest.mark.parametrize("name", ["last_session", "funnel"])
def test_the_views_of_the_page_about_sessions_mean_the_same(witness: Witness, name: str) -> None:
    found = assert_same_on(NAMES[name], NAMES["TWO_DAYS"], witness=witness, clicks=NAMES["CLICKS"])
    assert found.num_rows > 0
