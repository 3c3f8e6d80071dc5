"""The point-in-time join equals brute force, on every engine and in every shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amora_fs_assets import Entity, FeatureService, FeatureView
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.training import historical
from amora_fs_assets.operations.training.historical import historical_features
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.operations.cases import Case, random_case
from amora_fs_assets_tests.operations.conftest import Compared
from amora_fs_assets_tests.operations.stores import MergingDuckDBStore, fill, fill_bigquery
from amora_fs_assets_tests.small import at

Filled = Callable[[Case], OfflineStore]
"""A store that holds the tables of a case."""
_numbers = count()


SHAPES: dict[str, tuple[type[DuckDBOfflineStore], int]] = {
    "asof": (DuckDBOfflineStore, 1_000), "merging": (MergingDuckDBStore, 1_000), "beside": (DuckDBOfflineStore, 1),
}  # fmt: skip
"""DuckDB, asked by its own expression, by BigQuery's, and by a query for each view (more than so many are asked so)."""


def fill_embedded(home: Path, case: Case) -> None:
    fill(home, {table_name(view, "feature_store"): case.table(view) for view in case.views})


@pytest.fixture(params=SHAPES)
def embedded(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Filled:
    kind, many = SHAPES[request.param]
    monkeypatch.setattr(historical, "MANY", many)

    def filled(case: Case) -> OfflineStore:
        fill_embedded(tmp_path, case)
        return kind(tmp_path)

    return filled


@pytest.fixture
def emulated(bigquery_emulator: BigQueryEmulator) -> Iterator[Filled]:
    """BigQuery's expression, through the real client."""
    with bigquery_emulator.client() as client:

        def filled(case: Case) -> OfflineStore:
            dataset = f"join_{next(_numbers)}"
            tables = {table_name(view, dataset): case.table(view) for view in case.views}
            fill_bigquery(client, tables)
            return BigQueryOfflineStore(client, dataset=dataset, storage_client=bigquery_emulator.read_client())

        yield filled


FIRST_SEED = 7_399_440_000


def truth_of(case: Case) -> dict[str, list[Any]]:
    """The right columns, so that they compare equal where they are equal."""
    return {name: _comparable(values) for name, values in case.truth().items()}


def compare(case: Case, store: OfflineStore, truth: dict[str, list[Any]] | None = None) -> int:
    """Assert that each cell is the truth; how many there were."""
    got, truth = case.ask(store).to_arrow(), truth or truth_of(case)
    assert got.column_names == [*case.spine.column_names, *truth]
    assert got.select(case.spine.column_names).equals(case.spine)
    for name, right in truth.items():
        found = _comparable(got[name].to_pylist())
        assert len(found) == len(right)
        # Not the columns themselves: pytest would draw the difference of thousands of cells, which takes minutes.
        wrong = [place for place, cell in enumerate(found) if cell != right[place]]
        assert not wrong, f"{name}: {len(wrong)} cells; first, row {wrong[0]}: {found[wrong[0]]}, not {right[wrong[0]]}"
    return sum(map(len, truth.values()))


def _comparable(values: list[Any]) -> list[Any]:
    return [_comparable(value) if isinstance(value, list) else "NaN" if value != value else value for value in values]


# An example takes a third of a second, so that shrinking one would take minutes.
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), phases=set(Phase) - {Phase.shrink})
@given(rng=st.randoms(use_true_random=False))
def test_it_equals_brute_force(rng: Random, embedded: Filled) -> None:
    """A few cases: the slow suite compares half a million cells of such cases in each shape."""
    case = random_case(rng, views=3, rows=15, moments=10)
    compare(case, embedded(case))


@pytest.mark.google
@pytest.mark.parametrize("seed", range(3))
def test_it_equals_brute_force_through_the_real_client(seed: int, emulated: Filled) -> None:
    case = random_case(Random(seed), views=3, rows=60, moments=60, null_lists=False)
    compare(case, emulated(case))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("quarter", range(4))
def test_half_a_million_cells_equal_brute_force_in_every_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compared: Compared, quarter: int
) -> None:
    """Half a million in each: a case is made, filled and found out by brute force once for all shapes."""
    first = FIRST_SEED + 1_000 * quarter
    cells, seed = dict.fromkeys(SHAPES, 0), first
    while cells["asof"] < 137_500:
        case = random_case(Random(seed), views=6, rows=400, moments=1_500)
        truth = truth_of(case)
        fill_embedded(tmp_path, case)
        for shape, (kind, many) in SHAPES.items():
            monkeypatch.setattr(historical, "MANY", many)
            try:
                cells[shape] += compare(case, kind(tmp_path), truth)
            except BaseException:
                compared.append(f"seed {seed} FAILED ({shape})")
                raise
        seed += 1
    for shape, number in cells.items():
        compared.append(f"{number:,} cells on DuckDB ({shape}), seeds {first} to {seed - 1}")


