"""The numbers and texts of Dagster's pages, as its GraphQL gives them to the UI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from dagster_graphql.test.utils import execute_dagster_graphql

from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.project import BOUGHT, JANUARY, ONLINE, RAW, VIEW, Project

ASSETS = """{ assetNodes {
  assetKey { path } groupName kinds description
  metadataEntries { label __typename ... on TextMetadataEntry { text } ... on UrlMetadataEntry { url }
    ... on CodeReferencesMetadataEntry { codeReferences {
      ... on LocalFileCodeReference { filePath lineNumber } } }
    ... on TableSchemaMetadataEntry { schema { columns { name constraints { nullable other } } } } }
  assetChecksOrError { ... on AssetChecks { checks { name description
    executionForLatestMaterialization { evaluation { success description
      metadataEntries { label ... on IntMetadataEntry { intValue } ... on TableMetadataEntry { table { records } } } } }
  } } }
  assetMaterializations(limit: 10) { partition metadataEntries { label __typename
    ... on IntMetadataEntry { intValue } ... on FloatMetadataEntry { floatValue } ... on TextMetadataEntry { text }
    ... on BoolMetadataEntry { boolValue } ... on TableMetadataEntry { table { records } }
    ... on TableColumnLineageMetadataEntry { lineage { columnName columnDeps { assetKey { path } columnName } } }
    ... on TableSchemaMetadataEntry { schema { columns { name type description } } } } }
} }"""
ORDERS: list[tuple[int, datetime, float | None]] = [*small.ORDERS, (4, datetime(2020, 2, 4, tzinfo=UTC), None)]


def values(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Metadata by label."""
    given = ("intValue", "floatValue", "text", "boolValue", "url", "codeReferences", "schema", "table")
    found = {}
    for entry in entries:
        value = next((entry[name] for name in given if entry.get(name) is not None), None)
        records = value.get("records") if isinstance(value, dict) else None
        found[entry["label"]] = [json.loads(record) for record in records] if records is not None else value
    return found


