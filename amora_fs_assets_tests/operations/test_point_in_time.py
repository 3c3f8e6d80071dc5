"""The point-in-time join equals brute force, on every engine and in every shape."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amora_fs_assets.operations.tables import table_name
from amora_fs_assets.stores.duckdb import DuckDBOfflineStore
from amora_fs_assets_tests.operations.cases import Case, random_case
from amora_fs_assets_tests.operations.stores import MergingDuckDBStore, fill

STORES = [DuckDBOfflineStore, MergingDuckDBStore]


def compare(case: Case, store: DuckDBOfflineStore) -> int:
    """Assert that each cell is the truth; how many there were."""
    got, truth = case.ask(store).to_arrow(), case.truth()
    assert got.select(case.spine.column_names).equals(case.spine)
    assert got.column_names == [*case.spine.column_names, *truth]
    for name, values in truth.items():
        assert _comparable(got[name].to_pylist()) == _comparable(values), name
    return sum(map(len, truth.values()))


def _comparable(values: list[Any]) -> list[Any]:
    return ["NaN" if value != value else value for value in values]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize("kind", STORES)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(rng=st.randoms(use_true_random=False))
def test_it_equals_brute_force(rng: Random, kind: type[DuckDBOfflineStore], home: Path) -> None:
    case = random_case(rng, views=3, rows=12, moments=8)
    fill(home, {table_name(view, "feature_store"): case.table(view) for view in case.views})
    compare(case, kind(home))
