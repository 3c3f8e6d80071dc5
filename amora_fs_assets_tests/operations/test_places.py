"""Tables, queries and files of other systems are read where they are, with the names and types that the schema has."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime, time
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from amora_fs_assets import Entity, FeatureSchema, FeatureStore, FeatureView, Settings, Source, SourceSchema, Timestamp
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionError, FeatureStoreError, OfflineStoreError, SourceMismatch
from amora_fs_assets.operations.expressions.tables import all_rows, check_tables
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore

driver = Entity("driver")
NOW = datetime(2026, 1, 5, tzinfo=UTC)


class Trips(SourceSchema):
    driver: int
    at: Timestamp
    price: float


class Prices(FeatureSchema):
    driver: int
    price: float


ROWS = (
    "SELECT 1::SMALLINT AS DRIVER, TIMESTAMP '2026-01-02 10:00' AS moment, TIMESTAMP '2026-01-02 12:00' AS made, "
    "2.5::FLOAT AS price UNION ALL SELECT 1, TIMESTAMP '2026-01-03 10:00', NULL, 3.5"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home, with the same rows beside it in every form of place."""
    folder = tmp_path_factory.mktemp("project")
    home = folder / ".amora_fs"
    home.mkdir()
    (folder / "data" / "trips" / "day=1").mkdir(parents=True)
    with duckdb.connect(home / "offline.duckdb") as connection:
        connection.execute(f"CREATE SCHEMA raw; CREATE TABLE raw.trips AS {ROWS}")
        for name in ("data/trips.parquet", "data/trips.csv", "data/trips/day=1/part.parquet"):
            connection.execute(f"COPY ({ROWS}) TO '{folder / name}'")
    (folder / "data" / "empty").mkdir()
    shutil.copytree(folder / "data" / "trips", folder / "data" / "both")
    shutil.copy(folder / "data" / "trips.csv", folder / "data" / "both")
    for file in (home / "fleet-eu.duckdb", folder / "data" / "fleet.duckdb"):
        with duckdb.connect(file) as connection:
            connection.execute(f"CREATE SCHEMA raw; CREATE TABLE raw.trips AS {ROWS}")
    return home


PLACES: dict[str, dict[str, Any]] = {
    "table": {"table": "raw.trips"},
    "table of a project": {"table": "fleet-eu.raw.trips"},
    "query": {"query": "SELECT * FROM raw.trips"},
    "query of a project": {"query": 'SELECT * FROM "fleet-eu".raw.trips;'},
    "parquet": {"path": "data/trips.parquet"},
    "csv": {"path": "data/trips.csv"},
    "folder": {"path": "data/trips"},
    "database": {"path": "data/fleet.duckdb", "table": "raw.trips"},
}


@pytest.mark.parametrize("place", PLACES)
def test_every_place_gives_the_same_rows(place: str, home: Path) -> None:
    source = Source(
        "trips", Trips, timestamp_field="moment", field_mapping={"moment": "at"}, timezone="Europe/Berlin",
        **PLACES[place],
    )  # fmt: skip
    view = FeatureView("prices", Prices, [driver], [source], transform=_prices, start="2026-01-01")
    external = FeatureView(
        "theirs", Prices, [driver], timestamp_field="moment", created_timestamp_column="made",
        timezone="Europe/Berlin", **PLACES[place],
    )  # fmt: skip
    definitions = ModuleType("definitions")
    vars(definitions).update(view=view, external=external)
    with FeatureStore(Settings(home=home, now=NOW, registry=str(home / place)), definitions=definitions) as store:
        store.apply()
        store.compute("2026-01-01", "2026-01-05", ["prices"])
        found = store.get_historical_features(["prices:price", "theirs:price"], _asked(), full_feature_names=True)
        assert found.to_arrow().select(["prices__price", "theirs__price"]).to_pylist() == [
            {"prices__price": None, "theirs__price": None},
            {"prices__price": 2.5, "theirs__price": 2.5},
            {"prices__price": 3.5, "theirs__price": 3.5},
        ]
        known = store.get_historical_features("theirs", _asked(), known_time=True)
        assert known.to_arrow()["price"].to_pylist() == [None, None, 3.5]
        assert store.coverage()["prices"].gaps == ()


