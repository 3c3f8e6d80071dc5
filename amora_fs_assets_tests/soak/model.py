"""What every read of the store must give, at every moment: the semantics in plain Python, for anyone to verify.

Imports nothing of the product. Where the product may choose (a row that Redis may have collected, a load that was
killed half-way), the model holds every answer that is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from amora_fs_assets_tests.soak import transforms
from amora_fs_assets_tests.soak.transforms import SourceRow
from amora_fs_assets_tests.soak.world import FILLED_OF, SOURCES, START, Row, View, filled_of, newer

Key = tuple[Any, ...]
Maybe = Row | None
Answer = tuple[str, Any]
"""A status and a value."""
COLLECTED_AFTER = timedelta(days=1)
"""After event_timestamp + ttl + this Redis may have dropped a row."""
LEAST = -1_000
"""Smaller numbers break the rule of every numeric feature."""


class GateHeldError(Exception):
    """A computation, or a push, that the checks must refuse."""


@dataclass
class Generation:
    """One complete state of a view online."""

    number: int
    features: tuple[str, ...]
    clock: datetime
    rows: dict[Key, list[Maybe]] = field(default_factory=dict)
    """For each key the rows that may be served: one, but where something was killed half-way."""
    only_online: dict[Key, Row] = field(default_factory=dict)
    """Rows that were pushed past the offline store, as far as no other row has beaten them."""


@dataclass
class Online:
    """The generations of a view."""

    live: int = 0
    pinned: bool = False
    generations: dict[int, Generation] = field(default_factory=dict)

    @property
    def seen(self) -> Generation | None:
        """What readers see."""
        return self.generations.get(self.live)

    @property
    def newest(self) -> Generation | None:
        """What loads go on with."""
        return self.generations[max(self.generations)] if self.generations else None


@dataclass
class Model:
    """The whole feature store."""

    views: dict[str, View]
    collects: bool = True
    """Whether the server drops old rows; under a fixed clock it keeps them."""
    sources: dict[str, dict[int, SourceRow]] = field(default_factory=lambda: {name: {} for name in SOURCES})
    tables: dict[str, list[Row]] = field(default_factory=dict)
    online: dict[str, Online] = field(default_factory=dict)
    training_sets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    # Offline

    def computed(self, name: str, start: datetime, end: datetime) -> list[Row]:
        """The rows that computing [start, end) of a view gives. Raises GateHeldError."""
        view = self.views[name]
        start, end = self.interval(name, start, end)
        read = list(self.sources[view.reads].values()) if view.reads in SOURCES else self.tables.get(view.reads, [])
        rows = transforms.rows_of(view, read, start, end)
        _check(rows)
        return rows

    def interval(self, name: str, start: datetime, end: datetime) -> tuple[datetime, datetime]:
        """What is computed when [start, end) is asked for: all of a view without partitions."""
        return (START, end) if self.views[name].partitions is None else (max(start, START), end)

    def publish(self, name: str, start: datetime, end: datetime, rows: list[Row]) -> None:
        """Replace [start, end), or the table of a view without partitions."""
        start, end = self.interval(name, start, end)
        kept = [row for row in self.tables.get(name, []) if not start <= row.at < end]
        self.tables[name] = rows if self.views[name].partitions is None else kept + rows

    def newest(self, name: str, key: Key, until: datetime) -> Maybe:
        """The row of a key that counts at `until`, whatever its age."""
        best: Maybe = None
        for row in self.tables.get(name, []):
            if row.key == key and row.at <= until and (best is None or newer(row, best)):
                best = row
        return best

    def at_moment(self, name: str, key: Key, moment: datetime | None, *, known_time: bool = False) -> Maybe:
        """The row of a key that a point-in-time join finds."""
        if moment is None or None in key:
            return None
        best: Maybe = None
        for row in self.tables.get(name, []):
            visible = row.at if not known_time or row.created is None else max(row.at, row.created)
            if row.key == key and visible <= moment and (best is None or newer(row, best)):
                best = row
        ttl = self.views[name].ttl
        return None if best is not None and ttl is not None and best.at < moment - ttl else best

    def joined(self, spine: Mapping[str, Any], names: Iterable[str], *, known_time: bool = False) -> dict[str, Any]:
        """The features of a spine's row, by `view__feature`."""
        found: dict[str, Any] = {}
        for name in names:
            view = self.views[name]
            key = tuple(spine[each] for each in view.keys)
            row = self.at_moment(name, key, spine["event_timestamp"], known_time=known_time)
            for feature in view.all_features:
                found[f"{name}__{feature}"] = None if row is None else row.values.get(feature)
        return found

    # Online

    def load(self, name: str, clock: datetime, number: int) -> None:
        """The newest rows up to `clock` are in generation `number`, which a load filled or went on with."""
        online = self.online.setdefault(name, Online())
        before = online.newest
        if before is not None and before.number == number:
            keys = {*before.rows, *(row.key for row in self.tables.get(name, []))}
            before.rows = {key: [self._after_load(before, name, key, clock)] for key in keys}
            before.clock = clock
            return
        fresh = Generation(number, self.views[name].all_features, clock)
        fresh.rows = {row.key: [self.newest(name, row.key, clock)] for row in self.tables.get(name, [])}
        online.generations[number] = fresh
        if not online.pinned:
            online.live = number

    def _after_load(self, generation: Generation, name: str, key: Key, clock: datetime) -> Maybe:
        published, pushed = self.newest(name, key, clock), generation.only_online.get(key)
        if pushed is not None and (published is None or newer(pushed, published)):
            return pushed
        generation.only_online.pop(key, None)
        return published

    def load_window(self, name: str, start: datetime, end: datetime, number: int) -> None:
        """Each key with a row in [start, end] gets its newest one; the others stay."""
        online = self.online.setdefault(name, Online())
        generation = online.newest
        if generation is None or generation.number != number:
            generation = online.generations[number] = Generation(number, self.views[name].all_features, end)
            online.live = online.live if online.pinned else number
        until = max(end, generation.clock)
        for key in {row.key for row in self.tables.get(name, []) if start <= row.at <= end}:
            row = self.newest(name, key, until)
            there = generation.rows.get(key, [None])
            # An older one than is there never replaces it; the next incremental load does, where it was taken back.
            kept = [each for each in there if each is not None and row is not None and newer(each, row)]
            generation.rows[key] = [*kept, row]

    def push(self, name: str, rows: Sequence[Row], now: datetime, *, to_offline: bool) -> int:
        """Rows that are newer than what is there are served. One of the future waits offline for a load after its time.

        Gives how many readers see.
        """
        if to_offline:
            replaced = {(row.key, *row.times) for row in rows}
            kept = [row for row in self.tables.get(name, []) if (row.key, *row.times) not in replaced]
            self.tables[name] = [*kept, *rows]
        online, won = self.online[name], 0
        for generation in online.generations.values():
            for row in rows:
                if row.at > now:
                    continue
                there = generation.rows.get(row.key, [None])
                after = [row if each is None or newer(row, each) else each for each in there]
                generation.rows[row.key] = _different(after)
                if not to_offline and row in after:
                    generation.only_online[row.key] = row
                won += generation.number == online.live and row in after
        return won

    def online_answers(self, name: str, key: Key, now: datetime) -> dict[str, set[Answer]]:
        """For each feature the statuses, with their values, that a read at `now` may give."""
        view, generation = self.views[name], self.online.get(name, Online()).seen
        rows = [None] if generation is None or None in key else generation.rows.get(key, [None])
        answers: dict[str, set[Answer]] = {feature: set() for feature in view.all_features}
        for row in rows:
            for feature, allowed in answers.items():
                loaded = generation is not None and feature in generation.features
                collected = self.collects and row is not None and _collected(view, row, now)
                allowed.update(_answers(view, row, feature, now, loaded=loaded, collected=collected))
        return answers

    # Training sets

    def training_rows(self) -> list[dict[str, Any]]:
        """The rows of a training set that is built now: every order, with the features that held then."""
        names = ("daily_spend", "recent", "profile", "activity")
        rows = []
        for order in self.sources["orders"].values():
            spine = {"customer": order["customer"], "shop": order["shop"], "event_timestamp": order["at"]}
            features = self.joined(spine, names)
            large = None if order["amount"] is None else order["amount"] > 25
            stored = {name.partition("__")[2]: value for name, value in features.items()}
            filled = {f"filled_{name}": filled_of(stored[name]) for name in FILLED_OF}
            rows.append(spine | {"large": large} | stored | filled)
        return rows


def _collected(view: View, row: Row, now: datetime) -> bool:
    return view.ttl is not None and now >= row.at + view.ttl + COLLECTED_AFTER


def _answers(view: View, row: Maybe, feature: str, now: datetime, *, loaded: bool, collected: bool) -> set[Answer]:
    if row is None:
        return {("NOT_FOUND", None)}
    answers: set[Answer] = set()
    if view.ttl is not None and row.at < now - view.ttl:
        answers.add(("OUTSIDE_MAX_AGE", None))
        if collected or not loaded:
            answers.add(("NOT_FOUND", None))
    elif not loaded:
        answers.add(("NOT_FOUND", None))
    else:
        value = row.values.get(feature)
        answers.add(("NULL_VALUE", None) if value is None else ("PRESENT", value))
    return answers


def _check(rows: Sequence[Row]) -> None:
    for row in rows:
        for value in row.values.values():
            if isinstance(value, int | float) and value < LEAST:
                raise GateHeldError(f"{row} breaks the rule {value} >= {LEAST}")


def _different(rows: Iterable[Maybe]) -> list[Maybe]:
    found: list[Maybe] = []
    for row in rows:
        if row not in found:
            found.append(row)
    return found
