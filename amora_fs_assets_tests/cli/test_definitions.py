"""Commands that show definitions, settings and values, and commands that remove them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from pyarrow import csv, parquet

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.cli.main import main
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.time import utc
from amora_fs_assets_tests import small
from amora_fs_assets_tests.cli.test_main import Shell, said
from amora_fs_assets_tests.small import at

Run = Callable[..., Result]


def made(home: Path) -> FeatureStore:
    store = FeatureStore(Settings(home=home, now=utc(small.CLOCK)), small.catalogue(ttl=None))
    store.apply()
    store.compute("2020-01-01", "2020-03-01")
    store.materialize_incremental()
    return store


def runner(store: FeatureStore) -> Run:
    def run(command: str, *words: str, **options: Any) -> Result:
        return CliRunner().invoke(main.commands[command], words, obj=store, **options)

    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with made(tmp_path_factory.mktemp("home")) as store:
        yield runner(store)


@pytest.mark.parametrize(
    ("kind", "name", "shown"),
    [
        ("entities", "customer", ["join keys: customer"]),
        ("feature-views", "spending", ["entities: customer", "owner: shop@example.com", "amount .*float64 .*>= 0"]),
        ("services", "shopping", ["join keys: customer", "spending .*amount"]),
        ("sources", "orders", ["rows: table raw.orders", "time of a row: at", "at .*timestamp"]),
    ],
)
def test_each_kind_of_definition_is_listed_and_described(run: Run, kind: str, name: str, shown: list[str]) -> None:
    assert name in said(run(kind, "list"))
    assert [each["name"] for each in json.loads(said(run(kind, "list", "--json")))] == [name]
    described = said(run(kind, "describe", name))
    for each in shown:
        assert re.search(each, described), described
    assert json.loads(said(run(kind, "describe", name, "--json")))["name"] == name
    assert f"Did you mean '{name}'?" in said(run(kind, "describe", f"{name}x"), code=1)


def test_the_dump_of_the_registry_is_the_whole_catalogue(run: Run) -> None:
    dumped = json.loads(said(run("registry-dump")))
    assert [each["name"] for each in dumped["training_sets"]] == ["bought"]
    assert dumped["view_ids"]["spending"]


def test_online_values_are_shown_as_csv_and_as_json(run: Run, tmp_path: Path) -> None:
    asked = ("get-online", "spending", "--entity", "customer=3", "--entity", "customer=9")
    assert said(run(*asked)) == "customer,amount\n3,50.0\n9,\n"
    assert said(run(*asked, "--event-timestamps")).splitlines()[1:] == ["3,50.0,2020-02-03T00:00:00+00:00", "9,,"]
    assert json.loads(said(run(*asked, "--json"))) == {
        "values": {"customer": [3, 9], "amount": [50.0, None]},
        "statuses": {"amount": ["PRESENT", "NOT_FOUND"]},
    }
    keys = tmp_path / "keys.csv"
    keys.write_text("customer\n1\n3\n")
    output = tmp_path / "values.parquet"
    said(run("get-online", "spending:amount", "--entities", str(keys), "--output", str(output)))
    assert parquet.read_table(output).to_pylist() == [{"customer": 1, "amount": 40.0}, {"customer": 3, "amount": 50.0}]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_historical_values_come_from_a_file_and_go_into_one(run: Run, tmp_path: Path, suffix: str) -> None:
    rows = pa.table({"customer": [1, 2], "event_timestamp": pa.array([at(2), at(5)], pa.timestamp("us", "UTC"))})
    given, output = tmp_path / f"rows.{suffix}", tmp_path / f"out.{suffix}"
    csv.write_csv(rows, given) if suffix == "csv" else parquet.write_table(rows, given)
    result = run("get-historical", "shopping", "--entities", str(given), "--output", str(output))
    assert f"2 rows written to {output}" in said(result)
    read = csv.read_csv(output) if suffix == "csv" else parquet.read_table(output)
    assert read["amount"].to_pylist() == [10.0, 20.0]


def test_historical_values_of_a_range_are_shown(run: Run) -> None:
    shown = said(run("get-historical", "spending:amount", "--start", "2020-02-01"))
    assert sorted(csv.read_csv(io.BytesIO(shown.encode()))["amount"].to_pylist()) == [40.0, 50.0]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["get-online", "spending"], 2, "Give either --entity or --entities"),
        (["get-online", "spending", "--entity", "customer=x"], 2, "'customer' takes int64, not 'x'"),
        (["get-online", "spending", "--entity", "customer=1_0"], 2, "'customer' takes int64, not '1_0'"),
        (
            ["get-online", "spending", "--entity", "customer=1,customer=2"],
            2,
            "'customer' twice. Give --entity for each",
        ),
        (["get-online", "spending", "--entity", "customer"], 2, "'customer' is not KEY=VALUE"),
        (["get-online", "spending", "--entities", "no.csv"], 1, "There is no file no.csv"),
        (["get-online", "spending", "--entities", "keys.txt"], 2, "neither a .csv nor a .parquet file"),
        (["get-historical", "spending"], 2, "Give either --entities, or --start or --end"),
        (["get-historical", "spending", "--end", "soon"], 2, "'soon' is not a time"),
        (["get-historical", "spendin", "--end", "2020-02-01"], 1, "Did you mean 'spending'"),
    ],
)
def test_a_request_that_cannot_be_answered_says_why(run: Run, words: list[str], code: int, message: str) -> None:
    assert message in said(run(*words), code=code)


def test_the_configuration_shows_where_values_come_from_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.amora_fs]\nproject = "shop"\n')
    environment = {
        "AMORA_FS_ONLINE_STORE_URL": "rediss://:s3cret@cache:6378?password=s3cret",
        "AMORA_FS_API_TOKENS": "s3cret",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        shown = said(CliRunner(env=environment).invoke(main, ["configuration", "--json"]))
        table = said(CliRunner(env=environment).invoke(main, ["configuration"]))
    assert "s3cret" not in shown + table
    found = {each["setting"]: (each["value"], each["from"]) for each in json.loads(shown)}
    assert found["AMORA_FS_ONLINE_STORE_URL"] == ("rediss://(hidden)@cache:6378", "environment")
    assert found["AMORA_FS_PROJECT"] == ("shop", str(tmp_path / "pyproject.toml"))
    assert found["AMORA_FS_DATASET"] == ("feature_store", "default")
    assert found["AMORA_FS_API_TOKENS"][1] == "environment"


def test_options_stand_on_either_side_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    amora_fs = Shell(tmp_path)
    amora_fs("apply")
    for words in (
        ("--models", "spending", "compute", "2020-01-01", "2020-02-01"),
        ("compute", "--model", "spending,spending", "2020-01-01", "2020-02-01"),
        ("--model=spending", "--model", "spending", "compute", "2020-01-01", "2020-02-01"),
    ):
        assert "spending: 3 rows published" in said(amora_fs(*words))
    for listed in (("--json", "entities", "list"), ("entities", "--json", "list"), ("entities", "list", "--json")):
        assert json.loads(said(amora_fs(*listed)))[0]["name"] == "customer"
    assert "No such option '--modle'" in said(amora_fs("--modle", "x", "apply"), code=2)


@pytest.mark.slow
def test_a_training_set_is_built(tmp_path: Path) -> None:
    with made(tmp_path) as store:
        built = said(runner(store)("training-sets", "build", "bought"))
        version = store.registry.manifests("bought")[-1]
        assert f"bought {version}: 5 rows in feature_store.training_set_bought_" in built
        assert len(store.load_training_set("bought")) == 5
        assert "Did you mean 'bought'" in said(runner(store)("training-sets", "build", "bough"), code=1)


def test_history_is_readable_at_80_columns_and_in_a_pipe(run: Run) -> None:
    narrow = said(run("history", "spending", env={"COLUMNS": "80"}))
    lines = narrow[: narrow.index("Coverage now")].splitlines()
    assert max(map(len, lines)) <= 80
    (computed,) = [line for line in lines if "compute-" in line]
    assert len(computed.split("compute-")[1].split()[0]) == 36  # whole, for --as-of
    piped = said(run("history", "spending", env={"COLUMNS": None}))
    (row,) = [line for line in piped.splitlines() if " compute " in line]
    assert row.split()[2:8] == ["compute", "succeeded", "2020-01-01", "-", "2020-03-01", "5"]


class TestRemoval:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[FeatureStore]:
        with made(tmp_path) as store:
            yield store

    def test_a_definition_that_others_use_is_not_deleted(self, store: FeatureStore) -> None:
        refused = said(runner(store)("delete", "spending", "--yes"), code=1)
        assert "Feature view 'spending' is used by service 'shopping'. Delete these first." in refused
        assert "is used by Feature view 'spending', training set 'bought'" in said(
            runner(store)("delete", "orders", "--yes"), code=1
        )
        for yes in ([], ["--yes"]):  # an unknown name is no question
            refused = said(runner(store)("delete", "spendin", *yes), code=1)
            assert refused == "Error: Definition 'spendin' is not known. Did you mean 'spending'?\n"
        assert store.get_online_features("spending", {"customer": [3]}).to_dict()["amount"] == [50.0]

    def test_a_deleted_view_is_gone_from_registry_and_online_store(self, store: FeatureStore) -> None:
        run = runner(store)
        assert "Aborted" in said(run("delete", "bought", input="n\n"), code=1)
        assert "'bought' was removed" in said(run("delete", "bought", input="y\n"))
        for name in ("shopping", "spending", "orders", "customer"):
            said(run("delete", name, "--yes"))
        assert [*store.list_feature_views(), *store.list_entities(), *store.list_data_sources()] == []
        assert store.online.state("spending").live is None
        store.apply()  # a view of the same name begins anew
        assert store.get_online_features("spending", {"customer": [3]}).to_dict()["amount"] == [None]
        store.compute("2020-01-01", "2020-03-01")
        store.materialize_incremental()
        assert store.get_online_features("spending", {"customer": [3]}).to_dict()["amount"] == [50.0]

    def test_a_teardown_asks_and_leaves_tables_of_others(self, store: FeatureStore, tmp_path: Path) -> None:
        with duckdb.connect(str(tmp_path / "offline.duckdb")) as connection:
            connection.execute("CREATE SCHEMA theirs; CREATE TABLE theirs.kept AS SELECT 1 AS x")
        run = runner(store)
        assert "Aborted" in said(run("teardown", "--tables", input="\n"), code=1)
        assert len(store.list_feature_views()) == 1
        assert "table feature_store.spending is dropped" in said(run("teardown", "--tables", "--yes"))
        assert store.registry.catalogue().feature_views == {}
        assert store.online.state("spending").live is None
        with duckdb.connect(str(tmp_path / "offline.duckdb")) as connection:
            left = connection.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables()").fetchall()
        assert left == [("theirs.kept",)]
        store.apply()
        store.compute("2020-01-01", "2020-03-01")
        store.materialize_incremental()
        assert store.get_online_features("spending", {"customer": [3]}).to_dict()["amount"] == [50.0]

    @pytest.mark.slow
    def test_a_teardown_without_tables_keeps_them(self, store: FeatureStore) -> None:
        store.teardown()
        assert store.offline.columns("feature_store.spending") is not None
        store.teardown()
        with pytest.raises(InvalidRequest, match="tables is 'all'"):
            store.teardown(tables="all")  # type: ignore[arg-type]