def _asked() -> pa.Table:
    moments = [
        datetime(2026, 1, 2, 8, tzinfo=UTC),
        datetime(2026, 1, 2, 9, tzinfo=UTC),
        datetime(2026, 1, 4, tzinfo=UTC),
    ]
    return pa.table({"driver": [1, 1, 1], "event_timestamp": pa.array(moments, pa.timestamp("us", "UTC"))})


def _prices(trips: Any) -> Any:
    return trips.select("driver", "price", event_timestamp=trips.at)


WIDENED = [
    ("7::TINYINT", int, 7),
    ("7::UINTEGER", int, 7),
    ("123456789012345678::DECIMAL(18, 0)", int, 123456789012345678),
    ("0.1::FLOAT", float, 0.10000000149011612),
    ("12.34::DECIMAL(10, 2)", float, 12.34),
    ("(-2147483648)::INTEGER", float, -2147483648.0),
    ("'a'::ENUM ('a', 'b')", str, "a"),
    ("[1::SMALLINT, NULL]", list[int], [1, None]),
    ("TIME_NS '12:00:00.123456'", time, time(12, 0, 0, 123456)),
    ("TIMESTAMP_S '2026-01-01'", Timestamp, datetime(2026, 1, 1, tzinfo=UTC)),
    ("TIMESTAMP_NS '2026-01-01 00:00:00.123456'", Timestamp, datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)),
    ("DATE '2026-01-01'", Timestamp, datetime(2026, 1, 1, tzinfo=UTC)),
]
REFUSED = [
    ("1::BIGINT", float, "DOUBLE"),
    ("1::UBIGINT", int, "BIGINT"),
    ("1::HUGEINT", int, "BIGINT"),
    ("1.5::DECIMAL(18, 2)", float, "DOUBLE"),
    ("1.5::DOUBLE", int, "BIGINT"),
    ("'1'", int, "BIGINT"),
    ("1", str, "TEXT"),
    ("TIMESTAMP '2026-01-01'", str, "TEXT"),
]


def _source(annotation: Any, value: str) -> Source:
    schema = type("One", (SourceSchema,), {"__annotations__": {"value": annotation}, "__module__": __name__})
    return Source("one", schema, query=f"SELECT {value} AS value", valid_from="2026-01-01")


@pytest.mark.parametrize(("value", "annotation", "expected"), WIDENED)
def test_a_stored_type_is_widened_where_no_value_changes(
    value: str, annotation: Any, expected: Any, tmp_path: Path
) -> None:
    source, store = _source(annotation, value), DuckDBOfflineStore(tmp_path)
    check_tables([source], store)
    with store.read(all_rows(source, store.dataset)) as batches:
        assert batches.read_all().to_pylist() == [{"value": expected}]


@pytest.mark.parametrize(("value", "annotation", "type_"), REFUSED)
def test_a_type_that_loses_values_is_refused_with_the_cast(
    value: str, annotation: Any, type_: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceMismatch, match=rf"'one'.*'value'.*CAST\(\"value\" AS {type_}\) AS value"):
        check_tables([_source(annotation, value)], DuckDBOfflineStore(tmp_path))


@pytest.mark.parametrize(
    ("local", "instant"),
    [
        ("TIMESTAMP '2024-07-01 02:30'", datetime(2024, 7, 1, 0, 30, tzinfo=UTC)),
        ("DATE '2024-01-01'", datetime(2023, 12, 31, 23, tzinfo=UTC)),
        ("TIMESTAMPTZ '2024-07-01 02:30:00+00'", datetime(2024, 7, 1, 2, 30, tzinfo=UTC)),
        ("TIMESTAMP '2024-10-27 02:30'", datetime(2024, 10, 27, 1, 30, tzinfo=UTC)),  # happens twice: winter time
        ("TIMESTAMP '2024-03-31 02:30'", datetime(2024, 3, 31, 1, 30, tzinfo=UTC)),  # does not happen: an hour later
    ],
)
def test_times_without_a_zone_are_of_the_zone_that_the_source_names(
    local: str, instant: datetime, tmp_path: Path
) -> None:
    class One(SourceSchema):
        at: Timestamp

    store = DuckDBOfflineStore(tmp_path)
    source = Source("one", One, query=f"SELECT {local} AS at", timestamp_field="at", timezone="Europe/Berlin")
    with store.read(all_rows(source, store.dataset)) as batches:
        assert batches.read_all().to_pylist() == [{"at": instant}]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"table": "raw.nothing"}, "there is no table raw.nothing; fill it"),
        ({"table": "nowhere.raw.trips"}, r"there is no table nowhere.raw.trips in .*nowhere.duckdb"),
        (
            {"path": "data/nothing.parquet"},
            r"there is no file data/nothing.parquet \(.*project.*/data/nothing.parquet\)",
        ),
        ({"path": "data/empty"}, r"there is no file data/empty \(.*data/empty has no files .parquet, .csv, .csv.gz\)"),
        (
            {"path": "data/both/"},
            r"'trips': .*both.* several formats: .parquet, .csv\. .*path='data/both/\*\*/\*.parquet'",
        ),
        ({"query": "SELECT * FROM raw.nothing"}, "'trips': its query cannot be read: .*nothing does not exist"),
        ({"query": "SELECT * FORM raw.trips"}, "'trips': its query cannot be read"),
        ({"query": "SELECT 1 AS driver"}, "'trips': its query has no column 'at'. Its columns: driver"),
        ({"path": "s3://bucket/a.parquet"}, "'trips'"),
    ],
)
def test_a_place_without_the_rows_is_named_with_the_fix(place: dict[str, Any], words: str, home: Path) -> None:
    source = Source("trips", Trips, timestamp_field="at", **place)
    with pytest.raises(FeatureStoreError, match=words):
        check_tables([source], DuckDBOfflineStore(home))


