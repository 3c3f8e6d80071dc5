"""`amora-fs import-feast`: what is written for each object of a registry, what is reported, and what is refused."""

from __future__ import annotations

import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from amora_fs_assets.cli.importing import REPORT, write
from amora_fs_assets.cli.main import main
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.scaffold.feast import types
from amora_fs_assets_tests.feast.asked import definitions

Plain = dict[str, Any]


def entity(name: str = "driver", **more: Any) -> Plain:
    return {"spec": {"name": name, "joinKey": f"{name}_id", "valueType": "INT64", **more}}


def source(name: str = "stats", **more: Any) -> Plain:
    table = {"type": "BATCH_BIGQUERY", "bigqueryOptions": {"table": f"team.shop.{name}"}}
    return {"name": name, "timestampField": "event_timestamp", **table, **more}


def view(name: str = "driver_stats", **more: Any) -> Plain:
    spec = {
        "name": name,
        "entities": ["driver"],
        "entityColumns": [{"name": "driver_id", "valueType": "INT64"}],
        "features": [{"name": "trips", "valueType": "INT64"}, {"name": "rate", "valueType": "FLOAT"}],
        "ttl": "86400s",
        "online": True,
        "batchSource": source(),
    }
    return {"spec": {**spec, **more}}


def service(name: str = "model", *features: Plain, **more: Any) -> Plain:
    return {"spec": {"name": name, "features": list(features), **more}}


def part(view: str = "driver_stats", *features: str, **more: Any) -> Plain:
    columns = [{"name": each} for each in features or ("trips", "rate")]
    return {"featureViewName": view, "featureColumns": columns, **more}


def answer(**objects: Any) -> Plain:
    """Feast's answer for a project with an entity and a view, and more objects."""
    registry = {
        "registrySchemaVersion": "1",
        "projects": [{"spec": {"name": "taxi", "description": "The taxis."}}],
        "entities": [entity()],
        "featureViews": [view()],
        **objects,
    }
    return {"registry": registry, "config": {"project": "taxi"}, "problems": []}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def imported(folder: Path, given: Plain, package: str = "taxi") -> tuple[Catalogue, str]:
    """The written definitions, loaded, and the report."""
    _, _, report = write(given, folder, folder / package, None, origin="a test")
    return definitions(folder / package), report


def test_a_view_becomes_an_external_table_with_its_key_types_times_and_ttl(folder: Path) -> None:
    stats = source(createdTimestampColumn="written", fieldMapping={"driver": "driver_id", "Trip-Count": "trips"},
                   description="Rows of drivers.", owner="data@example.com", tags={"system": "erp"})  # fmt: skip
    features = [
        {"name": "trips", "valueType": "INT64", "tags": {"unit": "count"}},
        {"name": "rate", "valueType": "FLOAT"},
    ]
    plain = view(batchSource=stats, features=features, description="Trips.\nBy hour.")
    code, report = imported(folder, answer(featureViews=[plain], entities=[entity(tags={"pii": "no"})]))
    found = code.feature_view("driver_stats")
    assert found.table == "team.shop.stats"
    assert found.ttl == timedelta(days=1)
    assert found.description == "Trips.\nBy hour."
    assert [(c.name, c.type, c.nullable) for c in found.key_columns] == [("driver_id", DataType.INT64, False)]
    assert [(c.name, c.type, c.nullable) for c in found.features] == [
        ("trips", DataType.INT64, True), ("rate", DataType.FLOAT64, True)
    ]  # fmt: skip
    assert found.created_timestamp_column == "written"
    assert found.field_mapping == {"driver": "driver_id", "Trip-Count": "trips"}
    read = code.source("stats")
    assert (read.table, read.timestamp_field, read.available_at) == ("team.shop.stats", "event_timestamp", "written")
    assert (read.description, read.owner, read.tags) == ("Rows of drivers.", "data@example.com", {"system": "erp"})
    assert [each.tags for each in found.features] == [{"unit": "count"}, {}]
    assert code.entity("driver").tags == {"pii": "no"}
    assert "Renamed" not in report


def test_a_push_to_the_name_of_a_push_source_finds_its_view(folder: Path) -> None:
    pushed = view(streamSource={"type": "PUSH_SOURCE", "name": "till"}, tags={"tier": "1"})
    code, report = imported(folder, answer(featureViews=[pushed]))
    assert code.feature_view("driver_stats").tags == {"push_source": "till", "tier": "1"}
    assert "till" not in report


@pytest.mark.parametrize(
    ("ttl", "expected"),
    [("0s", None), ("0.000001s", timedelta(microseconds=1)), ("5400s", timedelta(minutes=90)),
     ("315576000000s", None)],
)  # fmt: skip
def test_a_ttl_of_zero_means_no_limit(folder: Path, ttl: str, expected: timedelta | None) -> None:
    code, _ = imported(folder, answer(featureViews=[view(ttl=ttl)]))
    assert code.feature_view("driver_stats").ttl == expected


