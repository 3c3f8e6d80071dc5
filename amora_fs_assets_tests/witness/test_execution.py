"""Google's reference implementation gives what the oracles in plain Python and DuckDB's own strategy give."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given, settings

from amora_fs_assets import FeatureView
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.row_order import newest_by
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.table_fingerprint import contents_of
from amora_fs_assets.operations.expressions.tables import rows_of, unbound
from amora_fs_assets.operations.offline.gate import check
from amora_fs_assets.operations.online.pushed_rows import table_of
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.testing import Witness
from amora_fs_assets.testing.reference_store import ReferenceStore
from amora_fs_assets.testing.same import _same
from amora_fs_assets_tests.operations.cases import random_case
from amora_fs_assets_tests.operations.expressions.test_point_in_time import compare
from amora_fs_assets_tests.operations.offline.test_nan import BROKEN, COLUMNS, VIEW
from amora_fs_assets_tests.operations.offline.test_one_set_of_rules import (
    _SETTINGS,
    PATTERNS,
    VALUES,
    YEARS,
    by_gate,
    by_push,
    cases,
    schema_of,
    view_of,
)
from amora_fs_assets_tests.operations.offline.test_types_on_engines import FEATURES, arrow, value
from amora_fs_assets_tests.operations.stores import fill
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.witness.tally import TALLY


@pytest.fixture
def reference(witness: Witness) -> ReferenceStore:
    """A store without tables."""
    return ReferenceStore(witness)


@pytest.fixture(scope="module")
def everything() -> pa.Table:
    """Values of every type, their extremes and nulls; a null list is an empty one."""
    rng = Random(0)
    rows = [{column.name: value(rng, column.type) for column in FEATURES} for _ in range(200)]
    return arrow(FEATURES, rows)


def test_values_of_every_type_come_back_as_they_were_given(reference: ReferenceStore, everything: pa.Table) -> None:
    reference.put("feature_store.everything", everything)
    with reference.read(unbound(FEATURES, "feature_store.everything")) as batches:
        TALLY.same("values", batches.read_all(), everything)


@pytest.mark.parametrize("block", range(4))
def test_the_point_in_time_join_equals_brute_force(block: int, witness: Witness) -> None:
    for seed in range(block * 10, block * 10 + 10):
        case = random_case(Random(seed), views=3, rows=30, moments=60, null_lists=False)
        store = ReferenceStore(witness, {table_name(view, "feature_store"): case.table(view) for view in case.views})
        with TALLY.comparing("point-in-time join", 0):
            TALLY.cells += compare(case, store)


@settings(max_examples=15, **_SETTINGS)
@given(case=cases(nulls_in_lists=False))
def test_the_gate_breaks_the_rules_that_a_push_breaks(case: tuple[FeatureView, pa.Table], witness: Witness) -> None:
    """Every check of Pandera's and code of one's own, on every type; a push is judged by DuckDB."""
    pushed = by_push(*case)
    with TALLY.comparing("gate", case[1].num_rows * len(pushed[0])):
        assert by_gate(*case, ReferenceStore(witness)) == pushed


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("check", ["str_matches", "str_contains"])
def test_regular_expressions_find_the_same(check: str, pattern: str, reference: ReferenceStore) -> None:
    view = view_of(schema_of(str, **{check: pattern}))
    rows = [{"item": i, "event_timestamp": at(1), "x": text} for i, text in enumerate([*VALUES[str], None])]
    table = table_of(view, rows)
    with TALLY.comparing("gate", len(rows)):
        assert by_gate(view, table, reference) == by_push(view, table)


@pytest.mark.parametrize("value", BROKEN)
def test_checks_treat_nan_and_infinities_as_ieee_754_has_it(value: float | None, reference: ReferenceStore) -> None:
    rows = {"sensor": [1], "event_timestamp": [at(1)], **{name: [value] for name in COLUMNS}}
    schema = pa.schema({c.name: IBIS_TYPES[c.type].to_pyarrow() for c in VIEW.row_columns})
    staged = reference.stage(pa.table(rows, schema), name="measured", run_id="run")
    checked = check(unbound(VIEW.row_columns, staged), VIEW, YEARS, reference)
    broken = {each.name for each in checked.results if not each.passed}
    with TALLY.comparing("gate", len(COLUMNS)):
        assert broken == BROKEN[value]


@pytest.mark.parametrize("seed", range(8))
def test_the_newest_row_is_the_oracles(seed: int, witness: Witness, tmp_path: Path) -> None:
    """In our tables and in external tables, with ties in all features, nulls and NaN."""
    case = random_case(Random(seed), views=3, rows=60, moments=1, null_lists=False)
    tables = {table_name(view, "feature_store"): case.table(view) for view in case.views}
    fill(tmp_path, tables)
    reference = ReferenceStore(witness, tables)
    for view in case.views:
        rows = rows_of(view, "feature_store")
        rows = rows.filter(True, *(rows[key].notnull() for key in view.join_keys))
        query = newest_by(rows, view, list(view.join_keys))
        with reference.read(query) as found, DuckDBOfflineStore(tmp_path).read(query) as expected:
            ours, theirs = found.read_all(), expected.read_all()
        TALLY.same("newest row", ours, theirs)
        keys = {tuple(row[key] for key in view.join_keys) for row in case.rows[view.name]}
        assert ours.num_rows == len({key for key in keys if None not in key})


def test_statistics_are_those_of_duckdb_and_the_checksum_is_of_the_rows(
    reference: ReferenceStore, everything: pa.Table, tmp_path: Path
) -> None:
    mirrored = everything.select([c.name for c in FEATURES if c.type is not DataType.BYTES])
    columns = [column for column in FEATURES if column.name in mirrored.column_names]
    fill(tmp_path, {"feature_store.everything": mirrored})
    reference.put("feature_store.everything", mirrored)
    ours = contents_of("feature_store.everything", columns, reference)
    theirs = contents_of("feature_store.everything", columns, DuckDBOfflineStore(tmp_path))
    cells = {(c, s): (v, theirs.statistics[c][s]) for c, of in ours.statistics.items() for s, v in of.items()}
    with TALLY.comparing("statistics", len(cells)):
        assert {place: pair for place, pair in cells.items() if not _same(*pair)} == {}
    order = list(range(mirrored.num_rows))
    Random(1).shuffle(order)
    reference.put("feature_store.everything", mirrored.take(order))
    assert contents_of("feature_store.everything", columns, reference).checksum == ours.checksum
    reference.put("feature_store.everything", mirrored.slice(1))
    assert contents_of("feature_store.everything", columns, reference).checksum != ours.checksum