def test_an_iceberg_table_is_refused_with_the_query_that_reads_it(home: Path) -> None:
    folder = home.parent / "lake" / "trips" / "metadata"
    folder.mkdir(parents=True)
    (folder / "v1.metadata.json").write_text("{}")
    with pytest.raises(FeatureStoreError, match=r"'trips': .*lake/trips is an Iceberg table.*iceberg_scan"):
        check_tables([Source("trips", Trips, timestamp_field="at", path="lake/trips")], DuckDBOfflineStore(home))


@pytest.mark.parametrize(
    "place", [{"table": "held.raw.trips"}, {"path": ".amora_fs/held.duckdb", "table": "raw.trips"}]
)
def test_a_file_that_another_process_writes_is_named(place: dict[str, Any], home: Path) -> None:
    file = home / "held.duckdb"
    writer = f"import duckdb, sys; held = duckdb.connect({str(file)!r}); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", writer], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(OfflineStoreError, match="held.duckdb"):
            check_tables([Source("trips", Trips, timestamp_field="at", **place)], DuckDBOfflineStore(home))
        process.stdin.close()


def test_two_statements_are_no_query(home: Path) -> None:
    source = Source("trips", Trips, timestamp_field="at", query="SELECT 1) ; DROP TABLE raw.trips; SELECT (1")
    with pytest.raises(FeatureStoreError, match="'trips': its query is several"):
        check_tables([source], DuckDBOfflineStore(home))


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"query": "DROP TABLE raw.trips"}, "query=.*not a SELECT"),
        ({"query": "SELECT 1", "table": "raw.trips"}, "query= replaces table="),
        ({"path": "data/trips.xlsx"}, "ends in none of .parquet"),
        ({"path": "data/fleet.duckdb"}, "Name the table in the file"),
        ({"path": "data/trips.parquet", "table": "raw.trips"}, "table= with path="),
        ({"field_mapping": {"price": "cost"}}, "'cost', which is no column of the schema"),
        ({"field_mapping": {"a": "price", "b": "price"}}, "two columns the same name"),
        ({"timezone": "Berlin"}, "timezone='Berlin' is not a time zone"),
        ({"table": "a.b.c.d"}, "'project.dataset.table'"),
        ({"available_at": "at", "created_timestamp_column": "at"}, "another name of available_at"),
        ({"loader": lambda: None, "query": "SELECT 1"}, "the loader fills the source's own table"),
        ({"loader": lambda: None, "table": "theirs.raw.trips"}, "a table of another project"),
    ],
)
def test_a_place_that_cannot_be_is_refused_at_import(place: dict[str, Any], words: str) -> None:
    with pytest.raises(DefinitionError, match=f"'trips'.*{words}"):
        Source("trips", Trips, timestamp_field="at", **place)


def test_a_computed_view_has_no_place_of_its_own() -> None:
    source = Source("trips", Trips, timestamp_field="at")
    with pytest.raises(DefinitionError, match="'prices'.*are for an external table"):
        FeatureView(
            "prices", Prices, [driver], [source], transform=_prices, start="2026-01-01", timezone="Europe/Berlin"
        )