def test_a_view_without_ttl_and_without_entities_has_neither(folder: Path) -> None:
    plain = view(entities=["__dummy"], entityColumns=[{"name": "__dummy_id", "valueType": "STRING"}])
    del plain["spec"]["ttl"]
    code, _ = imported(folder, answer(featureViews=[plain], entities=[entity("__dummy")]))
    assert (code.feature_view("driver_stats").ttl, code.feature_view("driver_stats").entities) == (None, ())
    assert code.entities == {}


def test_a_service_keeps_picks_aliases_and_key_maps(folder: Path) -> None:
    services = [
        service("picks", part("driver_stats", "rate"), owner="ml@example.com", tags={"tier": "1"}, description="Fast."),
        service("roles", part(featureViewNameAlias="origin", joinKeyMap={"driver_id": "from_id"}),
                part("driver_stats", "trips", featureViewNameAlias="target", joinKeyMap={"driver_id": "to_id"})),
        service("mapped", part(joinKeyMap={"driver_id": "from_id"})),
        service("twice", part("driver_stats", "trips"), part("driver_stats", "rate")),
        service("cases", part(featureViewNameAlias="a"), part(featureViewNameAlias="A")),
        service("driver_stats", part()),
    ]  # fmt: skip
    code, report = imported(folder, answer(featureServices=services))
    shape = {
        name: [(p.name, p.features, dict(p.join_key_map)) for p in each.projections]
        for name, each in code.feature_services.items()
    }
    assert shape == {
        "picks": [("driver_stats", ("rate",), {})],
        "roles": [
            ("origin", ("trips", "rate"), {"driver_id": "from_id"}), ("target", ("trips",), {"driver_id": "to_id"})
        ],
        "mapped": [("driver_stats", ("trips", "rate"), {"driver_id": "from_id"})],
        "twice": [("driver_stats", ("trips", "rate"), {})],
        "cases": [("a", ("trips", "rate"), {}), ("a_2", ("trips", "rate"), {})],
    }  # fmt: skip
    picks = code.feature_services["picks"]
    assert (picks.owner, picks.tags, picks.description) == ("ml@example.com", {"tier": "1"}, "Fast.")
    assert "feature service `cases`: alias `A` is `a_2`." in report


def test_a_file_is_read_where_it_is_and_a_query_stays_a_query(folder: Path) -> None:
    file = source(type="BATCH_FILE", fileOptions={"uri": "data/rows.parquet"}, bigqueryOptions={})
    query = source("asked", bigqueryOptions={"query": "SELECT * FROM t WHERE x = 'a\"b'"})
    bucket = source("far", type="BATCH_FILE", fileOptions={"uri": "gs://b/rows"}, bigqueryOptions={})
    views = [view("a", batchSource=file), view("b", batchSource=query), view("c", batchSource=bucket)]
    code, _ = imported(folder, answer(featureViews=views))
    assert code.feature_view("a").path == "../data/rows.parquet"
    assert code.feature_view("b").query == "SELECT * FROM t WHERE x = 'a\"b'"
    assert code.feature_view("c").path == "gs://b/rows"


def test_names_tags_and_owners_that_do_not_fit_are_mended_and_reported(folder: Path) -> None:
    columns = [{"name": name, "valueType": "INT64"} for name in ("class", "Trips", "trips", "2x", "validate", "int")]
    table = source("shop.raw.driver_stats", bigqueryOptions={"table": "shop.raw.driver-stats"})
    tags = {"who?": "a b", "dagster/x": "1"}
    plain = view("DriverStats", owner="sales", tags=tags, features=columns, batchSource=table)
    code, report = imported(
        folder, answer(featureViews=[plain], featureServices=[service("My Model", part("DriverStats", "Trips"))])
    )
    found = code.feature_view("driver_stats")
    assert [each.name for each in found.features] == ["class", "Trips", "trips_2", "x_2x", "validate", "int"]
    assert found.field_mapping == {"trips": "trips_2", "2x": "x_2x"}
    assert (found.owner, found.tags) == ("team:sales", {"who_": "a_b", "dagster_x": "1"})
    assert found.query == "SELECT * FROM `shop.raw.driver-stats`"
    assert list(code.sources) == ["driver_stats_source"]
    assert list(code.feature_services) == ["my_model"]
    for line in (
        "feature view `DriverStats` is `driver_stats`.",
        "feature view `DriverStats`: feature `trips` is `trips_2`.",
        "feature view `DriverStats`: owner `sales` is neither an e-mail address nor a team: it is `team:sales`.",
        "feature view `DriverStats`: tag `who?: a b` is `who_: a_b`.",
        "data source `shop.raw.driver_stats` is `driver_stats_source`.",
        "feature service `My Model` is `my_model`.",
    ):
        assert line in report


