"""Values of a request are the same in a training set and online, in every type and form in which callers have them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import ibis
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amora_fs_assets import FeatureService, FeatureStore, Settings
from amora_fs_assets.domain.arrow import arrow_type
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.ports.online import OnlineStore
from amora_fs_assets.domain.request_time.formula import Formula
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.online.json_keys import JsonEntities
from amora_fs_assets.operations.online.read import OnlineReader
from amora_fs_assets.operations.training.historical import historical_features
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.testing import evaluate
from amora_fs_assets_tests.operations.cases import START, VALUES
from amora_fs_assets_tests.operations.on_demand.shop import TABLES, basket, checkout, spend
from amora_fs_assets_tests.operations.on_demand.test_inputs import comparable
from amora_fs_assets_tests.operations.stores import fill
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.stores.online_rows import batch, view_of


def echo(**types: DataType) -> FeatureService:
    """A service whose features are the columns of the request, unchanged."""
    formulas = {f"of_{name}": Formula.from_plain([["column", [], name, str(type_)]]) for name, type_ in types.items()}
    view = OnDemandFeatureView.applied(
        name="echo", inputs=(), formulas=formulas, description="", owner="", tags={},
        request=tuple(Column(name, type_, nullable=True) for name, type_ in types.items()),
        features=tuple(Column(name, each.type, nullable=True) for name, each in formulas.items()),
    )  # fmt: skip
    return FeatureService("echoed", [view])


def online_values(service: FeatureService, rows: Any, online: OnlineStore) -> dict[str, list[Any]]:
    plan = OnlineReader(service)
    asked, requests = plan.requests(rows)
    return dict(plan.response(asked, online.read(requests), START).columns)


def joined_values(service: FeatureService, spine: Any, home: Path) -> dict[str, list[Any]]:
    found = historical_features(service, spine, store=DuckDBOfflineStore(home)).to_arrow().to_pydict()
    return {name: values for name, values in found.items() if name.startswith("of_")}


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(rng=st.randoms(use_true_random=False))
def test_values_of_every_type_are_the_same_on_both_sides(rng: Random, tmp_path: Path, online: OnlineStore) -> None:
    types = {f"c{number}": type_ for number, type_ in enumerate(VALUES)}
    service = echo(**types)
    rows = [
        {name: None if rng.random() < 0.2 else VALUES[type_](rng) for name, type_ in types.items()} for _ in range(5)
    ]
    schema = pa.schema([(name, arrow_type(type_)) for name, type_ in types.items()])
    frame = pa.Table.from_pylist(rows, schema)
    spine = frame.append_column("event_timestamp", pa.array([START] * 5, pa.timestamp("us", "UTC")))
    joined = joined_values(service, spine, tmp_path)
    for given_rows in (rows, frame):
        served = online_values(service, given_rows, online)
        assert {name: comparable(values) for name, values in served.items()} == {
            name: comparable(values) for name, values in joined.items()
        }


FORMS: dict[str, tuple[DataType, list[Any], list[Any]]] = {
    "integers for floats": (DataType.FLOAT64, [1, 2, None], [1.0, 2.0, None]),
    "days for instants": (
        DataType.TIMESTAMP, [date(2020, 1, 1), date(2020, 1, 2), None],
        [datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC), None],
    ),
    "integers for decimals": (DataType.DECIMAL, [1, 2, None], [Decimal(1), Decimal(2), None]),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_fitting_type_is_converted_alike(form: str, tmp_path: Path, online: OnlineStore) -> None:
    type_, given_values, right = FORMS[form]
    service = echo(x=type_)
    frame = pa.table({"x": given_values, "event_timestamp": pa.array([START] * 3, pa.timestamp("us", "UTC"))})
    assert joined_values(service, frame, tmp_path)["of_x"] == right
    assert online_values(service, {"x": given_values}, online)["of_x"] == right
    assert joined_values(service, ibis.memtable(frame), tmp_path)["of_x"] == right


def test_frames_of_pandas_and_polars(tmp_path: Path, online: OnlineStore) -> None:
    service = echo(x=DataType.FLOAT64, n=DataType.INT64, s=DataType.STRING)
    rows = {"x": [1.5, None], "n": [None, 2], "s": ["a", None], "event_timestamp": [START, START]}
    right = {"of_x": [1.5, None], "of_n": [None, 2], "of_s": ["a", None]}
    for frame in (pd.DataFrame(rows), pl.DataFrame(rows)):
        assert joined_values(service, frame, tmp_path) == right
        assert online_values(service, frame, online) == right


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (DataType.INT64, 1.5), (DataType.INT64, "1"), (DataType.STRING, 1), (DataType.BOOLEAN, 1),
        (DataType.DATE, datetime(2020, 1, 1, 5, tzinfo=UTC)), (DataType.BYTES, "a"), (DataType.LIST_INT64, [1.5]),
    ],
)  # fmt: skip
def test_a_value_that_would_change_is_refused_on_both_sides(
    type_: DataType, value: Any, tmp_path: Path, online: OnlineStore
) -> None:
    service = echo(x=type_)
    with pytest.raises(InvalidRequest, match="Request column 'x' takes"):
        online_values(service, {"x": [value]}, online)
    spine = pa.table({"x": [value], "event_timestamp": pa.array([START], pa.timestamp("us", "UTC"))})
    with pytest.raises(InvalidRequest, match="column 'x'|Column 'x'"):
        joined_values(service, spine, tmp_path)


def test_a_join_key_may_be_read_as_request_data(tmp_path: Path) -> None:
    """The column is one in the request, and has one type."""
    service = FeatureService("both", [spend["spend_30d"], *echo(customer=DataType.INT64).on_demand])
    fill(tmp_path, TABLES)
    with FeatureStore(Settings(home=tmp_path, now=at(3)), Catalogue.of([service, checkout])) as store:
        store.apply()
        store.materialize_incremental()
        assert store.get_online_features("both", {"customer": [1, 2]}).to_dict()["of_customer"] == [1, 2]
        frame = pd.DataFrame({"customer": [1, 2], "event_timestamp": [at(3), at(3)]})
        assert store.get_historical_features("both", frame).to_df()["of_customer"].tolist() == [1, 2]


def test_an_input_that_is_not_loaded_yet_is_null(online: OnlineStore) -> None:
    before = view_of(Column("amount", DataType.FLOAT64, nullable=True))
    after = view_of(*before.features, Column("tip", DataType.FLOAT64, nullable=True))
    online.load(
        before, [batch(before, (1, START, 1.0))], published_through=1, clock=START, new_generation=True, expire=False
    )
    formula: Callable[[str], Formula] = lambda name: Formula.from_plain([["column", [], name, "float64"]])
    view = OnDemandFeatureView.applied(
        name="made", inputs=(after.whole,), request=(), description="", owner="", tags={},
        features=tuple(Column(f"of_{name}", DataType.FLOAT64, nullable=True) for name in ("amount", "tip")),
        formulas={"of_amount": formula("amount"), "of_tip": formula("tip")},
    )  # fmt: skip
    plan = OnlineReader(FeatureService("made", [view]))
    asked, requests = plan.requests({"customer": [1]})
    answer = plan.response(asked, online.read(requests), START)
    assert answer.statuses == {"of_amount": ["PRESENT"], "of_tip": ["NULL_VALUE"]}


def test_features_of_the_instant_alone_have_a_value_per_entity_row(online: OnlineStore) -> None:
    formula = Formula.from_plain([["request_time", []]])
    view = OnDemandFeatureView.applied(
        name="made", inputs=(), request=(), description="", owner="", tags={}, formulas={"at": formula},
        features=(Column("at", DataType.TIMESTAMP, nullable=True),),
    )  # fmt: skip
    service = FeatureService("made", [view])
    assert online_values(service, [{"any": 1}, {"any": 2}], online) == {"at": [START, START]}
    assert online_values(service, {"any": [1, 2, 3]}, online) == {"at": [START] * 3}


def test_a_key_in_json_that_is_also_read_as_request_data(online: OnlineStore) -> None:
    """Its text stands for the number, as for every key, and the answer has the key as it was sent."""
    view = view_of(Column("amount", DataType.FLOAT64, nullable=True))
    rows = batch(view, (7, START, 1.0))
    online.load(view, [rows], published_through=1, clock=START, new_generation=True, expire=False)
    service = FeatureService("both", [view, *echo(customer=DataType.INT64).on_demand])
    answer = online_values(service, JsonEntities({"customer": ["7"]}), online)
    assert answer == {"customer": ["7"], "amount": [1.0], "of_customer": [7]}


def test_a_view_is_evaluated_on_rows_of_a_test() -> None:
    rows: list[dict[str, Any]] = [
        {"basket": 50, "spend_30d": 200.0, "last_order": "2020-01-02", "city": "Berlin", "shop_city": "Berlin"},
        {"basket": None},
    ]
    assert evaluate(basket, rows, at="2020-01-03").to_pylist() == [
        {"share": 0.25, "idle": 86_400.0, "local": True, "orders": 0},
        {"share": None, "idle": None, "local": None, "orders": 0},
    ]
    assert evaluate(basket, [], at=at(3)).num_rows == 0
    with pytest.raises(InvalidRequest, match="'basket' reads no column 'basked'. Its columns: spend_30d, orders_30d, "):
        evaluate(basket, [{"basked": 1.0}], at="2020-01-03")
    with pytest.raises(InvalidRequest, match="'basket' takes float64: '50' is str"):
        evaluate(basket, [{"basket": "50"}], at="2020-01-03")
    with pytest.raises(InvalidRequest, match="uses request_time.*. Give the instant"):
        evaluate(basket, rows)
