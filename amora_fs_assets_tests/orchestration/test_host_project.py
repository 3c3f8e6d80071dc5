"""A feature store among a team's own assets: merged, translated, twice in one code location, fed by their assets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from ibis.expr.types import Table

from amora_fs_assets import (
    AssetProps,
    FeatureService,
    FeatureStore,
    FeatureStoreTranslator,
    FeatureView,
    Settings,
    Source,
    build_definitions,
)
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.orchestration.selection import Selection
from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.automated import Shop, after_midnight
from amora_fs_assets_tests.orchestration.project import QUIET, Project
from amora_fs_assets_tests.small import at

MINE = ["ml", "spending"]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path, small.catalogue(), now="2020-03-01")
    yield project
    project.close()


def host() -> dg.Definitions:
    """A team's project, which has everything under every name that a feature store has by default."""

    @dg.asset(key=["feature_view", "spending"])
    def theirs() -> int:
        return 1

    @dg.asset(key=["raw", "orders"])
    def orders() -> int:
        return 2

    @dg.op
    def nothing() -> None: ...

    @dg.job(name="feature_store")
    def job() -> None:
        nothing()

    @dg.sensor(name="feature_store_automation", job=job)
    def sensor() -> Iterator[dg.RunRequest]:
        yield from ()

    return dg.Definitions(
        assets=[theirs, orders],
        jobs=[job],
        schedules=[dg.ScheduleDefinition("feature_store_late", cron_schedule="@daily", job=job)],
        sensors=[sensor],
        resources={
            "feature_store": 1,
            "feature_store_io_manager": 2,
            "bigquery": 3,
            "gcs": 4,
            "io_manager": dg.mem_io_manager,
        },
        executor=dg.multiprocess_executor,
        loggers={"console": dg.colored_console_logger},
    )


def run(
    defs: dg.Definitions, project: Project, *keys: dg.CoercibleToAssetKey, **more: Any
) -> dg.ExecuteInProcessResult:
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=project.instance,
        asset_selection=[dg.AssetKey.from_coercible(key) for key in keys],
        run_config=QUIET,
        **more,
    )


@pytest.mark.parametrize("first", [True, False], ids=["the host first", "the host last"])
def test_it_merges_with_a_host_that_has_everything_under_the_same_names(project: Project, *, first: bool) -> None:
    ours = build_definitions(
        project.settings, definitions=project.code, name="shop", key_prefix=["shop"], automation=True
    )
    merged = dg.Definitions.merge(*([host(), ours] if first else [ours, host()]))
    dg.Definitions.validate_loadable(merged)
    assert merged.executor is dg.multiprocess_executor
    graph = merged.resolve_asset_graph()
    assert {"raw/orders", "feature_view/spending", "shop/raw/orders", "shop/feature_view/spending"} <= {
        key.to_user_string() for key in graph.get_all_asset_keys()
    }
    job = merged.resolve_job_def("shop")
    assert all(key.path[0] == "shop" for key in job.asset_layer.executable_asset_keys)
    keys = ["shop", "raw", "orders"], ["shop", "feature_view", "spending"], ["shop", "online", "spending"]
    assert run(merged, project, *keys).success
    with FeatureStore(project.settings, project.code) as store:
        assert (
            store.get_online_features("spending", {"customer": [1, 2, 3]}).statuses["amount"] == ["OUTSIDE_MAX_AGE"] * 3
        )
        assert store.parity("spending").passed


def test_two_feature_stores_live_in_one_code_location(project: Project) -> None:
    other = Catalogue.of(
        [FeatureView("sizes", small.Spending, [small.customer], table="team.sizes", timestamp_field="at")]
    )
    merged = dg.Definitions.merge(
        build_definitions(project.settings, definitions=project.code, automation=True),
        build_definitions(project.settings, definitions=other, name="sizes", automation=True),
    )
    dg.Definitions.validate_loadable(merged)
    names = {job.name for job in merged.get_repository_def().get_all_jobs()}
    assert {"feature_store", "sizes", "feature_store_late", "sizes_late"} <= names
    assert {key.path[-1] for key in merged.resolve_job_def("sizes").asset_layer.executable_asset_keys} == {"sizes"}


class Ours(FeatureStoreTranslator):
    """Keys, group and tags as a team has them."""

    def get_asset_spec(self, props: AssetProps) -> dg.AssetSpec:
        spec = props.spec
        if props.kind == "feature_view":
            spec = spec.replace_attributes(key=["ml", props.definition.name])
        return spec.replace_attributes(group_name="ml").merge_attributes(tags={"layer": props.kind})


