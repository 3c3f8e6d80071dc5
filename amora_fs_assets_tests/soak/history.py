"""One history of a feature store: each operation is done to the store and to the model, each read is compared."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from amora_fs_assets_tests.soak.checks import Checks, features_of
from amora_fs_assets_tests.soak.journal import Party
from amora_fs_assets_tests.soak.model import GateHeldError, Generation, Online
from amora_fs_assets_tests.soak.worker import WorkerDiedError
from amora_fs_assets_tests.soak.world import Row, View

_OFFLINE = ("offline.duckdb", "offline.duckdb.wal")
Ask = tuple[str, dict[str, Any]]
"""An operation of the executor, and its arguments."""
COMPUTE_ORDER = ("last_reading", "daily_spend", "recent", "profile", "activity")


@dataclass(frozen=True)
class Backup:
    """The offline store as it was."""

    files: Mapping[str, bytes]
    model: Any  # tables, sources and training sets
    views: Mapping[str, View]


class History(Checks):
    """The operations, with their effect on the model."""

    def __init__(self, views: Mapping[str, View], now: datetime) -> None:
        super().__init__(views, now)
        self._lost_versions = set[str]()  # training sets of which a restored store has no table
        self._ever_applied = False
        self.applied: list[str] = []
        """The features that counted before the last apply: readers may know those alone for some seconds."""

    # What happens to the store

    def sources(self, party: Party, tables: Mapping[str, Mapping[int, Any]], gone: Mapping[str, int] = {}) -> None:
        """Another system writes rows of sources, corrects some or deletes one."""
        self.note("sources", rows=tables, gone=gone or None)
        changes = {
            name: (dict(tables.get(name, {})), [gone[name]] if name in gone else [])
            for name in self.model.sources
            if tables.get(name) or name in gone or not self.model.sources[name]
        }
        self.done(party.ask("write_sources", tables=changes))
        for name, (rows, numbers) in changes.items():
            for number in numbers:
                self.model.sources[name].pop(number, None)
            self.model.sources[name].update(rows)

    def apply(
        self, party: Party, views: Mapping[str, View], kill_after: float | None = None, *, prune: bool = False
    ) -> None:
        """The team's code becomes these views, and is applied."""
        self.note("apply", views=[(v.name, v.variant, v.added) for v in views.values()], kill_after=kill_after)
        before, after = features_of(self.model.views) if self._ever_applied else [], features_of(views)
        try:
            found = self.done(party.ask("apply", views=dict(views), prune=prune, kill_after=kill_after))
        except WorkerDiedError:
            self._revive(party)
            found = self.done(party.ask("features"))
            if sorted(found) not in (sorted(before), sorted(after)):
                raise self.wrong(f"The killed apply left {found}, neither {before} nor {after}.") from None
            found = self.done(party.ask("apply", views=dict(views), prune=prune))
        if sorted(found) != sorted(after):
            raise self.wrong(f"The registry has {found}, applied was {after}.")
        self.applied, self._ever_applied = before, True
        self.model.views = dict(views)

    def compute(
        self, party: Party, names: Sequence[str], start: datetime, end: datetime, kill_after: float | None = None
    ) -> None:
        """Compute [start, end) of views, each after those that it reads."""
        for name in sorted(names, key=COMPUTE_ORDER.index):
            self._compute(party, name, start, end, kill_after)

    def _compute(self, party: Party, name: str, start: datetime, end: datetime, kill_after: float | None) -> None:
        self.note("compute", view=name, start=start, end=end, kill_after=kill_after)
        until = self.now if self.model.views[name].partitions is None else min(end, self.now)
        before = self.done(party.ask("sequence", view=name)) if kill_after is not None else 0
        try:
            rows = self.model.computed(name, start, until)
        except GateHeldError as error:
            self._refused(party.ask("compute", views=[name], start=start, end=end), "ChecksFailed", error)
            return
        try:
            self.done(party.ask("compute", views=[name], start=start, end=end, kill_after=kill_after))
        except WorkerDiedError:
            if kill_after is None:
                raise
            self._revive(party)
            if self.done(party.ask("sequence", view=name)) == before:
                return
        self.model.publish(name, start, until, rows)

    def load(
        self,
        party: Party,
        names: Sequence[str],
        end: datetime | None = None,
        *,
        full: bool = False,
        kill_after: float | None = None,
    ) -> None:
        """Bring views online, up to `end` or the clock."""
        for name in names:
            self.note("load", view=name, end=end, full=full or None, kill_after=kill_after)
            clock = min(end or self.now, self.now)
            ask = {"views": [name], "end": end, "full": full}
            self._load(party, name, "load", ask, partial(self.model.load, name, clock), kill_after)

    def load_window(self, party: Party, name: str, start: datetime, end: datetime) -> None:
        """Bring the entities with rows in [start, end] online."""
        self.note("load_window", view=name, start=start, end=end)
        ask = {"views": [name], "start": start, "end": end}
        self._load(party, name, "load_window", ask, partial(self.model.load_window, name, start, end), None)

    def _load(
        self,
        party: Party,
        name: str,
        command: str,
        arguments: dict[str, Any],
        loaded: Callable[[int], None],
        kill_after: float | None,
    ) -> None:
        newest = self.model.online.get(name, Online()).newest
        try:
            state = self.done(party.ask(command, kill_after=kill_after, **arguments))[name]
        except WorkerDiedError:
            if kill_after is None:
                raise
            self._revive(party)
            state = self.done(party.ask("states", views=[name]))[name]
            number = max(state["generations"], default=0)
            if newest is None or number != newest.number:
                if number:
                    loaded(number)
            else:
                self._either(name, lambda: loaded(number))
        else:
            number = max(state["generations"])
            loaded(number)
            if newest is not None and number != newest.number and newest.number not in state["generations"]:
                raise self.wrong(f"{name}: generation {newest.number} is gone, there is no way back: {state}.")
        self._compare_state(name, state)

    def _compare_state(self, name: str, state: Mapping[str, Any]) -> None:
        online = self.model.online.get(name)
        if online is None:
            return
        if (state["live"], state["pinned"]) != (online.live, online.pinned):
            raise self.wrong(f"{name}: {state}; right: generation {online.live} is live, pinned: {online.pinned}.")
        for number in [each for each in online.generations if each not in state["generations"]]:
            del online.generations[number]

    def _either(self, name: str, effect: Callable[[], None]) -> None:
        """An operation was killed: of each key either the row before counts, or the row after."""
        before = copy.deepcopy(self.model.online[name])
        effect()
        for number, generation in self.model.online[name].generations.items():
            old = before.generations.get(number, Generation(number, (), generation.clock))
            for key in {*generation.rows, *old.rows}:
                there = generation.rows.get(key, [None])
                generation.rows[key] = there + [row for row in old.rows.get(key, [None]) if row not in there]

    def push(
        self, party: Party, name: str, rows: Sequence[Row], *, to_offline: bool = True, kill_after: float | None = None
    ) -> None:
        """Push rows of a view."""
        self.note("push", view=name, rows=list(rows), to_offline=to_offline, kill_after=kill_after)
        ask: dict[str, Any] = {"view": name, "rows": list(rows), "keys": list(self.model.views[name].keys)}
        if reason := self._never_pushed(rows, to_offline=to_offline):
            self._refused(party.ask("push", to_offline=to_offline, **ask), "InvalidRequest", reason)
            return
        before = self.done(party.ask("sequence", view=name)) if kill_after is not None else 0
        try:
            answer = party.ask("push", kill_after=kill_after, to_offline=to_offline, **ask)
        except WorkerDiedError:
            if kill_after is None:
                raise
            self._revive(party)
            if to_offline and self.done(party.ask("sequence", view=name)) == before:
                return  # offline comes first: nothing was served
            self._either(name, lambda: self._note_push(name, rows, to_offline=to_offline))
            return
        self.done(answer)
        self._note_push(name, rows, to_offline=to_offline)

    def _never_pushed(self, rows: Sequence[Row], *, to_offline: bool) -> str:
        """Why the rows are refused, if they are."""
        for row in rows:
            if row.at > self.now and not to_offline:
                return f"{row} is of the future, and has nowhere to wait"
            if row.created is not None and row.created > max(self.now, row.at):
                return f"{row} is not known yet"
        return ""

    def _note_push(self, name: str, rows: Sequence[Row], *, to_offline: bool) -> None:
        self.model.push(name, rows, self.now, to_offline=to_offline)

    def rollback(self, party: Party, name: str) -> None:
        """Readers go back to the generation before theirs."""
        self.note("rollback", view=name)
        online = self.model.online[name]
        older = [number for number in online.generations if number < online.live]
        if not older:
            self._refused(party.ask("rollback", view=name), "OnlineStoreError", "there is none before")
            return
        online.live, online.pinned = max(older), True
        if (got := self.done(party.ask("rollback", view=name))) != online.live:
            raise self.wrong(f"{name}: rolled back to generation {got}, right: {online.live}.")

    def unpin(self, party: Party, name: str) -> None:
        """Readers see the newest generation again."""
        self.note("unpin", view=name)
        online = self.model.online[name]
        online.live, online.pinned = max(online.generations), False
        if (got := self.done(party.ask("unpin", view=name))) != online.live:
            raise self.wrong(f"{name}: unpinned to generation {got}, right: {online.live}.")

    def empty_redis(self, party: Party) -> list[str]:
        """Everything online is gone; the views that had been loaded."""
        self.note("empty_redis")
        self.counts.faults += 1
        self.done(party.ask("empty_redis"))
        lost = list(self.model.online)
        self.model.online.clear()
        return lost

    def check_lost(self, party: Party, name: str, entities: Mapping[str, Sequence[Any]]) -> None:
        """A read of a view that was loaded, and is not there any more, says so."""
        features = [f"{name}:{each}" for each in self.model.views[name].all_features]
        asked = {key: list(entities[key]) for key in self.model.views[name].keys}
        self._refused(party.ask("online", features=features, entities=asked, full=True), "OnlineStateLost", name)

    def back_up(self, home: Path) -> Backup:
        """A copy of the offline store, the sources included."""
        self.note("back_up")
        files = {name: (home / name).read_bytes() for name in _OFFLINE if (home / name).exists()}
        model = self.model
        return Backup(files, copy.deepcopy((model.tables, model.sources, model.training_sets)), dict(model.views))

    def restore(self, home: Path, backup: Backup) -> None:
        """The offline store is restored. The online store is not changed."""
        self.note("restore")
        self.counts.faults += 1
        for name in _OFFLINE:
            (home / name).unlink(missing_ok=True)
        for name, data in backup.files.items():
            (home / name).write_bytes(data)
        versions = set(self.model.training_sets)
        self.model.tables, self.model.sources, self.model.training_sets = copy.deepcopy(backup.model)
        self._lost_versions |= versions - set(self.model.training_sets)

    def prune_and_add(self, party: Party, name: str, spine: Mapping[str, Sequence[Any]]) -> None:
        """A view is pruned and added again: nothing of its earlier life is served, joined or loaded."""
        self.note("prune_and_add", view=name)
        views = dict(self.model.views)
        features = [f"{name}:{each}" for each in views[name].all_features]
        self.apply(party, {each: views[each] for each in views if each != name}, prune=True)
        self._refused(
            party.ask("historical", features=features, spine=dict(spine)), "FeatureViewNotFound", "it is pruned"
        )
        self.apply(party, views)
        self.model.tables.pop(name, None)
        self.model.online.pop(name, None)
        nothing = "nothing of this life of the view is published"
        self._refused(party.ask("historical", features=features, spine=dict(spine)), "TableNotFound", nothing)
        self._refused(party.ask("load", views=[name]), "TableNotFound", nothing)

    def at_once(self, name: str, *turns: tuple[Party, Sequence[Ask]]) -> None:
        """Processes do operations on a view at the same time, each one its own in their order."""
        self.note("at_once", view=name, turns=[[command for command, _ in asks] for _, asks in turns])

        def taken(turn: tuple[Party, Sequence[Ask]]) -> None:
            party, asks = turn
            for command, arguments in asks:
                self.done(party.ask(command, **arguments))

        with ThreadPoolExecutor(len(turns)) as pool:
            list(pool.map(taken, turns))

    def race_of_loads(self, party: Party, other: Party, name: str, rows: Sequence[Row], *, full: bool) -> None:
        """One process pushes rows, or loads where there are none, while another one loads the view."""
        keys = list(self.model.views[name].keys)
        push: Ask = ("push", {"view": name, "rows": list(rows), "keys": keys, "to_offline": True})
        load: Ask = ("load", {"views": [name]})
        self.at_once(name, (party, [push if rows else load]), (other, [("load", {"views": [name], "full": full})]))
        if rows:
            self._note_push(name, rows, to_offline=True)
        self.load(party, [name])  # brings a row whose times equal those of a row that was there

    def build_training_set(self, party: Party, kill_after: float | None = None) -> None:
        """Build a version of the training set."""
        self.note("build_training_set", kill_after=kill_after)
        rows = self.model.training_rows()
        try:
            version = self.done(party.ask("build_training_set", kill_after=kill_after))
        except WorkerDiedError:
            if kill_after is None:
                raise
            self._revive(party)
            there = self.done(party.ask("versions"))
            for version in set(there) - set(self.model.training_sets) - self._lost_versions:
                self.model.training_sets[version] = rows
        else:
            self.model.training_sets[version] = rows

    # What may be asked for

    def can_push(self, name: str) -> bool:
        """Pushed rows have the columns of what is online: not between a change and the load that follows."""
        newest = self.model.online[name].newest if name in self.model.online else None
        return newest is not None and newest.features == self.model.views[name].all_features

    def can_go_back(self, name: str) -> bool:
        """Whether the generation before is of the same columns: "One protocol" says what a push does in another."""
        online = self.model.online.get(name, Online())
        older = [number for number in online.generations if number < online.live]
        return not older or online.generations[max(older)].features == self.model.views[name].all_features

    # Common

    def _revive(self, party: Party) -> None:
        self.counts.faults += 1
        party.restart()
        self.done(party.ask("use", views=dict(self.model.views)))
