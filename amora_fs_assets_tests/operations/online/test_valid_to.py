"""Rows of external tables that end: at valid_to an entity loses its values, in joins and online alike."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    Settings,
    Timestamp,
    on_demand_feature_view,
)
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.changes import Severity
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.places.ends import ends_as_rows
from amora_fs_assets.domain.ports.online import OnlineStore
from amora_fs_assets.operations.expressions.tables import rows_there
from amora_fs_assets.operations.online.materialize import materialize
from amora_fs_assets.operations.online.parity import parity
from amora_fs_assets.operations.online.push import push
from amora_fs_assets.operations.online.read import OnlineReader
from amora_fs_assets.operations.training.historical import historical_features
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.bigquery.setup import feast_source
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.operations.oracle import NEVER, brute_force
from amora_fs_assets_tests.operations.stores import fill, fill_bigquery
from amora_fs_assets_tests.serving.conftest import application
from amora_fs_assets_tests.small import at

TIME = pa.timestamp("us", tz="UTC")
FIELDS = {"product": pa.int64(), "valid_from": TIME, "changed": TIME, "ended": TIME, "price": pa.float64()}
MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)


class Prices(FeatureSchema):
    """Prices of products, of which another team keeps the history."""

    product: int
    price: float = Field(nullable=True)


class Discounts(FeatureSchema):
    """Schemas may name the end of a row."""

    product: int
    valid_to: Timestamp = Field(nullable=True, description="When the price ended.")
    price: float = Field(nullable=True)


product = Entity("product")
WHERE: dict[str, Any] = {
    "table": "theirs.prices", "timestamp_field": "valid_from", "created_timestamp_column": "changed",
    "valid_to_field": "ended",
}  # fmt: skip
PRICES = FeatureView("prices", Prices, [product], **WHERE)
BRIEF = FeatureView("brief", Prices, [product], ttl=DAY, **WHERE)
Row = tuple[int, datetime, datetime | None, datetime | None, float | None]
"""Product, valid_from, changed, ended, price."""


def table(*rows: Row) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(FIELDS, row, strict=True)) for row in rows], pa.schema(FIELDS))


def put(home: Path, *rows: Row) -> None:
    """The other team fills its table anew."""
    with duckdb.connect(home / "offline.duckdb") as connection:
        connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA IF NOT EXISTS theirs")
        connection.register("given", table(*rows))
        connection.execute("CREATE OR REPLACE TABLE theirs.prices AS FROM given")


def truth(view: FeatureView, rows: Sequence[Row], key: int, moment: datetime, until: datetime) -> Any:
    """The price at the moment, of the rows that began until then, by brute force; "none" without a row."""
    named = [
        {"product": k, "event_timestamp": time, "created_timestamp": made, "valid_to": end, "price": price}
        for k, time, made, end, price in rows
        if time <= until
    ]
    asked = [{"product": key, "event_timestamp": moment}]
    (found,) = brute_force(asked, named, {"product": "product"}, ["price"], view.ttl, known_time=False)
    return "none" if found is None else found["price"]


def served(view: FeatureView, online: OnlineStore, clock: datetime, *keys: int) -> list[Any]:
    """The prices online at that time by the clock; "none" for an entity without a row."""
    reader = OnlineReader(FeatureService("asked", [view]))
    entities, requests = reader.requests({"product": list(keys)})
    answer = reader.response(entities, online.read(requests), clock)
    both = zip(answer.columns["price"], answer.statuses["price"], strict=True)
    return ["none" if status in {"NOT_FOUND", "OUTSIDE_MAX_AGE"} else price for price, status in both]


def joined(view: FeatureView, store: DuckDBOfflineStore, moment: datetime, *keys: int) -> list[Any]:
    spine = pa.table({"product": keys, "event_timestamp": pa.array([moment] * len(keys), TIME)})
    found = historical_features(FeatureService("asked", [view]), spine, store=store).to_arrow()
    return list(found["price"].to_pylist())


INSTANTS = [at(day) + step * MICROSECOND for day in range(1, 5) for step in (-1, 0, 1)]
TIMES = st.sampled_from(INSTANTS)
ROWS = st.lists(
    st.tuples(st.integers(1, 2), TIMES, st.none() | TIMES, st.sampled_from([None, NEVER, *INSTANTS]), st.floats(0, 9)),
    max_size=7,
)


@pytest.mark.slow
@given(tables=st.lists(ROWS, min_size=1, max_size=2), pushes=ROWS, view=st.sampled_from([PRICES, BRIEF]))
@settings(
    max_examples=8, deadline=None, phases=set(Phase) - {Phase.shrink},
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_a_running_clock_ends_rows_online_as_the_join_ends_them(
    tmp_path: Path, online: OnlineStore, tables: list[list[Row]], pushes: list[Row], view: FeatureView
) -> None:
    """The table is changed in place between loads, so that rows end late, begin again, overlap and tie."""
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    for rows, clock in zip(tables, (at(2), at(3)), strict=False):
        put(tmp_path, *rows)
        store = DuckDBOfflineStore(tmp_path)
        materialize(view, store=store, online=online, clock=clock, expire=False)
        for now in [each for each in INSTANTS if each >= clock]:
            assert served(view, online, now, 1, 2) == [truth(view, rows, key, now, until=clock) for key in (1, 2)]
        expected = [truth(view, rows, key, clock, until=clock) for key in (1, 2)]
        assert joined(view, store, clock, 1, 2) == [None if each == "none" else each for each in expected]
        assert parity(view, store, online, sample=None, expire=False).passed
        with store.read(ends_as_rows(rows_there(view, store), view)) as batches:
            check_rows_for_others(batches.read_all().to_pylist(), rows)
    # A pushed value is known already.
    beside = [row for row in pushes if row[1] <= clock and (row[2] or row[1]) <= clock]
    beside = list({(row[0], row[1], row[2] or row[1]): row for row in beside}.values())
    push(view, _as_pushed(beside), online=online, offline=store, run_id="push", clock=clock, expire=False)
    materialize(view, store=store, online=online, clock=clock, expire=False)
    for now in [each for each in INSTANTS if each >= clock]:
        held = served(view, online, now, 1, 2)
        if now == clock:
            assert [None if each == "none" else each for each in held] == joined(view, store, clock, 1, 2)
    assert parity(view, store, online, sample=None, expire=False).passed


def check_rows_for_others(found: Sequence[dict[str, Any]], rows: Sequence[Row]) -> None:
    """A reader that does not know valid_to, such as Feast's join, finds the same values."""
    assert not any("valid_to" in row for row in found)
    for moment in INSTANTS:
        for key in (1, 2):
            known = [row for row in found if row["product"] == key and row["event_timestamp"] <= moment]
            newest = max(known, key=lambda row: row["event_timestamp"])["price"] if known else None
            expected = truth(PRICES, rows, key, moment, until=moment)
            assert newest == (None if expected == "none" else expected)


