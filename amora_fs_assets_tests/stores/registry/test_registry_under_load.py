"""The registry at full size: fifty processes at once, readers beside them, and processes killed at any moment."""

from __future__ import annotations

import os
import random
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import RegistryConflict
from amora_fs_assets.domain.records import RunRecord
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from amora_fs_assets_tests import small
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.stores.at_once import at_once
from amora_fs_assets_tests.stores.conftest import OpenObjects

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WRITERS, READERS, RECORDS = 50, 3, 4


class Acknowledged:
    """What writers were told to be safe, one file each: noted after the answer came."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    def note(self, kind: str, word: str) -> None:
        (self._folder / f"{kind}-{word}").touch()

    def of(self, kind: str) -> set[str]:
        return {path.name.removeprefix(f"{kind}-") for path in self._folder.glob(f"{kind}-*")}


def catalogue(number: int) -> Catalogue:
    return small.catalogue(ttl=timedelta(minutes=1 + number))


def apply(registry: ObjectRegistry, number: int) -> str:
    """Apply on whatever head there is, again and again until it is ours."""
    while True:
        head = registry.head()
        try:
            return registry.apply(catalogue(number), parent=head.hash if head else None, clock=at(1)).hash
        except RegistryConflict:
            time.sleep(random.uniform(0, 0.2))


def record(registry: ObjectRegistry, run_id: str) -> None:
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    registry.record(RunRecord(kind="compute", name="spending", run_id=run_id, status="succeeded", started_at=moment,
                              finished_at=moment))  # fmt: skip


def test_fifty_processes_lose_nothing_and_readers_beside_them_see_all_that_was_acknowledged(
    objects: OpenObjects, tmp_path: Path
) -> None:
    told = Acknowledged(tmp_path / "told")

    def write(number: int) -> int:
        registry = ObjectRegistry(objects())
        for each in range(RECORDS):
            record(registry, f"{number}x{each}")
            told.note("record", f"{number}x{each}")
        told.note("snapshot", apply(registry, number))
        return 1

    def read() -> int:
        reads = 0
        while len(told.of("snapshot")) < WRITERS:
            registry = ObjectRegistry(objects())
            snapshots, records = told.of("snapshot"), told.of("record")
            seen = [snapshot.hash for snapshot in registry.history()]
            assert snapshots <= set(seen), "older than acknowledged"
            assert not snapshots or registry.catalogue().feature_views, "empty"
            assert records <= {run.run_id for run in registry.records("spending")}, "a record is missing"
            reads += 1
        return reads

    reads = at_once(lambda number: write(number) if number < WRITERS else read(), WRITERS + READERS)[WRITERS:]
    registry = ObjectRegistry(objects())
    chain = [snapshot.hash for snapshot in registry.history()]
    assert set(chain) == told.of("snapshot")
    assert len(chain) == WRITERS
    assert {run.run_id for run in registry.records()} == told.of("record")
    assert len(told.of("record")) == WRITERS * RECORDS
    assert min(reads) > 0


def test_processes_killed_at_any_moment_leave_a_head_that_holds_all_that_was_acknowledged(
    objects: OpenObjects, tmp_path: Path
) -> None:
    told = Acknowledged(tmp_path / "told")
    killed = 0
    catalogue(0).to_json()  # what that imports and compiles, no child has to
    for turn in range(40):
        child = os.fork()
        if child == 0:
            registry = ObjectRegistry(objects())
            for number in range(1_000):
                told.note("snapshot", apply(registry, turn * 1_000 + number))
            os._exit(0)
        time.sleep(random.uniform(0.05, 0.25))
        os.kill(child, signal.SIGKILL)
        killed += os.waitpid(child, 0)[1] == signal.SIGKILL
        registry = ObjectRegistry(objects())
        chain = [snapshot.hash for snapshot in registry.history()]
        assert told.of("snapshot") <= set(chain)
        # One that was killed after its write and before it could note the answer may be there as well.
        assert len(chain) - len(told.of("snapshot")) <= killed
    assert killed == 40
    assert len(told.of("snapshot")) > 40
    told.note("snapshot", apply(ObjectRegistry(objects()), 999_999))
