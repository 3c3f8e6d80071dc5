"""The processes of a life and its clock, and what each process is asked for to compare its answers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from amora_fs_assets_tests.soak import world
from amora_fs_assets_tests.soak.arrivals import Arrivals
from amora_fs_assets_tests.soak.checks import features_of
from amora_fs_assets_tests.soak.clock import RunningClock
from amora_fs_assets_tests.soak.history import COMPUTE_ORDER, Backup, History
from amora_fs_assets_tests.soak.server import HttpServer
from amora_fs_assets_tests.soak.worker import Worker
from amora_fs_assets_tests.soak.world import CUSTOMERS, DEVICES, SHOPS, START

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FLIPPED = 0.6
"""For how long another process may go without looking which generation is live [s]."""
REFRESHED = 11.0
"""For how long another process may know an older catalogue [s]."""
LONGEST_STEP = 25.0
"""Real seconds after which the clock is set again."""


class Looks:
    """The processes of one seed, under one clock."""

    def __init__(self, home: Path, seed: int, *, without: Sequence[str] = ()) -> None:
        self.rng = Random(seed)
        self._without = without
        self.home = home
        self.clock = RunningClock(home, START + timedelta(seconds=15))
        self.history = History(world.first_views(), START + timedelta(seconds=15))
        self.arrivals = Arrivals(self.rng, "late" not in without)
        self.workers = [Worker(home, name, self.clock.environment) for name in ("first", "second")]
        self.server = HttpServer(home, self.clock.environment)
        self.computed_to = dict.fromkeys(COMPUTE_ORDER, START)
        self._set_at = self._flipped_at = self._applied_at = time.monotonic()
        self._applied_by: Worker | None = None
        self._added = 0
        self._backup: tuple[Backup, dict[str, datetime]] | None = None

    def close(self) -> None:
        """End every process of it."""
        self.server.kill()
        for worker in self.workers:
            with suppress(OSError):
                worker.stop()

    def _pass(self, how_long: timedelta) -> None:
        """Time passes, and rows arrive."""
        before = self.history.now
        now = (before + how_long).replace(second=15, microsecond=0)
        self._arrive(before, now)
        self.clock.set(now)
        self.history.now, self._set_at = now, time.monotonic()

    def _keep_the_minute(self) -> None:
        """The model's moment is 15 s after a whole minute: set the clock again before the minute ends."""
        if time.monotonic() - self._set_at > LONGEST_STEP:
            self.clock.set(self.history.now)
            self._set_at = time.monotonic()

    def _arrive(self, start: datetime, end: datetime) -> None:
        self.history.sources(self.workers[0], self.arrivals.between(start, end))

    def _look(self, worker: Worker, *, others: bool = True) -> None:
        """Read everything, by the process that acted last and by the others."""
        self._keep_the_minute()
        model = self.history.model
        self._online(worker)
        if others:
            pause = FLIPPED - (time.monotonic() - self._flipped_at)
            if pause > 0:
                time.sleep(pause)
            for each in self.workers:
                self._online(each)
            features = self._known_everywhere()
            self.history.check_online(self.server.read, self._entities(), features, "http")
        names = [name for name in COMPUTE_ORDER if self.rng.random() < 0.6 and model.tables.get(name) is not None]
        if names:
            self.history.check_historical(worker, names, self._spine(), known_time=self.rng.random() < 0.3)
        name = self.rng.choice(COMPUTE_ORDER)
        if name in model.tables and self.rng.random() < 0.4:
            start = max(START - 9 * DAY, self.history.now - DAY * self.rng.randint(1, 40))
            self.history.check_table(worker, name, start, self.history.now + DAY)

    def _known_everywhere(self) -> list[str]:
        """Features that every process knows: for some seconds after an apply those that stayed.

        If none stayed (the first apply, say), wait until every process knows the new ones: a read asks for features.
        """
        features = features_of(self.history.model.views)
        pause = REFRESHED - (time.monotonic() - self._applied_at)
        if pause <= 0:
            return features
        stayed = [each for each in features if each in self.history.applied]
        if not stayed:
            time.sleep(pause)
        return stayed or features

    def _online(self, worker: Worker) -> None:
        features = features_of(self.history.model.views)
        if worker is not self._applied_by:
            features = self._known_everywhere()

        def read(asked: Sequence[str], entities: Mapping[str, Sequence[Any]]) -> Mapping[str, Any]:
            answer: Mapping[str, Any] = self.history.done(
                worker.ask(
                    "online", features=list(asked), entities={n: list(v) for n, v in entities.items()}, full=True
                )
            )
            return answer

        self.history.check_online(read, self._entities(), features, worker.name)

    def _entities(self) -> dict[str, list[Any]]:
        """All entities, an unknown one, and nulls."""
        pairs = [(customer, shop) for customer in [*CUSTOMERS, 77] for shop in SHOPS] + [(None, SHOPS[0]), (5, None)]
        devices = [*DEVICES, 77, 99, None]
        return {
            "customer": [customer for customer, _ in pairs],
            "shop": [shop for _, shop in pairs],
            "device": [devices[place % len(devices)] for place in range(len(pairs))],
        }

    def _spine(self) -> list[dict[str, Any]]:
        """Moments of the past, many of them at the very instant at which a row begins or ceases to count."""
        model, rows = self.history.model, []
        for _ in range(30):
            moment: datetime | None = START + timedelta(
                minutes=self.rng.randint(0, max(1, int(self.history.days * 1440)))
            )
            name = self.rng.choice(COMPUTE_ORDER)
            if (there := model.tables.get(name)) and self.rng.random() < 0.5:
                ttl = model.views[name].ttl or DAY
                moment = self.rng.choice(there).at + self.rng.choice([timedelta(0), ttl]) + self.rng.choice(
                    [timedelta(0), timedelta(microseconds=1), timedelta(microseconds=-1)]
                )  # fmt: skip
            rows.append({
                "customer": self.rng.choice([*CUSTOMERS, 77, None]), "shop": self.rng.choice([*SHOPS, None]),
                "device": self.rng.choice([*DEVICES, 77, None]),
                "event_timestamp": None if self.rng.random() < 0.05 and "null_moments" not in self._without else moment,
            })  # fmt: skip
        return rows