def _as_pushed(rows: Sequence[Row]) -> list[dict[str, Any]]:
    names = ("product", "event_timestamp", "created_timestamp", "valid_to", "price")
    return [dict(zip(names, row, strict=True)) for row in rows]


@pytest.mark.slow
@pytest.mark.google
def test_rows_end_in_bigquery_too(bigquery_emulator: BigQueryEmulator, online: OnlineStore) -> None:
    rows: list[Row] = [
        (1, at(1), None, at(3), 1.0), (1, at(2), at(2), at(2), 2.0), (1, at(3) + MICROSECOND, None, None, 3.0),
        (2, at(1), None, NEVER, 4.0), (2, at(2), None, None, 5.0), (2, at(2), None, at(3), 6.0),
    ]  # fmt: skip
    with bigquery_emulator.client() as client:
        fill_bigquery(client, {"theirs.prices": table(*rows)})
        store = BigQueryOfflineStore(client, dataset="valid_to", storage_client=bigquery_emulator.read_client())
        materialize(PRICES, store=store, online=online, clock=at(2), expire=False)
        for now in [each for each in INSTANTS if each >= at(2)]:
            assert served(PRICES, online, now, 1, 2) == [truth(PRICES, rows, key, now, until=at(2)) for key in (1, 2)]
        assert parity(PRICES, store, online, sample=None, expire=False).passed
        settings = Settings(offline_store="bigquery", bigquery_project=client.project)
        query = feast_source(PRICES.where, settings, PRICES)["bigqueryOptions"]["query"]
        check_rows_for_others([dict(row) for row in client.query(query).result(timeout=60)], rows)


@pytest.fixture
def fs(tmp_path: Path) -> Iterator[FeatureStore]:
    fill(tmp_path, {"theirs.prices": table((1, at(1), None, at(3), 1.0), (2, at(1), None, None, 2.0))})
    with FeatureStore(Settings(home=tmp_path, now=at(2)), Catalogue.of([PRICES])) as store:
        store.apply()
        store.materialize_incremental()
        yield store


def prices(fs: FeatureStore, now: datetime, *keys: int) -> list[tuple[Any, str, Any]]:
    """Value, status and time of each price, as if it were then."""
    with FeatureStore(replace(fs.settings, now=now), Catalogue.of([PRICES])) as later:
        found = later.get_online_features("prices", {"product": list(keys)})
    every = found.columns["price"], found.statuses["price"], found.event_timestamps["price"]
    return list(zip(*every, strict=True))


