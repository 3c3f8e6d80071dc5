"""Inputs of on-demand features are the values that a service gives: random views, keys, aliases and moments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amora_fs_assets import FeatureService
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.ports.online import OnlineStore
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.request_time.formula import Formula
from amora_fs_assets.operations.online.read import OnlineReader
from amora_fs_assets.operations.training.historical import historical_features
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests.operations.cases import START, Case, random_case
from amora_fs_assets_tests.operations.expressions.test_point_in_time import fill_embedded, truth_of
from amora_fs_assets_tests.operations.stores import MergingDuckDBStore
from amora_fs_assets_tests.stores.online_rows import batch


def passed_through(view: str, parts: list[FeatureViewProjection]) -> OnDemandFeatureView:
    """A view whose features are its inputs, unchanged."""
    made = OnDemandFeatureView.applied(
        name=view, inputs=tuple(parts), request=(), features=(), formulas={}, description="", owner="", tags={}
    )
    formulas = {
        f"of_{column}": Formula.from_plain([["column", [], column, str(type_)]]) for column, type_ in made.types.items()
    }
    features = tuple(Column(name, formula.type, nullable=True) for name, formula in formulas.items())
    return OnDemandFeatureView.applied(**{**vars(made), "features": features, "formulas": formulas})


def with_inputs(rng: Random, case: Case) -> tuple[Case, dict[str, str]]:
    """The case, with some of its features computed from hidden inputs; the stored feature of each computed one."""
    parts = list(case.service.projections)
    hidden = [part for part in parts if rng.random() < 0.6] or parts[:1]
    view = passed_through("computed", hidden)
    shown = [part for part in parts if part not in hidden or rng.random() < 0.5]
    same = {
        f"computed__of_{column}": f"{each[0].name}__{each[1]}"
        for column, each in view.columns.items()
        if isinstance(each, tuple)
    }
    return replace(case, service=FeatureService("random", [*shown, view])), same


def assert_same(found: dict[str, list[Any]], truth: dict[str, list[Any]], same: dict[str, str]) -> None:
    for name, values in found.items():
        right = truth[same.get(name, name)]
        wrong = [place for place, value in enumerate(values) if value != right[place]]
        assert not wrong, f"{name}, row {wrong[0]}: {values[wrong[0]]}, not {right[wrong[0]]}"


def comparable(values: list[Any]) -> list[Any]:
    return [comparable(value) if isinstance(value, list) else "NaN" if value != value else value for value in values]


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), phases=set(Phase) - {Phase.shrink})
@given(rng=st.randoms(use_true_random=False), merging=st.booleans())
def test_in_the_join(rng: Random, merging: bool, tmp_path: Path) -> None:
    case = random_case(rng, views=3, rows=15, moments=10)
    computed, same = with_inputs(rng, case)
    fill_embedded(tmp_path, case)
    kind = MergingDuckDBStore if merging else DuckDBOfflineStore
    got = historical_features(
        computed.service, case.spine, store=kind(tmp_path), full_feature_names=True, known_time=case.known_time
    ).to_arrow()
    names = [name for name in got.column_names if name not in case.spine.column_names]
    assert names == [reference.replace(":", "__") for reference in computed.service.references]
    assert_same({name: comparable(got[name].to_pylist()) for name in names}, truth_of(case), same)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), phases=set(Phase) - {Phase.shrink})
@given(rng=st.randoms(use_true_random=False))
def test_online(rng: Random, online: OnlineStore) -> None:
    case = random_case(rng, views=3, rows=15, moments=10)
    computed, same = with_inputs(rng, case)
    clock = next((m["event_timestamp"] for m in case.moments if m["event_timestamp"] is not None), START)
    for view in case.views:
        columns = [column.name for column in view.row_columns]
        keys = ("event_timestamp", *view.join_keys)
        rows = [[row.get(c) for c in columns] for row in case.rows[view.name] if all(row[k] is not None for k in keys)]
        place = columns.index("event_timestamp")
        rows = [row for row in rows if row[place] <= clock]  # type: ignore[operator]
        online.load(view, [batch(view, *rows)], published_through=1, clock=clock, new_generation=True, expire=False)
    entities = {key: [moment[key] for moment in case.moments] for key in case.service.join_keys}

    def read(service: FeatureService) -> dict[str, list[Any]]:
        plan = OnlineReader(service, full_feature_names=True)
        asked, requests = plan.requests(entities)
        answer = plan.response(asked, online.read(requests), clock)
        assert {status for name in answer.statuses if name in same for status in answer.statuses[name]} <= {
            "PRESENT", "NULL_VALUE",
        }  # fmt: skip
        return {name: comparable(answer.columns[name]) for name in answer.statuses}

    assert_same(read(computed.service), read(case.service), same)
