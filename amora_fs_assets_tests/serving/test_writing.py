"""The write routes in Feast's form, keys in either form, and the roles of tokens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import ibis
import pytest
from ibis.expr.types import Table

from amora_fs_assets import Entity, FeatureSchema, FeatureStore, FeatureView, Field, Settings, Timestamp
from amora_fs_assets.domain.errors import OfflineStoreError
from amora_fs_assets_tests.serving.conftest import application
from amora_fs_assets_tests.small import at, orders

AT = "2020-01-05T00:00:00"
SECONDS = 1_578_182_400  # the same instant, in seconds since 1970
Post = Callable[[str, Any], httpx.Response]


class Numbered(FeatureSchema):
    customer: int
    amount: float = Field(nullable=True)


class Named(FeatureSchema):
    shop: str
    created_timestamp: Timestamp = Field(nullable=True)
    seen: Timestamp = Field(nullable=True)
    day: date = Field(nullable=True)
    times: list[Timestamp] = Field(nullable=True)


class Whole(FeatureSchema):
    total: float = Field(nullable=True)


def definitions() -> ModuleType:
    source = orders()

    def numbered(orders: Table) -> Table:
        return orders.select("customer", "amount", event_timestamp=orders["at"])

    def named(orders: Table) -> Table:
        nothing = {name: ibis.null() for name in ("created_timestamp", "seen", "day", "times")}
        return orders.select(shop=orders["customer"].cast(str), event_timestamp=orders["at"], **nothing)

    def whole(orders: Table) -> Table:
        return orders.select(event_timestamp=orders["at"], total=orders["amount"])

    both: dict[str, Any] = {"start": "2020-01-01", "partitions": "month"}
    fed: dict[str, Any] = {**both, "tags": {"push_source": "till"}}
    module = ModuleType("definitions")
    vars(module).update(
        numbered=FeatureView("numbered", Numbered, [Entity("customer")], [source], transform=numbered, **fed),
        again=FeatureView("again", Numbered, [Entity("customer")], [source], transform=numbered, **fed),
        named=FeatureView("named", Named, [Entity("place", ["shop"])], [source], transform=named, **both),
        whole=FeatureView("whole", Whole, [], [source], transform=whole, **both),
    )
    return module


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureStore]:
    with FeatureStore(Settings(home=tmp_path_factory.mktemp("home"), now=at(1, month=3)), definitions()) as store:
        store.apply()
        store.compute("2020-01-01", "2020-03-01")
        store.materialize_incremental()
        yield store


@pytest.fixture(scope="module")
def post(store: FeatureStore) -> Iterator[Post]:
    with application(store) as send:
        yield send


def read(post: Post, feature: str, **keys: Any) -> Any:
    """The first entity's value."""
    answer = post("/get-online-features", {"features": [feature], "entities": keys})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"][-1]["values"][0]


