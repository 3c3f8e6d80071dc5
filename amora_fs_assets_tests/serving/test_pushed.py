"""POST /push takes values in the form in which answers give them, and answers every body."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from datetime import date, time
from types import ModuleType
from typing import Any
from uuid import UUID

import httpx
import ibis
import ibis.expr.datatypes as dt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ibis.expr.types import Table

from amora_fs_assets import Entity, FeatureStore, FeatureView, Field, Settings, Timestamp
from amora_fs_assets_tests.serving.conftest import application
from amora_fs_assets_tests.small import at, orders
from amora_fs_assets_tests.types import CommonTypes

AT = "2020-01-05T00:00:00Z"


PURCHASE = dt.Struct(
    {
        "n": dt.int64,
        "f": dt.float64,
        "b": dt.binary,
        "d": dt.date,
        "p": dt.Decimal(38, 9),
        "m": dt.Map(dt.string, dt.time),
    }
)


class Everything(CommonTypes):
    """A feature of each type."""

    customer: int
    lo: list[bool] = Field(nullable=True)
    lb: list[bytes] = Field(nullable=True)
    ld: list[date] = Field(nullable=True)
    lt: list[Timestamp] = Field(nullable=True)
    ti: time = Field(nullable=True)
    u: UUID = Field(nullable=True)
    j: dt.json = Field(nullable=True)
    m: dict[str, float] = Field(nullable=True)
    st: PURCHASE = Field(nullable=True)  # type: ignore[valid-type]
    lst: dt.Array(PURCHASE) = Field(nullable=True)  # type: ignore[valid-type]


VALUES: dict[str, list[Any]] = {
    "i": [0, 2**63 - 1, -(2**63)],
    "f": [0.5, "NaN", "Infinity", "-Infinity", 1e300],
    "s": ["", "NaN", "ünï", "\u0000"],
    "o": [True, False],
    "b": [base64.b64encode(value).decode() for value in (b"", b"abc", b"\x00\xff\xfe")],
    "d": ["2020-02-29", "0001-01-01", "9999-12-31"],
    "t": ["2020-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z"],
    "p": ["0", "1.25", "-0.000000001", "12345678901234567890123456789.123456789"],
}
VALUES |= {f"l{name}": [[], values, [values[0], None]] for name, values in VALUES.items() if name != "p"}
PURCHASES = [
    {"n": 2**62, "f": "NaN", "b": "YWJj", "d": "2020-02-29", "p": "1.25", "m": {"noon": "12:00:00", "never": None}},
    dict.fromkeys(("n", "f", "b", "d", "p", "m")),
]
VALUES |= {
    "ti": ["00:00:00", "23:59:59.999999"],
    "u": ["f81d4fae-7dec-11d0-a765-00a0c91e6bf6"],
    "j": ["null", '{"a":[1,"ü"]}'],
    "m": [{}, {"x": 0.5, "ü y": "Infinity", "z": None}],
    "st": PURCHASES,
    "lst": [[], PURCHASES],
}
Post = Any


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    """Send a body to the application: (path, body) -> the answer."""
    source = orders()

    def everything(orders: Table) -> Table:
        nothing = {name: ibis.null() for name in VALUES}
        return orders.select("customer", event_timestamp=orders["at"], **nothing)

    view = FeatureView(
        "everything", Everything, [Entity("customer")], [source], transform=everything, start="2020-01-01",
        partitions="month",
    )  # fmt: skip
    module = ModuleType("definitions")
    vars(module).update(view=view)
    with FeatureStore(Settings(home=tmp_path_factory.mktemp("home"), now=at(1, month=3)), module) as store:
        store.apply()
        store.compute("2020-01-01", "2020-03-01")
        store.materialize_incremental()
        with application(store) as send:
            yield send


def pushed(post: Post, row: dict[str, Any], *, to_offline: bool = False) -> httpx.Response:
    body = {"feature_view": "everything", "rows": [row], "to_offline": to_offline}
    answer: httpx.Response = post("/push", body)
    return answer


def test_what_an_answer_gives_a_push_takes(post: Post) -> None:
    """Values of every type, there and back, twice: what was read is pushed for another key and read again."""
    customer = 1_000
    for name, values in VALUES.items():
        for value in values:
            row = {"customer": customer, "event_timestamp": AT, name: value}
            for key in (customer, customer + 1):
                assert pushed(post, {**row, "customer": key}).json() == {"rows": 1, "newer": 1}, (name, value)
                asked = {"features": [f"everything:{name}"], "entities": {"customer": [key]}}
                (read,) = post("/get-online-features", asked).json()["results"][1]["values"]
                assert read == value, name
                row[name] = read
            customer += 2


@pytest.mark.parametrize(("given", "kept"), [(0.1, "0.1"), (7, "7"), ("8.50", "8.5"), (1e3, "1000")])
def test_a_decimal_may_be_a_number_and_a_whole_key_text(post: Post, given: Any, kept: str) -> None:
    key = 10_000 + int(float(given))
    assert pushed(post, {"customer": str(key), "event_timestamp": AT, "p": given}).json() == {"rows": 1, "newer": 1}
    asked = {"features": ["everything:p"], "entities": {"customer": [key]}}
    assert post("/get-online-features", asked).json()["results"][1]["values"] == [kept]


def test_a_number_keeps_the_digits_that_were_written(post: Post) -> None:
    row = b'{"customer": 8, "event_timestamp": "2020-01-05", "p": 1234567890123456789.123456789}'
    body = b'{"feature_view": "everything", "to_offline": false, "rows": [' + row + b"]}"
    assert post("/push", body).status_code == 200
    asked = {"features": ["everything:p"], "entities": {"customer": [8]}}
    assert post("/get-online-features", asked).json()["results"][1]["values"] == ["1234567890123456789.123456789"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("b", "not base64"), ("b", "YQ"), ("b", 1), ("d", "2020-02-30"), ("d", 5), ("p", "1e999"), ("p", "one"),
        ("p", "NaN"), ("f", "nan"), ("f", True), ("i", "5"), ("i", 2**63), ("i", 1.5), ("o", 1), ("s", 1),
        ("t", "9999-12-31T23:59:59-14:00"), ("ls", "ab"), ("li", {}), ("lb", ["!"]), ("lf", "NaN"),
    ],
)  # fmt: skip
def test_another_form_is_refused_with_its_row_and_column(post: Post, column: str, value: Any) -> None:
    answer = pushed(post, {"customer": 1, "event_timestamp": AT, column: value})
    said = answer.json()["error"]["message"]
    assert answer.status_code == 422, answer.text
    assert f"column '{column}'" in said
    assert "row 0" in said
    assert said.endswith("Nothing was pushed.")


FOR_FEAST: list[tuple[str, Any, Any]] = [
    ("f", "NaN", math.nan), ("f", "-Infinity", -math.inf), ("f", 1.0, 1.0), ("f", None, None),
    ("lf", [1.5, None, "NaN", "Infinity"], [1.5, math.nan, math.nan, math.inf]), ("lf", [], None),
    ("li", [1, 2], [1, 2]), ("li", [1, None], None), ("ls", [], None), ("ls", ["NaN"], ["NaN"]), ("lo", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("column", "value", "read"), FOR_FEAST)
def test_feasts_client_gets_numbers_and_null_for_lists_that_it_cannot_read(
    post: Post, column: str, value: Any, read: Any
) -> None:
    """json.loads takes the names NaN and Infinity, as Feast's client does; test_remote.py asks that client itself."""
    key = 20_000 + FOR_FEAST.index((column, value, read))
    assert pushed(post, {"customer": key, "event_timestamp": AT, column: value}).status_code == 200
    asked = {"features": [f"everything:{column}", "everything:s"], "entities": {"customer": [key]}}
    answer = post("/get-online-features", {**asked, "include_feature_view_version_metadata": False}).json()
    found = answer["results"][1]
    assert json.dumps(found["values"]) == json.dumps([read])
    assert found["statuses"] == ["NULL_VALUE" if read is None else "PRESENT"]
    assert answer["metadata"] == {"feature_names": ["customer", column, "s"]}
    versions = post("/get-online-features", {**asked, "include_feature_view_version_metadata": True}).json()
    assert versions["metadata"]["feature_view_metadata"] == [{"name": "everything", "version": 0}]
    (plain,) = post("/get-online-features", asked).json()["results"][1]["values"]
    assert plain == value


