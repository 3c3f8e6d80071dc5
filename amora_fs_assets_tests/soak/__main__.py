"""`make soak`: live through months in minutes, and compare every read with the model.

    python -m amora_fs_assets_tests.soak --days 120 --seconds 300 --seed 7
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from amora_fs_assets_tests.soak.history import WrongError
from amora_fs_assets_tests.soak.life import Life, Limits
from amora_fs_assets_tests.soak.worker import WorkerDiedError


def main() -> int:
    """Exit code 1 where anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m amora_fs_assets_tests.soak", description=__doc__)
    parser.add_argument("--days", type=float, default=365, help="how many days to live through, at most")
    parser.add_argument("--seconds", type=float, default=300, help="how many real seconds, at most")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="of the life; a new one by default")
    parser.add_argument("--without", default="", help="comma-separated: kills, late, null_moments")
    parser.add_argument("--log", type=Path, help="where to write the operations")
    asked = parser.parse_args()
    print(f"Seed {asked.seed}: up to {asked.days:g} days in {asked.seconds:g} s.", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        return _lived(Path(folder), asked)


def _lived(home: Path, asked: argparse.Namespace) -> int:
    began, wrong = time.monotonic(), ""
    life = Life(home, asked.seed, without=asked.without.split(","))
    try:
        life.live(Limits(asked.days, asked.seconds), lambda line: print(line, flush=True))
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
        print("\nThe operations that led there:\n" + "\n".join(history.log[-60:]))
        print(f"\n{wrong}\n\nLive it again: python -m amora_fs_assets_tests.soak --seed {asked.seed}")
    counts = history.counts
    print(
        f"Seed {asked.seed}: {life.days:.1f} days lived in {time.monotonic() - began:.0f} s, "
        f"{counts.operations} operations, {counts.values} values compared, {counts.faults} faults injected, "
        f"{1 if wrong else 0} wrong."
    )
    print("  " + ", ".join(f"{name} {count}" for name, count in sorted(counts.by_operation.items())))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
