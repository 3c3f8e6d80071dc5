"""A stock Feast 0.67 reads and writes our online store: through `amora-fs serve`, and by the online store for Feast."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from datetime import time as time_of_day
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import httpx
import ibis
import ibis.expr.datatypes as dt
import pandas as pd
import pytest
from ibis.expr.types import Table

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    Settings,
)
from amora_fs_assets.stores.open import open_objects
from amora_fs_assets.stores.registry.feast_registry import NAME, sync
from amora_fs_assets_tests.emulators.process import free_ports
from amora_fs_assets_tests.servers import bundled_valkey, redis_server
from amora_fs_assets_tests.small import at, orders, spending
from amora_fs_assets_tests.types import CommonTypes

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("feast_online")]
ROOT = Path(__file__).parents[2]
CLIENT = Path(__file__).with_name("online_client.py")


class Everything(CommonTypes):
    """A feature of each type that Feast has."""

    shop: str
    lo: list[bool] = Field(nullable=True)
    u: UUID = Field(nullable=True)
    c: time_of_day = Field(nullable=True)
    j: dt.json = Field(nullable=True)
    m: dict[str, float] = Field(nullable=True)
    r: dt.Struct({"x": dt.int64, "when": dt.Timestamp("UTC", 6), "tags": dt.Array(dt.string)}) = Field(nullable=True)  # type: ignore[valid-type]
    lr: dt.Array(dt.Struct({"x": dt.float64})) = Field(nullable=True)  # type: ignore[valid-type]


class Whole(FeatureSchema):
    total: float = Field(nullable=True)


FEATURES = ["i", "f", "s", "o", "b", "d", "t", "p", "li", "lf", "ls", "lo", "u", "c", "j", "m", "r", "lr"]
ROWS: list[dict[str, Any]] = [
    {"shop": "full", "i": 2**63 - 1, "f": 0.1, "s": "ünï", "o": False, "b": b"\x00\xff", "d": date(2020, 2, 29),
     "t": at(1, 7), "p": Decimal("12345678901234567890.125"), "li": [1, 2], "lf": [0.5, 1.0], "ls": ["a", ""],
     "lo": [True], "u": UUID(int=7), "c": time_of_day(1, 2, 3), "j": '{"a": [1, null]}', "m": {"a": 1.5, "b": None},
     "r": {"x": 1, "when": at(1, 7), "tags": ["a"]}, "lr": [{"x": 0.5}, {"x": None}]},
    {"shop": "null", **dict.fromkeys(FEATURES)},
    {"shop": "odd", "f": math.nan, "lf": [1.0, None, math.inf], "li": [1, None], "ls": []},
    {"shop": "endless", "f": -math.inf, "lf": [], "m": {}, "r": {"x": None, "when": None, "tags": []}, "lr": []},
    {"shop": "7", "i": 7},
]  # fmt: skip


def definitions() -> ModuleType:
    source = orders()

    def everything(orders: Table) -> Table:
        nothing = {name: ibis.null() for name in FEATURES}
        return orders.select(shop=orders["customer"].cast(str), event_timestamp=orders["at"], **nothing)

    def whole(orders: Table) -> Table:
        return orders.select(event_timestamp=orders["at"], total=orders["amount"])

    shop, when = Entity("store", ["shop"]), {"start": "2020-01-01", "partitions": "month"}
    module = ModuleType("definitions")
    view: Any = FeatureView("everything", Everything, [shop], [source], transform=everything, **when)  # type: ignore[arg-type]
    all_: Any = FeatureView("whole", Whole, [], [source], transform=whole, **when)  # type: ignore[arg-type]
    spent = spending(source, tags={"push_source": "till"})
    service = FeatureService("mix", [view["i", "s"], spent.alias("friend", {"customer": "friend"}), spent, all_])
    vars(module).update(view=view, whole=all_, spent=spent, service=service)
    return module


@dataclass
class House:
    """A store, what is behind it, and an HTTP server of it."""

    store: FeatureStore
    url: str
    python: str
    environment: dict[str, str]
    session: subprocess.Popen[str]

    def remote(self, token: str = "reader") -> dict[str, Any]:
        auth = {"type": "oidc", "token": token}
        return {**self.common, "auth": auth, "online_store": {"type": "remote", "path": self.url}}

    def plugin(self) -> dict[str, Any]:
        settings = {"online_store_url": self.store.settings.online_store_url, "now": "2020-03-01T00:00Z"}
        return {**self.common, "online_store": {"type": "amora_fs_assets.feast.OnlineStore", **settings}}

    @property
    def common(self) -> dict[str, Any]:
        return {"project": "amora_fs", "registry": f"{self.store.settings.registry}/{NAME}"}

    def feast(self, *steps: dict[str, Any]) -> list[Any]:
        """What the Feast session answers to the steps."""
        assert self.session.stdin is not None
        assert self.session.stdout is not None
        print(json.dumps(steps), file=self.session.stdin, flush=True)
        for line in self.session.stdout:
            if line.startswith("ANSWER "):
                answers: list[Any] = json.loads(line.removeprefix("ANSWER "))
                return answers
        raise AssertionError("the session ended; see its messages")


@pytest.fixture(scope="module")
def house(feast_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("home")
    plain = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and not k.startswith("AMORA_FS_")}
    environment = {**plain, "FEAST_USAGE": "False", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    with redis_server(bundled_valkey(), home) as redis:
        settings = Settings(home=home, online_store_url=redis.url, now=at(1, month=3))
        with FeatureStore(settings, definitions()) as store:
            store.apply()
            assert sync(open_objects(settings), settings, python=feast_python) == "written"
            store.compute("2020-01-01", "2020-03-01")
            store.materialize_incremental()
            store.push("everything", [{**row, "event_timestamp": at(20, month=2)} for row in ROWS], to="online")
            store.push("spending", [{"customer": 1, "amount": 42.5, "event_timestamp": at(20, month=2)}], to="online")
            ours = {
                "AMORA_FS_HOME": str(home), "AMORA_FS_ONLINE_STORE_URL": redis.url, "AMORA_FS_NOW": "2020-03-01T00:00Z",
                "AMORA_FS_API_TOKENS": "writer", "AMORA_FS_API_TOKENS_READ_ONLY": "reader",
            }  # fmt: skip
            command = [str(Path(sys.executable).with_name("amora-fs")), "serve"]
            store.export_for_feast()
            with (
                served(command, {**environment, **ours}, "--port") as url,
                subprocess.Popen([feast_python, CLIENT], env=environment, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True) as session,
            ):  # fmt: skip
                yield House(store, url, feast_python, environment, session)
                assert session.stdin is not None
                session.stdin.close()


@contextmanager
def served(command: list[str], environment: dict[str, str], port_option: str) -> Iterator[str]:
    """A server process on a free port; its address once it is healthy."""
    (port,) = free_ports(1)
    process = subprocess.Popen([*command, port_option, str(port)], env=environment, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            assert process.poll() is None, "it ended"
            try:
                httpx.get(f"{url}/health", trust_env=False).raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)


REFERENCES = [f"everything:{name}" for name in FEATURES]
SHOPS = [{"shop": row["shop"]} for row in ROWS] + [{"shop": "nobody"}]
PEOPLE = [{"shop": "7", "customer": 1, "friend": 2}, {"shop": "full", "customer": 9, "friend": 1}]


def test_a_remote_client_gets_our_values_and_statuses(house: House) -> None:
    read = {"config": house.remote()}
    every, keys, mixed, named, versions, whole, missing = house.feast(
        {**read, "features": REFERENCES, "rows": SHOPS},
        {**read, "features": ["spending:amount"], "rows": {"customer": ["1", "2", "9"]}},
        {**read, "service": "mix", "rows": PEOPLE, "options": {"full_feature_names": True}},
        {**read, "features": ["everything:s", "whole:total", "everything:i"], "rows": [{"shop": "full"}]},
        {**read, "features": ["whole:total"], "rows": [{"shop": 7}],
         "options": {"include_feature_view_version_metadata": True}},
        {**read, "features": ["whole:total"], "rows": [{}]},
        {**read, "features": ["spending:amount"], "rows": [{"shop": "7"}]},
    )  # fmt: skip
    ours = house.store.get_online_features(REFERENCES, SHOPS)
    assert every["names"] == ["shop", *FEATURES]
    assert every["values"]["i"] == ours.to_dict()["i"] == [2**63 - 1, None, None, None, 7, None]
    assert every["values"]["f"] == [0.1, None, None, -math.inf, None, None]
    assert every["values"]["t"] == ["2020-01-01T07:00:00Z", *[None] * 5]
    assert every["values"]["d"] == ["2020-02-29", *[None] * 5]
    assert every["values"]["p"] == ["12345678901234567890.125", *[None] * 5]
    assert every["values"]["b"] == ["AP8=", *[None] * 5]
    assert every["values"]["li"] == [[1, 2], *[None] * 5]
    assert every["values"]["ls"] == [["a", ""], *[None] * 5]
    assert repr(every["values"]["lf"]) == repr([[0.5, 1.0], None, [1.0, math.nan, math.inf], None, None, None])
    assert every["values"]["u"][0] == "00000000-0000-0000-0000-000000000007"
    assert every["values"]["c"][0] == "01:02:03"
    assert json.loads(every["values"]["j"][0]) == {"a": [1, None]}
    assert every["values"]["m"] == [{"a": 1.5, "b": None}, *[None] * 5]
    assert every["values"]["r"][0] == {"x": 1, "when": "2020-01-01T07:00:00Z", "tags": ["a"]}
    assert every["values"]["r"][3] == {"x": None, "when": None, "tags": None}
    assert every["values"]["lr"] == [[{"x": 0.5}, {"x": None}], *[None] * 5]
    unread = {("li", 2), ("ls", 2), ("lf", 3), ("m", 3), ("lr", 3)}  # what this client cannot read
    for name in FEATURES:
        expected = ["NULL_VALUE" if (name, row) in unread else s for row, s in enumerate(ours.statuses[name])]
        assert every["statuses"][name] == expected, name
    assert keys["values"] == {"customer": ["1", "2", "9"], "amount": [42.5, None, None]}
    assert keys["statuses"]["amount"] == ["PRESENT", "OUTSIDE_MAX_AGE", "NOT_FOUND"]
    expected_mix = house.store.get_online_features("mix", PEOPLE, full_feature_names=True)
    assert mixed["values"] == expected_mix.to_dict()
    assert {name: mixed["statuses"][name] for name in expected_mix.statuses} == expected_mix.statuses
    assert named["names"] == ["shop", "s", "total", "i"]
    assert versions["versions"] == [["whole", 0]]
    assert whole["values"] == {"total": [50.0]}
    assert "lack join key 'customer'" in missing["error"]


def test_a_remote_client_writes_with_a_token_that_may_write(house: House) -> None:
    frame = {
        "shop": ["new", "newer"], "event_timestamp": ["2020-02-25T00:00:00Z"] * 2,
        **{name: [None, None] for name in {*FEATURES} - {"i", "f", "s", "d", "t", "m", "r", "u", "j"}},
        "m": [{"a": 1.5}, {"a": 2.5}], "r": [{"x": 1}, {"x": 2}],
        "u": ["00000000-0000-0000-0000-000000000007", None], "j": ['{"a": 1}', "[]"], "i": [1, 2],
        "f": [1.5, -2.0], "s": ["x", "y"], "d": ["2020-02-24", "2020-02-23"],
        "t": ["2020-02-24T10:00:00Z", "2020-02-24T11:00:00Z"],
    }  # fmt: skip
    write = {"call": "write", "view": "everything", "frame": frame, "moments": ["event_timestamp", "d", "t"]}
    rows = [{"shop": "new"}, {"shop": "newer"}]
    till = {"customer": [701], "event_timestamp": ["2020-02-25T00:00:00Z"], "amount": [7.5]}
    read = {"features": ["spending:amount"], "rows": [{"customer": 701}]}
    refused, written, pushed = house.feast(
        {**write, "config": house.remote("reader")},
        {**write, "config": house.remote("writer"), "features": REFERENCES, "rows": rows},
        {"call": "write", "source": "till", "frame": till, "config": house.remote("writer"), **read},
    )
    assert pushed["values"] == {"customer": [701], "amount": [7.5]}
    assert "needs a token with the role 'write'" in refused["error"]
    assert written["values"]["i"] == [1, 2]
    ours = house.store.get_online_features(REFERENCES, rows).to_dict()
    assert ours["t"] == [at(24, 10, month=2), at(24, 11, month=2)]
    assert ours["d"] == [date(2020, 2, 24), date(2020, 2, 23)]
    assert ours["f"] == [1.5, -2.0]
    assert ours["m"] == [{"a": 1.5}, {"a": 2.5}]
    assert ours["r"] == [{"x": 1, "when": None, "tags": None}, {"x": 2, "when": None, "tags": None}]
    assert ours["u"] == ["00000000-0000-0000-0000-000000000007", None]
    assert [json.loads(each) for each in ours["j"]] == [{"a": 1}, []]


def test_a_plain_http_client_of_feast_pushes_and_loads(house: House) -> None:
    """The bodies of Feast's documentation, sent as it sends them."""
    with httpx.Client(base_url=house.url, headers={"Authorization": "Bearer writer"}, trust_env=False) as client:
        df = {"customer": [501], "event_timestamp": ["2020-02-27 00:00:00"], "amount": [5.25]}
        push = {"push_source_name": "spending", "df": df, "to": "online_and_offline"}
        assert client.post("/push", json=push).json() == {"rows": 1, "newer": 1}
        window = {"start_ts": "2020-01-01T00:00:00", "end_ts": "2020-03-01T00:00:00", "feature_views": ["spending"]}
        assert client.post("/materialize", json=window, timeout=60).json()["feature_views"]["spending"] >= 3
        new = client.post("/materialize-incremental", json={"end_ts": "2020-03-01T00:00:00"}, timeout=60)
        assert sorted(new.json()["feature_views"]) == ["everything", "spending", "whole"]
    assert house.store.get_online_features("spending", {"customer": [501]}).to_dict()["amount"] == [5.25]


