"""What Dagster is told of sources, views and training sets, before anything runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from amora_fs_assets import Entity, FeatureView, Settings, Source, Timestamp, known_at
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.identity.definition import code_version
from amora_fs_assets.orchestration.code_location import FORKED, build_definitions, executor_for
from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.project import BOUGHT, ONLINE, RAW, VIEW, Project


def test_every_definition_is_an_asset_in_its_group(project: Project) -> None:
    graph = project.defs.resolve_asset_graph()
    assert {key.to_user_string(): graph.get(key).group_name for key in graph.get_all_asset_keys()} == {
        "raw/orders": "raw",
        "feature_view/spending": "feature_views",
        "online/spending": "online",
        "training_set/bought": "training_sets",
    }


def test_lineage_goes_from_source_to_view_to_online_and_training_set(project: Project) -> None:
    graph = project.defs.resolve_asset_graph()
    assert graph.get(VIEW).parent_keys == {RAW}
    assert graph.get(ONLINE).parent_keys == {VIEW}
    assert graph.get(BOUGHT).parent_keys == {RAW, VIEW}


def test_a_view_shows_what_its_definition_says(project: Project) -> None:
    view = project.code.feature_view("spending")
    spec = project.spec(VIEW)
    assert (spec.description or "").startswith("What a customer spends.\n")
    assert list(spec.owners) == ["shop@example.com"]
    assert spec.tags["domain"] == "shop"
    assert spec.kinds == {"duckdb", "ibis"}
    assert spec.code_version == code_version(view)
    assert spec.metadata["dagster/table_name"] == "feature_store.spending"
    assert spec.metadata["entities"] == "customer"


def test_the_column_schema_says_types_words_and_rules(project: Project) -> None:
    columns = {column.name: column for column in project.spec(VIEW).metadata["dagster/column_schema"].columns}
    assert list(columns) == ["customer", "event_timestamp", "amount"]
    assert columns["customer"].type == "int64"
    assert not columns["customer"].constraints.nullable
    assert columns["amount"].description == "Amount of the order [EUR]."
    assert columns["amount"].constraints.nullable
    assert list(columns["amount"].constraints.other) == [">= 0"]


def test_a_view_has_a_blocking_check_per_column_and_one_for_its_key(project: Project) -> None:
    graph = project.defs.resolve_asset_graph()
    keys = graph.get_check_keys_for_assets({VIEW})
    assert {key.name for key in keys} == {"customer", "event_timestamp", "amount", "unique_key", "coverage"}
    assert {key.name for key in keys if not graph.get_check_spec(key).blocking} == {"coverage"}


def test_another_transform_is_another_code_version(project: Project, tmp_path: Path) -> None:
    before = project.spec(VIEW).code_version
    project.use(
        small.catalogue(
            transform=lambda orders: orders.select("customer", amount=-orders.amount, event_timestamp=orders["at"])
        )
    )
    assert project.spec(VIEW).code_version != before


def test_a_source_without_a_loader_is_external(tmp_path: Path) -> None:
    theirs = Source("orders", small.Orders, timestamp_field="at")
    graph = build_definitions(
        Settings(home=tmp_path), definitions=Catalogue.of([small.spending(theirs)])
    ).resolve_asset_graph()
    assert not graph.get(RAW).is_executable


def test_a_source_that_the_project_loads_is_an_asset_with_a_loader(project: Project) -> None:
    assert project.defs.resolve_asset_graph().get(RAW).is_executable


def partitions(project: Project) -> list[str]:
    definition = project.defs.resolve_asset_graph().get(VIEW).partitions_def
    assert definition is not None
    return list(definition.get_partition_keys())


def test_partitions_are_the_views_periods_up_to_the_running_one(project: Project) -> None:
    assert partitions(project) == ["2020-01-01", "2020-02-01", "2020-03-01"]


@pytest.mark.parametrize(
    ("period", "start", "last"),
    [
        ("hour", "2020-02-29T20:00Z", ["2020-02-29-23:00", "2020-03-01-00:00"]),
        ("day", "2020-02-20", ["2020-02-29", "2020-03-01"]),
        ("week", "2020-01-05", ["2020-02-23", "2020-03-01"]),
    ],
)
def test_each_period_ends_with_the_one_that_the_clock_lies_in(
    tmp_path: Path, period: str, start: str, last: list[str]
) -> None:
    assert partitions(Project(tmp_path, small.catalogue(partitions=period, start=start)))[-2:] == last


def test_without_a_fixed_clock_the_running_period_is_a_partition_too(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    project = Project(tmp_path, small.catalogue(start="2026-01-01"), now=None)
    assert partitions(project)[-1] == f"{datetime.now(UTC):%Y-%m-01}"


def test_a_view_without_partitions_is_an_asset_without_partitions(tmp_path: Path) -> None:
    project = Project(tmp_path, small.catalogue(partitions=None))
    assert project.defs.resolve_asset_graph().get(VIEW).partitions_def is None


def months_read(project: Project) -> list[str]:
    """The months of `spending` that February of `doubled` reads."""
    node = project.defs.resolve_asset_graph().get(dg.AssetKey(["feature_view", "doubled"]))
    mapping, definition = node.partition_mappings[VIEW], node.partitions_def
    assert definition is not None
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(
        definition.subset_with_partition_keys(["2020-02-01"]), definition, definition
    )
    return list(found.partitions_subset.get_partition_keys())


@pytest.mark.parametrize(
    ("lookback", "read"),
    [
        (timedelta(0), ["2020-02-01"]),
        (timedelta(days=1), ["2020-01-01", "2020-02-01"]),
        (timedelta(days=28), ["2020-01-01", "2020-02-01"]),
        (timedelta(days=29), ["2019-12-01", "2020-01-01", "2020-02-01"]),
    ],
)
def test_lookback_is_a_partition_mapping(tmp_path: Path, lookback: timedelta, read: list[str]) -> None:
    upstream = small.spending(small.orders(), start="2019-01-01")

    class Doubled(small.Spending):
        pass

    downstream = FeatureView(
        "doubled", Doubled, [small.customer], [upstream], partitions="month", start="2019-01-01", lookback=lookback,
        transform=lambda spending: spending,
    )  # fmt: skip
    project = Project(tmp_path, Catalogue.of([upstream, downstream]))
    assert months_read(project) == read


@pytest.mark.parametrize(
    ("lateness", "read"),
    [
        (timedelta(0), ["2020-02-01"]),
        (timedelta(days=28), ["2020-01-01", "2020-02-01"]),
        (timedelta(days=29), ["2019-12-01", "2020-01-01", "2020-02-01"]),
    ],
)
def test_the_lateness_of_what_a_view_reads_is_part_of_the_partition_mapping(
    tmp_path: Path, lateness: timedelta, read: list[str]
) -> None:
    class Corrected(small.Spending):
        created_timestamp: Timestamp

    source = Source(
        "orders", small.Orders, timestamp_field="at", available_at="at", max_lateness=lateness,
        loader=lambda: small.orders_table(small.ORDERS),
    )  # fmt: skip
    upstream = FeatureView(
        "spending", Corrected, [small.customer], [source], partitions="month", start="2019-01-01",
        transform=lambda orders: orders.select(
            "customer", "amount", event_timestamp=known_at(orders), created_timestamp=known_at(orders)
        ),
    )  # fmt: skip
    downstream = FeatureView(
        "doubled", small.Spending, [small.customer], [upstream], partitions="month", start="2019-01-01",
        transform=lambda spending: spending.select("customer", "amount"),
    )  # fmt: skip
    project = Project(tmp_path, Catalogue.of([upstream, downstream]))
    assert months_read(project) == read


def test_a_view_without_lookback_on_a_view_with_other_periods_maps_by_time(tmp_path: Path) -> None:
    upstream = small.spending(small.orders(), partitions="day")
    downstream = FeatureView(
        "monthly", small.Spending, [small.customer], [upstream], partitions="month", start="2020-01-01",
        transform=lambda spending: spending,
    )  # fmt: skip
    project = Project(tmp_path, Catalogue.of([upstream, downstream]))
    graph = project.defs.resolve_asset_graph()
    node, daily = graph.get(dg.AssetKey(["feature_view", "monthly"])), graph.get(VIEW).partitions_def
    assert node.partitions_def is not None
    assert daily is not None
    found = node.partition_mappings[VIEW].get_upstream_mapped_partitions_result_for_partitions(
        node.partitions_def.subset_with_partition_keys(["2020-02-01"]),
        node.partitions_def,
        daily,
    )
    assert len(found.partitions_subset) == 29


def test_the_online_asset_says_how_fresh_its_values_must_be(tmp_path: Path) -> None:
    graph = Project(tmp_path, small.catalogue(start="2026-01-01"), now=None).defs.resolve_asset_graph()
    policy = graph.get(ONLINE).freshness_policy
    assert isinstance(policy, dg.FreshnessPolicy)
    assert policy == dg.FreshnessPolicy.time_window(fail_window=timedelta(days=20))


def test_under_a_fixed_clock_nothing_is_called_stale(project: Project) -> None:
    assert project.defs.resolve_asset_graph().get(ONLINE).freshness_policy is None


def test_no_executor_comes_along_unless_asked_for() -> None:
    """A host's definitions have one already: two do not merge."""
    assert build_definitions(Settings(), definitions=small.catalogue()).executor is None
    asked = {"executor": dg.multiprocess_executor}
    assert (
        build_definitions(Settings(), definitions=small.catalogue(), overrides=asked).executor
        is dg.multiprocess_executor
    )


