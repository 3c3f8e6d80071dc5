"""What parity and coverage read of the offline store: the reference implementation gives what DuckDB gives."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from amora_fs_assets import Entity, FeatureView, Interval
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.time import Period
from amora_fs_assets.operations.expressions.tables import rows_of
from amora_fs_assets.operations.offline.compute import StagedRows
from amora_fs_assets.operations.offline.gate import GateResult
from amora_fs_assets.operations.offline.period_rows import rows_by_period
from amora_fs_assets.operations.online.parity import _newest
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.testing.reference_store import ReferenceStore
from amora_fs_assets.testing.witness import Witness
from amora_fs_assets_tests.operations.offline.test_types_on_engines import arrow, generated
from amora_fs_assets_tests.operations.stores import fill
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.witness.tally import TALLY
from amora_fs_assets_tests.witness.test_publications import COLUMNS, rows


@pytest.mark.parametrize("seed", range(4))
def test_parity_compares_with_the_same_newest_rows(seed: int, witness: Witness, tmp_path: Path) -> None:
    view, held = generated(Random(seed))
    table = arrow(view.row_columns, held)
    name = table_name(view, "feature_store")
    fill(tmp_path, {name: table})
    query = rows_of(view, "feature_store")
    found = [
        _newest(view, query.filter(query["event_timestamp"] <= at(3)), store, None)
        for store in (ReferenceStore(witness, {name: table}), DuckDBOfflineStore(tmp_path))
    ]
    TALLY.same("parity: newest rows", *found)


@pytest.mark.parametrize("period", Period)
def test_rows_by_period_are_counted_alike(period: Period, witness: Witness, tmp_path: Path) -> None:
    """Also over the ends of an interval inside a period, of which rows stay in the view's table."""
    view = FeatureView(
        "spending", COLUMNS, [Entity("customer"), Entity("shop")], start=period.floor(at(1)), partitions=period,
        transform=lambda: None,
    )  # fmt: skip
    staged, there = rows(Random(1), 40), rows(Random(2), 40)
    name, staging = table_name(view, "feature_store"), "feature_store._staged"
    fill(tmp_path, {name: there, staging: staged})
    interval = Interval(at(2) - timedelta(hours=2), at(3, 5))
    inside = [time for time in staged["event_timestamp"].to_pylist() if interval.start <= time < interval.end]

    def counted(store: OfflineStore) -> dict[datetime, int]:
        checked = GateResult(len(inside), 0, ())
        computed = StagedRows(
            view=view, interval=interval, run_id="run", definition_hash="", staged=staging, checked=checked, lineage={}
        )
        return dict(rows_by_period(computed, store))

    expected = Counter(period.floor(time) for time in inside)
    for time in there["event_timestamp"].to_pylist():
        first, last = period.floor(interval.start), period.floor(interval.end - timedelta.resolution)
        if first <= time < interval.start or interval.end <= time < period.next(last):
            expected[period.floor(time)] += 1
    found = counted(ReferenceStore(witness, {name: there, staging: staged}))
    with TALLY.comparing("rows by period", len(found)):
        assert Counter(found) == expected
        assert found == counted(DuckDBOfflineStore(tmp_path))
