"""One history of a feature store: each operation is done to the store and to the model, each read is compared."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from amora_fs_assets_tests.soak.model import GateHeldError, Generation, Model, Online
from amora_fs_assets_tests.soak.worker import WorkerDiedError
from amora_fs_assets_tests.soak.world import FILLED, FILLED_OF, START, Row, View, filled_of

_OFFLINE = ("offline.duckdb", "offline.duckdb.wal")
Ask = tuple[str, dict[str, Any]]
"""An operation of the executor, and its arguments."""
COMPUTE_ORDER = ("last_reading", "daily_spend", "recent", "profile", "activity")


class WrongError(AssertionError):
    """The store gave, or did, what it must not."""


class Party(Protocol):
    """Who does operations: a worker, or the executor of this process."""

    def ask(self, command: str, *, kill_after: float | None = None, **arguments: Any) -> tuple[str, Any]:
        """What came of an operation."""

    def restart(self) -> None:
        """Begin anew, with nothing in memory."""


@dataclass
class Counts:
    """What a history went through."""

    operations: int = 0
    values: int = 0
    faults: int = 0
    by_operation: dict[str, int] = field(default_factory=dict)

    def add(self, other: Counts) -> None:
        """What another history went through, too."""
        self.operations += other.operations
        self.values += other.values
        self.faults += other.faults
        for name, count in other.by_operation.items():
            self.by_operation[name] = self.by_operation.get(name, 0) + count


@dataclass(frozen=True)
class Backup:
    """The offline store as it was."""

    files: Mapping[str, bytes]
    model: Any  # tables, sources and training sets
    views: Mapping[str, View]


class History:
    """The operations, with their effect on the model."""

    def __init__(self, views: Mapping[str, View], now: datetime) -> None:
        self.model = Model(dict(views))
        self.now = now
        self.counts = Counts()
        self.log: list[str] = []
        self._lost_versions = set[str]()  # training sets of which a restored store has no table
        self._ever_applied = False
        self.applied: list[str] = []
        """The features that counted before the last apply: readers may know those alone for some seconds."""

    @property
    def days(self) -> float:
        """Days lived."""
        return (self.now - START) / timedelta(days=1)

    # What happens to the store

    def note(self, operation: str, **arguments: Any) -> None:
        """Keep the operation in the log."""
        self.counts.operations += 1
        self.counts.by_operation[operation] = self.counts.by_operation.get(operation, 0) + 1
        said = ", ".join(f"{name}={_brief(value)}" for name, value in arguments.items() if value is not None)
        self.log.append(f"{self.now:%Y-%m-%d %H:%M:%S}  {operation}({said})")

    def wrong(self, what: str) -> WrongError:
        """The error, with the moment at which it came."""
        return WrongError(f"At {self.now.isoformat()}, after {self.log[-1] if self.log else 'nothing'}:\n{what}")

    def sources(self, party: Party, tables: Mapping[str, Mapping[int, Any]], gone: Mapping[str, int] = {}) -> None:
        """Another system writes rows of sources, corrects some or deletes one."""
        self.note("sources", rows=tables, gone=gone or None)
        changes = {
            name: (dict(tables.get(name, {})), [gone[name]] if name in gone else [])
            for name in self.model.sources
            if tables.get(name) or name in gone or not self.model.sources[name]
        }
        self._done(party.ask("write_sources", tables=changes))
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
            found = self._done(party.ask("apply", views=dict(views), prune=prune, kill_after=kill_after))
        except WorkerDiedError:
            self._revive(party)
            found = self._done(party.ask("features"))
            if sorted(found) not in (sorted(before), sorted(after)):
                raise self.wrong(f"The killed apply left {found}, neither {before} nor {after}.") from None
            found = self._done(party.ask("apply", views=dict(views), prune=prune))
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
        before = self._done(party.ask("sequence", view=name)) if kill_after is not None else 0
        try:
            rows = self.model.computed(name, start, until)
        except GateHeldError as error:
            self._refused(party.ask("compute", views=[name], start=start, end=end), "ChecksFailed", error)
            return
        try:
            self._done(party.ask("compute", views=[name], start=start, end=end, kill_after=kill_after))
        except WorkerDiedError:
            if kill_after is None:
                raise
            self._revive(party)
            if self._done(party.ask("sequence", view=name)) == before:
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
            state = self._done(party.ask(command, kill_after=kill_after, **arguments))[name]
        except WorkerDiedError:
            if kill_after is None:
                raise
            self._revive(party)
            state = self._done(party.ask("states", views=[name]))[name]
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
        before = self._done(party.ask("sequence", view=name)) if kill_after is not None else 0
        try:
            answer = party.ask("push", kill_after=kill_after, to_offline=to_offline, **ask)
        except WorkerDiedError:
            if kill_after is None:
                raise
            self._revive(party)
            if to_offline and self._done(party.ask("sequence", view=name)) == before:
                return  # offline comes first: nothing was served
            self._either(name, lambda: self._note_push(name, rows, to_offline=to_offline))
            return
        self._done(answer)
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

    def push_refused(self, party: Party, name: str, rows: Sequence[Row]) -> None:
        """Push rows that break a rule: none of them may count."""
        self.note("push_refused", view=name, rows=list(rows))
        keys = list(self.model.views[name].keys)
        ask: dict[str, Any] = {"view": name, "rows": list(rows), "keys": keys, "to_offline": True}
        self._refused(party.ask("push", **ask), "ChecksFailed", rows)

    def rollback(self, party: Party, name: str) -> None:
        """Readers go back to the generation before theirs."""
        self.note("rollback", view=name)
        online = self.model.online[name]
        older = [number for number in online.generations if number < online.live]
        if not older:
            self._refused(party.ask("rollback", view=name), "OnlineStoreError", "there is none before")
            return
        online.live, online.pinned = max(older), True
        if (got := self._done(party.ask("rollback", view=name))) != online.live:
            raise self.wrong(f"{name}: rolled back to generation {got}, right: {online.live}.")

    def unpin(self, party: Party, name: str) -> None:
        """Readers see the newest generation again."""
        self.note("unpin", view=name)
        online = self.model.online[name]
        online.live, online.pinned = max(online.generations), False
        if (got := self._done(party.ask("unpin", view=name))) != online.live:
            raise self.wrong(f"{name}: unpinned to generation {got}, right: {online.live}.")

    def empty_redis(self, party: Party) -> list[str]:
        """Everything online is gone; the views that had been loaded."""
        self.note("empty_redis")
        self.counts.faults += 1
        self._done(party.ask("empty_redis"))
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
        """The offline store is what it was; nobody tells the online store."""
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
                self._done(party.ask(command, **arguments))

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
            version = self._done(party.ask("build_training_set", kill_after=kill_after))
        except WorkerDiedError:
            if kill_after is None:
                raise
            self._revive(party)
            there = self._done(party.ask("versions"))
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

    # What is read of it

    def check_training_set(self, party: Party, version: str) -> None:
        """A version gives the rows that it was built of, however long ago."""
        self.note("check_training_set", version=version)
        right = self.model.training_sets[version]
        self._compare_rows(
            f"training set {version}", right, self._done(party.ask("load_training_set", version=version))
        )

    def check_table(self, party: Party, name: str, start: datetime, end: datetime) -> None:
        """Every row of a view's interval is there, and no other."""
        self.note("check_table", view=name, start=start, end=end)
        view = self.model.views[name]
        right = [
            dict(zip(view.keys, row.key, strict=True))
            | {"event_timestamp": row.at}
            | {feature: row.values.get(feature) for feature in view.all_features}
            for row in self.model.tables.get(name, [])
            if start <= row.at < end
        ]
        columns = (*view.keys, "event_timestamp", *view.all_features)
        got = self._done(party.ask("table", view=name, start=start, end=end))
        got = [{column: row[column] for column in columns} for row in got]
        self._compare_rows(f"table of {name}", right, got)

    def _compare_rows(self, what: str, right: Sequence[Mapping[str, Any]], got: Sequence[Mapping[str, Any]]) -> None:
        self.counts.values += sum(map(len, got))
        missing, extra = list(map(_plain, right)), []
        for row in map(_plain, got):
            try:
                missing.remove(row)
            except ValueError:
                extra.append(row)
        if missing or extra:
            raise self.wrong(
                f"{what}: of {len(right)} rows {len(missing)} are missing, such as {missing[:2]}; "
                f"{len(extra)} are wrong, such as {extra[:2]}."
            )

    def check_historical(
        self, party: Party, names: Sequence[str], spine: Sequence[Mapping[str, Any]], *, known_time: bool
    ) -> None:
        """A point-in-time join gives each spine row the features that held then."""
        self.note("check_historical", views=list(names), rows=len(spine), known_time=known_time)
        columns = {name: [row[name] for row in spine] for name in spine[0]}
        features = [each for each in features_of(self.model.views) if each.partition(":")[0] in names]
        filled = [name for name, view in FILLED_OF.items() if view in names]
        if all(view in self.model.tables for view in FILLED_OF.values()):
            features += [f"{FILLED}:filled_{name}" for name in filled]
        else:
            filled = []
        got = self._done(party.ask("historical", features=features, spine=columns, known_time=known_time))
        if len(got) != len(spine):
            raise self.wrong(f"historical: {len(got)} rows for a spine of {len(spine)}.")
        for moment, row in zip(spine, got, strict=True):
            right = dict(self.model.joined(moment, names, known_time=known_time))
            for name in filled:
                right[f"{FILLED}__filled_{name}"] = filled_of(right[f"{FILLED_OF[name]}__{name}"])
            for name, value in right.items():
                self.counts.values += 1
                if not _equal(row[name], value):
                    where = f"{name} at {_brief(moment)}, known_time={known_time}"
                    raise self.wrong(f"historical: {where}, is {row[name]!r}, right: {value!r}")

    def check_online(
        self,
        read: Callable[[Sequence[str], Mapping[str, Sequence[Any]]], Mapping[str, Any]],
        entities: Mapping[str, Sequence[Any]],
        features: Sequence[str],
        who: str,
    ) -> None:
        """Every value and status that is served is right. `read` gives values and statuses by full feature name."""
        self.note("check_online", who=who)
        filled = [name for name, view in FILLED_OF.items() if f"{view}:{name}" in features]
        got = read([*features, *(f"{FILLED}:filled_{name}" for name in filled)], entities)
        self._check_filled(filled, got, entities, who)
        for reference in features:
            name, _, feature = reference.partition(":")
            view, column = self.model.views[name], f"{name}__{feature}"
            values, statuses = got["values"][column], got["statuses"][column]
            for place, value in enumerate(values):
                key = tuple(entities[each][place] for each in view.keys)
                allowed = self.model.online_answers(name, key, self.now)[feature]
                self.counts.values += 1
                if not any(statuses[place] == s and _equal(value, v) for s, v in allowed):
                    raise self.wrong(
                        f"online ({who}): {column} of {dict(zip(view.keys, key, strict=True))} is "
                        f"{value!r} {statuses[place]}, right: {sorted(map(str, allowed))}"
                    )

    def _check_filled(
        self, names: Sequence[str], got: Mapping[str, Any], entities: Mapping[str, Sequence[Any]], who: str
    ) -> None:
        """The on-demand features are filled values of what is served."""
        for name in names:
            of = FILLED_OF[name]
            values, statuses = (got[part][f"{FILLED}__filled_{name}"] for part in ("values", "statuses"))
            for place, value in enumerate(values):
                key = tuple(entities[each][place] for each in self.model.views[of].keys)
                allowed = {filled_of(v) for _, v in self.model.online_answers(of, key, self.now)[name]}
                self.counts.values += 1
                if statuses[place] != "PRESENT" or value not in allowed:
                    what = f"{FILLED}:filled_{name} of {key} is {value!r} {statuses[place]}"
                    raise self.wrong(f"online ({who}): {what}, right: {allowed}")

    def check_parity(self, party: Party, name: str) -> None:
        """The store finds no fault with itself."""
        self.note("check_parity", view=name)
        found = self._done(party.ask("parity", view=name))
        self.counts.values += found["sampled"]
        if not found["passed"]:
            raise self.wrong(f"parity of {name} sees faults where there are none: {found}")

    # Common

    def _revive(self, party: Party) -> None:
        self.counts.faults += 1
        party.restart()
        self._done(party.ask("use", views=dict(self.model.views)))

    def _done(self, answer: tuple[str, Any]) -> Any:
        outcome, value = answer
        if outcome != "done":
            raise self.wrong(f"It was refused: {value}")
        return value

    def _refused(self, answer: tuple[str, Any], error: str, reason: object) -> None:
        outcome, value = answer
        if outcome != "refused" or value[0] != error:
            raise self.wrong(f"It was {outcome} ({value}); right is {error}, since {reason}.")


def features_of(views: Mapping[str, View]) -> list[str]:
    """All features, as `view:feature`."""
    return [f"{view.name}:{feature}" for view in views.values() for feature in view.all_features]


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and one != one and other != other:
        return True
    return bool(one == other) and (type(one) is type(other) or {type(one), type(other)} <= {int, float})


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _brief(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%m-%dT%H:%M:%S") + (f".{value.microsecond:06}" if value.microsecond else "")
    if isinstance(value, Row):
        created = "" if value.created is None else f" created {_brief(value.created)}"
        return f"{value.key} at {_brief(value.at)}{created}: {dict(value.values)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_brief(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_brief, value)) + "]"
    return repr(value)