def test_the_executor_that_suits_a_file_with_one_writer_runs_steps_one_after_the_other() -> None:
    assert executor_for(Settings()) is dg.in_process_executor
    assert executor_for(Settings(offline_store="bigquery")) is FORKED


def test_the_offline_engine_is_a_kind(tmp_path: Path) -> None:
    settings = replace(
        Settings(home=tmp_path), offline_store="bigquery", bigquery_project="p", registry=str(tmp_path / "r")
    )
    graph = build_definitions(settings, definitions=small.catalogue()).resolve_asset_graph()
    assert graph.get(VIEW).kinds == {"bigquery", "ibis"}


def test_a_view_over_a_loaded_table_depends_on_its_source(tmp_path: Path) -> None:
    source = small.orders()
    view = FeatureView("listed", small.Spending, [Entity("customer")], table="raw.orders", timestamp_field="at")
    graph = Project(tmp_path, Catalogue.of([source, view])).defs.resolve_asset_graph()
    assert graph.get(dg.AssetKey(["feature_view", "listed"])).parent_keys == {RAW}


def test_every_asset_says_its_kinds_and_the_file_of_its_definition(project: Project) -> None:
    graph = project.defs.resolve_asset_graph()
    kinds = {key.to_user_string(): graph.get(key).kinds for key in graph.get_all_asset_keys()}
    assert kinds == {
        "raw/orders": {"duckdb", "python"}, "feature_view/spending": {"duckdb", "ibis"}, "online/spending": {"redis"},
        "training_set/bought": {"duckdb", "table"},
    }  # fmt: skip
    for key, function in ((VIEW, small._spending), (ONLINE, small._spending), (BOUGHT, small._spine)):
        (found,) = project.spec(key).metadata["dagster/code_references"].code_references
        assert (found.file_path, found.line_number) == (small.__file__, function.__code__.co_firstlineno)