class Pages:
    """What the UI asks for, of a code location in a process of its own."""

    def __init__(self, project: Project, file: Path) -> None:
        self.project = project
        target = PythonFileTarget(str(file), attribute="defs", working_directory=None, location_name="pages")
        self._process = WorkspaceProcessContext(project.instance, target)
        self._process.__enter__()

    def asset(self, key: Any) -> dict[str, Any]:
        """The node of an asset."""
        answer = execute_dagster_graphql(self._process.create_request_context(), ASSETS)
        assert answer.errors is None, answer.errors
        return next(node for node in answer.data["assetNodes"] if node["assetKey"]["path"] == list(key.path))

    def newest(self, key: Any, partition: str | None = None) -> dict[str, Any]:
        """The metadata of an asset's newest materialization."""
        done = self.asset(key)["assetMaterializations"]
        return values(next(each for each in done if each["partition"] == partition)["metadataEntries"])

    def close(self) -> None:
        self._process.__exit__(None, None, None)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Everything was run over all partitions, then the view was loaded once more."""
    home = tmp_path_factory.mktemp("pages")
    project = Project(home, small.catalogue(ORDERS), on_files=True)
    file = home / "location.py"
    file.write_text(
        "from pathlib import Path\n"
        "from amora_fs_assets_tests.orchestration.project import Project\n"
        "from amora_fs_assets_tests.orchestration.test_pages import ORDERS\n"
        "from amora_fs_assets_tests import small\n"
        f"defs = Project(Path({str(home)!r}), small.catalogue(ORDERS)).defs\n"
    )
    assert project.run().success
    assert project.run(ONLINE).success
    opened = Pages(project, file)
    yield opened
    opened.close()
    project.close()


def test_a_partition_shows_its_own_rows(pages: Pages) -> None:
    shown = {m["partition"]: values(m["metadataEntries"]) for m in pages.asset(VIEW)["assetMaterializations"]}
    assert {partition: each["dagster/row_count"] for partition, each in shown.items()} == {
        JANUARY: 3, "2020-02-01": 3, "2020-03-01": 0
    }  # fmt: skip
    assert pages.newest(RAW)["dagster/row_count"] == 6


def test_online_shows_what_is_there_after_a_load_that_wrote_nothing(pages: Pages) -> None:
    shown = pages.newest(ONLINE)
    assert shown["dagster/row_count"] == 4
    assert (shown["entities online"], shown["rows written"], shown["generation"]) == ("4", 0, 1)
    assert (shown["newest event"], shown["lag [s]"]) == ("2020-02-04T00:00:00+00:00", 26 * 24 * 3600)
    assert shown["publication"] == pages.project.offline.publications("spending")[-1].sequence


def test_parity_shows_one_table(pages: Pages) -> None:
    (parity,) = [each for each in pages.asset(ONLINE)["assetChecksOrError"]["checks"] if each["name"] == "parity"]
    evaluation = parity["executionForLatestMaterialization"]["evaluation"]
    assert (evaluation["success"], evaluation["description"]) == (True, "Of 4 keys 4 equal, no fault.")
    shown = values(evaluation["metadataEntries"])
    assert {row["are"]: row["keys"] for row in shown["keys"]} == {
        "equal": 4, "missing": 0, "extra": 0, "stale": 0, "different": 0, "ahead": 0, "behind": 0, "outside": 0,
        "aged out": 0,
    }  # fmt: skip


def test_constraints_and_checks_say_what_holds(pages: Pages) -> None:
    node = pages.asset(VIEW)
    (schema,) = [entry["schema"] for entry in node["metadataEntries"] if entry["label"] == "dagster/column_schema"]
    constraints = {column["name"]: column["constraints"]["other"] for column in schema["columns"]}
    assert constraints == {"customer": [], "event_timestamp": [], "amount": [">= 0"]}
    checks = {each["name"]: each for each in node["assetChecksOrError"]["checks"]}
    assert checks["amount"]["description"] == "Every amount is >= 0. Amount of the order [EUR]."
    evaluation = checks["amount"]["executionForLatestMaterialization"]["evaluation"]
    assert (evaluation["success"], evaluation["description"]) == (True, "Every row passes: >= 0.")
    assert values(evaluation["metadataEntries"]) == {"not >= 0": 0}


def test_a_training_set_shows_its_columns_null_rates_and_label_balance(pages: Pages) -> None:
    shown = pages.newest(BOUGHT)
    assert shown["dagster/row_count"] == 6
    assert [column["name"] for column in shown["dagster/column_schema"]["columns"]] == [
        "customer", "event_timestamp", "label", "amount",
    ]  # fmt: skip
    assert [column["description"] for column in shown["dagster/column_schema"]["columns"]] == [
        "Customer.", "When the values hold from (UTC).", None, "Amount of the order [EUR].",
    ]  # fmt: skip
    assert {row["column"]: row["null [%]"] for row in shown["null rates"]} == {
        "customer": "0.00", "event_timestamp": "0.00", "label": "16.67", "amount": "16.67",
    }  # fmt: skip
    assert [row["column"] for row in shown["label balance"]] == ["label"]
    assert float(shown["label balance"][0]["true [%]"]) == pytest.approx(60.0)


def test_a_page_links_to_the_file_of_its_function_and_says_how_the_view_is_read(pages: Pages) -> None:
    for key, function in ((VIEW, small._spending), (ONLINE, small._spending), (BOUGHT, small._spine)):
        node = pages.asset(key)
        ((found,),) = (e["codeReferences"] for e in node["metadataEntries"] if e["label"] == "dagster/code_references")
        assert (found["filePath"], found["lineNumber"]) == (small.__file__, function.__code__.co_firstlineno)
    assert 'get_online_features("spending", {"customer": [...]})' in pages.asset(VIEW)["description"]


def test_online_columns_come_from_the_views(pages: Pages) -> None:
    done = pages.asset(ONLINE)["assetMaterializations"][0]["metadataEntries"]
    (lineage,) = [entry["lineage"] for entry in done if entry["label"] == "dagster/column_lineage"]
    assert {each["columnName"]: each["columnDeps"] for each in lineage}["amount"] == [
        {"assetKey": {"path": ["feature_view", "spending"]}, "columnName": "amount"}
    ]
