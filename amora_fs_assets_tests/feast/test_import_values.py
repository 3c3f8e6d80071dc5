"""Imported repositories answer as Feast 0.67 answers: training rows and online values, side by side."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.cli.main import main
from amora_fs_assets.stores.open import open_objects
from amora_fs_assets_tests.emulators.gcs import GcsEmulator
from amora_fs_assets_tests.feast import asked, rows

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("import_values")]

HERE = Path(__file__).parent
YAML = """project: Shop_EU
registry: data/registry.db
provider: local
offline_store: {type: dask}
online_store: {type: sqlite, path: data/online.db}
entity_key_serialization_version: 3
"""
KEYS = [{"customer_id": customer, "branch": branch} for customer in range(1, 6) for branch in "abc"]
SERVICES = {
    "whole": "whole",
    "balances": "balances_service",
    "Checkout-Model": "checkout_model",
    "every_customer": "every_customer",
}
"""The services of the repository, and their names after the import."""
ALIASES = {"CustomerOrders": "customer_orders", "Friend Of": "friend_of"}
COMPUTED = "points_per_price"
"""The on-demand view, which is not imported."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feast") / "shop"
    rows.write(folder / "data")
    shutil.copy(HERE / "repository" / "definitions.py", folder)
    (folder / "feature_store.yaml").write_text(YAML)
    return folder


@pytest.fixture(scope="module")
def theirs(feast_python: str, repository: Path) -> dict[str, Any]:
    """Feast's own answers, after which the repository also has a registry.db."""
    spine = [{**row, "price": 2.0} for row in rows.spine()]
    return asked.feast(
        feast_python,
        repository.parent,
        {
            "repository": str(repository),
            "load": [rows.START.isoformat(), rows.END.isoformat()],
            "historical": [{"features": name, "spine": spine} for name in SERVICES],
            "online": [{"features": name, "rows": KEYS} for name in ("whole", "balances", "every_customer")],
        },
    )


@pytest.fixture(scope="module")
def project(feast_python: str, repository: Path) -> Path:
    """The imported project."""
    target = repository.parent / "shop_features"
    asked.imported(feast_python, repository, target)
    return target


@pytest.fixture(scope="module")
def ours(project: Path) -> Iterator[FeatureStore]:
    with asked.store(project, now=rows.END) as store:
        store.materialize_incremental()
        yield store


def renamed(row: dict[str, Any]) -> dict[str, Any]:
    """A row of Feast with our names, without what was computed on demand."""
    found = {}
    for name, value in row.items():
        view, found_view, feature = name.partition("__")
        if view != COMPUTED:
            found[f"{ALIASES.get(view, view)}{found_view}{feature}"] = value
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_training_rows_are_feasts_own(theirs: dict[str, Any], ours: FeatureStore, service: str) -> None:
    spine = rows.spine()
    found = asked.historical(ours, SERVICES[service], spine)
    assert [row["row"] for row in found] == [row["row"] for row in spine]
    expected = {row["row"]: renamed(row) for row in theirs["historical"][list(SERVICES).index(service)]}
    assert len(expected) >= 8
    by_moment = {row["event_timestamp"]: row for row in expected.values()}
    for row in found:
        if row["row"] in expected:
            assert {name: expected[row["row"]][name] for name in row} == row
        elif service == "every_customer":  # without entities, Feast's local store keeps one row of each moment
            assert by_moment[row["event_timestamp"]]["every_customer__points"] == row["every_customer__points"]
        else:  # it loses a row for which a view has rows of the key, but none in the window
            views = {name.partition("__")[0] for name in row if "__" in name}
            assert any(all(row[name] is None for name in row if name.startswith(f"{view}__")) for view in views)


@pytest.mark.parametrize(("number", "service"), [(0, "whole"), (1, "balances"), (2, "every_customer")])
def test_online_values_are_feasts_own(theirs: dict[str, Any], ours: FeatureStore, number: int, service: str) -> None:
    found = asked.online(ours, SERVICES[service], KEYS)
    expected = renamed(theirs["online"][number])
    assert found == {name: expected[name] for name in found}
    assert any(value is not None for name in found for value in found[name] if "__" in name)


def test_a_registry_gives_the_definitions_of_its_repository(
    theirs: dict[str, Any], feast_python: str, repository: Path, project: Path
) -> None:
    target = repository.parent / "of_registry"
    asked.imported(feast_python, repository / "data" / "registry.db", target)
    first, second = (asked.definitions(each) for each in (project, target))
    assert first == second
    assert first.feature_views["customer_orders"].path == "../shop/data/orders.parquet"


def test_the_report_names_what_changed_and_what_is_left_out(project: Path) -> None:
    report = (project / "IMPORTED.md").read_text()
    for line in (
        "entity `Shop-Branch` is `shop_branch`",
        "feature view `CustomerOrders` is `customer_orders`",
        "feature service `balances` is `balances_service`",
        "alias `Friend Of` is `friend_of`",
        "on-demand feature view `points_per_price`",
    ):
        assert line in report


def test_a_repository_that_does_not_load_is_refused_with_its_line_and_nothing_is_written(
    feast_python: str, tmp_path: Path
) -> None:
    repository = tmp_path / "broken"
    repository.mkdir()
    (repository / "feature_store.yaml").write_text(YAML)
    (repository / "views.py").write_text("x = 1\nimport a_module_that_is_not_there\n")
    (repository / "registry.db").write_bytes(b"\xffnot a registry")
    torn = tmp_path / "broken" / "torn"
    torn.mkdir()
    (torn / "feature_store.yaml").write_text("project: [1\n")
    for place, said in (
        (repository, "No module named 'a_module_that_is_not_there' (views.py, line 2)"),
        (torn, "feature_store.yaml is not YAML"),
        (repository / "registry.db", "is not a registry of Feast"),
    ):
        done = CliRunner().invoke(
            main, ["import-feast", str(place), "--output", str(tmp_path / "out"), "--python", feast_python]
        )
        assert done.exit_code == 1
        assert said in done.output
        assert sorted(each.name for each in tmp_path.iterdir()) == ["broken"]


@pytest.mark.google
def test_a_repository_without_code_is_imported_from_its_registry_in_a_bucket(
    theirs: dict[str, Any], feast_python: str, repository: Path, project: Path, gcs_emulator: GcsEmulator,
    gcs_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_emulator.host)
    url = f"gs://{gcs_bucket}/team/registry.db"
    data = (repository / "data" / "registry.db").read_bytes()
    open_objects(Settings(registry=f"gs://{gcs_bucket}/team")).create("registry.db", data)
    (tmp_path / "client").mkdir()
    (tmp_path / "client" / "feature_store.yaml").write_text(YAML.replace("data/registry.db", url))
    asked.imported(feast_python, tmp_path / "client", tmp_path / "of_client")
    services = asked.definitions(project).feature_services
    assert asked.definitions(tmp_path / "of_client").feature_services.keys() == services.keys()
