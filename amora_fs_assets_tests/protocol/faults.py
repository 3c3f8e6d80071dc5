"""Faults of before docs/protocol.md, put back one at a time: the checker finds each.

    python -m amora_fs_assets_tests.protocol.faults [--histories] [WORD...]

With --histories they are looked for in random histories, and among interleavings otherwise. Each fault replaces one
rule of the law by what the code did before. FAULTS.md says which schedule finds which.
"""

from __future__ import annotations

import inspect
import logging
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from amora_fs_assets.domain.ports.online import ViewState
from amora_fs_assets.operations.online import materialize
from amora_fs_assets.stores.duckdb import publication as duckdb_publication
from amora_fs_assets.stores.redis import generations as redis_generations
from amora_fs_assets.stores.redis import online_store as redis
from amora_fs_assets.stores.redis import scripts as redis_scripts
from amora_fs_assets_tests.protocol.histories import histories
from amora_fs_assets_tests.protocol.pairs import Covered, explore, lengths_of
from amora_fs_assets_tests.protocol.stepped import stepped
from amora_fs_assets_tests.protocol.world import World
from amora_fs_assets_tests.servers import bundled_valkey, redis_server

_PUBLISHING = duckdb_publication.Publishing
_GENERATIONS = redis_generations.RedisGenerations
SECONDS = 240.0
"""For how long a fault is looked for, even on a busy machine: on a quiet one each is found within 30 s."""


@dataclass(frozen=True)
class Fault:
    """What is replaced, and the pair of operations that finds the fault."""

    name: str
    first: str
    second: str
    patches: Callable[[], list[Any]]


def _in_script(right: str, wrong: str) -> list[Any]:
    assert right in redis_scripts.WRITE, f"{right!r} is not in the script any more"
    return [mock.patch.object(redis_generations, "WRITE", redis_scripts.WRITE.replace(right, wrong))]


def _in_text(owner: Any, name: str, *changes: str) -> list[Any]:
    """The function with parts of its text replaced: what is right, what is wrong, and so on."""
    function = getattr(owner, name)
    text = textwrap.dedent(inspect.getsource(function))
    for right, wrong in zip(changes[::2], changes[1::2], strict=True):
        assert right in text, f"{right!r} is not in {name} any more"
        text = text.replace(right, wrong)
    module, scope = sys.modules[function.__module__], dict[str, Any]()
    text = f"from __future__ import annotations\n{text}"
    exec(compile(text, module.__file__ or "", "exec"), vars(module), scope)
    return [mock.patch.object(owner, name, scope[name])]


def _by_number(self: ViewState, view: str, to: int | None = None) -> Any:
    return max((each for each in self.generations if each.number < self.live_number), key=lambda each: each.number)


