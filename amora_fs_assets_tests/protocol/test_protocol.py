"""A small share of `make protocol`: some interleavings, and that faults which are put back are found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from amora_fs_assets_tests.protocol.faults import FAULTS, Fault, found
from amora_fs_assets_tests.protocol.histories import histories
from amora_fs_assets_tests.protocol.pairs import Covered, explore, lengths_of
from amora_fs_assets_tests.protocol.stepped import stepped
from amora_fs_assets_tests.protocol.world import World
from amora_fs_assets_tests.servers import bundled_valkey, redis_server

SOME = [("compute", "correct"), ("push", "correct and load"), ("load all", "push"), ("compute", "push")]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with redis_server(bundled_valkey(), tmp_path) as server, stepped():
        made = World(tmp_path / "home", server.url)
        yield made
        made.close()


def test_whatever_two_operations_do_beside_each_other_the_page_holds(world: World) -> None:
    covered = Covered()
    explore(world, covered, seed=1, seconds=60, most=6, pairs=SOME)
    assert covered.interleavings
    assert not covered.wrong, str(covered)


def test_whatever_happens_in_a_row_the_page_holds(world: World) -> None:
    covered = Covered()
    # A few: `make protocol` lives through histories for half a minute, and ends CI where one goes wrong.
    histories(world, covered, number=2, steps=6, from_seed=1, lengths=lengths_of(world))
    assert covered.values


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "_"))
def test_a_fault_that_is_put_back_is_found(world: World, fault: Fault) -> None:
    assert found(world, fault).wrong