class TestKeys:
    def test_a_whole_number_and_its_text_are_the_same_key_and_are_returned_as_sent(self, post: Post) -> None:
        asked = {"features": ["numbered:amount"], "entities": {"customer": ["1", 2, None, "3", "-7"]}}
        keys, amounts = post("/get-online-features", asked).json()["results"]
        assert keys["values"] == ["1", 2, None, "3", "-7"]
        assert amounts["values"] == [40.0, 20.0, None, 50.0, None]
        asked = {"features": ["named:seen"], "entities": {"shop": [1, "1", "01", -7]}}
        keys, seen = post("/get-online-features", asked).json()["results"]
        assert keys["values"] == [1, "1", "01", -7]
        assert seen["statuses"] == ["NULL_VALUE", "NULL_VALUE", "NOT_FOUND", "NOT_FOUND"]

    @pytest.mark.parametrize(
        "key", ["01", "1_0", "+1", " 1", "1.0", "1e3", "-0", "", "\u0661", 1.0, 1e3, True, "9" * 19, "9" * 40]
    )
    def test_another_form_of_a_whole_number_is_refused(self, post: Post, key: Any) -> None:
        asked = {"features": ["numbered:amount"], "entities": {"customer": [1, key]}}
        pushed = {"feature_view": "numbered", "rows": [{"customer": key, "event_timestamp": AT}], "to_offline": False}
        for answer in (post("/get-online-features", asked), post("/push", pushed)):
            assert answer.status_code == 422, answer.text
            assert "int64" in answer.json()["error"]["message"] or "64 bits" in answer.json()["error"]["message"]

    @pytest.mark.parametrize("key", [1.0, True, 1.5])
    def test_only_whole_numbers_stand_for_text(self, post: Post, key: Any) -> None:
        asked = {"features": ["named:seen"], "entities": {"shop": [key]}}
        pushed = {"feature_view": "named", "rows": [{"shop": key, "event_timestamp": AT}], "to_offline": False}
        for answer in (post("/get-online-features", asked), post("/push", pushed)):
            assert answer.status_code == 422, answer.text
            assert "string" in answer.json()["error"]["message"]

    def test_in_python_a_key_has_its_own_type(self, store: FeatureStore) -> None:
        with pytest.raises(Exception, match="takes int64; '1' is str"):
            store.get_online_features("numbered", [{"customer": "1"}])
        assert store.get_online_features("numbered", [{"customer": 1.0}]).to_dict()["amount"] == [40.0]

    def test_a_pushed_key_in_either_form_is_one_entity(self, post: Post) -> None:
        for view, row in (("numbered", {"customer": "71", "amount": 1}), ("named", {"shop": 71, "day": "2020-01-01"})):
            body = {"feature_view": view, "rows": [{**row, "event_timestamp": AT}], "to_offline": False}
            assert post("/push", body).json() == {"rows": 1, "newer": 1}
        assert read(post, "numbered:amount", customer=[71]) == 1
        assert read(post, "named:day", shop=["71"]) == "2020-01-01"