@pytest.mark.slow
@pytest.mark.google
def test_many_cells_equal_brute_force_through_the_real_client(emulated: Filled, compared: Compared) -> None:
    cells, seed = 0, FIRST_SEED
    first = seed
    while cells < 15_000:
        case = random_case(Random(seed), views=4, rows=200, moments=500, null_lists=False)
        try:
            cells += compare(case, emulated(case))
        except BaseException:
            compared.append(f"seed {seed} FAILED")
            raise
        seed += 1
    compared.append(f"{cells:,} cells on BigQuery's emulator, seeds {first} to {seed - 1}")


NUMBER, TEXT = Column("number", DataType.INT64), Column("text", DataType.STRING)
TIME, CREATED = Column("event_timestamp", DataType.TIMESTAMP), Column("created_timestamp", DataType.TIMESTAMP, True)
X, Y = Column("x", DataType.INT64, True), Column("y", DataType.INT64, True)


def asked(
    embedded: Filled, columns: list[Column], rows: list[tuple[Any, ...]], moments: list[tuple[Any, ...]], **view: Any
) -> list[dict[str, Any]]:
    """The moments with the features of one view of these rows."""
    keys = [column.name for column in columns if column in (NUMBER, TEXT)]
    view = {"table": "theirs.v", **view}
    feature_view = FeatureView("v", tuple(columns), [Entity(key) for key in keys], **view)
    named = [dict(zip([column.name for column in columns], row, strict=True)) for row in rows]
    wanted = [dict(zip([*keys, "event_timestamp"], moment, strict=True)) | {"label": 0} for moment in moments]
    case = Case(FeatureService("s", [feature_view]), {"v": named}, wanted, known_time=False)
    store = embedded(case)
    compare(case, store)
    result: list[dict[str, Any]] = case.ask(store).to_arrow().to_pylist()
    return result


def test_composite_keys_are_not_mixed_up(embedded: Filled) -> None:
    """Feast joins keys as text: (1, '12') is (11, '2')."""
    rows = [(1, "12", at(1), 1), (11, "2", at(1), 2)]
    result = asked(embedded, [NUMBER, TEXT, TIME, X], rows, [(1, "12", at(2)), (11, "2", at(2)), (112, "", at(2))])
    assert [row["v__x"] for row in result] == [1, 2, None]


def test_a_tie_does_not_multiply_rows(embedded: Filled) -> None:
    """Feast's BigQuery join gives a row for each of two rows of one key and time."""
    result = asked(embedded, [NUMBER, TIME, X, Y], [(1, at(1), 1, 9), (1, at(1), 2, 3)], [(1, at(2)), (1, at(2))])
    assert [(row["v__x"], row["v__y"]) for row in result] == [(2, 3), (2, 3)]


def test_a_row_whose_features_are_too_old_stays(embedded: Filled) -> None:
    """Feast's file store drops rows outside the ttl."""
    result = asked(embedded, [NUMBER, TIME, X], [(1, at(1), 1)], [(1, at(9)), (1, at(2))], ttl=timedelta(days=1))
    assert [row["v__x"] for row in result] == [None, 1]


def test_duplicate_moments_stay(embedded: Filled) -> None:
    """Feast's file store drops duplicates of the spine."""
    result = asked(embedded, [NUMBER, TIME, X], [(1, at(1), 1)], [(1, at(2))] * 3)
    assert [row["v__x"] for row in result] == [1, 1, 1]


def test_a_correction_with_an_equal_time_counts(embedded: Filled) -> None:
    """Of equal event_timestamps Feast keeps whichever row came first."""
    rows = [(1, at(1), at(1), 1), (1, at(1), at(2), 2), (1, at(1), None, 3)]
    result = asked(embedded, [NUMBER, TIME, CREATED, X], rows, [(1, at(3))])
    assert [row["v__x"] for row in result] == [2]


def test_a_row_that_arrived_late_counts_at_its_own_time(embedded: Filled) -> None:
    """Feast's incremental loads skip rows that are older than the last load."""
    result = asked(embedded, [NUMBER, TIME, X], [(1, at(5), 5), (1, at(3), 3)], [(1, at(4)), (1, at(6))])
    assert [row["v__x"] for row in result] == [3, 5]


def test_features_come_in_the_order_of_the_view_in_every_process(embedded: Filled) -> None:
    """Feast's order depends on the hash seed."""
    columns = [NUMBER, TIME, *(Column(name, DataType.INT64, True) for name in "zmaqb")]
    result = asked(embedded, columns, [(1, at(1), 1, 2, 3, 4, 5)], [(1, at(2))])
    assert list(result[0]) == ["number", "event_timestamp", "label", "v__z", "v__m", "v__a", "v__q", "v__b"]