def test_a_definition_with_a_plain_table_has_the_json_of_earlier_releases() -> None:
    source = Source("trips", Trips, timestamp_field="at")
    view = FeatureView("prices", Prices, [driver], table="their.prices")
    plain = Catalogue.of([source, view]).to_plain()
    new = {"query", "path", "path_table", "field_mapping", "timezone", "created_timestamp_column"}
    assert not new & (plain["sources"][0].keys() | plain["feature_views"][0].keys())


@pytest.mark.parametrize("place", PLACES)
def test_a_place_is_kept_in_the_registry(place: str) -> None:
    arguments = {"timezone": "Europe/Berlin", **PLACES[place]}
    source = Source("trips", Trips, timestamp_field="moment", field_mapping={"moment": "at"}, **arguments)
    view = FeatureView("theirs", Prices, [driver], created_timestamp_column="made", timestamp_field="m", **arguments)
    catalogue = Catalogue.of([source, view])
    read = Catalogue.from_json(catalogue.to_json())
    assert read == catalogue
    assert read.hash == catalogue.hash
    assert read.source("trips").place == source.place
    assert read.feature_view("theirs").place == view.place


def test_a_row_at_minus_infinity_is_before_everything_and_one_at_infinity_never_counts(
    embedded: Path, tmp_path: Path
) -> None:
    rows = ["(1, '-infinity', 1)", "(1, 'infinity', 2)", "(2, '2026-01-02 00:00:00+00', 3)", "(3, 'infinity', 4)"]
    values = f"(VALUES {', '.join(rows)}) v(driver, t, price)"
    query = f"SELECT driver, t::TIMESTAMPTZ AS event_timestamp, price FROM {values}"
    view = FeatureView("prices", Prices, [driver], query=query)
    definitions = ModuleType("definitions")
    vars(definitions).update(view=view)
    settings = Settings(home=tmp_path, now=NOW, online_store_url=f"unix://{embedded}", project="infinities")
    with FeatureStore(settings, definitions) as store:
        store.apply()
        store.materialize_incremental()
        asked = _asked().set_column(0, "driver", pa.array([1, 2, 3]))
        assert store.get_historical_features("prices", asked).to_arrow()["price"].to_pylist() == [1.0, 3.0, None]
        assert store.get_historical_features("prices", asked, known_time=True).to_arrow()["price"][0].as_py() == 1.0
        found = store.get_online_features("prices", {"driver": [1, 2, 3]})
        assert found.to_dict()["price"] == [1.0, 3.0, None]
        first = datetime.min.replace(tzinfo=UTC)
        assert found.event_timestamps["price"][0] == first
        assert store.parity("prices", sample=None).equal == 2


def test_the_plan_names_what_cannot_be_read_and_apply_refuses_nothing(tmp_path: Path) -> None:
    missing = FeatureView("missing", Prices, [driver], table="raw.prices")
    unfit = FeatureView("unfit", Prices, [driver], query="SELECT 1 AS driver, now() AS event_timestamp, 'a' AS price")
    fine = FeatureView("fine", Prices, [driver], query="SELECT 1 AS driver, now() AS event_timestamp, 1.5 AS price")
    loaded = Source("loaded", Trips, timestamp_field="at", loader=lambda: None)
    lacking = Source("lacking", Trips, query="SELECT 1 AS driver, now() AS at", timestamp_field="at")
    view = FeatureView(
        "prices", Prices, [driver], [loaded, lacking], start="2026-01-01",
        transform=lambda loaded, lacking: lacking.select("driver", "price", event_timestamp=lacking.at),
    )  # fmt: skip
    definitions = ModuleType("definitions")
    vars(definitions).update(missing=missing, unfit=unfit, fine=fine, view=view)
    with FeatureStore(Settings(home=tmp_path, now=NOW), definitions) as store:
        planned = store.plan()
        assert [text.partition(":")[0] for text in planned.unfit] == [
            "Source 'lacking'", "Feature view 'missing'", "Feature view 'unfit'",
        ]  # fmt: skip
        assert 'CAST("price" AS DOUBLE) AS price' in planned.unfit[2]
        assert store.plan(scan=True).unfit == planned.unfit
        assert "not readable: Feature view 'missing': there is no table raw.prices" in str(planned)
        store.apply()
        assert store.plan().empty