def test_a_views_page_says_what_it_is_and_how_it_is_read(project: Project) -> None:
    said = project.spec(VIEW).description or ""
    for line in (
        "- **Entities**: customer",
        "- **Grain**: one row per customer, event_timestamp, computed per month, from 2020-01-01",
        "- **Ttl**: 20 days",
        "- **Services**: shopping",
        'FeatureStore().get_online_features("spending", {"customer": [...]}).to_dict()',
    ):
        assert line in said.splitlines()
    assert 'load_training_set("bought")' in (project.spec(BOUGHT).description or "")


def test_on_bigquery_a_table_has_its_project_and_a_link(tmp_path: Path) -> None:
    settings = replace(
        Settings(home=tmp_path), offline_store="bigquery", bigquery_project="ours", registry=str(tmp_path / "r")
    )
    graph = build_definitions(settings, definitions=small.catalogue()).resolve_asset_graph()
    said = graph.get(VIEW).metadata
    assert said["dagster/table_name"] == "ours.feature_store.spending"
    assert said["BigQuery"].url == (
        "https://console.cloud.google.com/bigquery?p=ours&d=feature_store&t=spending&page=table"
    )


@pytest.mark.parametrize(
    ("group", "names"),
    [("domain", {"shop", "raw", "training_sets"}), ("owner", {"shop", "raw", "training_sets"}),
     ("", {"raw", "feature_views", "online", "training_sets"})],
)  # fmt: skip
def test_assets_are_grouped_by_a_tag_or_by_owner(project: Project, group: str, names: set[str]) -> None:
    graph = build_definitions(project.settings, definitions=project.code, group=group).resolve_asset_graph()
    assert {graph.get(key).group_name for key in graph.get_all_asset_keys()} == names


def test_the_resource_shows_its_settings_and_no_secret(tmp_path: Path) -> None:
    secret = Settings(home=tmp_path, online_store_url="redis://:hush@redis.internal/0", api_tokens=("hush",))
    resource = (build_definitions(secret, definitions=small.catalogue()).resources or {})["feature_store"]
    assert f"| AMORA_FS_HOME | {tmp_path} |" in resource.description
    assert "| AMORA_FS_ONLINE_STORE_URL | set, not shown |" in resource.description
    assert "hush" not in resource.description


def mixed() -> Catalogue:
    """Views of all periods, and of two starts."""
    source = small.orders()

    def other(name: str, **changes: Any) -> FeatureView:
        return FeatureView(name, small.Spending, [small.customer], [source], transform=small._spending, **changes)

    views = [
        small.spending(source),
        other("daily", start="2020-01-01"),
        other("later", start="2020-02-01"),
        other("hourly", partitions="hour", start="2020-02-28T06:00Z"),
        other("whole", partitions=None, start="2020-01-01"),
    ]
    return Catalogue.of([*small.catalogue().training_sets.values(), *views])


def test_one_job_covers_views_of_all_periods_raw_and_training_sets(tmp_path: Path) -> None:
    project = Project(tmp_path, mixed())
    dg.Definitions.validate_loadable(project.defs)
    assert {job.name for job in project.defs.resolve_all_job_defs()} - {"__ASSET_JOB"} == {"feature_store"}
    graph = project.defs.resolve_asset_graph()
    job = project.defs.resolve_job_def("feature_store")
    assert job.asset_layer.executable_asset_keys == graph.executable_asset_keys
    assert job.asset_layer.asset_graph.asset_check_keys == graph.asset_check_keys


def test_every_asset_is_computed_in_a_single_run(tmp_path: Path) -> None:
    graph = Project(tmp_path, mixed()).defs.resolve_asset_graph()
    policies = {graph.get(key).backfill_policy for key in graph.executable_asset_keys}
    assert policies == {dg.BackfillPolicy.single_run()}