def test_both_ends_of_a_ttl_are_included_to_the_microsecond(embedded: Filled) -> None:
    ttl, microsecond = timedelta(milliseconds=1.5), timedelta(microseconds=1)
    moments = [(1, at(1) - microsecond), (1, at(1)), (1, at(1) + ttl), (1, at(1) + ttl + microsecond)]
    result = asked(embedded, [NUMBER, TIME, X], [(1, at(1), 1)], moments, ttl=ttl)
    assert [row["v__x"] for row in result] == [None, 1, 1, None]


def test_a_ttl_of_zero_asks_for_the_same_instant(embedded: Filled) -> None:
    moments = [(1, at(1)), (1, at(1) + timedelta(microseconds=1))]
    result = asked(embedded, [NUMBER, TIME, X], [(1, at(1), 1)], moments, ttl=timedelta(0))
    assert [row["v__x"] for row in result] == [1, None]


def test_a_null_key_is_nobodys(embedded: Filled) -> None:
    rows = [(None, "a", at(1), 1), (1, None, at(1), 2), (1, "a", at(1), 3)]
    result = asked(embedded, [NUMBER, TEXT, TIME, X], rows, [(None, "a", at(2)), (1, None, at(2)), (1, "a", at(2))])
    assert [row["v__x"] for row in result] == [None, None, 3]


@pytest.mark.parametrize("ttl", [None, timedelta(days=9)])
def test_at_a_moment_that_is_null_nothing_is_known(embedded: Filled, ttl: timedelta | None) -> None:
    """DuckDB's ASOF finds the newest row for such a moment."""
    rows = [(1, at(1), 10), (1, at(3), 20)]
    result = asked(embedded, [NUMBER, TIME, X], rows, [(1, at(4)), (1, None)], ttl=ttl)
    assert [row["v__x"] for row in result] == [20, None]
    assert asked(embedded, [TIME, X], [(at(1), 10)], [(None,)])[0]["v__x"] is None


def test_a_row_of_an_external_table_without_a_time_never_counts(embedded: Filled) -> None:
    view = FeatureView("v", (NUMBER, TIME, CREATED, X), [Entity("number")], table="theirs.v")
    rows = [{"number": 1, "event_timestamp": None, "created_timestamp": at(1), "x": 1}]
    case = Case(FeatureService("s", [view]), {"v": rows}, [{"number": 1, "event_timestamp": at(2), "label": 0}], True)
    result = case.ask(embedded(case)).to_arrow().to_pylist()
    assert result[0]["v__x"] is None


def test_views_of_the_same_keys_share_one_sort_of_the_spine(embedded: Filled) -> None:
    views = [FeatureView(f"v{i}", (NUMBER, TIME, X), [Entity("number")], table=f"theirs.v{i}") for i in range(3)]
    case = Case(FeatureService("s", list(views)), {view.name: [] for view in views}, [], known_time=False)
    store = embedded(case)
    sql = historical_features(case.service, case.spine, store=store, full_feature_names=True).to_sql()
    # BigQuery reads it for the moments of all views, and for the rows. DuckDB joins each view as it streams by, and
    # reads its keys for each, to sort no more rows than are needed.
    expected = 2 if not store.dialect.has_asof_join else 3 + 3 if ";" in sql else 1 + 3
    assert sql.count('"entity_rows"') == expected


def test_an_entity_less_view_is_joined_on_time_alone(embedded: Filled) -> None:
    result = asked(embedded, [TIME, X], [(at(1), 1), (at(3), 3)], [(at(2),), (at(4),), (at(1, 0, 1) - timedelta(1),)])
    assert [row["v__x"] for row in result] == [1, 3, None]


def test_a_query_without_rows_is_a_spine_too(embedded: Filled) -> None:
    view = FeatureView("v", (NUMBER, TIME, X), [Entity("number")], table="theirs.v")
    case = Case(FeatureService("s", [view]), {"v": []}, [], known_time=False)
    select = "SELECT 1 AS number, TIMESTAMPTZ '2020-01-01' AS event_timestamp WHERE false"
    result = historical_features(case.service, select, store=embedded(case)).to_arrow()
    assert (result.num_rows, result.column_names) == (0, ["number", "event_timestamp", "x"])
    assert result.schema.field("x").type == pa.int64()


def test_null_keys_do_not_meet_among_many_rows(embedded: Filled) -> None:
    """DuckDB's ASOF takes two nulls for equal where there are several keys, and enough rows."""
    second = timedelta(seconds=1)
    rows = [(1, None if i % 2 else "a", at(1) + i * second, i) for i in range(400)]
    moments = [(1, None if i % 3 else "a", at(1) + i * second) for i in range(1_500)]
    result = asked(embedded, [NUMBER, TEXT, TIME, X], rows, moments)
    assert {row["v__x"] for row in result if row["text"] is None} == {None}
