"""The contract of feature views, as tests. `pytest --amora-features PACKAGE` collects this file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ibis
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.operations.offline.audit import Rule, audit
from amora_fs_assets.operations.offline.transform import query_of
from amora_fs_assets.operations.registry.apply import collect
from amora_fs_assets.testing.computed import store_of
from amora_fs_assets.testing.generated import interval_of, rows_of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test per computed view of the packages."""
    views = list(_views(metafunc.config))
    metafunc.parametrize("view", views, ids=[view.name for view in views])


def _views(config: pytest.Config) -> Iterator[FeatureView]:
    for package in config.getoption("--amora-features"):
        yield from (view for view in collect(package).in_order if view.table is None)


def _check(view: FeatureView, config: pytest.Config, rule: Rule) -> None:
    interval = interval_of(view)
    rows = {source.name: rows_of(source, interval, view.lookback) for source in view.sources}

    @settings(
        max_examples=config.getoption("--amora-examples"),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.fixed_dictionaries(rows))
    def check(rows: dict[str, Any]) -> None:
        with store_of(view, rows) as store:
            found = audit(view, interval, store=store, instants=3, rules=(rule,))
        broken = [str(finding) for finding in found.findings]
        assert not broken, f"{view} {broken[0]}"

    check()


def test_no_row_depends_on_what_was_not_yet_known(view: FeatureView, pytestconfig: pytest.Config) -> None:
    """The rows at t are the same if the sources end at t."""
    _check(view, pytestconfig, "looks ahead")


def test_parts_of_an_interval_add_up(view: FeatureView, pytestconfig: pytest.Config) -> None:
    """The rows of the parts are those of the whole."""
    _check(view, pytestconfig, "differs in parts")


def test_values_are_the_same_when_computed_again(view: FeatureView, pytestconfig: pytest.Config) -> None:
    """A second computation gives the same rows."""
    _check(view, pytestconfig, "differs when computed again")


@pytest.mark.parametrize("engine", ["duckdb", "bigquery"])
def test_the_transform_has_sql_with_the_types_of_the_schema(view: FeatureView, engine: str) -> None:
    """The transform compiles for each engine, and gives the columns and types of the schema."""
    assert ibis.to_sql(query_of(view, interval_of(view), "feature_store"), dialect=engine)
