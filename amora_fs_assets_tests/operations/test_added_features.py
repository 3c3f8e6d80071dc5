"""A feature that is added breaks no reader: it is null until it is computed and loaded; the others are as before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from ibis.expr.types import Table

from amora_fs_assets import Entity, FeatureSchema, FeatureStore, FeatureView, Field, Settings, Source, TrainingSet
from amora_fs_assets.cli.rendering.plan import markdown
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import SourceMismatch
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.names import CREATED_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.time import utc
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.training.build import TrainingSetBuild
from amora_fs_assets.operations.training.historical import historical_features
from amora_fs_assets.serving.app import create_app
from amora_fs_assets_tests.operations.engines import ENGINES, engine_store
from amora_fs_assets_tests.small import CLOCK, Orders, at, orders_table
from amora_fs_assets_tests.stores.offline_store_contract import COLUMNS, OfflineStoreContract, rows

NOTE, TAGS = Column("note", DataType.STRING, nullable=True), Column("tags", DataType.LIST_STRING, nullable=True)
CREATED = Column(CREATED_TIMESTAMP, DataType.TIMESTAMP, nullable=True)
SPINE = pa.table({"customer": [1, 2], "event_timestamp": pa.array([at(9), at(9)], pa.timestamp("us", "UTC"))})


def view_with(*added: Column) -> FeatureView:
    return FeatureView("spending", (COLUMNS[0], COLUMNS[2], *added), [Entity("customer")], start="2020-01-01")


@pytest.fixture(params=ENGINES)
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OfflineStore]:
    """A store of either engine with the rows of a view to which nothing was added yet."""
    with engine_store(request, tmp_path) as store:
        OfflineStoreContract().publish(store, rows((1, at(1), 1.0), (1, at(5), 5.0)))
        yield store


def joined(store: OfflineStore, service: FeatureService | FeatureView, **more: Any) -> dict[str, list[Any]]:
    whole = service if isinstance(service, FeatureService) else FeatureService("s", [service])
    asked: Any = {} if "interval" in more else {"entity_df": SPINE}
    found: dict[str, list[Any]] = historical_features(whole, store=store, **asked, **more).to_arrow().to_pydict()
    return found


@pytest.mark.parametrize("known_time", [False, True])
def test_the_join_gives_the_old_features_as_before_and_nulls_for_the_new_ones(
    published: OfflineStore, known_time: bool
) -> None:
    wider = view_with(NOTE, CREATED)
    assert joined(published, wider, known_time=known_time) == {
        **SPINE.to_pydict(), "amount": [5.0, None], "note": [None, None],
    }  # fmt: skip
    assert joined(published, FeatureService("s", [wider["amount"]]))["amount"] == [5.0, None]


def test_a_column_that_the_table_had_and_lost_is_no_added_feature(published: OfflineStore) -> None:
    hash_ = view_with(NOTE).schema_hash
    last = published.publications("spending")[-1]

    class Remembering:
        """The store, of which somebody took a column away after it was published."""

        def __getattr__(self, name: str) -> Any:
            return getattr(published, name)

        def publications(self, name: str) -> tuple[Any, ...]:
            assert name == last.name
            return (type(last)(**{**vars(last), "schema_hash": hash_}),)

    with pytest.raises(SourceMismatch, match="spending.*has no column 'note'"):
        joined(Remembering(), view_with(NOTE))  # type: ignore[arg-type]


class Before(FeatureSchema):
    customer: int
    amount: float = Field(nullable=True)


class After(FeatureSchema):
    customer: int
    amount: float = Field(nullable=True)
    double: float


def _before(orders: Table) -> Table:
    return orders.select("customer", "amount", event_timestamp=orders["at"])


def _after(orders: Table) -> Table:
    return orders.select("customer", "amount", double=orders["amount"] * 2, event_timestamp=orders["at"])


def _spine(orders: Table) -> Table:
    return orders.select("customer", event_timestamp=orders["at"], label=orders["amount"] > 2)


ORDERS = Source("orders", Orders, timestamp_field="at", loader=lambda: orders_table([(1, at(1), 1.0), (2, at(2), 2.0)]))


def catalogue(schema: type[FeatureSchema], transform: Callable[..., Any]) -> Catalogue:
    view = FeatureView("spending", schema, [Entity("customer")], [ORDERS], transform=transform,
                       partitions="month", start="2020-01-01")  # fmt: skip
    return Catalogue.of([view, TrainingSet("bought", FeatureService("shopping", [view]), [ORDERS], spine=_spine)])


def store_of(home: Path, definitions: Catalogue) -> FeatureStore:
    return FeatureStore(Settings(home=home, now=utc(CLOCK)), definitions)


def test_from_apply_to_its_first_load_every_way_of_reading_goes_on(tmp_path: Path) -> None:
    with (
        store_of(tmp_path, catalogue(Before, _before)) as before,
        store_of(tmp_path, catalogue(After, _after)) as after,
    ):
        before.apply()
        before.compute("2020-01-01", CLOCK)
        before.materialize_incremental()
        version = before.get_feature_service("spending").version

        planned = after.plan()
        said = "new feature 'double': null in joins, NOT_FOUND online, until its first computation and load"
        assert said in markdown(planned)
        after.apply(planned=planned)

        entities = {"customer": [1, 2]}
        missing = ["NOT_FOUND", "NOT_FOUND"]
        for features in ("spending", "shopping", ["spending:amount", "spending:double"]):
            answer = after.get_online_features(features, entities)
            assert answer.to_dict() == {**entities, "amount": [1.0, 2.0], "double": [None, None]}
            assert answer.statuses == {"amount": ["PRESENT", "PRESENT"], "double": missing}
            assert joined_by(after, features) == {"amount": [1.0, 2.0], "double": [None, None]}
        old = f"spending@{version}"
        assert after.get_online_features(old, entities).to_dict() == {**entities, "amount": [1.0, 2.0]}
        assert joined_by(after, old) == {"amount": [1.0, 2.0]}
        assert over_http(after, entities) == [
            ("PRESENT", 1.0),
            ("PRESENT", 2.0),
            ("NOT_FOUND", None),
            ("NOT_FOUND", None),
        ]
        assert trained(after) == {"amount": [1.0, 2.0], "double": [None, None]}
        assert after.parity("spending").passed

        after.materialize_incremental()  # of the table as it is: the load before the computation
        assert after.get_online_features("spending", entities).to_dict()["amount"] == [1.0, 2.0]
        assert after.get_online_features("spending", entities).statuses["double"] == ["NULL_VALUE", "NULL_VALUE"]
        after.compute("2020-01-01", CLOCK)
        assert joined_by(after, "spending") == {"amount": [1.0, 2.0], "double": [2.0, 4.0]}
        after.materialize_incremental()
        assert after.get_online_features("spending", entities).to_dict()["double"] == [2.0, 4.0]
        assert after.parity("spending").passed


def joined_by(store: FeatureStore, features: Any) -> dict[str, list[Any]]:
    found = store.get_historical_features(features, SPINE).to_arrow()
    return {name: found[name].to_pylist() for name in found.column_names[2:]}


def trained(store: FeatureStore) -> dict[str, list[Any]]:
    """The features of a training set's rows, as its asset makes them."""
    code = store.code.training_set("bought")
    build = TrainingSetBuild(
        code, store=store.offline, registry=store.registry, run_id="run", now=lambda: at(1, month=3)
    )
    build.stage(store.registry.catalogue())
    build.publish()
    table = store.load_training_set("bought", as_type="arrow").sort_by("customer")
    return {name: table[name].to_pylist() for name in ("amount", "double")}


def over_http(store: FeatureStore, entities: Any) -> list[tuple[str, Any]]:
    async def ask() -> Any:
        transport = httpx.ASGITransport(app=create_app(store))
        async with httpx.AsyncClient(transport=transport, base_url="http://store") as client:
            answer = await client.post(
                "/get-online-features", json={"features": ["spending:amount", "spending:double"], "entities": entities}
            )
        await store.close_async()
        return answer

    answer = asyncio.run(ask())
    assert answer.status_code == 200, answer.text
    features = answer.json()["results"][1:]
    return [pair for each in features for pair in zip(each["statuses"], each["values"], strict=True)]
