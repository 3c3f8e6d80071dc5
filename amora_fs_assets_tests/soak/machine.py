"""Random histories, shrunk: Hypothesis picks the operations, and gives the shortest list of them that goes wrong.

The world is small and its moments are whole hours, so that everything meets: a row at the very end of an interval, a
read at the instant at which a ttl ends, a window that ends where a load ended.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Protocol

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from amora_fs_assets_tests.soak import world
from amora_fs_assets_tests.soak.checks import features_of
from amora_fs_assets_tests.soak.history import COMPUTE_ORDER, History
from amora_fs_assets_tests.soak.journal import Party
from amora_fs_assets_tests.soak.transforms import known_at
from amora_fs_assets_tests.soak.world import SHOPS, START, Row

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GROUPS = [("last_reading",), ("daily_spend", "activity"), ("recent",), ("profile",)]
NAMES = st.integers(0, len(GROUPS) - 1).map(lambda place: GROUPS[place])
AMOUNTS = st.one_of(st.integers(0, 9), st.none())
Rows = Sequence[tuple[int, int, int, int | None]]
"""Entity, how many hours ago the row became known, how late that was [h], amount."""
ROWS = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 240), st.integers(0, 40), AMOUNTS), min_size=1, max_size=4)
ENTITIES: dict[str, list[Any]] = {
    "customer": [1, 2, 3, None],
    "shop": [SHOPS[0], SHOPS[1], SHOPS[0], SHOPS[0]],
    "device": [1, 2, 3, None],
}


class Stage(Protocol):
    """Where histories are played: who does the operations, and by which clock."""

    offset: timedelta
    """What is added to whole hours, so that no row's moment is reached while an operation runs."""
    collects: bool

    def begin(self, home: Path) -> Party:
        """A process that works in an empty home."""

    def set(self, now: datetime) -> None:
        """Let it be `now`."""

    def end(self) -> None:
        """The history is over."""


