"""Random histories of a small store under a fixed clock that is set forward: every read equals the model's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from amora_fs_assets_tests.servers import RedisServer, bundled_valkey, redis_server
from amora_fs_assets_tests.soak.executor import Executor, answered
from amora_fs_assets_tests.soak.machine import Histories
from amora_fs_assets_tests.soak.world import START


class Here:
    """The executor of this process, under a fixed clock, with a Redis that all histories share."""

    offset, collects = timedelta(0), False

    def __init__(self, redis: RedisServer) -> None:
        self._redis = redis
        self._executor: Executor | None = None

    def begin(self, home: Path) -> Here:
        self._executor = Executor(home, START, online_store_url=self._redis.url, project=home.name)
        return self

    def set(self, now: datetime) -> None:
        assert self._executor is not None
        self._executor.set_clock(now)

    def end(self) -> None:
        if self._executor is not None:
            self._executor.close()

    def ask(self, command: str, *, kill_after: float | None = None, **arguments: Any) -> tuple[str, Any]:
        assert kill_after is None and self._executor is not None
        return answered(self._executor, command, arguments)

    def restart(self) -> None:
        raise AssertionError("this process is not killed")


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(bundled_valkey(), tmp_path_factory.mktemp("redis")) as running:
        yield running


def test_every_read_of_random_histories_is_that_of_the_model(redis: RedisServer) -> None:
    class Small(Histories):
        stage = Here(redis)

    checked = settings(
        max_examples=8, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
    )
    run_state_machine_as_test(Small, settings=checked)
