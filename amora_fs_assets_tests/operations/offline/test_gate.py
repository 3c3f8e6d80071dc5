"""The gate: Pandera's verdict, in one query."""

from __future__ import annotations

import math
import warnings
from datetime import UTC, date, datetime
from typing import Any

import ibis
import pandera.ibis as pandera
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaErrors

from amora_fs_assets import Entity, FeatureSchema, FeatureView, Field, Interval, Timestamp
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.operations.expressions.tables import unbound
from amora_fs_assets.operations.offline.gate import GateResult, check, check_names
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests.operations.conftest import CountingStore
from amora_fs_assets_tests.small import at

JANUARY = Interval(at(1), at(1, month=2))


class Many(FeatureSchema):
    """A column for each kind of check."""

    customer: int = Field(gt=0)
    amount: float = Field(ge=0, le=10, nullable=True)
    ratio: float = Field(in_range={"min_value": 0, "max_value": 1}, ne=0.5)
    name: str = Field(isin=["a", "aa", "b"], str_matches="a+", str_length={"min_value": 1, "max_value": 2})
    note: str = Field(notin=["x"], str_startswith="n", str_contains="o", nullable=True)
    flag: bool = Field(eq=True, nullable=True)
    day: date = Field(lt=date(2021, 1, 1), nullable=True)

    @pandera.check("amount")
    @classmethod
    def odd(cls, data: Any) -> Any:
        return data.table[data.key] != 4

    @pandera.dataframe_check
    @classmethod
    def cheap_or_flagged(cls, data: Any) -> Any:
        return (data.table["amount"] < 5) | data.table["flag"]


customer = Entity("customer")
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "customer": st.sampled_from([-1, 0, 1, 2]),
    "amount": st.sampled_from([None, -1.0, 0.0, 4.0, 10.0, 10.5]),
    "ratio": st.sampled_from([None, -0.1, 0.0, 0.5, 1.0]),
    "name": st.sampled_from([None, "a", "aa", "aaa", "b", ""]),
    "note": st.sampled_from([None, "no", "x", "n", "on"]),
    "flag": st.sampled_from([None, True, False]),
    "day": st.sampled_from([None, date(2020, 1, 1), date(2021, 1, 1)]),
}


def view_of(schema: type[FeatureSchema], **options: Any) -> FeatureView:
    given = {"start": "2020-01-01", "transform": lambda: None, **options}
    return FeatureView("many", schema, [customer], **given)


def gate(
    store: DuckDBOfflineStore, view: FeatureView, rows: list[dict[str, Any]], interval: Any = JANUARY
) -> GateResult:
    schema = pa.schema([(c.name, IBIS_TYPES[c.type].to_pyarrow()) for c in view.row_columns])
    table = pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema)
    staged = store.stage(table, name="many", run_id="run")
    return check(unbound(view.row_columns, staged), view, interval, store)


def broken(checked: GateResult) -> dict[tuple[str, str], int]:
    return {
        (result.name, rule.rule.partition("(")[0]): rule.failed_rows
        for result in checked.results
        for rule in result.rules
        if rule.failed_rows
    }


def pandera_says(schema: type[FeatureSchema], view: FeatureView, rows: list[dict[str, Any]]) -> dict[Any, int]:
    """The same counts by Pandera's own validation."""
    types = pa.schema([(c.name, IBIS_TYPES[c.type].to_pyarrow()) for c in view.row_columns])
    table = ibis.duckdb.connect().create_table("t", pa.Table.from_pylist(rows, types))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of Pandera's own use of pandas
            schema.validate(table, lazy=True)
    except SchemaErrors as errors:
        counts = {}
        for error in errors.schema_errors:
            cases = error.failure_cases.execute() if hasattr(error.failure_cases, "execute") else error.failure_cases
            whole = error.schema.name == schema.__name__
            name = "not null" if error.check == "not_nullable" else error.check.name
            counts["rows" if whole else error.schema.name, name] = len(cases)
        # Where a check of whole rows is null for every one, Pandera names it without a failing case.
        return {check: count for check, count in counts.items() if count}
    return {}


# An example takes a second of Pandera, so that shrinking one would take minutes.
_compared = settings(deadline=None, suppress_health_check=list(HealthCheck), phases=set(Phase) - {Phase.shrink})
_many = st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=12)


def agrees_with_pandera(rows: list[dict[str, Any]], store: CountingStore) -> None:
    rows = [row | {"event_timestamp": at(1, 0).replace(microsecond=i)} for i, row in enumerate(rows)]
    view = view_of(Many)
    assert broken(gate(store, view, rows)) == pandera_says(Many, view, rows)


@settings(_compared, max_examples=4)
@given(rows=_many)
def test_it_says_what_pandera_says(rows: list[dict[str, Any]], store: CountingStore) -> None:
    agrees_with_pandera(rows, store)


@pytest.mark.slow
@settings(_compared, max_examples=25)
@given(rows=_many)
def test_it_says_what_pandera_says_of_many_tables(rows: list[dict[str, Any]], store: CountingStore) -> None:
    agrees_with_pandera(rows, store)


class Spending(FeatureSchema):
    customer: int
    amount: float = Field(ge=0)


def row(customer: int | None, time: datetime | None, amount: float | None = 1.0, **more: Any) -> dict[str, Any]:
    return {"customer": customer, "event_timestamp": time, "amount": amount, **more}