def test_a_row_that_ends_is_not_found_from_valid_to_on_without_a_load(fs: FeatureStore) -> None:
    two = (2.0, "PRESENT", at(1))
    assert prices(fs, at(3) - MICROSECOND, 1, 2, 3) == [(1.0, "PRESENT", at(1)), two, (None, "NOT_FOUND", None)]
    assert prices(fs, at(3), 1, 2) == [(None, "NOT_FOUND", None), two]


def test_http_and_a_file_for_feast_know_the_end(fs: FeatureStore) -> None:
    fs.push("prices", [{"product": 1, "event_timestamp": at(2), "price": 9.0, "valid_to": at(2)}])
    fs.export_for_feast()
    rows = duckdb.sql(f"FROM '{fs.settings.home}/feast/prices.parquet'").to_arrow_table().to_pylist()
    assert sorted((row["product"], row["price"]) for row in rows if row["price"] is not None) == [(1, 1.0), (2, 2.0)]
    assert [(row["product"], row["event_timestamp"]) for row in rows if row["price"] is None] == [(1, at(2))]
    with application(fs) as send:
        answer = send("/get-online-features", {"features": ["prices:price"], "entities": {"product": [1, 2]}}).json()
    assert answer["results"][-1]["statuses"] == ["NOT_FOUND", "PRESENT"]


def test_a_row_that_ended_is_null_for_features_at_request_time(tmp_path: Path) -> None:
    class Change(FeatureSchema):
        change: float = Field(nullable=True)

    def change(price: Any, offer: Any) -> dict[str, Any]:
        return {"change": offer - price}

    view = on_demand_feature_view(schema=Change, inputs=[PRICES["price"]], request={"offer": float})(change)
    fill(tmp_path, {"theirs.prices": table((1, at(1), None, at(3), 1.0), (2, at(1), None, None, 2.0))})
    with FeatureStore(Settings(home=tmp_path, now=at(2)), Catalogue.of([PRICES, view])) as store:
        store.apply()
        store.materialize_incremental()
        asked: dict[str, list[Any]] = {"product": [1, 2], "offer": [5.0, 5.0]}
        assert store.get_online_features(["change:change"], asked).columns["change"] == [4.0, 3.0]
        with FeatureStore(replace(store.settings, now=at(3)), Catalogue.of([PRICES, view])) as later:
            found = later.get_online_features(["change:change"], asked)
        assert (found.columns["change"], found.statuses["change"]) == ([None, 3.0], ["NULL_VALUE", "PRESENT"])
        spine = pa.table({**asked, "event_timestamp": pa.array([at(3), at(3)], TIME)})
        joined_ = store.get_historical_features(["change:change"], spine).to_arrow()
        assert joined_["change"].to_pylist() == [None, 3.0]