def test_feasts_client_sends_structs_and_maps_as_text(post: Post) -> None:
    purchase = {"n": 1, "f": 0.5, "b": "YWJj", "d": 1_582_934_400, "p": "1.25", "m": {"noon": "12:00:00"}}
    df = {
        "customer": [30_000], "event_timestamp": [AT], "st": [json.dumps(purchase)], "m": ['{"x": 0.5, "y": null}'],
        "lst": [[json.dumps(purchase)]], "j": ['{"a": 1}'], "t": [1_582_934_400], "ld": [[1_582_934_400, None]],
    }  # fmt: skip
    assert post("/write-to-online-store", {"feature_view_name": "everything", "df": df}).status_code == 200
    asked = {"features": [f"everything:{name}" for name in df if name in VALUES], "entities": {"customer": [30_000]}}
    answer = post("/get-online-features", asked).json()
    found = dict(
        zip(answer["metadata"]["feature_names"], (each["values"][0] for each in answer["results"]), strict=True)
    )
    read = {**purchase, "d": "2020-02-29"}
    assert found == {
        "customer": 30_000, "st": read, "m": {"x": 0.5, "y": None}, "lst": [read], "j": '{"a": 1}',
        "t": "2020-02-29T00:00:00Z", "ld": ["2020-02-29", None],
    }  # fmt: skip
    for wrong in ("{", "[]", "1", '{"n": "one"}'):
        body = {"feature_view_name": "everything", "df": {**df, "st": [wrong]}}
        answer = post("/write-to-online-store", body)
        assert answer.status_code == 422, answer.text
        assert "column 'st'" in answer.json()["error"]["message"]


def test_a_push_from_the_future_is_not_served_over_http(post: Post) -> None:
    row = {"customer": 9, "event_timestamp": "2034-01-01", "i": 1}
    assert pushed(post, row).status_code == 422
    assert pushed(post, row, to_offline=True).json() == {"rows": 1, "newer": 0}
    asked = {"features": ["everything:i"], "entities": {"customer": [9]}}
    assert post("/get-online-features", asked).json()["results"][1]["statuses"] == ["NOT_FOUND"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["NaN", AT, "YQ==", "1.5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(
    st.dictionaries(st.sampled_from(["customer", "event_timestamp", *VALUES]), JSON, max_size=6)
    | st.fixed_dictionaries(
        {"customer": st.integers(-5, 5), "event_timestamp": st.datetimes().map(lambda each: each.isoformat())},
        optional=dict.fromkeys(VALUES, JSON),
    ),
    max_size=3,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=st.fixed_dictionaries({"feature_view": st.just("everything"), "rows": ROWS, "to_offline": st.just(False)}))
def test_every_body_is_answered_without_a_fault(post: Post, body: Any) -> None:
    answer = post("/push", body)
    assert answer.status_code in {200, 400, 422}, answer.text
