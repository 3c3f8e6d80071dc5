"""The HTTP server as a process: without Redis, at its end, at rest, and with several workers."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from amora_fs_assets_tests.servers import eventually
from amora_fs_assets_tests.serving.conftest import Serving, serving


def accepts(server: Serving) -> bool:
    try:
        return httpx.get(f"{server.client.base_url}/health", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


class TestTrouble:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Iterator[Serving]:
        with serving(tmp_path) as running:
            yield running

    def test_redis_out_of_reach_is_said_and_mends_itself(self, own: Serving) -> None:
        body = {"features": ["spending:amount"], "entities": {"customer": [1]}}
        assert own.features(body).status_code == 200
        own.redis.kill()
        answer = own.features(body)
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "OnlineStoreUnavailable")
        assert own.client.get("/ready").status_code == 503
        assert own.client.get("/health").status_code == 200
        own.redis.start()
        answer = own.features(body)
        assert (answer.status_code, answer.json()["results"][1]["statuses"]) == (200, ["NOT_FOUND"])

    def test_a_request_under_way_is_answered_before_the_server_stops(self, own: Serving) -> None:
        address = (own.client.base_url.host, own.client.base_url.port or 80)
        body = b'{"features": ["spending:amount"], "entities": {"customer": [1]}}'
        with socket.create_connection(address) as late:
            late.sendall(b"POST /get-online-features HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n")
            late.sendall(b"Content-Length: %d\r\n\r\n" % len(body))
            late.sendall(body[:10])
            assert late.recv(100).startswith(b"HTTP/1.1 100 Continue")  # it waits for the rest
            own.process.send_signal(signal.SIGTERM)
            eventually(lambda: not accepts(own))
            late.sendall(body[10:])
            assert late.recv(100).startswith(b"HTTP/1.1 200")
        assert own.process.wait(timeout=30) in {0, -signal.SIGTERM}  # Uvicorn ends by the signal that it was sent

    def test_it_takes_little_memory_at_rest(self, own: Serving) -> None:
        own.features({"features": ["spending:amount"], "entities": {"customer": [1]}})
        assert psutil.Process(own.process.pid).memory_info().rss < 120 * 2**20


def test_several_workers_share_the_port_and_sum_their_numbers(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as running:
        body = {"features": ["spending:amount"], "entities": {"customer": [1]}}
        for _ in range(20):  # a connection each, so that both get some
            httpx.post(f"{running.client.base_url}/get-online-features", json=body, trust_env=False).raise_for_status()
        line = 'amora_fs_requests_total{route="/get-online-features",status="200"} 20.0'
        assert line in running.client.get("/metrics").text
