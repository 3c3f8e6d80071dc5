"""Lineage: of definitions as wholes, of columns by what runs recorded, now or as of then."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from ibis.expr.types import Table

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.cli.registry import lineage as command
from amora_fs_assets.domain.errors import FeatureNotFound, NotFound
from amora_fs_assets.domain.identity.definition import definition_hash
from amora_fs_assets.domain.records import ColumnLineage, RunKind, RunRecord, SourceColumn
from amora_fs_assets.operations.registry.apply import apply
from amora_fs_assets.operations.registry.history import PastRegistry
from amora_fs_assets.operations.registry.lineage_graph import Graph, lineage
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from amora_fs_assets_tests import small
from amora_fs_assets_tests.operations.catalogues import catalogue, find
from amora_fs_assets_tests.small import at


@pytest.fixture
def registry(tmp_path: Path) -> ObjectRegistry:
    """The catalogue applied; spending, totals and bought ran."""
    registry = ObjectRegistry(FolderObjectStore(tmp_path))
    apply(catalogue(), registry, clock=at(1))
    ran(
        registry,
        "compute",
        "spending",
        at(2),
        {
            "customer": (SourceColumn(name="orders", column="customer"),),
            "amount": (SourceColumn(name="orders", column="amount"),),
            "orders": (),
        },
    )
    ran(registry, "compute", "totals", at(2), {"total": (SourceColumn(name="spending", column="amount"),)})
    ran(
        registry,
        "training_set",
        "bought",
        at(3),
        {
            "label": (SourceColumn(name="orders", column="amount"),),
            "amount": (SourceColumn(name="spending", column="amount"),),
        },
    )
    return registry  # fmt: skip


def ran(registry: ObjectRegistry, kind: RunKind, name: str, moment: datetime, told: ColumnLineage) -> None:
    known = registry.catalogue()
    definition = known.feature_views[name] if kind == "compute" else known.training_sets[name]
    registry.record(
        RunRecord(kind=kind, name=name, run_id=f"{name}-{moment:%d}", status="succeeded", started_at=moment,
                  finished_at=moment + timedelta(minutes=1), column_lineage=told,
                  definition_hash=definition_hash(definition))
    )  # fmt: skip


def edges(graph: Graph) -> set[tuple[str, str]]:
    return {(str(source), str(made)) for source, made in graph.edges}


def test_upstream_and_downstream_of_a_view(registry: ObjectRegistry) -> None:
    assert edges(lineage(registry, "totals")) == {
        ("source orders", "feature view spending"),
        ("feature view spending", "feature view totals"),
    }
    assert edges(lineage(registry, "orders")) == {
        ("source orders", "feature view spending"),
        ("feature view spending", "feature view totals"),
        ("feature view spending", "feature service shopping"),
        ("feature service shopping", "training set bought"),
        ("source orders", "training set bought"),
    }


def test_a_column_is_followed_through_views_services_and_training_sets(registry: ObjectRegistry) -> None:
    graph = lineage(registry, "spending", "amount")
    assert edges(graph) == {
        ("source orders: amount", "feature view spending: amount"),
        ("feature view spending: amount", "feature view totals: total"),
        ("feature view spending: amount", "feature service shopping: spending:amount"),
        ("feature view spending: amount", "training set bought: amount"),
    }
    assert graph.unknown == frozenset()


def test_a_sources_column_shows_all_that_is_made_of_it(registry: ObjectRegistry) -> None:
    found = edges(lineage(registry, "orders", "amount"))
    assert ("source orders: amount", "training set bought: label") in found
    assert ("feature view spending: amount", "feature view totals: total") in found
    assert ("source orders: customer", "feature view spending: customer") not in found


def test_a_column_of_a_service_is_named_with_its_view(registry: ObjectRegistry) -> None:
    assert edges(lineage(registry, "shopping", "spending:amount")) == {
        ("source orders: amount", "feature view spending: amount"),
        ("feature view spending: amount", "feature service shopping: spending:amount"),
    }


def test_runs_of_another_definition_say_nothing_and_that_is_said(registry: ObjectRegistry) -> None:
    other = catalogue(lambda plain: find(plain, "feature_views", "totals").update(code_hash="2"))
    apply(other, registry, clock=at(4))
    graph = lineage(registry, "totals", "total")
    assert edges(graph) == set()
    assert [str(node) for node in graph.unknown] == ["feature view totals"]


def test_lineage_as_of_a_run_is_that_of_its_definition(registry: ObjectRegistry) -> None:
    other = catalogue(lambda plain: find(plain, "feature_views", "totals").update(code_hash="2"))
    apply(other, registry, clock=at(4))
    ran(registry, "compute", "totals", at(5), {"total": (SourceColumn(name="spending", column="orders"),)})
    then = PastRegistry(registry, "totals-02")
    assert ("feature view spending: amount", "feature view totals: total") in edges(lineage(then, "totals", "total"))
    now = edges(lineage(registry, "totals", "total"))
    assert ("feature view spending: orders", "feature view totals: total") in now
    assert ("feature view spending: amount", "feature view totals: total") not in now


def test_what_is_not_there_is_refused_with_what_is_near(registry: ObjectRegistry) -> None:
    with pytest.raises(NotFound, match="Did you mean 'totals'"):
        lineage(registry, "total")
    with pytest.raises(FeatureNotFound, match="Did you mean 'spending:amount'"):
        lineage(registry, "spending", "amounts")


def test_the_command_shows_what_a_real_run_recorded(tmp_path: Path) -> None:
    def transform(orders: Table) -> Table:
        return orders.select("customer", event_timestamp=orders["at"], amount=orders["amount"] * 2)

    code = small.catalogue(transform=transform)
    module = ModuleType("definitions")
    vars(module).update(view=code.feature_view("spending"), service=code.feature_service("shopping"))
    store = FeatureStore(Settings(home=tmp_path, now=at(1, month=3)), module)
    store.apply()
    store.compute("2020-01-01", "2020-03-01")
    shown = CliRunner().invoke(command, ["spending", "--column", "amount"], obj=store)
    assert shown.exit_code == 0
    assert shown.output.splitlines() == [
        "feature view spending: amount",
        "├── is made of",
        "│   └── source orders: amount",
        "└── is read by",
        "    └── feature service shopping: spending:amount",
    ]
    plain = json.loads(CliRunner().invoke(command, ["orders", "--format", "json"], obj=store).output)
    assert {"from": {"kind": "source", "name": "orders"}, "to": {"kind": "feature view", "name": "spending"}} in plain[
        "edges"
    ]
