"""The limits of the HTTP server: large requests are answered up to a limit, slow ones are given up."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from amora_fs_assets.stores.redis.connection import TIMEOUT
from amora_fs_assets_tests.servers import eventually
from amora_fs_assets_tests.serving.conftest import Serving, connected, serving


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Large requests allowed, slow ones not."""
    options = ("--max-entities", "100000", "--max-body", str(2**21), "--max-seconds", "2")
    with serving(tmp_path_factory.mktemp("home"), *options) as running:
        yield running


class TestLimits:
    def test_a_hundred_thousand_entities_are_answered_where_they_are_allowed(self, limited: Serving) -> None:
        customers = [1, 2] * 50_000
        answer = limited.features({"features": ["spending:amount"], "entities": {"customer": customers}})
        assert answer.status_code == 200
        assert answer.json()["results"][1]["values"] == [1.5, None] * 50_000
        more = limited.features({"features": ["spending:amount"], "entities": {"customer": [*customers, 1]}})
        assert (more.status_code, more.json()["error"]["type"]) == (413, "TooManyEntities")
        long = limited.features({"features": ["spending:amount"], "entities": {"customer": ["x" * 2**21]}})
        assert (long.status_code, long.json()["error"]["type"]) == (413, "BodyTooLarge")

    def test_a_body_that_comes_too_slowly_is_given_up(self, limited: Serving) -> None:
        address = (limited.client.base_url.host, limited.client.base_url.port or 80)
        with socket.create_connection(address, timeout=10) as slow:
            slow.sendall(b"POST /get-online-features HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            said = slow.recv(10_000)
            while b"}" not in said:
                said += slow.recv(10_000)
        assert said.startswith(b"HTTP/1.1 408")
        assert b"SlowRequest" in said

    def test_a_head_that_does_not_come_ends_the_connection(self, limited: Serving) -> None:
        address = (limited.client.base_url.host, limited.client.base_url.port or 80)
        with socket.create_connection(address, timeout=60) as silent, socket.create_connection(address) as dripping:
            dripping.settimeout(0.1)
            gone = False
            while not gone:  # or longer than this test may take
                try:
                    dripping.sendall(b"G")
                    gone = dripping.recv(1) == b""
                except TimeoutError:
                    pass
                except ConnectionError:
                    gone = True
            with suppress(ConnectionError):
                assert silent.recv(1) == b""

    def test_an_answer_that_is_not_taken_ends_the_connection_and_its_memory(self, limited: Serving) -> None:
        body = b'{"features":["spending:amount"],"entities":{"customer":[%s]}}' % b",".join([b"1"] * 100_000)
        head = b"POST /get-online-features HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        address = (limited.client.base_url.host, limited.client.base_url.port or 80)
        deaf = []
        for _ in range(5):
            each = socket.socket()
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            each.connect(address)
            each.sendall(head + body)
            deaf.append(each)

        eventually(lambda: connected(limited, deaf) == 0)
        for each in deaf:
            each.close()

    def test_a_kept_connection_is_used_for_longer_than_a_request_may_take(self, limited: Serving) -> None:
        address = (limited.client.base_url.host, limited.client.base_url.port or 80)
        with socket.create_connection(address, timeout=5) as kept:
            for _ in range(5):
                kept.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                said = kept.recv(1000)
                while b"}" not in said:
                    said += kept.recv(1000) or b"it was closed}"
                assert said.startswith(b"HTTP/1.1 200")
                time.sleep(0.3)

    def test_a_redis_that_hangs_is_given_up(self, limited: Serving) -> None:
        body = {"features": ["spending:amount"], "entities": {"customer": [1]}}
        assert limited.features(body).status_code == 200
        assert limited.redis.process is not None
        limited.redis.process.send_signal(signal.SIGSTOP)
        try:
            answer = limited.features(body)
            assert (answer.status_code, answer.json()["error"]["type"]) == (503, "OnlineStoreUnavailable")
            assert answer.elapsed.total_seconds() < TIMEOUT, (
                "it was the store that gave up, later than the server asked"
            )
        finally:
            limited.redis.process.send_signal(signal.SIGCONT)
        assert limited.features(body).json()["results"][1]["values"] == [1.5]