def test_a_translator_says_how_definitions_appear_and_runs_follow(project: Project) -> None:
    defs = build_definitions(project.settings, definitions=project.code, translator=Ours(), automation=True)
    graph = defs.resolve_asset_graph()
    assert graph.get(dg.AssetKey(MINE)).group_name == "ml"
    assert graph.get(dg.AssetKey(MINE)).tags["layer"] == "feature_view"
    assert graph.get(dg.AssetKey(["online", "spending"])).parent_keys == {dg.AssetKey(MINE)}
    assert {key.name for key in graph.get_check_keys_for_assets({dg.AssetKey(MINE)})} >= {"amount", "coverage"}
    assert run(defs, project, ["raw", "orders"], MINE, ["online", "spending"], ["training_set", "bought"]).success
    (event,) = project.instance.fetch_materializations(dg.AssetKey(MINE), limit=1).records
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["dagster/row_count"].value == 5
    loaded: Any = defs.load_asset_value(dg.AssetKey(MINE), instance=project.instance)
    assert len(loaded) == 5


def test_a_translator_that_gives_two_assets_one_key_is_refused(project: Project) -> None:
    class Wrong(FeatureStoreTranslator):
        def get_asset_spec(self, props: AssetProps) -> dg.AssetSpec:
            return props.spec.replace_attributes(key="one")

    class Nothing(FeatureStoreTranslator):
        def get_asset_spec(self, props: AssetProps) -> Any:
            return None

    with pytest.raises(DefinitionError, match="Two assets have the key one: raw orders and feature_view spending"):
        build_definitions(project.settings, definitions=project.code, translator=Wrong())
    with pytest.raises(DefinitionError, match="Nothing.get_asset_spec gave NoneType"):
        build_definitions(project.settings, definitions=project.code, translator=Nothing())


@pytest.mark.parametrize(
    ("select", "runs"),
    [
        (Selection(["spending"]), {"feature_view/spending", "online/spending"}),
        (Selection(["owner:shop@example.com"]), {"feature_view/spending", "online/spending"}),
        (Selection(["tag:domain=shop"]), {"feature_view/spending", "online/spending"}),
        (Selection(exclude=["b*"]), {"raw/orders", "feature_view/spending", "online/spending"}),
    ],
)
def test_what_is_selected_runs_here_and_the_rest_is_external(
    project: Project, select: Selection, runs: set[str]
) -> None:
    graph = build_definitions(project.settings, definitions=project.code, select=select).resolve_asset_graph()
    assert {key.to_user_string() for key in graph.executable_asset_keys} == runs
    assert dg.AssetKey(["raw", "orders"]) in graph.get_all_asset_keys()


def test_a_selection_that_is_misspelt_is_refused() -> None:
    with pytest.raises(DefinitionError, match="'ownr:shop'"):
        Selection(["ownr:shop"])


def test_without_online_assets_automation_computes_alone(tmp_path: Path) -> None:
    project = Project(tmp_path, small.catalogue(), now="2020-03-01")
    defs = build_definitions(project.settings, definitions=project.code, online=False, automation=True)
    keys = {key.to_user_string() for key in defs.resolve_asset_graph().executable_asset_keys}
    assert keys == {"raw/orders", "feature_view/spending", "training_set/bought"}
    project.close()


def fed(asset: Any = ("staging", "orders")) -> Catalogue:
    orders = Source("orders", small.Orders, timestamp_field="at", asset=asset)
    spending = small.spending(orders)
    outside = FeatureView(
        "sizes", small.Spending, [small.customer], table="marts.sizes", timestamp_field="at", asset="marts/sizes"
    )
    return Catalogue.of([spending, outside, FeatureService("shopping", [spending, outside])])


def test_the_teams_assets_are_the_sources(project: Project) -> None:
    graph = build_definitions(project.settings, definitions=fed()).resolve_asset_graph()
    assert graph.get(dg.AssetKey(["feature_view", "spending"])).parent_keys == {dg.AssetKey(["staging", "orders"])}
    assert graph.get(dg.AssetKey(["feature_view", "sizes"])).parent_keys == {dg.AssetKey(["marts", "sizes"])}
    assert dg.AssetKey(["raw", "orders"]) not in graph.get_all_asset_keys()


