"""Every pair of operations in every order: one preemption of the first by the second, or a kill; or two preemptions.

Of chosen triples the first two stop on their way, the third one runs, and the others go on.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product

from amora_fs_assets import FeatureStore
from amora_fs_assets.domain.errors import FeatureStoreError, TableNotFound
from amora_fs_assets.operations.online.parity import parity
from amora_fs_assets.stores.redis.keys import state_name
from amora_fs_assets.stores.redis.state import decoded
from amora_fs_assets_tests.protocol import model
from amora_fs_assets_tests.protocol.definitions import KEYS, VIEW
from amora_fs_assets_tests.protocol.operations import (
    EARLY,
    OPERATIONS,
    apply,
    compute,
    load,
    load_all,
    pushes,
    served,
    warm,
)
from amora_fs_assets_tests.protocol.scheduler import Killed, Operation
from amora_fs_assets_tests.protocol.world import PROJECT, State, World


@dataclass
class Covered:
    """What was looked at."""

    interleavings: int = 0
    kills: int = 0
    triples: int = 0
    histories: int = 0
    steps: int = 0
    values: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"interleavings explored {self.interleavings} (kills {self.kills}, "
            f"of three operations {self.triples}), histories {self.histories}, "
            f"steps {self.steps}, refused {self.refused}, values compared {self.values}, wrong {len(self.wrong)}"
        )


@dataclass(frozen=True)
class Schedule:
    """The first operation stops before its step `at`; the second runs; the first goes on, or is dead."""

    first: str
    second: str
    at: int
    kill: bool = False
    second_at: int | None = None  # the second stops here, the first ends, the second goes on
    third: str = ""  # runs as a whole once both have stopped

    def __str__(self) -> str:
        cut = "is killed" if self.kill else "stops"
        more = f" up to step {self.second_at}" if self.second_at else ""
        third = f", '{self.third}'" if self.third else ""
        end = ", the first one's end" if self.second_at else ""
        return f"'{self.first}' {cut} before step {self.at}, '{self.second}'{more}{third}{end}"

    @property
    def names(self) -> tuple[str, ...]:
        """The operations, in order."""
        return (self.first, self.second, *filter(None, [self.third]))


TRIPLES = (
    ("compute", "push", "correct and load"),
    ("compute a day", "apply another transform and compute", "push over a row"),
    ("compute", "correct", "compute a day"),
    ("push", "load", "correct and load"),
    ("push over a row", "load all", "apply a feature, compute and load"),
    ("push a new key", "prune, add and fill", "load"),
    ("push at a known time", "restore and correct", "load"),
    ("load all", "push", "rollback"),
    ("load all", "load in shards", "unpin"),
    ("load in shards", "apply a feature, compute and load", "push"),
    ("load", "drop the table and correct", "read"),
    ("load a window", "correct and load", "push online"),
    ("load", "empty Redis", "load in shards"),
    ("read", "load all", "load all"),
    ("train", "apply a feature and compute", "correct"),
    ("rollback", "correct and load", "load all"),
    ("push", "restore and load", "load"),
    ("prune and add", "read", "load all"),
)
"""First, second and third operation: those of which the law has to decide between three writers."""


def begun(world: World) -> State:
    """Applied, computed, pushed, loaded twice: there is a generation to go back to."""
    world.empty()
    store = world.process()
    world.put_source(1)
    apply(world, store)
    compute(world, store)
    load(world, store)
    world.backup = world.save()
    pushes(2, EARLY)(world, store)
    load_all(world, store)
    world.note_state()
    world.latest = world.save()
    return world.latest


def run(world: World, state: State, schedule: Schedule, covered: Covered) -> int | None:
    """Run it and compare; the number of steps that the first operation had, where it ended before `at`."""
    world.restore(state)
    operations = []
    for name in schedule.names:
        project, call = OPERATIONS[name]
        store = world.process(project)
        warm(store)
        operations.append(Operation(name, partial(call, world, store)))
    first, second, *others = operations
    covered.interleavings += 1
    if first.run(until=schedule.at) and schedule.kill:
        covered.kills += 1
        first.kill()
    second.run(until=schedule.second_at)
    for each in others:
        each.run()
    for each in (first, second):
        if not each.ended:
            each.run()
    covered.triples += len(others)
    covered.steps += sum(len(each.steps) for each in operations)
    for wrong in compared(world, operations, covered):
        covered.wrong.append(f"{schedule}: {wrong}")
    return len(first.steps) if first.ended and len(first.steps) < schedule.at else None


def compared(world: World, operations: list[Operation], covered: Covered) -> Iterator[str]:
    """What is wrong, after a load that nothing disturbs."""
    published = world.events.published
    for operation in operations:
        yield from _outcome(world, operation, covered)
    yield from world.events.unlawful
    yield from model.unlawful(published)
    table = model.folded(published[world.events.made_anew_at :])
    yield from model.same_table(table, rows := world.rows())
    covered.values += sum(map(len, rows))
    store = world.process()
    catalogue = store.registry.catalogue()
    if VIEW not in catalogue.feature_views:
        return
    try:
        state = decoded(world.redis.get(state_name(PROJECT, VIEW)))
        if state.pinned:
            store.unpin(VIEW)
        if world.events.made_anew_at == len(published):
            return  # the table was dropped, and nobody computed it again
        if table.view_id != catalogue.feature_view(VIEW).view_id:  # nothing of this life of the view was published
            yield from _empty(world, store, covered)
            return
        load(world, store)
        found = served(store)
        covered.values += sum(1 + len(each[1]) if each else 1 for each in found.values())
        yield from model.served_wrong(table, world.events.online_only, found)
        view = store.registry.catalogue().feature_view(VIEW)
        said = parity(view, store.offline, store.online, sample=None, expire=False)
        if not said.passed:
            yield f"parity says {said}"
        world.note_state()
        yield from _rolled_back(world, store)
    except FeatureStoreError as error:
        yield f"after all of it: {type(error).__name__}: {error}"


def _empty(world: World, store: FeatureStore, covered: Covered) -> Iterator[str]:
    try:
        load(world, store)
        yield "a view was loaded of which nothing was published"
    except TableNotFound:
        pass
    found = served(store)
    covered.values += len(found)
    view_id = store.registry.catalogue().feature_view(VIEW).view_id
    state = decoded(world.redis.get(state_name(PROJECT, VIEW)))
    if any(each.number == state.live_number and each.view_id == view_id for each in state.generations):
        if world.events.lost:
            return  # loaded in this life of the view, before a backup was restored
        # Pushed only online, before the first load in this life of the view.
        pushed = {key: [each for each in world.events.online_only if each["shop"] == key] for key in found}
        found = {
            key: got
            for key, got in found.items()
            if got is not None and got not in [model.as_served(each, got[1]) for each in pushed[key]]
        }
    if any(found.values()):
        yield f"rows of an earlier view of the name are served: {found}"


def _rolled_back(world: World, store: FeatureStore) -> Iterator[str]:
    """A rollback goes to the generation of the view that went live before."""
    state = decoded(world.redis.get(state_name(PROJECT, VIEW)))
    there = {each.number: each.view_id for each in state.generations}
    went_live = [number for number in world.events.went_live if number in there]
    before = [
        number
        for number in went_live[: went_live.index(state.live_number)]
        if there[number] == there[state.live_number]
    ]
    if before:
        back = store.rollback(VIEW).number
        if back != before[-1]:
            yield f"a rollback from {state.live_number} went to {back}; generations went live in the order {went_live}"


def _outcome(world: World, operation: Operation, covered: Covered) -> Iterator[str]:
    published = [each for each in world.events.published if each.by == operation.name]
    error = operation.error
    if isinstance(error, Killed):
        return
    if error is not None:
        covered.refused += 1
        if not isinstance(error, FeatureStoreError):
            yield f"'{operation.name}' raised {type(error).__name__}: {error}"
        elif operation.name.startswith(("push", "compute")) and published:
            yield f"'{operation.name}' raised {type(error).__name__} ({error}), and had published"
        return
    pushed = operation.name.startswith("push") and operation.name != "push online"
    if operation.name in world.events.lost:
        return
    if pushed and operation.result["total"] not in [row["total"] for each in published for row in each.rows]:
        yield f"'{operation.name}' succeeded, and published nothing"
    if operation.name in ("compute", "correct", "compute a day") and not published:
        yield f"'{operation.name}' succeeded, and published nothing"
    if operation.name == "read":
        yield from read_wrong(world, operation.result, covered)
    if operation.name == "train":
        covered.values += len(KEYS)
        some = model.prefixes(world.events.published)
        if all({key: row["total"] for key, row in each.items()} != {
            key: value for key, value in operation.result.items() if value is not None
        } for each in some):  # fmt: skip
            yield f"a training set of no moment: {operation.result}"


def read_wrong(world: World, found: model.Served, covered: Covered) -> Iterator[str]:
    """What of a read was the newest of its key at no time."""
    some = model.prefixes(world.events.published)
    for key, got in found.items():
        covered.values += 1
        names = got[1] if got else ()
        right = [model.as_served(each.get(key), names) for each in some]
        right += [model.as_served(each, names) for each in world.events.online_only if each["shop"] == key]
        right.append(None)
        if got not in right:
            yield f"read {got} of shop {key}, which was never the newest"


def explore(
    world: World,
    covered: Covered,
    *,
    seed: int,
    seconds: float,
    most: float = float("inf"),
    pairs: Sequence[tuple[str, str]] | None = None,
    triples: Sequence[tuple[str, str, str]] = (),
    once: bool = False,
    lengths: Mapping[str, int] | None = None,
) -> None:
    """Run schedules in an order of the seed's until the time is over, or `most` or all of them were run.

    With `once` up to the first that is wrong. `lengths`: how many steps each operation has by itself. Of four
    schedules two have one preemption, or a kill, and one has three operations where `triples` are given.
    """
    state, rng = begun(world), random.Random(seed)
    pairs = pairs or list(product(OPERATIONS, OPERATIONS))
    lengths = lengths or {
        name: _length(world, state, name) for name in sorted({name for some in (*pairs, *triples) for name in some})
    }
    one = [
        Schedule(first, second, at, kill=kill)
        for first, second in pairs
        for at in range(1, lengths[first] + 1)
        for kill in (False, True)
    ]
    two = [
        Schedule(first, second, at, second_at=second_at)
        for first, second in pairs
        for at in range(1, lengths[first] + 1)
        for second_at in range(2, lengths[second] + 1)
    ]
    three = [
        Schedule(first, second, at, second_at=second_at, third=third)
        for first, second, third in triples
        for at in range(1, lengths[first] + 1)
        for second_at in range(2, lengths[second] + 1)
    ]
    for each in (one, two, three):
        rng.shuffle(each)
    until, most = time.monotonic() + seconds, covered.interleavings + most
    while (
        (one or two or three)
        and covered.interleavings < most
        and time.monotonic() < until
        and not (once and covered.wrong)
    ):
        for some in (one, one, two, three):
            if some and covered.interleavings < most:
                run(world, state, some.pop(), covered)


def lengths_of(world: World) -> dict[str, int]:
    """How many steps each operation has by itself."""
    state = begun(world)
    return {name: _length(world, state, name) for name in OPERATIONS}


def _length(world: World, state: State, name: str) -> int:
    world.restore(state)
    project, call = OPERATIONS[name]
    store = world.process(project)
    warm(store)
    operation = Operation(name, lambda: call(world, store))
    operation.run()
    return len(operation.steps)