def test_the_wall_clock_ends_a_row(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    end = now + timedelta(seconds=1)
    fill(tmp_path, {"theirs.prices": table((1, now - DAY, None, end, 1.0), (2, now - DAY, None, end + DAY, 2.0))})
    with FeatureStore(Settings(home=tmp_path), Catalogue.of([PRICES])) as store:
        store.apply()
        store.materialize_incremental()
        statuses = {"PRESENT"}
        while statuses != {"NOT_FOUND"}:
            before = datetime.now(UTC)
            found = store.get_online_features("prices", {"product": [1, 2]}).statuses["price"]
            after = datetime.now(UTC)
            assert found[1] == "PRESENT"
            statuses = {found[0]}
            if after < end or before >= end:
                assert found[0] == ("PRESENT" if after < end else "NOT_FOUND")


def test_a_row_that_was_closed_late_ends_with_the_next_load(fs: FeatureStore, tmp_path: Path) -> None:
    put(tmp_path, (1, at(1), None, at(3), 1.0), (2, at(1), at(2), at(2), 2.0))
    assert not fs.parity("prices").passed
    fs.materialize(at(2), at(2))  # a window that holds no beginning, but an end
    assert prices(fs, at(2), 2) == [(None, "NOT_FOUND", None)]
    fs.materialize_incremental()
    assert prices(fs, at(2), 2) == [(None, "NOT_FOUND", None)]
    assert fs.parity("prices").passed


def test_a_pushed_row_ends_too_and_ends_the_row_before(fs: FeatureStore) -> None:
    pushed = {"product": 1, "event_timestamp": at(2), "price": 5.0, "valid_to": at(4)}
    assert fs.push("prices", [pushed]) == 1
    assert prices(fs, at(3), 1) == [(5.0, "PRESENT", at(2))]
    assert prices(fs, at(4), 1) == [(None, "NOT_FOUND", None)]
    # An empty row ends what was before. The table's names are names of a push as well.
    assert fs.push("prices", [{"product": 2, "valid_from": at(2), "price": None, "ended": at(2)}]) == 1
    assert prices(fs, at(2), 2) == [(None, "NOT_FOUND", None)]
    asked = pa.table({"product": [1, 1, 2], "event_timestamp": pa.array([at(3), at(4), at(3)], TIME)})
    assert fs.get_historical_features("prices", asked).to_arrow()["price"].to_pylist() == [5.0, None, None]
    fs.materialize_incremental()
    assert fs.parity("prices").passed


def test_valid_to_is_no_feature_and_is_kept_in_the_registry(fs: FeatureStore) -> None:
    view = fs.served.feature_view("prices")
    assert [feature.name for feature in view.features] == ["price"]
    assert [column.name for column in view.row_columns] == [
        "product", "event_timestamp", "created_timestamp", "valid_to", "price",
    ]  # fmt: skip
    assert view.valid_to_field == "ended"
    assert Catalogue.from_json(Catalogue.of([PRICES]).to_json()) == Catalogue.of([PRICES])
    named = FeatureView("named", Discounts, [product], **WHERE)
    assert [feature.name for feature in named.features] == ["price"]
    assert next(c for c in named.row_columns if c.name == "valid_to").description == "When the price ended."


def test_without_the_argument_valid_to_is_a_feature() -> None:
    view = FeatureView("named", Discounts, [product], table="theirs.prices")
    assert [feature.name for feature in view.features] == ["valid_to", "price"]
    assert "valid_to_field" not in Catalogue.of([view]).to_plain()["feature_views"][0]


def test_the_plan_says_that_valid_to_changes_rows(fs: FeatureStore) -> None:
    less = {name: value for name, value in WHERE.items() if name != "valid_to_field"}
    other = Catalogue.of([FeatureView("prices", Prices, [product], **less)])
    with FeatureStore(fs.settings, other) as changed:
        (change,) = changed.plan().changes
        assert change.severity is Severity.RECOMPUTE
        assert "valid_to_field: ended -> None" in [each.what for each in change.differences]
        changed.apply()
        changed.materialize_incremental()
        assert changed.get_online_features("prices", {"product": [1]}).columns["price"] == [1.0]
        assert changed.parity("prices").passed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"valid_to_field": "valid_from"}, "is also timestamp_field"),
        ({"valid_to_field": "changed"}, "is also created_timestamp_column"),
        ({"valid_to_field": "product"}, "='product' is the join key of entity 'product'"),
        ({"valid_to_field": "not a name"}, "starts with a letter"),
        ({"valid_to_field": 7}, "valid_to_field"),
    ],
)
def test_a_column_that_cannot_be_an_end_is_refused_at_import(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(DefinitionError, match=f"Feature view 'prices'.*{words}"):
        FeatureView("prices", Prices, [product], **{**WHERE, **arguments})


def test_an_end_that_is_no_time_and_a_view_with_a_transform_are_refused() -> None:
    class Texts(FeatureSchema):
        product: int
        valid_to: str
        price: float

    with pytest.raises(DefinitionError, match="valid_to is string. Declare it as Timestamp"):
        FeatureView("prices", Texts, [product], table="theirs.prices", valid_to_field="ended")
    with pytest.raises(DefinitionError, match="valid_to_field is for an external table.*returns a row of nulls"):
        FeatureView("prices", Prices, [product], [PRICES], transform=_same, start="2020-01-01", valid_to_field="ended")


def _same(prices: Any) -> Any:
    return prices


def test_a_table_without_the_column_is_named_with_its_columns(tmp_path: Path) -> None:
    fill(tmp_path, {"theirs.prices": table().drop_columns(["ended"])})
    with FeatureStore(Settings(home=tmp_path, now=at(2)), Catalogue.of([PRICES])) as store:
        assert "has no column 'ended'. Its columns: product, valid_from, changed, price" in store.plan().unfit[0]


@pytest.mark.parametrize("end", ["infinity", "9999-12-31", "2020-01-03"])
def test_ends_may_be_dates_or_infinite(tmp_path: Path, end: str) -> None:
    kind = "TIMESTAMPTZ" if end == "infinity" else "DATE"
    query = f"SELECT 1 AS product, DATE '2020-01-01' AS valid_from, {kind} '{end}' AS ended, 1.5::DOUBLE AS price"
    where: dict[str, Any] = {"query": query, "timestamp_field": "valid_from", "valid_to_field": "ended"}
    view = FeatureView("prices", Prices, [product], created_timestamp_column="valid_from", **where)
    with FeatureStore(Settings(home=tmp_path, now=at(2)), Catalogue.of([view])) as store:
        store.apply()
        store.materialize_incremental()
        ended = end == "2020-01-03"
        applied = store.served.feature_view("prices")
        assert served(applied, store.online, at(3), 1) == ["none" if ended else 1.5]
        assert joined(view, DuckDBOfflineStore(tmp_path), at(3), 1) == [None if ended else 1.5]
        assert store.parity("prices").passed
