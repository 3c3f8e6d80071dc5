"""Random histories of a small store under a fixed clock that is set forward: every read equals the model's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from amora_fs_assets_tests.servers import RedisServer, bundled_valkey, redis_server
from amora_fs_assets_tests.soak.machine import Histories
from amora_fs_assets_tests.soak.stages import Here


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Shared by all histories: each is a project of its own."""
    with redis_server(bundled_valkey(), tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.mark.slow
def test_every_read_of_random_histories_is_that_of_the_model(redis: RedisServer) -> None:
    class Small(Histories):
        stage = Here(redis.url)

    few = settings(
        max_examples=6, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
    )
    run_state_machine_as_test(Small, settings=few)
