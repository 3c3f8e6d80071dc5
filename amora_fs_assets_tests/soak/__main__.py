"""`make soak`: live through months in minutes, and compare every read with the model.

    python -m amora_fs_assets_tests.soak --seed 7 --seconds 210 --days 365 --histories 20

First random histories (Hypothesis, shrunk where one goes wrong), then one long life with several processes, an HTTP
server and kills. Both on a running clock that is set forward, both from the seed.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from amora_fs_assets_tests.soak.history import History
from amora_fs_assets_tests.soak.journal import Counts, WrongError
from amora_fs_assets_tests.soak.life import Life, Limits
from amora_fs_assets_tests.soak.machine import Histories
from amora_fs_assets_tests.soak.stages import Elsewhere
from amora_fs_assets_tests.soak.worker import WorkerDiedError

SHOWN = 60
"""Operations of a life that went wrong, the last of them."""


def main() -> int:
    """Exit code 1 where anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m amora_fs_assets_tests.soak")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="a new one by default")
    parser.add_argument("--seconds", type=float, default=210, help="how long the life takes at most [s]")
    parser.add_argument("--days", type=float, default=365, help="how many days it has at most")
    parser.add_argument("--histories", type=int, default=20, help="how many random histories come before it")
    parser.add_argument("--unshrunk", action="store_true", help="show the first history that goes wrong as it is")
    parser.add_argument("--without", default="", help="of the life, comma-separated: kills, late, null_moments")
    parser.add_argument("--log", type=Path, help="where to write the life's operations")
    asked = parser.parse_args()
    wrong = 0
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a disk would be most of the time
    with tempfile.TemporaryDirectory(prefix="soak", dir=memory) as folder:
        if asked.histories:
            wrong += _histories(Path(folder), asked)
    with tempfile.TemporaryDirectory(prefix="soak", dir=memory) as folder:
        if asked.seconds:
            wrong += _life(Path(folder), asked)
    return 1 if wrong else 0


def _histories(home: Path, asked: argparse.Namespace) -> int:
    _tell(f"Seed {asked.seed}: {asked.histories} random histories.")
    began, total, stage, wrong = time.monotonic(), Counts(), Elsewhere(home), 0
    histories: list[History] = []
    machine = type("Random", (Histories,), {"stage": stage, "ended": histories, "folder": home})
    phases = [Phase.generate] if asked.unshrunk else [Phase.generate, Phase.shrink]
    many = settings(
        max_examples=asked.histories, stateful_step_count=20, deadline=None, database=None,
        phases=phases, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    try:
        run_state_machine_as_test(seed(asked.seed)(machine), settings=many)
    except (WrongError, WorkerDiedError) as error:
        wrong = 1
        _tell("\n".join([str(error), *getattr(error, "__notes__", [])]))
        _again(asked.seed, f"--histories {asked.histories} --seconds 0")
    finally:
        stage.close()
    for history in histories:
        total.add(history.counts)
    days = sum(history.days for history in histories)
    _sum_up(f"{len(histories)} random histories of seed {asked.seed}", days, began, total, wrong)
    return wrong


def _life(home: Path, asked: argparse.Namespace) -> int:
    _tell(f"Seed {asked.seed}: a life of up to {asked.days:g} days in {asked.seconds:g} s.")
    began, wrong = time.monotonic(), ""
    life = Life(home, asked.seed, without=asked.without.split(","))
    try:
        life.live(Limits(asked.days, asked.seconds), _tell)
    except (WrongError, AssertionError) as error:
        wrong = str(error)
    except WorkerDiedError as error:
        wrong = f"{error}\n" + "\n".join(worker.log.read_text()[-3_000:] for worker in life.workers)
    finally:
        life.close()
    history = life.history
    if asked.log:
        asked.log.write_text("\n".join(history.log) + "\n")
    if wrong:
        _tell("\nThe operations that led there:\n" + "\n".join(history.log[-SHOWN:]) + f"\n\n{wrong}\n")
        _again(asked.seed, f"--histories 0 --seconds {asked.seconds:g}")
    _sum_up(f"the life of seed {asked.seed}", history.days, began, history.counts, 1 if wrong else 0)
    return 1 if wrong else 0


def _again(number: int, how: str) -> None:
    _tell(f"Live it again: python -m amora_fs_assets_tests.soak --seed {number} {how}")


def _sum_up(what: str, days: float, began: float, counts: Counts, wrong: int) -> None:
    _tell(
        f"{what}: {days:.0f} days lived in {time.monotonic() - began:.0f} s, {counts.operations:,} operations, "
        f"{counts.values:,} values compared, {counts.faults} faults injected, {wrong} wrong."
    )
    _tell("  " + ", ".join(f"{name} {count}" for name, count in sorted(counts.by_operation.items())))


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
