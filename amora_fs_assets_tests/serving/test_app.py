"""The HTTP server, a process of its own, over its socket."""

from __future__ import annotations

import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from amora_fs_assets_tests.servers import eventually
from amora_fs_assets_tests.serving.conftest import NOW, Serving, connected

EPOCH = "1970-01-01T00:00:00Z"
SINCE = NOW.isoformat().replace("+00:00", "Z")


def test_features_come_as_columns_as_with_feast(server: Serving) -> None:
    answer = server.features({"features": ["spending:amount", "spending:note"], "entities": {"customer": [1, 2, 9]}})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "metadata": {"feature_names": ["customer", "amount", "note"]},
        "results": [
            {"values": [1, 2, 9], "statuses": ["PRESENT"] * 3, "event_timestamps": [EPOCH] * 3},
            {
                "values": [1.5, None, None],
                "statuses": ["PRESENT", "NULL_VALUE", "NOT_FOUND"],
                "event_timestamps": [SINCE, SINCE, EPOCH],
            },
            {
                "values": ["a", None, None],
                "statuses": ["PRESENT", "NULL_VALUE", "NOT_FOUND"],
                "event_timestamps": [SINCE, SINCE, EPOCH],
            },
        ],
    }


def test_features_come_as_rows_as_amora_documents(server: Serving) -> None:
    answer = server.features(
        {"features": ["spending:amount"], "entities": {"customer": [1, 9]}}, params={"layout": "rows"}
    )
    assert answer.json() == {
        "metadata": {"feature_names": ["customer", "amount"]},
        "results": [
            {"values": [1, 1.5], "statuses": ["PRESENT", "PRESENT"], "event_timestamps": [EPOCH, SINCE]},
            {"values": [9, None], "statuses": ["PRESENT", "NOT_FOUND"], "event_timestamps": [EPOCH, EPOCH]},
        ],
    }


def test_a_service_with_a_view_that_has_no_entities(server: Serving) -> None:
    answer = server.features({"feature_service": "spender", "entities": {"customer": [1, 2]}}).json()
    assert answer["metadata"]["feature_names"] == ["customer", "amount", "total"]
    assert answer["results"][2]["values"] == [7, 7]


def test_full_feature_names(server: Serving) -> None:
    body = {"features": ["spending:amount"], "entities": {"customer": [1]}, "full_feature_names": True}
    assert server.features(body).json()["metadata"]["feature_names"] == ["customer", "spending__amount"]


def test_a_value_that_is_too_old_is_not_given_out(server: Serving) -> None:
    answer = server.features({"features": ["spending:note"], "entities": {"customer": [3]}}).json()
    assert answer["results"][1]["values"] == [None]
    assert answer["results"][1]["statuses"] == ["OUTSIDE_MAX_AGE"]


def test_what_json_has_no_number_for_is_a_word(server: Serving) -> None:
    answer = server.features({"features": ["spending:amount"], "entities": {"customer": [4, 1]}}).json()
    assert answer["results"][1]["values"] == ["NaN", 1.5]


def test_feature_views_are_listed_as_with_amora(server: Serving) -> None:
    assert server.client.get("/list-feature-views").json()[0] == {
        "name": "spending",
        "features": ["spending:amount", "spending:note"],
        "entities": ["buyer"],
        "description": "What a customer spends.",
    }


def test_feature_services_are_listed_with_their_version(server: Serving) -> None:
    (service,) = server.client.get("/feature-services").json()
    version = server.store.get_feature_service("spender").version
    assert service == {
        "name": "spender", "version": version, "join_keys": ["customer"],
        "features": ["spending:amount", "whole:total"], "request": {}, "description": "", "owner": "shop@example.com",
    }  # fmt: skip


REFUSED: list[tuple[Any, int, str]] = [
    ({"features": ["spending:amount"], "entities": {}}, 422, "lack join key 'customer'"),
    ({"features": ["spending:amount"], "entities": {"customer": ["x"]}}, 422, "takes int64"),
    ({"features": ["spending:amount"], "entities": {"customer": ["01"]}}, 422, "'01' is str. Give a number"),
    ({"features": ["spending:amount"], "entities": {"customer": [[1]]}}, 422, "takes int64; .1. is list"),
    ({"features": ["spending:amount"], "entities": {"customer": [2**63]}}, 422, "64 bits"),
    ({"features": ["spending:amount"], "entities": {"customer": 1}}, 422, "Expected `array`"),
    ({"features": ["nothing:amount"], "entities": {"customer": [1]}}, 404, "'nothing' is not known"),
    ({"features": ["spending:nothing"], "entities": {"customer": [1]}}, 404, "'spending:nothing' is not known"),
    ({"feature_service": "nothing", "entities": {"customer": [1]}}, 404, "'nothing' is not known"),
    ({"features": ["amount"], "entities": {"customer": [1]}}, 422, "'view:feature'"),
    ({"features": [], "entities": {"customer": [1]}}, 422, "No features"),
    ({"entities": {"customer": [1]}}, 422, "either 'features' or a 'feature_service'"),
    ({"features": ["spending:amount"], "feature_service": "spender", "entities": {}}, 422, "either"),
    ({"features": ["spending:amount"], "entities": {"customer": list(range(10_001))}}, 413, "10,001 entities"),
    ([], 422, "Expected `object`"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "message"), REFUSED)
