"""Several views: each is tried, what succeeded is done, and one error at the end names each that failed and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ibis.expr.types import Table

from amora_fs_assets import FeatureStore, FeatureView, Source
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import (
    ChecksFailed,
    FeatureViewNotFound,
    TableNotFound,
    TransformError,
    ViewsFailed,
    ViewSkipped,
)
from amora_fs_assets.operations.several import Attempt, Several
from amora_fs_assets_tests import small
from amora_fs_assets_tests.operations.offline.test_compute import feature_store

SPAN = ("2020-01-01", small.CLOCK)
ENTITIES = {"customer": [1]}


def view(name: str, source: Source | FeatureView, *, below_zero: bool = False) -> FeatureView:
    """A view that copies its source; `below_zero`: its rows break its schema."""

    def copied(rows: Table) -> Table:
        amount = -rows["amount"] if below_zero else rows["amount"]
        time = rows["at"] if "at" in rows.columns else rows["event_timestamp"]
        return rows.select("customer", amount=amount, event_timestamp=time)

    def transform(**given: Table) -> Table:
        return copied(next(iter(given.values())))

    return FeatureView(name, small.Spending, [small.customer], [source], transform=_named(transform, source.name),
                       partitions="month", start="2020-01-01")  # fmt: skip


def _named(transform: Callable[..., Table], parameter: str) -> Callable[..., Table]:
    """The transform with a parameter of the source's name."""
    space: dict[str, Any] = {"transform": transform}
    exec(f"def made({parameter}):\n    return transform(x={parameter})", space)
    made: Callable[..., Table] = space["made"]
    return made


@pytest.fixture
def fs(tmp_path: Path) -> Iterator[FeatureStore]:
    """Of four views `b_bad` breaks its rules, `c_above` reads it, and the other two are well."""
    orders = small.orders()
    bad = view("b_bad", orders, below_zero=True)
    views = [view("a_first", orders), bad, view("c_above", bad), view("d_last", orders)]
    store = feature_store(tmp_path, Catalogue.of(views))
    yield store
    store.close()


@pytest.mark.parametrize("times", [SPAN, ()])
def test_a_computation_tries_each_view_and_skips_those_that_read_one_that_failed(
    fs: FeatureStore, times: tuple[str, ...]
) -> None:
    seen: list[Attempt] = []
    with pytest.raises(ViewsFailed) as caught:
        fs.compute(*times, progress=seen.append)
    error = caught.value
    assert error.errors.keys() == {"b_bad", "c_above"}
    assert isinstance(error.errors["b_bad"], ChecksFailed)
    assert isinstance(error.errors["c_above"], ViewSkipped)
    assert "2 feature views failed" in str(error)
    assert "'b_bad'" in str(error)
    assert "not greater_than_or_equal_to" in str(error)
    assert "'c_above' was skipped, since it reads 'b_bad'" in str(error)
    assert error.results.keys() == {"a_first", "d_last"}
    assert {each.name for each in fs.offline.publications()} == {"orders", "a_first", "d_last"}
    order = [each.view for each in seen if each.seconds is not None]
    assert sorted(order) == ["a_first", "b_bad", "c_above", "d_last"]
    assert [(each.number, each.of) for each in seen if each.seconds is not None] == [(n, 4) for n in (1, 2, 3, 4)]
    assert [each.view for each in seen if each.seconds is None] == [name for name in order if name != "c_above"]
    assert {each.view for each in seen if each.error is not None} == {"b_bad", "c_above"}


def test_a_load_tries_each_view_and_what_succeeded_is_online(fs: FeatureStore) -> None:
    fs.compute(*SPAN, feature_views=["a_first"])
    fs.compute(*SPAN, feature_views=["d_last"])
    loads: list[Callable[[], object]] = [fs.materialize_incremental, lambda: fs.materialize(*SPAN)]
    for load in loads:
        with pytest.raises(ViewsFailed, match=r"2 feature views failed\. 'b_bad'.*no table.*'c_above'") as caught:
            load()
        assert isinstance(caught.value.errors["b_bad"], TableNotFound)
        assert caught.value.results.keys() == {"a_first", "d_last"}
    assert fs.get_online_features("a_first", ENTITIES).to_dict()["amount"] == [40.0]
    assert fs.get_online_features("d_last", ENTITIES).to_dict()["amount"] == [40.0]


def test_a_view_that_is_alone_raises_its_own_error(fs: FeatureStore) -> None:
    with pytest.raises(ChecksFailed):
        fs.compute(*SPAN, feature_views=["b_bad"])
    with pytest.raises(ChecksFailed):
        fs.compute(feature_views=["b_bad"])
    with pytest.raises(TableNotFound):
        fs.materialize_incremental(feature_views=["b_bad"])


def test_a_name_that_is_none_is_said_before_anything_is_tried(fs: FeatureStore) -> None:
    with pytest.raises(FeatureViewNotFound):
        fs.compute(*SPAN, feature_views=["a_first", "z_none"])
    assert fs.offline.publications() == ()


def test_a_source_that_cannot_be_loaded_fails_the_views_that_read_it_alone(tmp_path: Path) -> None:
    def lost() -> pa.Table:
        raise OSError("The file is gone.")

    gone = Source("gone", small.Orders, timestamp_field="at", loader=lost)
    store = feature_store(tmp_path, Catalogue.of([view("a_gone", gone), view("b_well", small.orders())]))
    with pytest.raises(ViewsFailed, match="'a_gone'.*The file is gone") as caught:
        store.compute(*SPAN)
    assert caught.value.results.keys() == {"b_well"}


def test_views_that_failed_in_the_same_words_are_named_together() -> None:
    error = ViewsFailed("compute", {"c": 1}, {name: TransformError("Redis is away.") for name in "ab"})
    assert str(error) == "compute: 2 feature views failed. 'a', 'b': Redis is away. Done: 'c'."


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.booleans(), st.none() | st.integers(0, 5)), min_size=2, max_size=6))
def test_whatever_fails_the_views_are_done_failed_or_skipped_as_the_model_says(
    given_: list[tuple[bool, int | None]],
) -> None:
    """Each view may fail by itself, and may read an earlier one."""
    orders = small.orders()
    views: list[FeatureView] = []
    for number, (_, above) in enumerate(given_):
        source = orders if above is None or above >= number else views[above]
        views.append(view(f"v{number}", source))
    fate: dict[str, str] = {}
    for each, (fails, _) in zip(views, given_, strict=True):
        broken = any(fate.get(source.name) in ("failed", "skipped") for source in each.sources)
        fate[each.name] = "skipped" if broken else "failed" if fails else "done"

    several = Several("compute", views)
    failing = {each.name for each, (fails, _) in zip(views, given_, strict=True) if fails}
    errors: dict[str, Exception] = {}
    try:
        for each in several.each(after_sources=True):
            with several.trying(each):
                if each.name in failing:
                    raise TransformError(each.name)
                several.results[each.name] = each.name
    except ViewsFailed as error:
        errors = error.errors
    got = {name: "skipped" if isinstance(error, ViewSkipped) else "failed" for name, error in errors.items()}
    assert got | dict.fromkeys(several.results, "done") == fate
