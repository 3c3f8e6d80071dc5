"""Push and gate judge rows by the same rules with the same result, on both engines."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import numpy as np
import pandas as pd
import pandera.ibis as pandera
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amora_fs_assets import Entity, FeatureSchema, FeatureView, Field, Interval, Timestamp
from amora_fs_assets.domain.errors import ChecksFailed, DefinitionError
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.operations.expressions.tables import unbound
from amora_fs_assets.operations.offline.gate import check
from amora_fs_assets.operations.online.pushed_gate import check as push_gate
from amora_fs_assets.operations.online.pushed_gate import rule_results
from amora_fs_assets.operations.online.pushed_rows import table_of
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.small import at

YEARS = Interval(datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC))
DECIMAL = dt.Decimal(38, 9)
VALUES: dict[Any, list[Any]] = {
    int: [-(2**63), -1, 0, 1, 2, 2**53 + 1, 2**63 - 1],
    float: [-math.inf, -1.5, -0.0, 0.1, 1.0, 2.0, 1e300, math.inf],
    str: ["", "a", "aa", "A", "b", "ab", "é", "日本", "a\n", "\nb", "a\nb", "a.b", "a%b", "it's \\d"],
    bool: [True, False],
    bytes: [b"", b"a", b"ab", b"\x00\xff", b"'"],
    date: [date(1, 1, 1), date(1969, 12, 31), date(2020, 2, 29), date(9999, 12, 31)],
    Timestamp: [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2020, 2, 29, 1, 2, 59, 999999, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
    DECIMAL: [Decimal("-0.1"), Decimal(0), Decimal("0.1"), Decimal("12345678901234567890123456789.123456789")],
}
PATTERNS = ["a", "a|b", "^a|b$", "a$", "b", ".", "a.b", "^$", "(?s)a.b", "(?m)^b", r"\d", "[^a]", "é", "a{2}", "(?i)A"]
_numbers = itertools.count()


def arguments(type_: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Pandera's checks on a column of this type, as arguments of Field."""
    if type_ == list[int]:
        return st.fixed_dictionaries({"str_length": st.fixed_dictionaries({"min_value": st.integers(0, 2)})})
    value = st.sampled_from(VALUES[type_])
    several = st.lists(value, min_size=1, max_size=3)
    ends = st.lists(value, min_size=2, max_size=2, unique=True).map(sorted)
    between = st.tuples(ends, st.booleans(), st.booleans()).map(
        lambda each: {
            "min_value": each[0][0], "max_value": each[0][1], "include_min": each[1], "include_max": each[2],
        }
    )  # fmt: skip
    known: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(("eq", "ne", "gt", "ge", "lt", "le"), value),
        "isin": several,
        "notin": several,
        "in_range": between,
    }
    if type_ is str:
        length = st.tuples(st.integers(0, 2), st.integers(2, 3)).map(lambda e: {"min_value": e[0], "max_value": e[1]})
        pattern = st.sampled_from(PATTERNS)
        known |= {"str_matches": pattern, "str_contains": pattern, "str_length": length}
        known |= dict.fromkeys(("str_startswith", "str_endswith"), st.sampled_from(["a", "b", "é", "\n", "'"]))
    return st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: known[name] for name in names})
    )


@st.composite
def cases(draw: st.DrawFn, *, nulls_in_lists: bool) -> tuple[FeatureView, pa.Table]:
    """A view with a column of each type, each with rules, and rows for it."""
    annotations: dict[str, Any] = {"item": int}
    body: dict[str, Any] = {"item": Field(**draw(arguments(int)))}
    values: dict[str, st.SearchStrategy[Any]] = {"item": st.sampled_from([*VALUES[int], None])}
    for place, type_ in enumerate([*VALUES, list[int]]):
        name, nullable = f"f{place}", draw(st.booleans())
        annotations[name] = type_
        body[name] = Field(nullable=nullable, **draw(arguments(type_)))
        if type_ == list[int]:
            items = st.sampled_from([0, 2**63 - 1, None] if nulls_in_lists else [0, 2**63 - 1])
            values[name] = st.lists(items, max_size=3)
        else:
            more = [math.nan, None] if type_ is float else [None]
            values[name] = st.sampled_from([*VALUES[type_], *more])

    def ordered(_cls: Any, data: Any) -> Any:
        return data.table["f0"] <= data.table["f1"]

    def mostly(_cls: Any, data: Any) -> Any:
        return (data.table["f2"].length() < 3) | data.table["f3"]

    body["ordered"] = pandera.dataframe_check(ordered)
    body["mostly"] = pandera.check("f2", ignore_na=draw(st.booleans()))(mostly)
    schema: Any = type("Rows", (FeatureSchema,), {"__annotations__": annotations, "__module__": __name__, **body})
    view = FeatureView("rows", schema, [Entity("item")], start="2020-01-01", transform=lambda: None)
    values["event_timestamp"] = st.sampled_from([at(1), at(2), None])
    rows = draw(st.lists(st.fixed_dictionaries(values), min_size=1, max_size=8))
    return view, table_of(view, rows)


