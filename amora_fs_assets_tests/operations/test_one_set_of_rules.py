"""Push and gate judge rows by the same rules with the same result, on both engines."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import ibis.expr.datatypes as dt
import pandera.ibis as pandera
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amora_fs_assets import Entity, FeatureSchema, FeatureView, Field, Interval, Timestamp
from amora_fs_assets.domain.ports import OfflineStore
from amora_fs_assets.operations.checks import check
from amora_fs_assets.operations.pushed_gate import judged
from amora_fs_assets.operations.pushed_rows import table_of
from amora_fs_assets.operations.tables import unbound
from amora_fs_assets.stores.duckdb import DuckDBOfflineStore
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


def by_push(view: FeatureView, table: pa.Table) -> dict[tuple[str, str], int]:
    """How many rows break each rule, as a push sees them."""
    assert view.gate is not None
    kept = judged(view, table)
    return {rule: column.to_pylist().count(False) for rule, column in zip(view.gate.rules, kept.columns, strict=True)}


def by_gate(view: FeatureView, table: pa.Table, store: OfflineStore) -> dict[tuple[str, str], int]:
    """The same as a computation sees them."""
    staged = store.stage(table, name="rows", run_id=str(next(_numbers)))
    checked = check(unbound(view.row_columns, staged), view, YEARS, store)
    return {(each.name, rule.rule): rule.failed_rows for each in checked.results for rule in each.rules}


_SETTINGS: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": set(Phase) - {Phase.shrink},
}


@settings(max_examples=20, **_SETTINGS)
@given(case=cases(nulls_in_lists=True))
def test_a_push_breaks_the_rules_that_a_computation_breaks(
    case: tuple[FeatureView, pa.Table], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = DuckDBOfflineStore(tmp_path_factory.getbasetemp() / "rules")
    assert by_push(*case) == by_gate(*case, store)


@pytest.mark.slow
@settings(max_examples=500, **_SETTINGS)
@given(case=cases(nulls_in_lists=True))
def test_a_push_breaks_the_rules_that_a_computation_breaks_at_length(
    case: tuple[FeatureView, pa.Table], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = DuckDBOfflineStore(tmp_path_factory.getbasetemp() / "rules")
    assert by_push(*case) == by_gate(*case, store)
