"""Random histories of two processes with catalogues of their own age: interleaved, killed, restarted.

Backups of the offline store are restored, tables dropped, Redis is emptied on the way.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from amora_fs_assets import FeatureStore
from amora_fs_assets.domain.errors import FeatureStoreError
from amora_fs_assets_tests.protocol import operations as op
from amora_fs_assets_tests.protocol.definitions import KEYS, PROJECTS, START
from amora_fs_assets_tests.protocol.pairs import Covered, begun, compared
from amora_fs_assets_tests.protocol.scheduler import Killed, Operation
from amora_fs_assets_tests.protocol.world import World

_WHO = st.integers(0, 1)
_SHOPS, _HOURS = st.sampled_from(KEYS), st.sampled_from((30, 54, 57, 80, 120))  # some, of rows of the source
_CALLS = {
    "compute": op.compute,
    "compute a day": op.compute_a_day,
    "correct": op.correct_and_compute,
    "load": op.load,
    "load all": op.load_all,
    "load in shards": op.load_in_shards,
    "load a window": op.load_a_window,
    "rollback": op.rollback,
    "unpin": op.unpin,
    "apply": op.apply,
    "apply and prune": op.prune,
    "read": op.read,
    "push": op.pushes(1, op.LATE),
    "push over a row": op.pushes(2, op.EARLY),
    "prune and add": op.prune_and_add,
    "correct and load": op.correct_and_load,
}
_WHAT = st.integers(0, 11)


def histories(world: World, covered: Covered, *, number: int, steps: int, from_seed: int) -> None:  # noqa: C901
    """Live through so many histories. Raises AssertionError with the steps of the first that is wrong."""
    begin = begun(world)

    class History(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            world.restore(begin)
            world.backup = begin
            covered.histories += 1
            self.lived: list[str] = []
            self.stores = [self._new("plain"), self._new("plain")]

        def _new(self, project: str) -> FeatureStore:
            store = world.process(project)
            self._tried(op.warm, store)
            return store

        def _named(self, number: int) -> str:
            return self.some[number % len(self.some)]

        def _lives(self, step: str) -> None:
            covered.steps += 1
            self.lived.append(step)

        def _tried(self, call: Any, store: FeatureStore) -> None:
            try:
                call(store) if call is op.warm else call(world, store)
            except FeatureStoreError:
                covered.refused += 1
            world.note_state()

        @initialize(some=st.lists(st.sampled_from(sorted(_CALLS)), min_size=2, max_size=4, unique=True))
        def stands(self, some: list[str]) -> None:
            """A history is of a few operations, again and again: so these meet in more ways than many would."""
            self.some = some

        @rule(who=_WHO, what=_WHAT)
        def runs(self, who: int, what: int) -> None:
            self._lives(f"{who} {self._named(what)}")
            self._tried(_CALLS[self._named(what)], self.stores[who])

        @rule(who=_WHO, shop=_SHOPS, hours=_HOURS, to_offline=st.booleans())
        def pushes(self, who: int, shop: int, hours: int, to_offline: bool) -> None:
            self._lives(f"{who} pushes shop {shop} at {hours} h{'' if to_offline else ', online alone'}")
            moment = START + timedelta(hours=hours)
            self._tried(op.pushes(shop, moment, to_offline=to_offline), self.stores[who])

        @rule(who=_WHO, what=_WHAT, beside=_WHAT, at=st.integers(1, 20), killed=st.booleans())
        def runs_beside(self, who: int, what: int, beside: int, at: int, *, killed: bool) -> None:
            """One process stops before a step, the other one does something, the first goes on or is dead."""
            first, second = self._named(what), self._named(beside)
            self._lives(f"{who} {first} {'is killed' if killed else 'stops'} before step {at}, {second} by the other")
            one = Operation(first, partial(_CALLS[first], world, self.stores[who]))
            other = Operation(second, partial(_CALLS[second], world, self.stores[1 - who]))
            stopped = one.run(until=at)
            if stopped and killed:
                one.kill()
            other.run()
            if not one.ended:
                one.run()
            for each in (one, other):
                if isinstance(each.error, FeatureStoreError):
                    covered.refused += 1
                elif each.error is not None and not isinstance(each.error, Killed):
                    raise each.error
            world.note_state()
            if stopped and killed:
                self.stores[who] = self._new("plain")

        @rule(who=_WHO, project=st.sampled_from(sorted(PROJECTS)))
        def restarts(self, who: int, project: str) -> None:
            self._lives(f"{who} restarts as {project}")
            self.stores[who] = self._new(project)

        @rule()
        def is_backed_up(self) -> None:
            self._lives("backup")
            world.backup = world.save()

        @rule()
        def is_restored(self) -> None:
            self._lives("restore")
            world.restore_backup()

        @rule()
        def redis_is_emptied(self) -> None:
            self._lives("Redis is emptied")
            op.empty_redis(world, self.stores[0])

        @rule()
        def the_table_is_dropped(self) -> None:
            self._lives("the table is dropped")
            world.drop_table()

        @rule()
        def holds(self) -> None:
            wrong = list(compared(world, [], covered))
            store = world.process()
            self._tried(op.unpin, store)
            self._lives("load and compare")
            assert not wrong, f"{wrong} after {self.lived}"

        def teardown(self) -> None:
            self.holds()

    run_state_machine_as_test(
        seed(from_seed)(History),
        settings=settings(
            max_examples=number, stateful_step_count=steps, deadline=None, database=None,
            suppress_health_check=list(HealthCheck), phases=(Phase.generate,), print_blob=False,
        ),
    )  # fmt: skip