class Histories(RuleBasedStateMachine):
    """Each rule is an operation, done to the store and to the model."""

    stage: ClassVar[Stage]
    folder: ClassVar[Path | None] = None
    """Where their homes are; the system's temporary folder by default."""
    ended: ClassVar[list[History]] = []
    """The histories that are over, for whoever counts."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="history", dir=self.folder)
        self._number = 0

    def teardown(self) -> None:
        """Give everything back."""
        if hasattr(self, "history"):
            note("\n".join(self.history.log))
            self.ended.append(self.history)
            self.stage.end()
        self._folder.cleanup()

    # The world

    @initialize(names=NAMES, rows=ROWS)
    def begin(self, names: Sequence[str], rows: Rows) -> None:
        """A team applies its first code."""
        self.names = names
        self.party = self.stage.begin(Path(self._folder.name))
        self.history = History(world.first_views(), START)
        self.history.model.collects = self.stage.collects
        self.moment = START
        self._set(START)
        before = {name: {0: self._source_row(name, 1, START - HOUR, 0, 1)} for name in self.history.model.sources}
        self.history.sources(self.party, before)  # before the views begin: no read may show them
        self.history.apply(self.party, self.history.model.views)
        self.computed_to = START
        self._pass(24, rows)
        self.catch_up()

    def _set(self, moment: datetime) -> None:
        self.moment = moment
        self.history.now = moment + self.stage.offset
        self.stage.set(self.history.now)

    @property
    def model(self) -> Any:
        """Of the history."""
        return self.history.model

    @rule(rows=ROWS)
    def an_hour_passes(self, rows: Rows) -> None:
        """And the schedule runs."""
        self._pass(1, rows)
        self.catch_up()

    @rule(hours=st.sampled_from([24, 6, 36]), rows=ROWS)
    def hours_pass(self, hours: int, rows: Rows) -> None:
        """And the schedule runs."""
        self._pass(hours, rows)
        self.catch_up()

    @rule(rows=ROWS, full=st.booleans())
    def a_silence(self, rows: Rows, full: bool) -> None:
        """Days in which all but one entity are quiet, longer than every ttl; then the schedule runs, or more."""
        self._pass(240, rows[:1])
        self.catch_up()
        if full:
            self.history.load(self.party, self.names, full=True)

    @rule(hours=st.sampled_from([61, 1, 240]), rows=ROWS)
    def nobody_computes(self, hours: int, rows: Rows) -> None:
        """Time passes, and the schedule does not run."""
        self._pass(hours, rows)

    def _pass(self, hours: int, rows: Rows) -> None:
        """Rows become known meanwhile; some happened long before."""
        source, now = self.model.views[self.names[0]].reads, self.moment + HOUR * hours
        made: dict[int, dict[str, Any]] = {}
        for entity, back, late, amount in rows:
            row = self._source_row(source, entity, now - HOUR * (1 + back % hours), late, amount)
            known = known_at(source, row)
            there = [*made.values(), *self.model.sources[source].values()]
            taken = {(each.get("device"), known_at(source, each)) for each in there}
            if source != "readings" or (entity, known) not in taken:
                self._number += 1
                made[self._number] = row
        self.history.sources(self.party, {source: made})
        self._set(now)

    def _source_row(self, source: str, entity: int, known: datetime, late: int, amount: int | None) -> dict[str, Any]:
        if source == "readings":
            at = known if late > 30 else known - HOUR * late
            loaded = None if late > 30 else known
            return {"device": entity, "at": at, "loaded_at": loaded, "value": None if amount is None else amount / 2}
        if source == "orders":
            return {"customer": entity, "shop": SHOPS[late % 2], "at": known, "amount": amount}
        self._number += 1
        at = known + timedelta(microseconds=self._number)
        written = None if late > 30 else at + HOUR * late
        return {"customer": entity, "at": at, "written_at": written, "score": amount, "name": str(amount)}

    @precondition(lambda self: any(self.model.sources.values()))
    @rule(place=st.integers(0, 50), amount=AMOUNTS, out=st.booleans())
    def source_changes(self, place: int, amount: int | None, out: bool) -> None:
        """A row is corrected by hand, or deleted."""
        name = next(name for name, rows in self.model.sources.items() if rows)
        number = sorted(self.model.sources[name])[place % len(self.model.sources[name])]
        if out:
            self.history.sources(self.party, {}, gone={name: number})
        else:
            column = {"readings": "value", "orders": "amount", "profiles": "score"}[name]
            value = amount if name != "readings" or amount is None else amount / 2
            self.history.sources(self.party, {name: {number: {**self.model.sources[name][number], column: value}}})

    # What is done to the store

    @rule(back=st.integers(0, 80), hours=st.integers(1, 80))
    def compute(self, back: int, hours: int) -> None:
        """A stretch of the views, in whole hours."""
        start = max(START, self.moment - HOUR * back)
        end = min(start + HOUR * hours, self.moment)
        if start < end:
            self.history.compute(self.party, self.names, start, end)

    @rule()
    def catch_up(self) -> None:
        """What a schedule does: the stretch since the last time, up to the clock, then online."""
        if self.computed_to < self.history.now:
            self.history.compute(self.party, self.names, self.computed_to, self.history.now + DAY)
            self.computed_to = self.history.now
        self.history.load(self.party, self.names)
        for name in self.names:
            self.history.check_table(self.party, name, START - DAY, self.history.now + 40 * DAY)

    @rule(full=st.booleans())
    def load(self, full: bool) -> None:
        """Up to the clock."""
        self.history.load(self.party, self.names, full=full)

    @precondition(lambda self: all(map(self.history.can_push, self.names)))
    @rule(back=st.integers(0, 60), hours=st.integers(0, 60))
    def load_window(self, back: int, hours: int) -> None:
        """As Feast's users load."""
        end = self.moment - HOUR * back
        for name in self.names:
            self.history.load_window(self.party, name, end - HOUR * hours, end)

    @precondition(lambda self: all(map(self.history.can_push, self.names)))
    @rule(
        entity=st.integers(1, 3), hours=st.integers(-30, 60), amount=AMOUNTS, to_offline=st.booleans(),
        created=st.one_of(st.none(), st.integers(1, 30)),
    )  # fmt: skip
    def push(self, entity: int, hours: int, amount: int | None, to_offline: bool, created: int | None) -> None:
        """A row of the past, of this moment, or of the future."""
        for name in self.names:
            view = self.model.views[name]
            at = max(START, self.moment - HOUR * hours)
            values = {feature: self._typed(view, feature, amount) for feature in view.all_features}
            key = tuple(SHOPS[entity % 2] if each == "shop" else entity for each in view.keys)
            written = at + HOUR * created if view.created and created is not None else None
            self.history.push(self.party, name, [Row(key, at, values, written)], to_offline=to_offline)

    def _typed(self, view: world.View, feature: str, amount: int | None) -> Any:
        if amount is None:
            return None
        return {"int64": int, "float64": float, "string": str}[world.feature_type(view, feature)](amount)

    @precondition(lambda self: all(map(self.history.can_go_back, self.names)))
    @rule()
    def rollback(self) -> None:
        """Readers go back."""
        for name in self.names:
            self.history.rollback(self.party, name)

    @rule()
    def unpin(self) -> None:
        """Readers come back."""
        for name in self.names:
            self.history.unpin(self.party, name)

    @rule(kind=st.sampled_from(["more", "less", "otherwise"]), number=st.integers(2, 9))
    def change(self, kind: str, number: int) -> None:
        """The team's code changes."""
        self.unpin()
        views = dict(self.model.views)
        name = self.names[0]
        view = views[name]
        if kind == "less" and view.added:
            views[name] = world.without_feature(view, view.added[0])
        elif kind == "otherwise":
            views[name] = world.with_variant(view, number)
        else:
            self._number += 1
            views[name] = world.with_feature(view, 100 + self._number)
        self.history.apply(self.party, views)
        self.reads_are_right()
        self.history.compute(self.party, self.names, max(START, self.moment - DAY), self.history.now)
        self.reads_are_right()
        self.history.load(self.party, self.names)

    @rule()
    def train(self) -> None:
        """A version of the training set, where its tables are all there."""
        if all(name in self.model.tables for name in COMPUTE_ORDER):
            self.history.build_training_set(self.party)
            for version in self.model.training_sets:
                self.history.check_training_set(self.party, version)

    # What is read

    @invariant()
    def reads_are_right(self) -> None:
        """What is served is what the model says."""
        if not hasattr(self, "history"):
            return
        features = [each for each in features_of(self.model.views) if each.partition(":")[0] in self.names]

        def read(asked: Sequence[str], entities: Mapping[str, Sequence[Any]]) -> Mapping[str, Any]:
            outcome, answer = self.party.ask("online", features=list(asked), entities=dict(entities), full=True)
            if outcome != "done":
                raise self.history.wrong(f"A read was refused: {answer}")
            found: Mapping[str, Any] = answer
            return found

        keys = {key for name in self.names for key in self.model.views[name].keys}
        entities = {name: values for name, values in ENTITIES.items() if name in keys}
        self.history.check_online(read, entities, features, "here")

    @rule(
        moments=st.lists(
            st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(-2, 100)), st.integers(-1, 1)),
            min_size=1, max_size=6,
        ),
        known_time=st.booleans(),
    )  # fmt: skip
    def history_is_right(self, moments: Sequence[tuple[int, int | None, int]], known_time: bool) -> None:
        """A point-in-time join, at whole hours and a microsecond beside them."""
        spine = [{name: values[0] for name, values in ENTITIES.items()} | {"event_timestamp": None}]
        for place, back, micros in moments:
            moment = None if back is None else self.moment - HOUR * back + timedelta(microseconds=micros)
            spine.append({name: values[place] for name, values in ENTITIES.items()} | {"event_timestamp": moment})
        self.history.check_historical(self.party, self.names, spine, known_time=known_time)