def test_lineage_of_columns_leads_to_the_teams_asset(tmp_path: Path) -> None:
    @dg.asset(key=["staging", "orders"])
    def orders() -> None: ...

    project = Project(tmp_path, fed(), now="2020-03-01")
    small_orders = small.orders()
    from amora_fs_assets.operations.offline.load_source import load

    load(small_orders, run_id="theirs", store=project.offline, registry=project.registry)
    defs = dg.Definitions.merge(dg.Definitions([orders]), build_definitions(project.settings, definitions=project.code))
    assert run(defs, project, ["feature_view", "spending"]).success
    (event,) = project.instance.fetch_materializations(dg.AssetKey(["feature_view", "spending"]), limit=1).records
    assert event.asset_materialization is not None
    lineage: Any = event.asset_materialization.metadata["dagster/column_lineage"].value
    assert {dep.asset_key for dep in lineage.deps_by_column["amount"]} == {dg.AssetKey(["staging", "orders"])}
    project.close()


def test_the_registry_keeps_the_asset_and_naming_it_breaks_nothing(project: Project) -> None:
    read = Catalogue.from_json(fed().to_json())
    assert (read.source("orders").asset, read.feature_view("sizes").asset) == (
        ("staging", "orders"),
        ("marts", "sizes"),
    )
    from amora_fs_assets.domain.changes import Severity
    from amora_fs_assets.domain.comparison import compare

    unnamed = fed(())
    (change,) = compare(unnamed, fed())
    assert (change.name, change.severity) == ("orders", Severity.COMPATIBLE)
    assert "asset" not in unnamed.to_plain()["sources"][0]


@pytest.mark.parametrize("asset", [3, ["a", 3], ["a", ""], "a//b", [" a"], ["a/b"]])
def test_a_key_that_is_none_is_refused(asset: Any) -> None:
    with pytest.raises(DefinitionError, match="Source 'orders': asset=.* is no key of an asset"):
        Source("orders", small.Orders, timestamp_field="at", asset=asset)


def test_an_asset_and_a_loader_do_not_fill_one_table() -> None:
    with pytest.raises(DefinitionError, match="Give one of the two"):
        Source("orders", small.Orders, timestamp_field="at", asset="orders", loader=lambda: None)
    with pytest.raises(DefinitionError, match="asset is for an external table"):
        small.spending(small.orders(), asset="orders")


def test_automation_follows_the_teams_asset(tmp_path: Path) -> None:
    """Rows come for a day that was computed: a run of the asset is followed, before the nightly look for late rows."""
    source = Source("orders", small.Orders, timestamp_field="at", asset=["staging", "orders"])

    def copied(orders: Table) -> Table:
        return orders.select("customer", "amount", event_timestamp=orders["at"])

    daily = FeatureView(
        "daily", small.Spending, [small.customer], [source], transform=copied, partitions="day", start="2020-01-30"
    )
    shop = Shop(tmp_path, Catalogue.of([daily]), after_midnight(3))

    @dg.asset(key=["staging", "orders"])
    def orders() -> None:
        shop.fill()

    at_work = build_definitions(shop.project.settings, definitions=shop.project.code, automation=shop.automation)
    shop.project.defs = dg.Definitions.merge(dg.Definitions([orders]), at_work)

    def upstream() -> None:
        assert run(shop.project.defs, shop.project, ["staging", "orders"]).success

    shop.sell((1, at(1, month=2), 1.0))
    shop.go_on()
    shop.orders.append((2, at(1, month=2) + timedelta(hours=1), 2.0))
    shop.fill()
    assert shop.look() == []  # nobody says that the table has changed
    upstream()
    requests = shop.look()
    assert [[key.to_user_string() for key in each.asset_selection or ()] for each in requests] == [
        ["feature_view/daily", "online/daily"]
    ]
    for each in requests:
        assert shop.run(each).success
    shop.check_online()
    assert shop.go_on() == 0
    shop.project.close()


def test_a_resource_of_the_host_makes_the_client(tmp_path: Path) -> None:
    """The key of the host's resource is named: nothing of ours makes a client, and no key of the host is taken."""
    settings = Settings(
        home=tmp_path, offline_store="bigquery", bigquery_project="shop", registry="gs://bucket/registry"
    )
    ours = build_definitions(settings, definitions=small.catalogue(), overrides={"bigquery": "warehouse"})
    assert set(ours.resources or {}) == {"feature_store", "feature_store_io_manager", "feature_store_gcs"}
    stores: Any = (ours.resources or {})["feature_store"]
    assert stores.required_resource_keys == {"warehouse", "feature_store_gcs"}
    merged = dg.Definitions.merge(ours, dg.Definitions(resources={"warehouse": 1, "bigquery": 2}))
    dg.Definitions.validate_loadable(merged)