def test_feast_reads_our_rows_by_the_online_store_for_it(house: House) -> None:
    read = {"config": house.plugin()}
    loop = {**read, "call": "async"}
    ours = {"service": "mix", "rows": PEOPLE, "options": {"full_feature_names": True}}
    every, keys, mixed, on_loop, whole, nobody = house.feast(
        {**read, "features": REFERENCES, "rows": SHOPS},
        {**read, "features": ["spending:amount"], "rows": {"customer": [1, 2, 9]}},
        {**read, **ours}, {**loop, **ours},
        {**read, "features": ["whole:total", "everything:i"], "rows": [{"shop": "7"}, {"shop": "nobody"}]},
        {**read, "features": ["spending:amount"], "rows": [{"customer": None}]},
    )  # fmt: skip
    expected = house.store.get_online_features(REFERENCES, SHOPS)
    assert repr(every["values"]["f"]) == repr([0.1, None, math.nan, -math.inf, None, None])
    assert every["values"]["b"] == ["00ff", *[None] * 5]
    assert every["values"]["t"] == ["2020-01-01 07:00:00+00:00", *[None] * 5]
    assert every["values"]["d"] == ["2020-02-29 00:00:00+00:00", *[None] * 5]
    assert every["values"]["p"] == ["12345678901234567890.125", *[None] * 5]
    assert repr(every["values"]["lf"]) == repr([[0.5, 1.0], None, [1.0, math.nan, math.inf], [], None, None])
    assert every["values"]["ls"] == [["a", ""], None, [], None, None, None]
    assert every["values"]["u"][0] == "00000000-0000-0000-0000-000000000007"
    assert every["values"]["c"][0] == "01:02:03"
    assert every["values"]["j"][0] == {"a": [1, None]}
    assert every["values"]["m"] == [{"a": 1.5, "b": None}, None, None, {}, None, None]
    assert every["values"]["r"][0] == {"x": 1, "when": "2020-01-01 07:00:00+00:00", "tags": ["a"]}
    assert every["values"]["r"][3]["x"] is None
    assert every["values"]["lr"] == [[{"x": 0.5}, {"x": None}], None, None, [], None, None]
    for name in ("i", "s", "o", "lo"):
        assert every["values"][name] == expected.to_dict()[name]
    for name in FEATURES:
        lost = ["NULL_VALUE" if (name, row) == ("li", 2) else s for row, s in enumerate(expected.statuses[name])]
        assert every["statuses"][name] == lost
    pushed = int(at(20, month=2).timestamp())
    assert every["times"]["i"] == [pushed] * 5 + [0]
    assert keys["values"]["amount"] == [42.5, None, None]
    assert keys["statuses"]["amount"] == ["PRESENT", "OUTSIDE_MAX_AGE", "NOT_FOUND"]
    of_mix = house.store.get_online_features("mix", PEOPLE, full_feature_names=True)
    for answer in (mixed, on_loop):
        assert "error" not in answer, answer
        assert answer["values"] == of_mix.to_dict()
        assert {name: answer["statuses"][name] for name in of_mix.statuses} == of_mix.statuses
    assert whole["values"] == {"shop": ["7", "nobody"], "total": [50.0, 50.0], "i": [7, None]}
    assert nobody["statuses"]["amount"] == ["NOT_FOUND"]


