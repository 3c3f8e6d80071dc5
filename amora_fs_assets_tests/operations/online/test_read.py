"""Serving: statuses, order, keys, names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from amora_fs_assets import FeatureService, FeatureView
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import InvalidRequest, OnlineStoreError
from amora_fs_assets.domain.ports.online import OnlineStore
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.online.read import OnlineReader, OnlineResponse
from amora_fs_assets_tests.stores.online_rows import AMOUNT, CUSTOMER, NOTE, batch, hour, view_of

SHOP = Column("shop", DataType.STRING)
COUNT = Column("count", DataType.INT64, nullable=True)


def load(online: OnlineStore, view: FeatureView, *rows: Sequence[Any]) -> None:
    online.load(view, [batch(view, *rows)], published_through=1, clock=hour(0), new_generation=True, expire=False)


def ask(
    online: OnlineStore,
    service: FeatureService | FeatureView,
    entity_rows: Any,
    *,
    clock: datetime | None = None,
    full_feature_names: bool = False,
) -> OnlineResponse:
    service = service if isinstance(service, FeatureService) else FeatureService(service.name, [service])
    plan = OnlineReader(service, full_feature_names=full_feature_names)
    asked, requests = plan.requests(entity_rows)
    return plan.response(asked, online.read(requests), clock or hour(0))


def test_rows_and_features_come_as_asked_for_join_keys_first(online: OnlineStore) -> None:
    view = view_of(AMOUNT, NOTE, COUNT)
    load(online, view, (1, hour(0), 1.0, "a", 10), (2, hour(0), 2.0, "b", 20))
    answer = ask(online, FeatureService("s", [view["count", "amount"]]), {"customer": [2, 1, 2]})
    assert list(answer.to_dict().items()) == [
        ("customer", [2, 1, 2]),
        ("count", [20, 10, 20]),
        ("amount", [2.0, 1.0, 2.0]),
    ]


def test_every_status(online: OnlineStore) -> None:
    view = view_of(AMOUNT, ttl=timedelta(hours=2))
    load(online, view, (1, hour(-1), 1.0), (2, hour(-1), None), (3, hour(-3), 3.0), (4, hour(-1), math.nan))
    answer = ask(online, view, {"customer": [1, 2, 3, 4, 5, None]})
    assert answer.statuses == {
        "amount": ["PRESENT", "NULL_VALUE", "OUTSIDE_MAX_AGE", "PRESENT", "NOT_FOUND", "NOT_FOUND"]
    }
    values = answer.to_dict()["amount"]
    assert values[:3] == [1.0, None, None]
    assert math.isnan(values[3])
    assert values[4:] == [None, None]


@pytest.mark.parametrize(("age", "status"), [(0, "PRESENT"), (2, "PRESENT"), (2 + 1e-9, "OUTSIDE_MAX_AGE")])
def test_the_end_of_the_ttl_is_included_to_the_microsecond(online: OnlineStore, age: float, status: str) -> None:
    view = view_of(AMOUNT, ttl=timedelta(hours=2))
    load(online, view, (1, hour(0), 1.0))
    clock = hour(int(age)) + timedelta(microseconds=int(age != int(age)))
    assert ask(online, view, {"customer": [1]}, clock=clock).statuses["amount"] == [status]


def test_without_a_ttl_values_stay_good(online: OnlineStore) -> None:
    view = view_of(AMOUNT)
    load(online, view, (1, hour(0), 1.0))
    assert ask(online, view, {"customer": [1]}, clock=hour(9e5)).statuses["amount"] == ["PRESENT"]


def test_each_feature_says_since_when_its_value_holds(online: OnlineStore) -> None:
    view = view_of(AMOUNT, NOTE)
    load(online, view, (1, hour(-1), 1.0, "a"))
    answer = ask(online, view, {"customer": [1, 2]})
    assert answer.event_timestamps == {"amount": [hour(-1), None], "note": [hour(-1), None]}


def test_a_list_of_dicts_is_the_same_as_a_dict_of_columns(online: OnlineStore) -> None:
    view = view_of(AMOUNT, keys=[SHOP, CUSTOMER])
    load(online, view, ("x", 1, hour(0), 1.0))
    columns = {"customer": [1, 2], "shop": ["x", "x"]}
    rows = [{"customer": 1, "shop": "x"}, {"shop": "x", "customer": 2}]
    assert ask(online, view, rows).to_dict() == ask(online, view, columns).to_dict()
    assert ask(online, view, columns).to_dict()["amount"] == [1.0, None]


@pytest.mark.parametrize(
    "rows",
    [
        pd.DataFrame({"customer": [1, 2]}),
        pa.table({"customer": [1, 2]}),
        {"customer": np.array([1, 2])},
        {"customer": pd.Series([1, 2])},
        {"customer": pa.array([1, 2])},
        {"customer": (1, 2)},
        {"customer": [np.int32(1), np.uint64(2)]},
        {"customer": [1.0, np.float64(2)]},
    ],
    ids=["frame", "arrow table", "numpy array", "series", "arrow array", "tuple", "numpy scalars", "whole floats"],
)
def test_frames_arrays_and_numpy_scalars_are_taken(online: OnlineStore, rows: Any) -> None:
    view = view_of(AMOUNT)
    load(online, view, (1, hour(0), 1.0), (2, hour(0), 2.0))
    assert ask(online, view, rows).to_dict()["amount"] == [1.0, 2.0]


@pytest.mark.parametrize("null", [None, math.nan, np.nan, pd.NA, pd.NaT])
def test_a_null_key_is_not_found(online: OnlineStore, null: Any) -> None:
    load(online, view_of(AMOUNT), (1, hour(0), 1.0))
    answer = ask(online, view_of(AMOUNT), [{"customer": null}, {"customer": 1}])
    assert answer.statuses["amount"] == ["NOT_FOUND", "PRESENT"]


@pytest.mark.parametrize("wrong", ["1", 1.5, True, b"1", [1], 2**63, -(2**63) - 1, 2.0**60])
def test_a_key_of_a_wrong_type_is_named(online: OnlineStore, wrong: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"Join key 'customer' takes int64"):
        ask(online, view_of(AMOUNT), {"customer": [wrong]})


@pytest.mark.parametrize("wrong", [1, b"x", 1.0, None.__class__])
def test_a_text_key_takes_text_only(online: OnlineStore, wrong: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"Join key 'shop' takes string"):
        ask(online, view_of(AMOUNT, keys=[SHOP]), {"shop": ["x", wrong]})


@pytest.mark.parametrize("rows", [[{"shop": "x"}], {"shop": ["x"]}, [{"customer": 1}, {"shop": "x"}]])
def test_a_missing_join_key_is_named_with_what_is_there(online: OnlineStore, rows: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"lack join key 'customer'. They have: 'shop'"):
        ask(online, view_of(AMOUNT), rows)


@pytest.mark.parametrize("rows", [{"customer": "12"}, {"customer": 1}, [1, 2], ["customer"], None, 7])
def test_what_is_no_column_of_values_is_refused(online: OnlineStore, rows: Any) -> None:
    with pytest.raises(InvalidRequest, match="entity_rows"):
        ask(online, view_of(AMOUNT), rows)


def test_columns_of_different_lengths_are_refused(online: OnlineStore) -> None:
    with pytest.raises(InvalidRequest, match="different lengths"):
        ask(online, view_of(AMOUNT, keys=[SHOP, CUSTOMER]), {"customer": [1, 2], "shop": ["x"]})


def test_no_rows_are_no_values(online: OnlineStore) -> None:
    assert ask(online, view_of(AMOUNT), []).to_dict() == {"customer": [], "amount": []}
    assert ask(online, view_of(AMOUNT), {"customer": []}).to_dict() == {"customer": [], "amount": []}


def test_names_that_collide_are_refused_unless_they_are_full(online: OnlineStore) -> None:
    one, other = view_of(AMOUNT), view_of(AMOUNT, name="saving")
    both = FeatureService("both", [one, other])
    for view, value in ((one, 1.0), (other, 2.0)):
        load(online, view, (1, hour(0), value))
    with pytest.raises(InvalidRequest, match=r"'saving:amount'.*full_feature_names=True"):
        ask(online, both, {"customer": [1]})
    answer = ask(online, both, {"customer": [1]}, full_feature_names=True)
    assert answer.to_dict() == {"customer": [1], "spending__amount": [1.0], "saving__amount": [2.0]}


def test_an_alias_reads_another_column_by_its_own_name(online: OnlineStore) -> None:
    view = view_of(AMOUNT, keys=[SHOP])
    load(online, view, ("x", hour(0), 1.0), ("y", hour(0), 2.0))
    service = FeatureService(
        "s", [view.alias("seller", {"shop": "from"})["amount"], view.alias("buyer", {"shop": "to"})["amount"]]
    )
    answer = ask(online, service, {"from": ["x", "y"], "to": ["y", "z"]}, full_feature_names=True)
    assert answer.to_dict() == {
        "from": ["x", "y"],
        "to": ["y", "z"],
        "seller__amount": [1.0, 2.0],
        "buyer__amount": [2.0, None],
    }


def test_views_of_different_keys_and_one_without_are_read_together(online: OnlineStore) -> None:
    one, whole = view_of(AMOUNT), view_of(NOTE, keys=[], name="whole")
    load(online, one, (1, hour(0), 1.0))
    load(online, whole, (hour(0), "all"))
    answer = ask(online, FeatureService("s", [one, whole]), {"customer": [1, 2]})
    assert answer.to_dict() == {"customer": [1, 2], "amount": [1.0, None], "note": ["all", "all"]}


@pytest.mark.parametrize("rows", [[{}, {}], {"anything": [1, 2]}])
def test_a_view_without_entities_answers_once_per_row(online: OnlineStore, rows: Any) -> None:
    view = view_of(NOTE, keys=[], name="whole")
    load(online, view, (hour(0), "all"))
    assert ask(online, view, rows).to_dict() == {"note": ["all", "all"]}


def test_the_callers_rows_are_not_changed_by_what_is_done_with_the_answer(online: OnlineStore) -> None:
    mine = {"customer": [1]}
    ask(online, view_of(AMOUNT), mine).to_dict()["customer"].append(2)
    assert mine == {"customer": [1]}


def test_a_feature_that_was_added_is_not_found_until_its_load_and_the_others_are_served(online: OnlineStore) -> None:
    """The registry has the new columns, Redis still the old ones."""
    load(online, view_of(AMOUNT), (1, hour(0), 1.0))
    wider = view_of(NOTE, AMOUNT, COUNT)
    answer = ask(online, wider, {"customer": [1, 2]})
    assert answer.to_dict() == {"customer": [1, 2], "note": [None, None], "amount": [1.0, None], "count": [None, None]}
    missing = ["NOT_FOUND", "NOT_FOUND"]
    assert answer.statuses == {"note": missing, "amount": ["PRESENT", "NOT_FOUND"], "count": missing}
    assert answer.event_timestamps == {"note": [None, None], "amount": [hour(0), None], "count": [None, None]}
    assert [each.names for each in answer.views] == [["note"], ["amount"], ["count"]]
    assert ask(online, FeatureService("s", [wider["amount"]]), {"customer": [1]}).statuses == {"amount": ["PRESENT"]}


def test_a_feature_of_another_type_than_online_is_not_online_yet(online: OnlineStore) -> None:
    load(online, view_of(AMOUNT), (1, hour(0), 1.0))
    other = view_of(Column("amount", DataType.STRING))
    with pytest.raises(OnlineStoreError, match=r"'amount' is in the registry but not online yet"):
        ask(online, other, {"customer": [1]})


def test_arrow_and_frame_have_the_catalogues_types_where_all_is_null(online: OnlineStore) -> None:
    view = view_of(AMOUNT, COUNT)
    load(online, view)
    answer = ask(online, view, {"customer": [None]})
    assert answer.to_arrow().schema.types == [pa.int64(), pa.float64(), pa.int64()]
    assert list(map(str, answer.to_df().dtypes)) == ["Int64", "float64", "Int64"]


def test_times_are_aware(online: OnlineStore) -> None:
    view = view_of(Column("seen", DataType.TIMESTAMP), name="v")
    moment = datetime(2020, 1, 1, 1, 2, 3, 4, tzinfo=UTC)
    load(online, view, (1, hour(0), moment))
    answer = ask(online, view, {"customer": [1]})
    assert answer.to_dict()["seen"] == [moment]
    assert answer.to_df()["seen"][0] == moment