Verdict = dict[tuple[str, str], int]
UNIQUE = ("unique_key", "unique")


def by_push(view: FeatureView, table: pa.Table) -> tuple[Verdict, bool]:
    """How many rows break each rule, as a push sees them; and whether the push is refused."""
    assert view.gate is not None
    kept = rule_results(view, table)
    broken = {rule: column.to_pylist().count(False) for rule, column in zip(view.gate.rules, kept.columns, strict=True)}
    try:
        push_gate(view, table)
    except ChecksFailed:
        return broken, True
    return broken, False


def by_gate(view: FeatureView, table: pa.Table, store: OfflineStore) -> tuple[Verdict, bool]:
    """The same as a computation sees them."""
    staged = store.stage(table, name="rows", run_id=str(next(_numbers)))
    checked = check(unbound(view.row_columns, staged), view, YEARS, store)
    broken = {(each.name, rule.rule): rule.failed_rows for each in checked.results for rule in each.rules}
    return {rule: count for rule, count in broken.items() if rule != UNIQUE}, not checked.passed


_SETTINGS: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": set(Phase) - {Phase.shrink},
}


@settings(max_examples=8, **_SETTINGS)
@given(case=cases(nulls_in_lists=True))
def test_a_push_breaks_the_rules_that_a_computation_breaks(
    case: tuple[FeatureView, pa.Table], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = DuckDBOfflineStore(tmp_path_factory.getbasetemp() / "rules")
    assert by_push(*case) == by_gate(*case, store)


@pytest.mark.slow
@settings(max_examples=60, **_SETTINGS)
@given(case=cases(nulls_in_lists=True))
def test_a_push_breaks_the_rules_that_a_computation_breaks_at_length(
    case: tuple[FeatureView, pa.Table], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = DuckDBOfflineStore(tmp_path_factory.getbasetemp() / "rules")
    assert by_push(*case) == by_gate(*case, store)


@pytest.fixture(scope="module")
def bigquery(bigquery_emulator: BigQueryEmulator) -> Iterator[OfflineStore]:
    with bigquery_emulator.client() as client:
        yield BigQueryOfflineStore(client, dataset="rules", storage_client=bigquery_emulator.read_client())


@pytest.mark.google
@settings(max_examples=2, **_SETTINGS)
@given(case=cases(nulls_in_lists=False))
def test_bigquery_breaks_the_same_rules(case: tuple[FeatureView, pa.Table], bigquery: OfflineStore) -> None:
    assert by_push(*case) == by_gate(*case, bigquery)


def schema_of(type_: Any, **arguments: Any) -> type[FeatureSchema]:
    body = {"__annotations__": {"item": int, "x": type_}, "x": Field(nullable=True, **arguments)}
    made: Any = type("Rows", (FeatureSchema,), {"__module__": __name__, **body})
    return made  # type: ignore[no-any-return]


def view_of(schema: type[FeatureSchema]) -> FeatureView:
    return FeatureView("rows", schema, [Entity("item")], start="2020-01-01", transform=lambda: None)


def keeps(view: FeatureView, value: Any) -> bool:
    """Whether a pushed value keeps all rules."""
    kept = rule_results(view, table_of(view, [{"item": 1, "event_timestamp": at(1), "x": value}]))
    return all(column[0].as_py() for column in kept.columns)


@pytest.mark.parametrize(
    ("type_", "arguments", "said"),
    [
        (str, {"str_matches": "(?=a)"}, "RE2"),
        (str, {"str_contains": r"(a)\1"}, "RE2"),
        (str, {"str_matches": re.compile("a", re.VERBOSE)}, "VERBOSE"),
        (str, {"ge": 1}, "not of type text"),
        (int, {"str_matches": "a"}, "for texts"),
        (int, {"eq": True}, "not of type number"),
        (int, {"lt": 2**64}, "64 bits"),
        (float, {"eq": "1"}, "not of type number"),
        (bytes, {"isin": ["a"]}, "not of type bytes"),
        (date, {"ge": datetime(2020, 1, 1, 12)}, "within a day"),
        (Timestamp, {"ge": 5}, "not of type timestamp"),
        (Timestamp, {"ge": pd.Timestamp(1)}, "nanoseconds"),
        (DECIMAL, {"ge": Decimal("0.0000000001")}, "9 digits"),
        (list[int], {"eq": [1]}, "BigQuery"),
        (int, {"isin": [None]}, "no value"),
    ],
)
def test_a_rule_that_the_engines_would_not_read_alike_is_refused_at_import(
    type_: Any, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(
        DefinitionError, match=f"Feature view 'rows': column 'x': the engines cannot run check .*{said}"
    ):
        view_of(schema_of(type_, **arguments))


def test_a_bound_that_is_no_number_is_refused_at_import() -> None:
    with pytest.raises(DefinitionError, match="nan"):
        view_of(schema_of(float, ge=math.nan))


class Keyed(FeatureSchema):
    item: int
    created_timestamp: Timestamp = Field(nullable=True)
    x: int


KEYED = view_of(Keyed)


def average(data: Any) -> Any:
    return data.table["x"] <= data.table["x"].mean()


def dice(data: Any) -> Any:
    return data.table["x"] < ibis.random()


def list_of_lists(data: Any) -> Any:
    return data.table["x"] == data.table["x"]


@pytest.mark.parametrize(
    ("type_", "rule", "said"),
    [
        (float, average, "reads other rows"),
        (float, dice, "a different result on each call"),
        (list[int], list_of_lists, "compares lists"),
    ],
)
def test_code_that_a_push_could_not_run_as_the_gate_does_is_refused_at_import(type_: Any, rule: Any, said: str) -> None:
    class Rows(schema_of(type_)):  # type: ignore[misc]
        @pandera.check("x")
        @classmethod
        def own(cls, data: Any) -> Any:
            return rule(data)

    with pytest.raises(DefinitionError, match=f"the engines cannot run check 'own': it .*{said}"):
        view_of(Rows)


@pytest.mark.parametrize(
    ("type_", "arguments", "good", "bad"),
    [
        (str, {"str_matches": "a|b"}, ["a", "bx"], ["xb", ""]),
        (str, {"str_matches": "a.b$"}, ["axb"], ["a\nb", "axb\n"]),
        (str, {"str_contains": re.compile("A", re.IGNORECASE)}, ["ba", None], ["b"]),
        (date, {"ge": "2020-01-01"}, [date(2020, 1, 1), "2020-01-02"], [date(2019, 12, 31)]),
        (date, {"isin": [date(2020, 1, 1)]}, [pd.Timestamp("2020-01-01")], [date(2020, 1, 2)]),
        (Timestamp, {"ge": datetime(2020, 1, 1)}, [at(1), pd.Timestamp("2020-01-01", tz="UTC")], ["2019-12-31"]),
        (DECIMAL, {"ge": 0.1}, [Decimal("0.1"), 0.1, 1], [Decimal("0.099999999")]),
        (bytes, {"isin": [b"a", b"\x00"]}, [b"a", b"\x00"], [b"", b"b"]),
        (float, {"le": 5}, [5, np.float32(1.5), -math.inf, None], [math.nan, 5.1]),
        (float, {"ne": 5}, [math.nan, None], [5]),
        (int, {"isin": [1, None]}, [1, np.int8(1), None], [2]),
        (list[str], {"str_length": {"min_value": 1}}, [["a"], [None], None], [[]]),
    ],
)
def test_a_rule_reads_its_arguments_as_values_of_the_column(
    type_: Any, arguments: dict[str, Any], good: list[Any], bad: list[Any]
) -> None:
    view = view_of(schema_of(type_, **arguments))
    assert [value for value in good if not keeps(view, value)] == []
    assert [value for value in bad if keeps(view, value)] == []


def test_a_check_of_ones_own_may_have_the_name_of_one_of_panderas() -> None:
    class Rows(schema_of(int)):  # type: ignore[misc]
        @pandera.check("x")
        @classmethod
        def isin(cls, data: Any) -> Any:
            return data.table["x"] > 1

    assert (keeps(view_of(Rows), 2), keeps(view_of(Rows), 1)) == (True, False)


@settings(max_examples=30, **_SETTINGS)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "item": st.integers(0, 1),
                "event_timestamp": st.sampled_from([at(1), at(2)]),
                "created_timestamp": st.sampled_from([None, at(2), at(3)]),
                "x": st.just(1),
            }
        ),
        max_size=5,
    )
)
def test_a_key_is_unique_for_both(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> None:
    store = DuckDBOfflineStore(tmp_path_factory.getbasetemp() / "keys")
    table = table_of(KEYED, rows)
    assert by_push(KEYED, table)[1] == by_gate(KEYED, table, store)[1]