def test_feast_reads_rows_by_their_keys_by_the_online_store_for_it(house: House) -> None:
    spent = {"call": "rows", "config": house.plugin(), "view": "spending", "features": ["amount"]}
    total = {**spent, "view": "whole", "features": ["total"]}
    rows, whole = house.feast(
        {**spent, "keys": [{"customer": 1}, {"customer": 2}, {"customer": 9}]}, {**total, "keys": [{"__dummy_id": ""}]}
    )
    assert rows == [["2020-02-20T00:00:00+00:00", {"amount": 42.5}], [None, None], [None, None]]
    assert whole == [["2020-02-03T00:00:00+00:00", {"total": 50.0}]]


def test_feast_writes_by_the_online_store_for_it_as_a_push(house: House) -> None:
    frame = {"customer": [601, 602], "event_timestamp": ["2020-02-27T00:00:00Z"] * 2, "amount": [6.5, None]}
    write = {"call": "write", "view": "spending", "frame": frame, "config": house.plugin()}
    read = {"features": ["spending:amount"], "rows": [{"customer": 601}, {"customer": 602}]}
    bad = {**write, "frame": {**frame, "amount": [-1.0, 2.0]}}
    written, refused = house.feast({**write, **read}, bad)
    assert written["values"]["amount"] == [6.5, None]
    assert written["statuses"]["amount"] == ["PRESENT", "NULL_VALUE"]
    assert "ChecksFailed" in refused["error"]