def test_all_counts_come_from_one_query(store: CountingStore) -> None:
    rows = [row(1, at(1)), row(2, at(2))]
    assert gate(store, view_of(Spending), rows).passed
    assert len(store.queries) == 1


def test_each_check_that_fails_costs_one_more_for_a_few_of_its_rows(store: CountingStore) -> None:
    checked = gate(store, view_of(Spending), [row(1, at(1 + i // 24, i % 24), -1.0) for i in range(50)])
    assert len(store.queries) == 2
    (failed,) = [result for result in checked.results if not result.passed]
    assert (failed.name, failed.failed_rows, len(failed.failing_rows)) == ("amount", 50, 10)
    assert failed.failing_rows[0].keys() == {"customer", "event_timestamp", "amount"}


def test_rows_outside_the_interval_are_counted_and_not_checked(store: CountingStore) -> None:
    rows = [row(1, at(1)), row(1, JANUARY.end, -1.0), row(1, at(31, 23, month=12).replace(year=2019), -1.0)]
    checked = gate(store, view_of(Spending), rows)
    assert (checked.rows, checked.clipped_rows, checked.passed) == (1, 2, True)


def test_the_interval_is_closed_at_its_start_and_open_at_its_end(store: CountingStore) -> None:
    checked = gate(store, view_of(Spending), [row(1, JANUARY.start), row(2, JANUARY.end)])
    assert (checked.rows, checked.clipped_rows) == (1, 1)


def test_a_null_join_key_fails_its_check(store: CountingStore) -> None:
    assert broken(gate(store, view_of(Spending), [row(None, at(1)), row(1, at(1))])) == {("customer", "not null"): 1}


def test_a_row_without_a_time_fails_rather_than_being_clipped(store: CountingStore) -> None:
    checked = gate(store, view_of(Spending), [row(1, None), row(1, at(1))])
    assert (checked.clipped_rows, broken(checked)) == (0, {("event_timestamp", "not null"): 1})


def test_every_row_of_a_duplicated_key_is_counted_and_shown(store: CountingStore) -> None:
    rows = [row(1, at(1)), row(1, at(1), 2.0), row(1, at(2)), row(2, at(1))]
    checked = gate(store, view_of(Spending), rows)
    assert broken(checked) == {("unique_key", "unique"): 2}
    (failed,) = [result for result in checked.results if not result.passed]
    assert sorted(each["amount"] for each in failed.failing_rows) == [1.0, 2.0]


def test_duplicates_outside_the_interval_are_none(store: CountingStore) -> None:
    assert gate(store, view_of(Spending), [row(1, JANUARY.end), row(1, JANUARY.end)]).passed


class Corrected(FeatureSchema):
    customer: int
    created_timestamp: Timestamp = Field(nullable=True)
    amount: float


def test_rows_that_became_known_at_different_times_are_no_duplicates(store: CountingStore) -> None:
    rows = [row(1, at(1), created_timestamp=created) for created in (None, at(2), at(3))]
    assert gate(store, view_of(Corrected), rows).passed


def test_two_rows_that_do_not_say_when_they_became_known_are_duplicates(store: CountingStore) -> None:
    checked = gate(store, view_of(Corrected), [row(1, at(1), a, created_timestamp=None) for a in (1.0, 2.0)])
    assert broken(checked) == {("unique_key", "unique"): 2}
    assert len(checked.results[-1].failing_rows) == 2


def test_ties_in_an_external_table_are_let_through(store: CountingStore) -> None:
    view = FeatureView("theirs", Spending, [customer], table="their.table")
    assert "unique_key" not in check_names(view)
    assert gate(store, view, [row(1, at(1)), row(1, at(1))], None).passed


def test_no_rows_pass(store: CountingStore) -> None:
    checked = gate(store, view_of(Many), [])
    assert (checked.rows, checked.passed) == (0, True)


def test_a_check_that_does_not_ignore_nulls_refuses_them(store: CountingStore) -> None:
    class Strict(FeatureSchema):
        customer: int
        amount: float = Field(ge=0, ignore_na=False, nullable=True)

    assert broken(gate(store, view_of(Strict), [row(1, at(1), None)])) == {("amount", "greater_than_or_equal_to"): 1}


def test_a_check_of_the_whole_column_is_refused_at_import() -> None:
    class Averaged(FeatureSchema):
        customer: int
        amount: float

        @pandera.check("amount")
        @classmethod
        def mean_is_positive(cls, data: Any) -> Any:
            return data.table[data.key].mean() > 0

    with pytest.raises(
        DefinitionError, match="'amount': the engines cannot run check 'mean_is_positive'.*boolean per row"
    ):
        view_of(Averaged)


def test_failing_rows_are_fit_for_json(store: CountingStore) -> None:
    checked = gate(store, view_of(Spending), [row(1, datetime(2020, 1, 1, 1, 2, 3, 4, UTC), float("-inf"))])
    (failed,) = [result for result in checked.results if not result.passed]
    assert failed.failing_rows[0]["event_timestamp"] == "2020-01-01T01:02:03.000004+00:00"
    assert failed.failing_rows[0]["amount"] == "-Infinity"
    (failed,) = [each for each in gate(store, view_of(Spending), [row(1, at(1), math.nan)]).results if not each.passed]
    assert failed.failing_rows[0]["amount"] == "NaN"