def test_a_mended_name_never_takes_the_valid_name_of_another_object(folder: Path) -> None:
    columns = [{"name": name, "valueType": "INT64"} for name in ("sp ace", "sp_ace")]
    views = [view("Driver-Stats", features=columns), view("driver_stats")]
    services = [service("My Model", part("Driver-Stats", "sp ace")), service("my_model", part("driver_stats"))]
    code, _ = imported(folder, answer(featureViews=views, featureServices=services))
    assert [each.name for each in code.feature_view("driver_stats").features] == ["trips", "rate"]
    assert code.feature_view("driver_stats_2").field_mapping == {"sp ace": "sp_ace_2"}
    assert [each.view.name for each in code.feature_service("my_model").projections] == ["driver_stats"]
    assert [each.view.name for each in code.feature_service("my_model_2").projections] == ["driver_stats_2"]


def test_what_has_no_counterpart_is_reported_and_the_rest_is_written(folder: Path) -> None:
    views = [
        view(features=[{"name": "trips", "valueType": "INT64"}, {"name": "ids", "valueType": "INT64_SET"},
                       {"name": "event_timestamp", "valueType": "UNIX_TIMESTAMP"}],
             streamSource={"type": "STREAM_KAFKA", "name": "topic"}, online=False,
             batchSource=source(datePartitionColumn="ds")),
        view("snowflake", batchSource={"type": "BATCH_SNOWFLAKE", "name": "flakes", "timestampField": "at"}),
        view("delta", batchSource=source(
            "lake", type="BATCH_FILE", fileOptions={"uri": "x", "fileFormat": {"deltaFormat": {}}})),
        view("untimed", batchSource=source(timestampField="")),
        view("computed", featureTransformation={"userDefinedFunction": {}}),
        view("by_time", entityColumns=[{"name": "driver_id", "valueType": "UNIX_TIMESTAMP"}]),
        view("named", entityColumns=[{"name": "driver_id", "valueType": "STRING"}]),
        view("lost", entities=["nobody"]),
        view("only_sets", features=[{"name": "ids", "valueType": "STRING_SET"}]),
    ]  # fmt: skip
    given = answer(
        featureViews=views,
        onDemandFeatureViews=[{"spec": {"name": "ratio", "features": [{"name": "per_km"}]}}],
        streamFeatureViews=[{"spec": {"name": "live"}}],
        labelViews=[{"spec": {"name": "labels"}}],
        savedDatasets=[{"spec": {"name": "kept"}}],
        dataSources=[{"name": "asked", "type": "REQUEST_SOURCE"}, source("unread")],
        featureServices=[service("model", part("driver_stats", "trips", "ids"), part("ratio", "per_km")),
                         service("gone", part("ratio", "per_km"))],
    )  # fmt: skip
    code, report = imported(folder, given)
    assert list(code.feature_views) == ["driver_stats"]
    assert list(code.feature_services) == ["model"]
    for line in (
        "feature `ids` of type Set(Int64)",
        "feature `event_timestamp` is the time of the rows",
        "data source `topic` (Kafka)",
        "online=False",
        "date_partition_column `ds`",
        "feature view `snowflake`: its data source 'flakes' is in Snowflake",
        "feature view `delta`: its data source 'lake' is a delta table",
        "feature view `untimed`: its data source 'stats' has no timestamp_field",
        "feature view `computed`: Feast computes it with a transformation",
        "feature view `by_time`: join key 'driver_id' is UnixTimestamp",
        "feature view `named`: join key 'driver_id' is str, but int in view 'driver_stats'",
        "feature view `lost`: its entity 'nobody' is not in the registry",
        "feature view `only_sets`: it has no feature whose type has a counterpart",
        "on-demand feature view `ratio` (per_km)",
        "stream feature view `live`",
        "label view `labels`",
        "saved dataset `kept`",
        "request source `asked`",
        "data source `unread`",
        "feature service `model`: `ratio`, which is not imported",
        "feature service `gone`: none of its features is imported",
    ):
        assert line in report
        assert line in (folder / "taxi" / REPORT).read_text()


def test_modules_and_variables_never_hide_what_a_module_uses(folder: Path) -> None:
    awkward = ["entities", "sources", "services", "definitions", "timedelta", "dt", "class", "field", "source", "for"]
    views = [view(name, ttl="60s", batchSource=source(f"of_{name}")) for name in awkward]
    parts = [part(name) for name in awkward]
    code, _ = imported(
        folder, answer(featureViews=views, featureServices=[service("s", *parts), service("t", parts[0])])
    )
    assert sorted(code.feature_views) == sorted(awkward)
    assert len(code.feature_services["s"].projections) == len(awkward)


