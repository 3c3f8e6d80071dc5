"""What happens in the shop while time passes: readings that come late, orders, profiles, entities that fall silent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from amora_fs_assets_tests.soak.transforms import known_at
from amora_fs_assets_tests.soak.world import CUSTOMERS, DEVICES, SHOPS

MINUTE = timedelta(minutes=1)
LATEST = timedelta(days=4)
"""How long after it happened a reading may become known."""
NAMES = [None, "Ada", "Ünal", "", "O'Neil"]


@dataclass
class Arrivals:
    """Makes the rows of each stretch of time. A row comes into its table when it becomes known, never before."""

    rng: Random
    late: bool = True
    """Whether readings may become known long after they happened."""
    _number: int = 0
    _late: dict[int, dict[str, Any]] = field(default_factory=dict)
    _silent: dict[tuple[str, int], datetime] = field(default_factory=dict)
    _known: set[tuple[int, datetime]] = field(default_factory=set)

    def between(self, start: datetime, end: datetime) -> dict[str, dict[int, dict[str, Any]]]:
        """The rows by source that become known in (start, end], by a number of their own."""
        rows: dict[str, dict[int, dict[str, Any]]] = {"readings": {}, "orders": {}, "profiles": {}}
        minutes = max(1, int((end - start) / MINUTE))
        often = min(1.0, minutes / (24 * 60))
        for device in DEVICES:
            for _ in range(self._how_many("device", device, end, 4 * often)):
                self._late[self._next()] = self._reading(device, start + MINUTE * self.rng.randint(1, minutes))
        for customer in CUSTOMERS:
            for _ in range(self._how_many("customer", customer, end, 3 * often)):
                at = _whole(start + MINUTE * self.rng.randint(1, minutes))
                rows["orders"][self._next()] = self.order(customer, at)
            if self.rng.random() < 0.3 * often:
                at = _whole(start + MINUTE * self.rng.randint(1, minutes))
                rows["profiles"][self._next()] = self.profile(customer, at)
        due = [number for number, row in self._late.items() if known_at("readings", row) < end]
        rows["readings"] = {number: self._late.pop(number) for number in due}
        return {
            name: {number: row for number, row in made.items() if known_at(name, row) < end}
            for name, made in rows.items()
        }

    def order(self, customer: int, at: datetime) -> dict[str, Any]:
        """An order; its amount may be unknown."""
        amount = None if self.rng.random() < 0.05 else self.rng.randint(-5, 100)
        return {"customer": customer, "shop": self.rng.choice(SHOPS), "at": at, "amount": amount}

    def profile(self, customer: int, at: datetime) -> dict[str, Any]:
        """A profile that is written at once, later, or at an unknown time. Unique by the minute."""
        at += timedelta(microseconds=self._number)
        written = None if self.rng.random() < 0.2 else at + MINUTE * self.rng.choice([0, 0, 30, 3_000])
        score = None if self.rng.random() < 0.1 else self.rng.randint(0, 9)
        return {"customer": customer, "at": at, "written_at": written, "score": score, "name": self.rng.choice(NAMES)}

    def _reading(self, device: int, moment: datetime) -> dict[str, Any]:
        at = _whole(moment)
        kind = self.rng.random()
        loaded = None if kind < 0.2 else at
        if kind > 0.6 and self.late:
            loaded = at + MINUTE * self.rng.randint(1, int(LATEST / MINUTE))
        if 0.5 < kind <= 0.6:  # a clock that is behind: known before it happened, so it counts from when it happened
            loaded = at - MINUTE * 5
        row = {"device": device, "at": at, "loaded_at": loaded, "value": self.rng.randint(-40, 80) / 2}
        if self.rng.random() < 0.1:
            row["value"] = None
        if (device, known_at("readings", row)) in self._known:
            return self._reading(device, moment + MINUTE)
        self._known.add((device, known_at("readings", row)))
        return row

    def _how_many(self, kind: str, entity: int, now: datetime, expected: float) -> int:
        """None while it is silent, which it may be for weeks."""
        if self._silent.get((kind, entity), now) > now:
            return 0
        if self.rng.random() < 0.03 * expected:
            self._silent[kind, entity] = now + timedelta(hours=self.rng.randint(12, 500))
        return int(expected) + (self.rng.random() < expected % 1)

    def _next(self) -> int:
        self._number += 1
        return self._number


def _whole(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