def test_feasts_own_server_is_right_with_it(house: House, tmp_path: Path) -> None:
    (tmp_path / "feature_store.yaml").write_text(
        json.dumps({**house.plugin(), "provider": "local", "entity_key_serialization_version": 3})
    )
    command = [house.python, "-m", "feast.cli.cli", "-c", str(tmp_path), "serve", "--host", "127.0.0.1"]
    with served(command, house.environment, "--port") as url:
        body = {"features": ["spending:amount"], "entities": {"customer": [1, 2, 9]}}
        answer = httpx.post(f"{url}/get-online-features", json=body, trust_env=False, timeout=60).json()
    assert answer["results"][1]["values"] == [42.5, None, None]
    assert answer["results"][1]["statuses"] == ["PRESENT", "OUTSIDE_MAX_AGE", "NOT_FOUND"]


MOMENTS = [at(1), at(1, 12), at(22), at(5, month=2), at(28, month=2), at(3, month=2)]


@pytest.mark.parametrize("kind", ["dask", "duckdb"])
def test_feasts_local_offline_stores_read_the_exported_rows(house: House, kind: str) -> None:
    spine = {"row": [*range(6)], "customer": [1, 1, 1, 1, 9, 3], "event_timestamp": [m.isoformat() for m in MOMENTS]}
    config = {**house.common, "offline_store": {"type": kind}, "online_store": {"type": "sqlite"}}
    (theirs,) = house.feast({"call": "historical", "config": config, "features": ["spending:amount"], "rows": spine})
    assert isinstance(theirs, list), theirs
    frame = pd.DataFrame({**spine, "event_timestamp": MOMENTS})
    ours = house.store.get_historical_features("spending", frame).to_df()["amount"]
    expected = [None if pd.isna(amount) else amount for amount in ours]
    assert [row["amount"] for row in theirs] == expected == [10.0, 10.0, 30.0, 40.0, None, 50.0]


def test_feast_loads_the_exported_rows_into_our_server(house: House, tmp_path: Path) -> None:
    """`feast materialize` with a remote online store: its rows are pushes. Feast writes to its registry: a copy."""
    config = {**house.remote("writer"), "registry": str(shutil.copy(house.common["registry"], tmp_path / NAME))}
    shop = {"shop": "3"}
    window = {"start": "2020-01-01T00:00:00", "end": "2020-02-10T00:00:00", "views": ["everything"]}
    (loaded,) = house.feast(
        {"call": "materialize", "config": config, **window, "features": ["everything:i"], "rows": [shop]}
    )
    assert loaded["values"] == {"shop": ["3"], "i": [None]}
    assert loaded["statuses"]["i"] == ["NULL_VALUE"]
    assert house.store.parity("everything", sample=None).passed
