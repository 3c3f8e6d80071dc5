"""Computing an interval of a view: what is published, and what is refused in which words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import ibis
import pytest
from ibis.expr.types import Table

from amora_fs_assets import FeatureStore, FeatureView, Field, Interval, Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import (
    ChecksFailed,
    DefinitionError,
    DefinitionNotApplied,
    InvalidRequest,
    SourceMismatch,
    TableNotFound,
    TransformError,
)
from amora_fs_assets.domain.records import RunRecord
from amora_fs_assets.operations.expressions.tables import unbound
from amora_fs_assets.operations.offline.transform import query_of
from amora_fs_assets_tests import small
from amora_fs_assets_tests.small import at


def feature_store(home: Path, code: Catalogue, *, apply: bool = True) -> FeatureStore:
    store = FeatureStore(Settings(home=home, now=small.CLOCK), code)  # type: ignore[arg-type]
    if apply:
        store.apply()
    return store


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., FeatureStore]:
    """A feature store over definitions that are applied."""
    return lambda *given, **changes: feature_store(tmp_path, small.catalogue(*given, **changes))


def published(store: FeatureStore) -> list[tuple[Any, ...]]:
    view = store.code.feature_view("spending")
    with store.offline.read(unbound(view.row_columns, "feature_store.spending").order_by(["event_timestamp"])) as rows:
        return [tuple(row.values()) for row in rows.read_all().to_pylist()]


def last_record(store: FeatureStore) -> RunRecord:
    return next(iter(store.registry.records("spending")))


def test_the_rows_of_the_interval_are_published(opened: Callable[..., FeatureStore]) -> None:
    store = opened()
    publication = store.compute("2020-01-01", "2020-02-01")["spending"]
    assert published(store) == [(1, at(1), 10.0), (2, at(2), 20.0), (1, at(3), 30.0)]
    assert publication is not None
    assert (publication.rows, publication.start, publication.end) == (3, at(1), at(1, month=2))


def test_computing_in_parts_gives_the_same_as_at_once(opened: Callable[..., FeatureStore]) -> None:
    store = opened()
    store.compute("2020-01-01", "2020-03-01")
    at_once = published(store)
    for start, end in (("2020-01-15", "2020-03-01"), ("2020-01-01", "2020-01-03"), ("2020-01-03", "2020-01-15")):
        store.compute(start, end)
    assert published(store) == at_once


def test_a_computation_reads_up_to_the_clock_and_from_the_start_on(opened: Callable[..., FeatureStore]) -> None:
    publication = opened().compute("2010-01-01", "2030-01-01")["spending"]
    assert publication is not None
    assert (publication.start, publication.end) == (at(1), at(1, month=3))


def test_an_interval_of_which_nothing_is_left_is_refused(opened: Callable[..., FeatureStore]) -> None:
    with pytest.raises(InvalidRequest, match="'spending'.*nothing to compute.*to the clock, 2020-03-01"):
        opened().compute("2020-04-01", "2020-05-01")


def test_rows_outside_the_interval_are_clipped_and_counted(opened: Callable[..., FeatureStore]) -> None:
    def shifted(orders: Table) -> Table:
        return orders.select("customer", "amount", event_timestamp=orders["at"] + ibis.interval(days=29))

    store = opened(transform=shifted)
    store.compute("2020-01-01", "2020-02-01")
    assert published(store) == [(1, at(30), 10.0), (2, at(31), 20.0)]
    assert (last_record(store).rows, last_record(store).clipped_rows) == (2, 1)


def test_a_computation_sees_its_lookback_and_no_row_beyond(opened: Callable[..., FeatureStore]) -> None:
    def counted(orders: Table, interval: Any) -> Table:
        seen = orders.aggregate(amount=orders.count().cast("float64"))
        start = ibis.literal(interval.start, "timestamp('UTC', 6)")
        return seen.select("amount", customer=ibis.literal(1, "int64"), event_timestamp=start)

    store = opened(transform=counted, lookback=timedelta(days=29))
    store.compute("2020-02-01", "2020-02-03")
    assert published(store) == [(1, at(1, month=2), 2.0)]  # of 3 January and 2 February


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (lambda orders: orders.select("customer", event_timestamp=orders["at"]), r"lack \['amount'\]"),
        (
            lambda orders: orders.select("customer", "amount", event_timestamp=orders["at"], more=1),
            r"have \['more'\], which the schema lacks",
        ),
        (
            lambda orders: orders.select(
                "customer", amount=orders["amount"].cast("string"), event_timestamp=orders["at"]
            ),
            r"column 'amount' is string, but float64 in the schema.*\.cast\('float64'\)",
        ),
        (
            lambda orders: orders.select(
                "amount", customer=orders["customer"].cast("uint64"), event_timestamp=orders["at"]
            ),
            r"column 'customer' is uint64, but int64 in the schema",
        ),
        (
            lambda orders: orders.select("customer", "amount", event_timestamp=orders["at"].date()),
            r"column 'event_timestamp' is date, but timestamp",
        ),
        (lambda orders: orders.nowhere, "its transform failed: AttributeError: .*nowhere"),
        (lambda orders: orders["amount"], "returned FloatingColumn; return an Ibis table expression"),
        (lambda orders: [1], "returned list; return an Ibis table expression"),
        (
            lambda orders: small._spending(orders).semi_join(ibis.memtable({"customer": [1]}), "customer"),
            r"uses rows in memory \(ibis.memtable\), which the engines do not have. Make a Source",
        ),
    ],
)  # fmt: skip
def test_a_transform_of_other_rows_than_declared_is_refused(
    opened: Callable[..., FeatureStore], transform: Callable[..., Any], said: str
) -> None:
    store = opened(transform=transform)
    with pytest.raises(TransformError, match=f"(?s)Feature view 'spending'.*{said}"):
        store.compute("2020-01-01", "2020-02-01")
    assert last_record(store).status == "failed"
    assert store.offline.publications("spending") == ()


def _wrapped(function: Callable[..., Table]) -> Callable[..., Table]:
    @wraps(function)
    def wrapper(*given: Any, **named: Any) -> Table:
        return function(*given, **named)

    return wrapper


def _with_keyword(orders: Table, *, interval: Interval) -> Table:
    return small._spending(orders).mutate(amount=ibis.literal(float(interval.start.day)))


@pytest.mark.parametrize("transform", [_with_keyword, _wrapped(_with_keyword)])
def test_a_transform_gets_its_interval_however_it_takes_it(
    opened: Callable[..., FeatureStore], transform: Callable[..., Table]
) -> None:
    store = opened(transform=transform)
    store.compute("2020-01-02", "2020-01-03")
    assert published(store) == [(2, at(2), 2.0)]


def test_narrower_types_are_widened(opened: Callable[..., FeatureStore]) -> None:
    def narrow(orders: Table) -> Table:
        return orders.select(
            customer=orders["customer"].cast("int16"),
            amount=orders["amount"].cast("float32"),
            event_timestamp=orders["at"],
        )

    store = opened(transform=narrow)
    store.compute("2020-01-01", "2020-02-01")
    assert published(store)[0] == (1, at(1), 10.0)


def test_a_failed_check_publishes_nothing_and_says_why(opened: Callable[..., FeatureStore], tmp_path: Path) -> None:
    store = opened()
    store.compute("2020-01-01", "2020-02-01")
    before = published(store)
    negative = small.catalogue(transform=_negated)
    store = feature_store(tmp_path, negative)
    with pytest.raises(
        ChecksFailed, match=r"(?s)'spending'.*amount: 3 rows not .*Example of a row: .*'amount': -.*stay"
    ):
        store.compute("2020-01-01", "2020-02-01")
    assert published(store) == before
    record = last_record(store)
    assert (record.status, record.sequence) == ("failed", None)
    assert [check.name for check in record.checks if not check.passed] == ["amount"]


def _negated(orders: Table) -> Table:
    return orders.select("customer", amount=-orders["amount"], event_timestamp=orders["at"])


def test_a_refused_computation_leaves_no_staged_table(opened: Callable[..., FeatureStore]) -> None:
    store = opened(transform=_negated)
    with pytest.raises(ChecksFailed):
        store.compute("2020-01-01", "2020-02-01")
    with store.offline._open() as connection:  # type: ignore[attr-defined]
        tables = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
    assert [name for (name,) in tables if "staged" in name] == []


def test_duplicates_are_refused(opened: Callable[..., FeatureStore]) -> None:
    with pytest.raises(ChecksFailed, match="unique_key: 2 rows not unique"):
        opened([(1, at(1), 1.0), (1, at(1), 2.0)]).compute("2020-01-01", "2020-02-01")


def test_a_definition_that_is_not_applied_is_refused(tmp_path: Path) -> None:
    store = feature_store(tmp_path, small.catalogue(), apply=False)
    with pytest.raises(DefinitionNotApplied, match="'spending'.*not in the registry.*amora-fs apply"):
        store.compute("2020-01-01", "2020-02-01")
    store.apply()
    store = feature_store(tmp_path, small.catalogue(transform=_negated), apply=False)
    with pytest.raises(DefinitionNotApplied, match="'spending'.*differs.*amora-fs apply"):
        store.compute("2020-01-01", "2020-02-01")


def test_a_view_that_was_read_from_the_registry_cannot_be_computed(opened: Callable[..., FeatureStore]) -> None:
    view = opened().get_feature_view("spending")
    with pytest.raises(DefinitionError, match="'spending' was read from the registry"):
        query_of(view, view.interval(at(2)), "feature_store")


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    source = small.orders()
    vars(source).update(loader=None)
    store = feature_store(tmp_path, Catalogue.of([small.spending(source)]))
    with pytest.raises(TableNotFound, match=r"Source 'orders': there is no table raw\.orders; fill it"):
        store.compute("2020-01-01", "2020-02-01")


def test_a_source_of_other_types_is_named(opened: Callable[..., FeatureStore], tmp_path: Path) -> None:
    opened().compute("2020-01-01", "2020-02-01")
    store = FeatureStore(Settings(home=tmp_path))
    with store.offline._open(write=True) as connection:  # type: ignore[attr-defined]
        connection.execute("ALTER TABLE raw.orders ALTER amount TYPE VARCHAR")
    with pytest.raises(SourceMismatch, match=r"'orders': column 'amount' of table raw\.orders is string.*float64"):
        opened().compute("2020-01-01", "2020-02-01")


def test_no_view_is_computed_from_a_new_column_before_that_is_computed(tmp_path: Path) -> None:
    class More(small.Spending):
        paid: bool = Field(nullable=True)

    feature_store(tmp_path, small.catalogue()).compute("2020-01-01", "2020-02-01")
    source = small.orders()
    view = FeatureView(
        "spending", More, [small.customer], [source], partitions="month", start="2020-01-01",
        transform=lambda orders: small._spending(orders).mutate(paid=True),
    )  # fmt: skip
    above = FeatureView(
        "above", small.Spending, [small.customer], [view], partitions="month", start="2020-01-01",
        transform=lambda spending: spending.select("customer", "amount", "event_timestamp"),
    )  # fmt: skip
    store = feature_store(tmp_path, Catalogue.of([above]), apply=False)
    store.apply(allow_breaking=True)
    with pytest.raises(SourceMismatch, match="no column 'paid'.*Compute the view again: `amora-fs compute --feature-v"):
        store.compute("2020-01-01", "2020-02-01", ["above"])


@pytest.mark.parametrize("partitions", ["day", None])
def test_rows_before_the_start_or_after_the_clock_are_clipped_with_partitions_or_without(
    tmp_path: Path, partitions: str | None
) -> None:
    """An amount below zero breaks the schema. The gate looks at the interval alone: no other row may be published."""
    rows: list[tuple[int, datetime, float | None]] = [
        (1, small.at(5), -1.0),
        (2, small.at(12), 2.0),
        (3, small.at(28, month=2), -3.0),
    ]

    def shifted(orders: Table) -> Table:
        later = orders["at"] + ibis.interval(days=2)
        return orders.select("customer", "amount", event_timestamp=later)

    more = {"partitions": partitions, "start": "2020-01-10", "lookback": timedelta(days=30)}
    store = feature_store(tmp_path, small.catalogue(rows, shifted, **more))
    store.compute("2020-01-10", small.CLOCK)
    table = unbound(store.code.feature_view("spending").row_columns, "feature_store.spending")
    with store.offline.read(table) as batches:
        assert batches.read_all()["customer"].to_pylist() == [2]
    (record,) = store.registry.records("spending", kind="compute")
    assert (record.rows, record.clipped_rows) == (1, 2)
