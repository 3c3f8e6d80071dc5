"""What happens to a store in its life: loads, pushes, corrections, applies, faults and races."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from amora_fs_assets_tests.soak import world
from amora_fs_assets_tests.soak.history import COMPUTE_ORDER, Ask
from amora_fs_assets_tests.soak.looks import DAY, FLIPPED, HOUR, REFRESHED, Looks
from amora_fs_assets_tests.soak.worker import Worker
from amora_fs_assets_tests.soak.world import CUSTOMERS, DEVICES, SHOPS, START, Row


class Events(Looks):
    """Each event is done to the store and to the model."""

    def _schedule(self, worker: Worker) -> None:
        """What a scheduler does: each view's stretch since the last time, then its load."""
        for name in COMPUTE_ORDER:
            late = self.rng.random() < 0.1 and self.history.model.online.get(name) is not None
            if late:  # the schedule missed a turn, and catches up the next time
                continue
            end, kill_after = self.history.now + self.rng.choice([0, 1]) * DAY, self._kill(0.05)
            if end == self.computed_to[name]:  # the offline store was restored to a backup of this instant
                continue
            self.history.compute(worker, [name], self.computed_to[name], end, kill_after)
            if kill_after is not None:
                self.history.compute(worker, [name], self.computed_to[name], end)
            self.computed_to[name] = self.history.now
            self._load(worker, name)

    def _kill(self, chance: float) -> float | None:
        """After how many real seconds an operation is killed, if it is."""
        if "kills" in self._without or self.rng.random() > chance:
            return None
        return self.rng.choice([0.005, 0.02, 0.05, 0.1, 0.2])

    def _load(self, worker: Worker, name: str, **how: Any) -> None:
        kill_after = self._kill(0.05)
        self.history.load(worker, [name], kill_after=kill_after, **how)
        if kill_after is not None:
            self._look(worker, others=False)
            self.history.load(worker, [name], **how)
        self._flipped_at = time.monotonic()

    def push(self, worker: Worker) -> None:
        """Rows that cannot wait, sometimes of the past, sometimes of the future."""
        name = self.rng.choice([name for name in COMPUTE_ORDER if self.history.can_push(name)] or [""])
        if not name:
            return
        rows = {each.key: each for each in (self._row_of(name) for _ in range(self.rng.randint(1, 3)))}
        kill_after, to_offline = self._kill(0.2), self.rng.random() < 0.8
        self.history.push(worker, name, list(rows.values()), to_offline=to_offline, kill_after=kill_after)
        if kill_after is not None:
            self._look(worker, others=False)
            self.history.push(worker, name, list(rows.values()), to_offline=to_offline)

    def _row_of(self, name: str) -> Row:
        view = self.history.model.views[name]
        kind = self.rng.random()
        shift = self.rng.randint(0, 90) if kind < 0.5 else self.rng.randint(-2_000, 6_000)
        at = self.history.now.replace(second=0) - timedelta(minutes=shift)
        values = {each: None if self.rng.random() < 0.2 else self._value(each) for each in view.all_features}
        created = at + timedelta(minutes=self.rng.randint(1, 60)) if view.created and self.rng.random() < 0.7 else None
        return Row(self._key_of(name), max(at, START), values, created)

    def _value(self, feature: str) -> Any:
        if feature == "name":
            return self.rng.choice(["Bo", "Żaneta", ""])
        number = self.rng.randint(0, 1_000)
        return number / 2 if world.FEATURE_TYPES.get(feature) == "float64" else number

    def _key_of(self, name: str) -> tuple[Any, ...]:
        of: dict[str, list[Any]] = {"device": [*DEVICES, 77], "customer": [*CUSTOMERS, 77], "shop": SHOPS}
        return tuple(self.rng.choice(of[key]) for key in self.history.model.views[name].keys)

    def correct(self, worker: Worker) -> None:
        """A row of a source is corrected by hand, and its interval is computed again."""
        self._change_source(worker, out=False)

    def take_out(self, worker: Worker) -> None:
        """A row of a source is deleted. The next computation deletes the rows that follow from it."""
        self._change_source(worker, out=True)

    def _change_source(self, worker: Worker, *, out: bool) -> None:
        name = self.rng.choice(["readings", "orders", "profiles"])
        if not self.history.model.sources[name]:
            return
        number, row = self._corrected(name)
        change: dict[str, Any] = {"tables": {}, "gone": {name: number}} if out else {"tables": {name: {number: row}}}
        self.history.sources(worker, **change)
        self._compute_again(worker, name, max(START, row["at"] - DAY))

    def _corrected(self, name: str) -> tuple[int, dict[str, Any]]:
        """One of a source's last rows, with another value; and its number."""
        table = self.history.model.sources[name]
        number = self.rng.choice(sorted(table)[-30:])
        column = {"readings": "value", "orders": "amount", "profiles": "score"}[name]
        value = self.rng.randint(0, 100)
        return number, dict(table[number]) | {column: value / 2 if name == "readings" else value}

    def _compute_again(self, worker: Worker, name: str, start: datetime) -> None:
        """What was made of a source from `start` on."""
        for view in COMPUTE_ORDER:
            if self.history.model.views[view].reads in (name, "daily_spend") and start < self.computed_to[view]:
                kill_after = self._kill(0.1)
                self.history.compute(worker, [view], start, self.computed_to[view], kill_after)
                if kill_after is not None:
                    self.history.compute(worker, [view], start, self.computed_to[view])
                if self.rng.random() < 0.5:
                    self._load(worker, view)

    def backfill(self, worker: Worker) -> None:
        """A stretch of the past is computed again."""
        name = self.rng.choice(COMPUTE_ORDER)
        days = int((self.computed_to[name] - START) / DAY)
        start = START + DAY * self.rng.randint(0, max(0, days - 1)) + HOUR * self.rng.randint(0, 23)
        end = min(self.computed_to[name], start + HOUR * self.rng.randint(1, 200))
        if start < end:
            self.history.compute(worker, [name], start, end)

    def window(self, worker: Worker) -> None:
        """As Feast's users load: the entities of a window."""
        name = self.rng.choice(COMPUTE_ORDER)
        if not self.history.can_push(name):
            return
        end = self.history.now - HOUR * self.rng.choice([0, 0, 20, 100])
        self.history.load_window(worker, name, end - HOUR * self.rng.randint(1, 200), end)
        self._flipped_at = time.monotonic()

    def full(self, worker: Worker) -> None:
        """A new generation."""
        name = self.rng.choice(COMPUTE_ORDER)
        self._load(worker, name, full=True)

    def rollback(self, worker: Worker) -> None:
        """Readers go back; loads go on beside them."""
        name = self.rng.choice(COMPUTE_ORDER)
        if not self.history.can_go_back(name):
            return
        self.history.rollback(worker, name)
        self._flipped_at = time.monotonic()

    def unpin(self, worker: Worker) -> None:
        """Readers come back."""
        pinned = [name for name, online in self.history.model.online.items() if online.pinned]
        for name in pinned:
            self.history.unpin(worker, name)
        self._flipped_at = time.monotonic()

    def change(self, worker: Worker) -> None:
        """The team changes its code: a feature more, one less, or another meaning."""
        views = dict(self.history.model.views)
        name = self.rng.choice(COMPUTE_ORDER)
        view, kind = views[name], self.rng.choice(["more", "less", "otherwise"])
        if self.history.model.online[name].pinned:
            self.history.unpin(worker, name)
            self._flipped_at = time.monotonic()
        if kind == "less" and view.added:
            views[name] = world.without_feature(view, self.rng.choice(view.added))
        elif kind == "otherwise":
            views[name] = world.with_variant(view, self.rng.randint(1, 5))
        else:
            self._added += 1
            views[name] = world.with_feature(view, self._added)
        self._apply(worker, views)
        self._look(worker)  # before anything is computed: what was there is served as before
        self.history.compute(worker, [name], max(START, self.computed_to[name] - 3 * DAY), self.computed_to[name])
        self._look(worker, others=False)
        self._load(worker, name)

    def _apply(self, worker: Worker, views: Mapping[str, world.View]) -> None:
        self.history.apply(worker, views, kill_after=self._kill(0.1))
        for each in self.workers:
            each.ask("use", views=dict(views))
        self._applied_at, self._applied_by = time.monotonic(), worker

    def train(self, worker: Worker) -> None:
        """A version of the training set is built; an old one is read."""
        kill_after = self._kill(0.2)
        self.history.build_training_set(worker, kill_after)
        if versions := list(self.history.model.training_sets):
            self.history.check_training_set(self.rng.choice(self.workers), self.rng.choice(versions))

    def kill_a_process(self, worker: Worker) -> None:
        """The online server, the HTTP server or a worker is gone at once; what was acknowledged stays."""
        self.history.counts.faults += 1
        victim = self.rng.choice(["valkey", "http", "worker"])
        self.history.note("kill", victim=victim)
        if victim == "worker":
            worker.kill()
            self._again(worker)
        elif victim == "http":
            self.server.kill()
            self.server.start()
        else:
            with suppress(ValueError, ProcessLookupError, FileNotFoundError):
                os.kill(int((self.home / "valkey" / "server.lock").read_text()), 9)
        self._flipped_at = time.monotonic()

    def restart_all(self, worker: Worker) -> None:
        """All processes stop and start again. The embedded server starts with the data that it had."""
        self.history.note("restart_all")
        self.server.kill()
        for each in self.workers:
            self._again(each)
        self.server.start()

    def empty_redis(self, worker: Worker) -> None:
        """Readers are told that what was loaded is gone; the next load of a view brings all of it back."""
        lost = self.history.empty_redis(worker)
        time.sleep(FLIPPED)
        for name in lost:
            self.history.check_lost(self.rng.choice(self.workers), name, self._entities())
        for name in lost:
            self.history.load(worker, [name])
        self._flipped_at = time.monotonic()

    def back_up(self, worker: Worker) -> None:
        """A copy of the offline store is kept."""
        self._backup = (self.history.back_up(self.home), dict(self.computed_to))

    def restore(self, worker: Worker) -> None:
        """The offline store is that of some days ago; what was computed since is computed again, and loaded."""
        if self._backup is None or self._backup[0].views != self.history.model.views:
            self.back_up(worker)
            return
        backup, self.computed_to = self._backup[0], dict(self._backup[1])
        self.history.restore(self.home, backup)
        self._look(worker, others=False)
        if self.rng.random() < 0.5:  # what was published since then takes sequences that were given already
            self._schedule(worker)
        for name in list(self.history.model.online):
            self.history.load(worker, [name])
        self._flipped_at = time.monotonic()

    def prune(self, worker: Worker) -> None:
        """The team takes a view out, and brings it back: it begins anew."""
        name = "last_reading"  # no service and no view reads it
        spine: dict[str, list[Any]] = {"device": [DEVICES[0]], "event_timestamp": [self.history.now]}
        views = dict(self.history.model.views)
        self.history.prune_and_add(worker, name, spine)
        for each in self.workers:
            each.ask("use", views=views)
        self._applied_at, self._applied_by, self._backup = time.monotonic(), worker, None
        self._look(worker)
        self.history.compute(worker, [name], START, self.history.now)
        self.computed_to[name] = self.history.now
        self._load(worker, name)

    def race(self, worker: Worker) -> None:
        """Both workers write at the same time."""
        other = next(each for each in self.workers if each is not worker)
        name = self.rng.choice([name for name in COMPUTE_ORDER if self.history.can_push(name)] or [""])
        kind = self.rng.choice(["computations", "push", "loads"])
        if not name or time.monotonic() - self._applied_at < REFRESHED:
            return
        if kind == "computations":
            self._race_of_computations(worker, other)
        else:
            rows = [self._row_of(name)] if kind == "push" else []
            rows = [
                row
                for row in rows
                if row.at <= self.history.now and (row.created is None or row.created <= self.history.now)
            ]
            self.history.race_of_loads(worker, other, name, rows, full=self.rng.random() < 0.5)
            self._flipped_at = time.monotonic()
            self.history.check_parity(other, name)

    def _race_of_computations(self, worker: Worker, other: Worker) -> None:
        """A computation that may have read a source before its correction never replaces one that read it after."""
        model, source = self.history.model, self.rng.choice(["readings", "orders", "profiles"])
        if not model.sources[source]:
            return
        view = next(each for each in COMPUTE_ORDER if model.views[each].reads == source)
        number, row = self._corrected(source)
        start, end = max(START, row["at"] - DAY), self.computed_to[view]
        if start >= end:
            return
        compute: Ask = ("compute", {"views": [view], "start": start, "end": end})
        correct: Ask = ("write_sources", {"tables": {source: ({number: row}, [])}})
        self.history.at_once(view, (other, [compute]), (worker, [correct, compute]))
        model.sources[source][number] = row
        until = self.history.now if model.views[view].partitions is None else min(end, self.history.now)
        model.publish(view, start, until, model.computed(view, start, until))
        self._compute_again(worker, source, start)

    def _again(self, worker: Worker) -> None:
        worker.restart()
        worker.ask("use", views=dict(self.history.model.views))

    def hold_the_gate(self, worker: Worker) -> None:
        """A source has a row that breaks a rule: nothing is published until it is mended."""
        name, number, at = "orders", self.arrivals._next(), self.history.now.replace(second=0)
        bad = {"customer": 1, "shop": SHOPS[0], "at": at, "amount": -100_000}
        self.history.sources(worker, {name: {number: bad}})
        self.history.compute(worker, ["recent"], self.computed_to["recent"] - HOUR, self.history.now)
        self._look(worker, others=False)
        self.history.sources(worker, {}, gone={name: number})
        self.history.compute(worker, ["recent"], self.computed_to["recent"] - HOUR, self.history.now)
        self.computed_to["recent"] = self.history.now

    def parity(self, worker: Worker) -> None:
        """The store compares itself."""
        name = self.rng.choice(COMPUTE_ORDER)
        self.history.check_parity(worker, name)