def test_what_cannot_be_answered_is_explained(server: Serving, body: Any, status: int, message: str) -> None:
    answer = server.features(body)
    assert answer.status_code == status, answer.text
    assert re.search(message, answer.json()["error"]["message"])


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"entities": {"customer": [1', b"[" * 100_000, b"NaN"])
def test_what_is_no_json_is_refused(server: Serving, body: bytes) -> None:
    answer = server.client.post("/get-online-features", content=body)
    assert (answer.status_code, answer.json()["error"]["type"]) in {(400, "MalformedRequest"), (422, "InvalidRequest")}


@pytest.mark.parametrize(
    "words", ["spending", ["spending:amount"], ["spending:amount:x"], [":"], [""], "spending@x", "\\ud800"]
)
@pytest.mark.parametrize(
    "keys", [[1e400], [2**64], [-(2**63) - 1], ["\\ud800"], ["9" * 400], [True], [1.5], [None], [], [""]]
)
def test_any_key_and_any_name_is_answered_or_refused(server: Serving, words: Any, keys: list[Any]) -> None:
    """A lone surrogate is text in JSON, and no Unicode; 1e400 is a number in JSON, and no float."""
    kind = "features" if isinstance(words, list) else "feature_service"
    body = (
        json.dumps({kind: words, "entities": {"customer": keys}}).replace("\\\\u", "\\u").replace("Infinity", "1e400")
    )
    for layout in ("rows", "columns", "none"):
        answer = server.client.post(f"/get-online-features?layout={layout}", content=body)
        assert answer.status_code in {200, 400, 404, 422}, answer.text
        assert answer.status_code == 200 or answer.json()["error"]["message"]


def test_a_body_that_is_too_large_is_refused_before_it_is_read(server: Serving) -> None:
    answer = server.client.post("/get-online-features", content=b" " * (9 * 2**20))
    assert answer.status_code == 413


def test_a_view_that_was_never_loaded_is_not_found(server: Serving) -> None:
    answer = server.features({"features": ["unloaded:other"], "entities": {"customer": [1]}}).json()
    assert answer["results"][1]["statuses"] == ["NOT_FOUND"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/push", 405)])
def test_an_unknown_route_points_at_the_documentation(server: Serving, method: str, path: str, status: int) -> None:
    answer = server.client.request(method, path)
    assert (answer.status_code, "/docs" in answer.json()["error"]["message"]) == (status, True)


def test_a_pushed_row_is_served(server: Serving) -> None:
    row = {"customer": 50, "event_timestamp": SINCE, "amount": 5.0}
    answer = server.client.post("/push", json={"feature_view": "spending", "rows": [row], "to_offline": False})
    assert answer.json() == {"rows": 1, "newer": 1}
    served = server.features({"features": ["spending:amount"], "entities": {"customer": [50]}}).json()
    assert served["results"][1]["values"] == [5.0]


@pytest.mark.parametrize(
    ("view", "row", "status"),
    [
        ("spending", {"customer": 51, "event_timestamp": SINCE, "amount": -1.0}, 422),
        ("spending", {"customer": "x", "event_timestamp": SINCE}, 422),
        ("spending", {"customer": 51}, 422),
        ("nothing", {"customer": 51}, 404),
    ],
)
def test_a_push_that_breaks_the_schema_is_refused(server: Serving, view: str, row: Any, status: int) -> None:
    answer = server.client.post("/push", json={"feature_view": view, "rows": [row], "to_offline": False})
    assert answer.status_code == status, answer.text


def test_numbers_for_prometheus(server: Serving) -> None:
    server.features({"features": ["spending:amount"], "entities": {"customer": [1, 9]}})
    text = server.client.get("/metrics").text
    for line in (
        'amora_fs_requests_total{route="/get-online-features",status="200"}',
        'amora_fs_request_seconds_bucket{le="0.01",route="/get-online-features"}',
        'amora_fs_values_total{status="NOT_FOUND",view="spending"}',
        'amora_fs_oldest_row_age_seconds_count{view="spending"}',
    ):
        assert line in text


def test_the_interface_describes_itself(server: Serving) -> None:
    document = server.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {"/get-online-features", "/push", "/list-feature-views", "/metrics"} <= set(document["paths"])
    assert "openapi.json" in server.client.get("/docs").text


def test_many_clients_at_once_get_their_own_answers(server: Serving) -> None:
    def ask(number: int) -> list[Any]:
        body = {"features": ["spending:amount"], "entities": {"customer": [number, 1]}}
        return list(server.features(body).json()["results"][0]["values"])

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(400))) == [[number, 1] for number in range(400)]


def test_a_client_that_sends_slowly_keeps_nobody_waiting(server: Serving) -> None:
    address = (server.client.base_url.host, server.client.base_url.port or 80)
    slow = [socket.create_connection(address) for _ in range(50)]
    for each in slow:
        each.sendall(b"POST /get-online-features HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert server.features({"features": ["spending:amount"], "entities": {"customer": [1]}}).status_code == 200
    for each in slow:
        each.setblocking(False)
        with pytest.raises(BlockingIOError):  # it still waits, and was neither answered nor given up
            each.recv(1)
        each.close()


def test_a_client_that_does_not_read_keeps_nobody_waiting(server: Serving) -> None:
    body = b'{"features":["spending:amount"],"entities":{"customer":[%s]}}' % b",".join([b"1"] * 10_000)
    address = (server.client.base_url.host, server.client.base_url.port or 80)
    before = psutil.Process(server.process.pid).memory_info().rss
    deaf = []
    for _ in range(30):
        each = socket.socket()
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        each.connect(address)
        each.sendall(b"POST /get-online-features HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        deaf.append(each)
    eventually(lambda: connected(server, deaf) == 30)
    assert server.features({"features": ["spending:amount"], "entities": {"customer": [1]}}).status_code == 200
    assert psutil.Process(server.process.pid).memory_info().rss - before < 200 * 2**20, "an answer of each"
    for each in deaf:
        each.close()
