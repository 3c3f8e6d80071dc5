"""Random histories of two machines with catalogues of their own age: interleaved, killed, restarted.

Backups of the offline store are restored, tables dropped, Redis is emptied on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from amora_fs_assets import FeatureStore
from amora_fs_assets.domain.errors import FeatureStoreError
from amora_fs_assets_tests.protocol import operations as op
from amora_fs_assets_tests.protocol.definitions import KEYS, START
from amora_fs_assets_tests.protocol.pairs import TRIPLES, Covered, begun, compared, read_wrong
from amora_fs_assets_tests.protocol.scheduler import Killed, Operation
from amora_fs_assets_tests.protocol.world import World

_WHO = st.integers(0, 1)
_SHOPS, _HOURS = st.sampled_from(KEYS), st.sampled_from((30, 54, 57, 80, 120))  # some, of rows of the source
_SOME = st.one_of(
    st.sampled_from(TRIPLES), st.lists(st.sampled_from(list(op.OPERATIONS)), min_size=2, max_size=4, unique=True)
)
_WHAT, _SHARE = st.integers(0, 11), st.floats(0, 1)
_OUTSIDE = ("backup", "restore", "Redis is emptied", "the table is dropped")


def histories(  # noqa: C901
    world: World, covered: Covered, *, number: int, steps: int, from_seed: int, lengths: Mapping[str, int]
) -> None:
    """Live through `number` histories. Raises AssertionError with the steps of the first history that is wrong.

    `lengths`: how many steps each operation has by itself.
    """
    begin = begun(world)

    class History(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            world.restore(begin)
            world.backup = world.latest = begin
            covered.histories += 1
            self.lived: list[str] = []
            self.machines: list[dict[str, FeatureStore]] = [{}, {}]
            self.restored = False

        def _process(self, who: int, project: str) -> FeatureStore:
            """The machine's process with that code. Its catalogue is as old as the process."""
            if project not in self.machines[who]:
                store = self.machines[who][project] = world.process(project)
                try:
                    op.warm(store)
                except FeatureStoreError:
                    covered.refused += 1
            return self.machines[who][project]

        def _operation(self, who: int, number: int) -> Operation:
            name = self.some[number % len(self.some)]
            project, call = op.OPERATIONS[name]
            return Operation(name, partial(call, world, self._process(who, project)))

        def _lives(self, step: str) -> None:
            covered.steps += 1
            self.lived.append(step)

        def _ended(self, operation: Operation) -> None:
            error = operation.error
            if isinstance(error, FeatureStoreError):
                covered.refused += 1
            elif error is not None and not isinstance(error, Killed):
                raise error
            elif error is None and operation.name == "read" and not self.restored:
                wrong = list(read_wrong(world, operation.result, covered))
                assert not wrong, f"{wrong} after {self.lived}"

        @initialize(some=_SOME)
        def stands(self, some: tuple[str, ...] | list[str]) -> None:
            """A history is of a few operations, again and again: so these meet in more ways than many would."""
            self.some = some

        @rule(who=_WHO, what=_WHAT, beside=_WHAT, at=_SHARE, killed=st.booleans())
        def runs_beside(self, who: int, what: int, beside: int, at: float, *, killed: bool) -> None:
            """One machine stops before a step, the other one does something, the first goes on or is dead."""
            one, other = self._operation(who, what), self._operation(1 - who, beside)
            step = 1 + round(at * lengths[one.name])  # the last one: after its end
            said = "is killed" if killed else "stops"
            self._lives(f"{who} {one.name} {said} before step {step}, {other.name} by the other")
            stopped = one.run(until=step)
            if stopped and killed:
                one.kill()
                self.machines[who].clear()
            other.run()
            if not one.ended:
                one.run()
            self._ended(one)
            self._ended(other)
            world.note_state()

        @rule(who=_WHO, shop=_SHOPS, hours=_HOURS, to_offline=st.booleans())
        def pushes(self, who: int, shop: int, hours: int, to_offline: bool) -> None:
            self._lives(f"{who} pushes shop {shop} at {hours} h{'' if to_offline else ', online alone'}")
            call = op.pushes(shop, START + timedelta(hours=hours), to_offline=to_offline)
            pushing = Operation("a push", partial(call, world, self._process(who, "plain")))
            pushing.run()
            self._ended(pushing)
            world.note_state()

        @rule(who=_WHO)
        def restarts(self, who: int) -> None:
            self._lives(f"{who} restarts")
            self.machines[who].clear()

        @rule(what=st.sampled_from(_OUTSIDE))
        def something_happens(self, what: str) -> None:
            self._lives(what)
            if what == "backup":
                world.backup = world.save()
            elif what == "restore":
                world.restore_backup()
                self.restored = True
            elif what == "Redis is emptied":
                op.empty_redis(world, world.process())
            else:
                world.drop_table()

        @rule()
        def holds(self) -> None:
            self._lives("load and compare")
            wrong = list(compared(world, [], covered))
            assert not wrong, f"{wrong} after {self.lived}"
            try:
                op.unpin(world, world.process())  # since compared() rolls back
            except FeatureStoreError:
                covered.refused += 1

        def teardown(self) -> None:
            self.holds()

    run_state_machine_as_test(
        seed(from_seed)(History),
        settings=settings(
            max_examples=number, stateful_step_count=steps, deadline=None, database=None,
            suppress_health_check=list(HealthCheck), phases=(Phase.generate,), print_blob=False,
        ),
    )  # fmt: skip
