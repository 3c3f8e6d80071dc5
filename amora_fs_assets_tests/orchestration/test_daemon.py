"""Automation under a real daemon: three midnights, and what is online after each."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import psutil
import pytest

from amora_fs_assets import FeatureStore
from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration import moved_clock
from amora_fs_assets_tests.orchestration.automated import Shop, shop

MINUTE = timedelta(minutes=1)
PATIENCE = 300.0  # for a machine that is busy with other things [s]


@contextmanager
def daemon(home: Path) -> Iterator[None]:
    """`dagster-daemon run` over the definitions of moved_clock; nothing of it is left behind."""
    instance = home / "instance"
    instance.mkdir()
    (instance / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = {**os.environ, moved_clock.HOME: str(home), "DAGSTER_HOME": str(instance)}
    with (home / "daemon.log").open("w") as log:
        process = psutil.Popen(
            [Path(sys.executable).parent / "dagster-daemon", "run", "-m", moved_clock.__name__],
            env=environment, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield
        finally:
            tree = [process, *process.children(recursive=True)]
            process.terminate()
            _, alive = psutil.wait_procs(tree, timeout=20)
            for each in alive:
                each.kill()
            psutil.wait_procs(alive, timeout=10)


def until(done: Callable[[], bool], log: Path) -> None:
    """Wait for it; what the daemon said where it does not come."""
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, log.read_text()[-5000:]
        time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_three_midnights_on_a_real_daemon(tmp_path: Path) -> None:
    made = Shop(tmp_path, shop(), small.at(1, month=2))
    store = FeatureStore(moved_clock.settings(tmp_path))

    def move(now: datetime) -> None:
        made.at(now)
        clock = tmp_path / "clock.new"
        clock.write_text(now.isoformat())
        clock.replace(tmp_path / "clock")

    def loaded() -> bool:
        """Whether every view is current up to the clock, and online up to its newest publication."""
        found = store.coverage()
        newest = {each.name: each.sequence for each in store.offline.publications()}
        generations = {view.name: store.online.generation(view) for view in store.list_feature_views()}
        return all(each.complete for each in found.values()) and all(
            each is not None and each.published_through >= newest[name] for name, each in generations.items()
        )

    made.sell((1, small.at(31), 1.0))
    move(small.at(1, month=2) + MINUTE)
    with daemon(tmp_path), store:
        until(loaded, tmp_path / "daemon.log")
        for day in (2, 3, 4):
            midnight = small.at(day, month=2)
            made.sell((1, midnight - MINUTE, day * 10.0), (day, midnight, day * 10.0 + 1))
            move(midnight + MINUTE)
            until(loaded, tmp_path / "daemon.log")
            made.check_online()
        made.sell((1, small.at(4, hour=1, month=2), -1.0))
        move(small.at(4, hour=2, month=2))
        alerts = tmp_path / "alerts"
        told = {"feature_view/hourly: check 'amount' fails", "feature_view/hourly: a run failed"}
        until(lambda: alerts.exists() and told <= {*alerts.read_text().splitlines()}, tmp_path / "daemon.log")