class TestFeastsBodies:
    def test_fields_that_are_not_known_are_ignored(self, post: Post) -> None:
        asked = {"features": ["numbered:amount"], "entities": {"customer": [1]}, "colour": "red"}
        assert post("/get-online-features", asked).json()["results"][1]["values"] == [40.0]

    def test_the_name_of_an_entity_stands_for_its_key(self, post: Post) -> None:
        asked = {"features": ["named:seen", "numbered:amount"], "entities": {"place": ["1"], "customer": [1]}}
        answer = post("/get-online-features", asked).json()
        assert answer["metadata"]["feature_names"] == ["shop", "customer", "seen", "amount"]
        assert [result["values"] for result in answer["results"]] == [["1"], [1], [None], [40.0]]
        lacking = post("/get-online-features", {"features": ["named:seen"], "entities": {"places": ["1"]}})
        assert "lack join key 'shop'. They have: 'places'" in lacking.json()["error"]["message"]

    def test_an_empty_list_of_features_may_stand_beside_a_service(self, post: Post) -> None:
        asked = {"features": [], "feature_service": "numbered", "entities": {"customer": [1]}}
        assert post("/get-online-features", asked).json()["results"][1]["values"] == [40.0]

    def test_features_come_in_the_order_in_which_they_are_asked_for(self, post: Post) -> None:
        asked = {"features": ["named:day", "whole:total", "named:seen"], "entities": {"shop": ["1"]}}
        names = post("/get-online-features", asked).json()["metadata"]["feature_names"]
        assert names == ["shop", "day", "total", "seen"]

    def test_a_push_writes_columns_online_or_to_both_stores(self, post: Post, store: FeatureStore) -> None:
        df = {"customer": [81, "82"], "event_timestamp": [AT, f"{AT}Z"], "amount": [1.5, None]}
        body = {"push_source_name": "numbered", "df": df, "allow_registry_cache": True, "transform_on_write": True}
        assert post("/push", body).json() == {"rows": 2, "newer": 2}
        assert read(post, "numbered:amount", customer=[81]) == 1.5
        before = stored(store, "numbered")
        both = {**body, "df": {**df, "customer": [83, 84]}, "to": "online_and_offline"}
        assert post("/push", both).json() == {"rows": 2, "newer": 2}
        assert stored(store, "numbered") == before + 2
        offline = {**body, "df": {**df, "customer": [85, 86]}, "to": "offline"}
        assert post("/push", offline).json() == {"rows": 2, "newer": 0}
        assert stored(store, "numbered") == before + 4
        assert read(post, "numbered:amount", customer=[85]) is None

    def test_a_push_source_feeds_all_views_with_its_tag(self, post: Post) -> None:
        df = {"customer": [91], "event_timestamp": [AT], "amount": [9.5]}
        assert post("/push", {"push_source_name": "till", "df": df}).json() == {"rows": 1, "newer": 2}
        assert [read(post, f"{view}:amount", customer=[91]) for view in ("numbered", "again")] == [9.5, 9.5]

    def test_feasts_client_sends_seconds_and_calls_the_time_of_knowledge_created(self, post: Post) -> None:
        df = {
            "shop": ["a", "b"], "event_timestamp": [AT, AT], "created": [f"{AT}", None], "seen": [SECONDS, -(2**63)],
            "day": [SECONDS, None], "times": [[SECONDS, 0], []],
        }  # fmt: skip
        body = {"feature_view_name": "named", "df": df, "allow_registry_cache": False}
        assert post("/write-to-online-store", body).json() == {"rows": 2, "newer": 2}
        assert read(post, "named:seen", shop=["a"]) == f"{AT}Z"
        assert read(post, "named:seen", shop=["b"]) is None
        assert read(post, "named:day", shop=["a"]) == "2020-01-05"
        assert read(post, "named:times", shop=["a"]) == [f"{AT}Z", "1970-01-01T00:00:00Z"]

    def test_what_feast_adds_for_views_without_a_key_or_a_created_time_is_left_out(self, post: Post) -> None:
        df = {"__dummy_id": [""], "event_timestamp": ["2020-02-28T00:00:00"], "created": [None], "total": [7.25]}
        body = {"feature_view_name": "whole", "df": df}
        assert post("/write-to-online-store", body).json() == {"rows": 1, "newer": 1}
        assert read(post, "whole:total") == 7.25

    @pytest.mark.parametrize(
        ("path", "body", "status", "said"),
        [
            ("/push", {"push_source_name": "nothing", "df": {}}, 404, "'nothing' is not known"),
            ("/push", {"push_source_name": "till", "df": {}, "to": "both"}, 422, "to"),
            ("/push", {"push_source_name": "till", "df": [1]}, 422, "object"),
            ("/push", {"push_source_name": "till"}, 422, "df"),
            ("/push", {"feature_view": "numbered", "rows": [], "to_ofline": False}, 422, "to_ofline"),
            ("/write-to-online-store", {"feature_view_name": "named", "df": {"shop": ["a"], "seen": [1, 2]}}, 422,
             "different lengths"),
            ("/write-to-online-store", {"feature_view_name": "named", "df": {"shop": ["a"], "colour": [1]}}, 422,
             "no column 'colour'"),
            ("/write-to-online-store", {"feature_view_name": "named",
             "df": {"shop": ["a"], "event_timestamp": [AT], "seen": [10**18]}}, 422, "seconds since 1970"),
            ("/write-to-online-store", {"feature_view_name": "named",
             "df": {"shop": ["a"], "event_timestamp": [AT], "day": [SECONDS + 1]}}, 422, "lies within a day"),
            ("/materialize", {}, 422, "start_ts and end_ts"),
            ("/materialize", {"start_ts": "soon", "end_ts": "2020-01-02"}, 422, "start_ts='soon'"),
            ("/materialize", {"start_ts": "2020-01-03", "end_ts": "2020-01-02"}, 422, ""),
            ("/materialize", {"start_ts": "2020-01-01", "end_ts": "2020-01-02", "version": "v2"}, 422, "no versions"),
            ("/materialize-incremental", {"end_ts": "2020-02-01", "feature_views": ["nothing"]}, 404, "'nothing'"),
            ("/materialize-incremental", {"end_ts": 5}, 422, "end_ts"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_written_is_explained(
        self, post: Post, path: str, body: Any, status: int, said: str
    ) -> None:
        answer = post(path, body)
        assert answer.status_code == status, answer.text
        assert said in answer.json()["error"]["message"]


def stored(store: FeatureStore, view: str) -> int:
    """The number of rows in the view's table."""
    return len(store.get_historical_features(view, start="2019-01-01", end="2021-01-01").to_arrow())


class TestLoads:
    def test_a_window_what_is_new_or_everything_is_loaded(self, post: Post, store: FeatureStore) -> None:
        window = {"start_ts": "2020-02-01T00:00:00", "end_ts": "2020-03-01T00:00:00", "feature_views": ["again"]}
        assert post("/materialize", window).json() == {"feature_views": {"again": 2}}
        new = post("/materialize-incremental", {"end_ts": "2020-03-01T00:00:00", "version": None}).json()
        assert sorted(new["feature_views"]) == ["again", "named", "numbered", "whole"]
        before = store.online.state("again").live_number
        everything = {"disable_event_timestamp": True, "feature_views": ["again"]}
        assert post("/materialize", everything).json()["feature_views"]["again"] >= 3
        assert store.online.state("again").live_number == before + 1

    def test_reads_are_answered_while_a_load_runs(self, store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
        begun, ended = threading.Event(), threading.Event()

        def held(*_: Any, **__: Any) -> Any:
            begun.set()
            assert ended.wait(60)
            raise OfflineStoreError("held until the read was answered")

        monkeypatch.setattr(store, "materialize_incremental", held)
        with application(store) as post, application(store) as other, ThreadPoolExecutor(1) as thread:
            load = thread.submit(post, "/materialize-incremental", {"end_ts": "2020-03-01"})
            assert begun.wait(60)
            assert read(other, "numbered:amount", customer=[1]) == 40.0
            ended.set()
            assert load.result().status_code == 503


WRITES = ["/push", "/write-to-online-store", "/materialize", "/materialize-incremental"]


class TestRoles:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(home=tmp_path, api_tokens=("writer",), api_tokens_read_only=("reader",))

    def statuses(self, settings: Settings, token: str, paths: list[str]) -> list[tuple[int, str]]:
        """The status and the error's type for an empty body, which nobody may send."""
        with FeatureStore(settings) as store, application(store, token) as post:
            answers = [post(path, {"feature_view": 1}) for path in paths]
        return [(each.status_code, each.json()["error"]["type"]) for each in answers]

    def test_a_token_that_may_read_may_not_write(self, settings: Settings) -> None:
        assert self.statuses(settings, "reader", WRITES) == [(403, "Forbidden")] * 4
        assert self.statuses(settings, "reader", ["/get-online-features"]) == [(422, "InvalidRequest")]
        with FeatureStore(settings) as store, application(store, "reader") as post:
            said = post("/push", {}).json()["error"]["message"]
        assert said == "/push needs a token with the role 'write'; this token has the role 'read'."

    def test_a_token_that_may_write_may_read(self, settings: Settings) -> None:
        assert set(self.statuses(settings, "writer", [*WRITES[:3], "/get-online-features"])) == {
            (422, "InvalidRequest")
        }

    def test_an_unknown_token_may_do_nothing(self, settings: Settings) -> None:
        for token in ("", "other"):
            assert set(self.statuses(settings, token, [*WRITES, "/get-online-features"])) == {(401, "Unauthorized")}

    def test_with_tokens_for_reading_alone_nobody_writes(self, settings: Settings) -> None:
        alone = Settings(home=settings.home, api_tokens_read_only=("reader",))
        assert set(self.statuses(alone, "reader", WRITES)) == {(403, "Forbidden")}
        assert set(self.statuses(alone, "", WRITES)) == {(401, "Unauthorized")}

    def test_a_token_in_both_lists_may_write(self, settings: Settings) -> None:
        both = Settings(home=settings.home, api_tokens=("both",), api_tokens_read_only=("both",))
        assert self.statuses(both, "both", ["/push"]) == [(422, "InvalidRequest")]
