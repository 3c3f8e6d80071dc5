"""`make protocol`: interleavings for most of the time, then random histories. Ends with 1 where something is wrong."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from amora_fs_assets_tests.protocol.histories import histories
from amora_fs_assets_tests.protocol.pairs import TRIPLES, Covered, explore, lengths_of
from amora_fs_assets_tests.protocol.stepped import stepped
from amora_fs_assets_tests.protocol.world import World
from amora_fs_assets_tests.servers import bundled_valkey, redis_server

STEPS = 6
"""Of a history: most faults need few, and many short histories meet more of them."""
FILES, HISTORIES = 0.1, 0.25
"""The shares of the time for an offline store in a file, rather than in memory, and for random histories."""


def lived_through(
    world: World, covered: Covered, *, from_seed: int, seconds: float, lengths: Mapping[str, int]
) -> None:
    """Random histories of more and more seeds, until the time is over or one is wrong."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            histories(world, covered, number=10, steps=STEPS, from_seed=from_seed, lengths=lengths)
        except AssertionError as error:
            covered.wrong.append(f"histories from seed {from_seed}: {error}")
            return
        from_seed += 1


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m amora_fs_assets_tests.protocol", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=180.0, help="in sum; 0: every schedule, which takes hours")
    given = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    covered, seconds = Covered(), given.seconds or float("inf")
    lengths: dict[str, int] = {}
    for files, share in ((False, 1 - FILES - HISTORIES), (True, FILES)):
        with tempfile.TemporaryDirectory() as folder, redis_server(bundled_valkey(), Path(folder)) as server, stepped():
            world = World(Path(folder) / "home", server.url, files=files)
            lengths = lengths or lengths_of(world)
            explore(
                world, covered, seed=given.seed + files, seconds=share * seconds, triples=TRIPLES, lengths=lengths
            )  # fmt: skip
            if not files:
                share_of_histories = min(HISTORIES * seconds, 3_600)
                lived_through(world, covered, from_seed=given.seed, seconds=share_of_histories, lengths=lengths)
            world.close()
    for each in covered.wrong:
        print(f"WRONG (seed {given.seed}): {each}")
    print(covered)
    return 1 if covered.wrong or not covered.interleavings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