def test_the_settings_of_a_warehouse_are_written_and_addresses_are_left_to_a_person(folder: Path) -> None:
    given = answer()
    given["config"] = {
        "project": "taxi",
        "offline_store": {"type": "bigquery", "project_id": "team-eu", "location": "EU", "dataset": "temporary"},
        "online_store": {"type": "redis", "connection_string": "host:6379,password=secret"},
    }
    _, report = imported(folder, given)
    project = tomllib.loads((folder / "taxi" / "pyproject.toml").read_text())
    assert project["tool"]["amora_fs"] == {
        "definitions": "taxi", "project": "taxi", "offline_store": "bigquery", "bigquery_project": "team-eu",
        "bigquery_location": "EU",
    }  # fmt: skip
    assert "AMORA_FS_ONLINE_STORE_URL" in report
    assert not any(b"secret" in file.read_bytes() for file in (folder / "taxi").rglob("*") if file.is_file())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"registrySchemaVersion": "2"}, "is of version '2'; this release reads version 1"),
        ({"registrySchemaVersion": ""}, "is of version ''"),
        ({"featureViews": []}, "There is no feature view to import"),
        ({"featureViews": [view(entities=["x"])]}, "no feature view to import.*its entity 'x' is not in the registry"),
        (
            {"projects": [{"spec": {"name": "a"}}, {"spec": {"name": "b"}}]},
            "has the projects a, b. Give one with --proj",
        ),
    ],
)
def test_a_registry_that_cannot_be_imported_is_refused_and_nothing_is_written(
    folder: Path, change: Plain, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        imported(folder, {**answer(**change), "config": {}})
    assert list(folder.iterdir()) == []


def test_definitions_that_do_not_fit_together_are_refused_and_nothing_is_written(folder: Path) -> None:
    clash = service(
        "model",
        part(featureViewNameAlias="x"),
        part(),
        part("driver_stats", "rate", featureViewNameAlias="driver_stats"),
    )
    with pytest.raises(
        InvalidRequest, match=r"do not fit together: .*'driver_stats' is listed twice.*Nothing was written"
    ):
        imported(folder, answer(featureServices=[clash]))
    assert list(folder.iterdir()) == []
    assert "taxi" not in sys.modules


def test_one_project_of_several_is_imported(folder: Path) -> None:
    given = answer(projects=[{"spec": {"name": "taxi"}}, {"spec": {"name": "bus"}}],
                   featureViews=[view(project="taxi"), view("lines", project="bus")])  # fmt: skip
    given["config"] = {}
    target, _, _ = write(given, folder, None, "bus", origin="a test")
    assert (target / "bus" / "lines.py").exists()
    assert not (target / "bus" / "driver_stats.py").exists()


@pytest.mark.parametrize("name", ["taxi", "json", "class", "Taxi-1"])
def test_a_folder_that_exists_or_is_no_name_of_a_package_is_refused(folder: Path, name: str) -> None:
    (folder / "taxi").mkdir()
    with pytest.raises(InvalidRequest, match="exists already|installed package|not a valid name"):
        write(answer(), folder, folder / name, None, origin="a test")
    assert [each.name for each in folder.iterdir()] == ["taxi"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "There is no nowhere"),
        (["."], "has no feature_store.yaml"),
        (["file.db", "--python", "/nowhere/python"], "is not an interpreter"),
        (["file.db", "--python", sys.executable], "That interpreter has no Feast"),
    ],
)
def test_a_path_or_interpreter_that_is_none_is_refused(folder: Path, arguments: list[str], said: str) -> None:
    (folder / "file.db").write_bytes(b"x")
    done = CliRunner().invoke(main, ["import-feast", *arguments])
    assert done.exit_code == 1
    assert said in done.output
    assert [each.name for each in folder.iterdir()] == ["file.db"]


def test_every_type_that_is_written_is_one_of_the_stores(folder: Path) -> None:
    known = ("DECIMAL", "UUID", "JSON", "MAP", "STRUCT", "STRUCT_LIST", "BOOL", "BYTES", "UNIX_TIMESTAMP_LIST")
    tags = {types.STRUCT_TAG: '{"name": "STRING", "at": "UNIX_TIMESTAMP"}'}
    columns = [{"name": name.lower(), "valueType": name, "tags": tags} for name in known]
    code, _ = imported(folder, answer(featureViews=[view(features=columns)]))
    struct = "struct<name: string, at: timestamp>"
    assert [str(each.type) for each in code.feature_view("driver_stats").features] == [
        "decimal(38, 9)", "uuid", "json", "map<string, string>", struct, f"list<{struct}>", "boolean", "bytes",
        "list<timestamp>",
    ]  # fmt: skip
