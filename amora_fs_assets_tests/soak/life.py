"""Months in minutes: real processes under a running clock that is set forward, with everything that befalls a store.

Every moment that counts lies on a whole minute, or some microseconds after it; the clock is set to 15 s after one, and
set again before 30 s of real time have gone by. So what a read must give does not depend on how quick the machine is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from amora_fs_assets_tests.soak.events import Events
from amora_fs_assets_tests.soak.looks import DAY
from amora_fs_assets_tests.soak.worker import Worker
from amora_fs_assets_tests.soak.world import START


@dataclass
class Limits:
    """When a life ends: after so many days of its own, or so many real seconds, whichever comes first."""

    days: float
    seconds: float


class Life(Events):
    """One seed's life."""

    def live(self, limits: Limits, tell: Callable[[str], None]) -> None:
        """From the first apply to the end. Raises WrongError."""
        began = told = time.monotonic()
        self._begin()
        while self.history.days < limits.days and time.monotonic() - began < limits.seconds:
            self.step()
            if time.monotonic() - told > 20:
                told = time.monotonic()
                tell(f"  {self.history.days:5.1f} days, {self.history.counts.operations} operations, "
                     f"{self.history.counts.values} values compared")  # fmt: skip

    def _begin(self) -> None:
        worker = self.workers[0]
        self._arrive(START - 3 * DAY, self.history.now)
        self._apply(worker, self.history.model.views)
        self._pass(timedelta(hours=self.rng.randint(30, 60)))
        self._schedule(worker)
        for each in self.workers:
            each.ask("use", views=dict(self.history.model.views))
        self.server.start()

    def step(self) -> None:
        """Some hours pass, what is due is computed and loaded, some things happen, everything is read."""
        self._pass(timedelta(minutes=self.rng.choice([7, 61, 600, 1440, 1500, 3001, 5770])))
        worker = self.rng.choice(self.workers)
        if self.rng.random() < 0.85:
            self._schedule(worker)
        self._look(worker, others=self.rng.random() < 0.3)
        for _ in range(self.rng.randint(1, 3)):
            self._keep_the_minute()
            self._something(self.rng.choice(self.workers))
        self._look(self.rng.choice(self.workers))

    def _something(self, worker: Worker) -> None:
        happens: list[tuple[int, Callable[[Worker], None]]] = [
            (6, self.push), (4, self.correct), (2, self.take_out), (3, self.backfill), (2, self.window),
            (2, self.full), (2, self.rollback), (3, self.unpin), (2, self.change), (2, self.train),
            (2, self.kill_a_process), (1, self.hold_the_gate), (1, self.parity), (1, self.restart_all),
            (1, self.empty_redis), (2, self.back_up), (2, self.restore), (1, self.prune), (3, self.race),
        ]  # fmt: skip
        weights, actions = zip(*happens, strict=True)
        self.rng.choices(actions, weights)[0](worker)