FAULTS = (
    Fault(
        "a computation is not compared with those that came between", "compute", "correct",
        lambda: [mock.patch.object(_PUBLISHING, "_check_no_other_publication", return_value=None)],
    ),
    Fault(
        "the definition is not compared when it is published", "compute", "apply another transform and compute",
        lambda: [mock.patch.object(duckdb_publication, "check_definition", lambda draft, stored: stored is None)],
    ),
    Fault(
        "apply does not tell the offline store", "compute", "apply another transform",
        lambda: [mock.patch("amora_fs_assets.operations.registry.applied_table.sync", return_value=None)],
    ),
    Fault(
        "a replacement removes rows that were pushed meanwhile", "compute", "push",
        lambda: _in_text(_PUBLISHING, "_replace_rows", "if draft.seen is not None:", "if False:"),
    ),
    Fault(
        "a table is kept for a later view of its name", "prune, add and fill", "push",
        lambda: [mock.patch.object(duckdb_publication, "belongs", return_value=True)],
    ),
    Fault(
        "a load does not look whose view a generation is of",
        "prune, add and fill",
        "read",
        lambda: _in_text(
            materialize,
            "_why_other_table",
            "if live.view_id != view.view_id:",
            "if False:",
            "if view.table is None and live.incarnation != origin.incarnation and not live.begun_by_push:",
            "if False:",
        ),
    ),
    Fault(
        "a load does not look at the incarnation", "drop the table and correct", "read",
        lambda: _in_text(materialize, "_why_other_table",
                         "view.table is None and live.incarnation != origin.incarnation", "False"),
    ),
    Fault(
        "a load does not look at the id of its cursor", "restore and correct", "read",
        lambda: _in_text(materialize, "_why_other_table",
                         "if live.published_through and not any(", "if False and not any("),
    ),
    Fault(
        "a load does not look for publications that the offline store lost", "push", "restore and load",
        lambda: _in_text(materialize, "_why_other_table", "if set(origin.written)", "if set()"),
    ),
    Fault(
        "an incremental load writes into whatever generation is the newest", "correct and load",
        "apply a feature, compute and load",
        lambda: _in_text(_GENERATIONS, "_prepare", "origin.generation not in (None, newest.number)", "False"),
    ),
    Fault(
        "a load reads the columns before the publications", "apply a feature, compute and load", "load all",
        lambda: _in_text(
            materialize, "wanted",
            "    stored_rows = rows_there(view, store)\n", "",
            "    live = online.generation(view)\n",
            "    stored_rows = rows_there(view, store)\n    live = online.generation(view)\n",
        ),
    ),
    Fault(
        "readers do not look whose view a generation is of", "prune and add", "read",
        lambda: _in_text(redis, "serves", "generation is None or generation.view_id != view.view_id",
                         "generation is None"),
    ),
    Fault(
        "a push compares times alone", "push", "correct and load",
        lambda: [
            *_in_script("wins = later > earlier and (pushed or new > old)", "wins = later > earlier"),
            *_in_text(_GENERATIONS, "push", " or generation.published_through >= published", ""),
        ],
    ),
    Fault(
        "a batch row never replaces a newer pushed row", "push", "correct and load",
        lambda: _in_script("wins = new > old or (new == old and (pushed or later >= earlier)) or (pushed and",
                           "wins = (new >= old and not pushed) or (pushed and"),
    ),
    Fault(
        "a rollback goes to the number before", "load all", "load in shards",
        lambda: [mock.patch.object(ViewState, "after_rollback", _by_number)],
    ),
    Fault(
        "a load does not take away keys that were dropped", "correct and load", "read",
        lambda: _in_text(_GENERATIONS, "_written", "tombstones=not load.new_generation", "tombstones=False"),
    ),
)  # fmt: skip


@contextmanager
def put_back(fault: Fault) -> Iterator[None]:
    """The package with the fault."""
    with ExitStack() as stack:
        for each in fault.patches():
            stack.enter_context(each)
        yield


def found(world: World, fault: Fault, *, seconds: float = SECONDS) -> Covered:
    """What a search among the fault's pair covers, up to the first thing that is wrong."""
    covered = Covered()
    with put_back(fault):
        explore(world, covered, seed=1, seconds=seconds, pairs=[(fault.first, fault.second)], once=True)
    return covered


def lived(world: World, fault: Fault, *, seconds: float = SECONDS) -> Covered:
    """What random histories cover, up to the first that is wrong."""
    covered, until, seed, lengths = Covered(), time.monotonic() + seconds, 1, lengths_of(world)
    with put_back(fault):
        while not covered.wrong and time.monotonic() < until:
            try:
                histories(world, covered, number=10, steps=6, from_seed=seed, lengths=lengths)
            except AssertionError as error:
                covered.wrong.append(f"seed {seed}: {error}")
            seed += 1
    return covered


def main(arguments: list[str]) -> int:
    """Look for each fault; how many were not found."""
    missed, search = 0, lived if "--histories" in arguments else found
    words = [each for each in arguments if each != "--histories"]
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder, redis_server(bundled_valkey(), Path(folder)) as server, stepped():
        world = World(Path(folder) / "home", server.url)
        for fault in FAULTS:
            if not all(word in fault.name for word in words):
                continue
            began, covered = time.monotonic(), search(world, fault)
            missed += not covered.wrong
            said = covered.wrong[0] if covered.wrong else "NOT FOUND"
            lives, seconds = covered.interleavings or covered.histories, time.monotonic() - began
            print(f"| {fault.name} | {said[:260]} | {lives} | {seconds:.0f} s |", flush=True)
        world.close()
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
