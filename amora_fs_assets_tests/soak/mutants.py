"""`make soak-mutants`: faults that were found are put back, one at a time, and the soak must find each.

    python -m amora_fs_assets_tests.soak.mutants [NAME...]

A fault is put into a copy of the package, and `make soak` runs there, from the fault's seed. What was found, and where:

| fault | seed | found by | seconds, on two cores |
| --- | --- | --- | --- |
| expiry is unknown to the check of a new generation | 1 | a full load after a silence is refused | 46 |
| late rows count from when they happened | 1 | rows of the table are missing | 29 |
| a window replaces the generation | 1 | a value online is not the newest one | 45 |
| a push from the future is served | 1 | a value online is there before its time | 37 |
| a null moment has features | 1 | a join gives a value at no moment | 20 |
| an added feature has the status of the others | 1 | NULL_VALUE instead of NOT_FOUND before the load | 16 |
| a view without partitions is not clipped | 1 | a value online of before the view's start | 11 |
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """A fault: the text of a file that holds it off, and what stood there."""

    name: str
    file: str
    right: str
    wrong: str
    seed: int = 1
    words: str = "--histories 40 --unshrunk --seconds 0"


MUTANTS = (
    Mutant(
        "expiry is unknown to the check of a new generation",
        "domain/expiry.py",
        "if view.ttl is None or now is None or",
        "if now is None or now or view.ttl is None or",
    ),
    Mutant(
        "late rows count from when they happened",
        "operations/expressions/tables.py",
        "known = known_instant(table[times.happened], table[times.available])",
        "known = table[times.happened]",
    ),
    Mutant(
        "a window replaces the generation",
        "operations/online/materialize.py",
        "new_generation=live is None,",
        "new_generation=True,",
    ),
    Mutant(
        "a push from the future is served",
        "operations/online/push.py",
        "return table.filter([time <= clock for time in times]) if any(time > clock for time in times) else table",
        "return table",
        words="--histories 0 --seconds 180",
    ),
    Mutant(
        "a null moment has features",
        "operations/expressions/point_in_time.py",
        "held = joined[moment].notnull()",
        "held = joined[moment].notnull() | joined[moment].isnull()",
        words="--histories 0 --seconds 180",
    ),
    Mutant(
        "an added feature has the status of the others",
        "operations/online/part.py",
        'statuses.update({name: ["NOT_FOUND"] * len(times) for name in names})',
        "pass",
    ),
    Mutant(
        "a view without partitions is not clipped",
        "domain/ports/offline.py",
        "return Interval(self.computed_from, self.computed_until)",
        "return None",
        words="--histories 0 --seconds 180",
    ),
)


def main() -> int:
    """Exit code 1 where the soak missed a fault."""
    parser = argparse.ArgumentParser(prog="python -m amora_fs_assets_tests.soak.mutants")
    parser.add_argument("names", nargs="*", help="words of the faults' names; all by default")
    asked = parser.parse_args()
    picked = [each for each in MUTANTS if not asked.names or any(word in each.name for word in asked.names)]
    missed = 0
    for mutant in picked:
        began = time.monotonic()
        code, said = run(mutant)
        found = re.search(r"^At .*:\n(.*)$", said, re.MULTILINE)
        if code == 1 and found:
            print(f"| {mutant.name} | {mutant.seed} | {found[1][:160]} | {time.monotonic() - began:.0f} s", flush=True)
        else:
            missed += 1
            print(f"MISSED: {mutant.name} (exit code {code})\n{said[-3_000:]}", flush=True)
    print(f"{len(picked) - missed} of {len(picked)} faults found.")
    return 1 if missed else 0


def run(mutant: Mutant) -> tuple[int, str]:
    """Exit code and words of the soak on a copy with the fault. Raises ValueError where the fault has no place."""
    with tempfile.TemporaryDirectory(prefix="mutant") as folder:
        copy = Path(folder)
        for package in ("amora_fs_assets", "amora_fs_assets_tests"):
            shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
        file = copy / "amora_fs_assets" / mutant.file
        text = file.read_text()
        if text.count(mutant.right) != 1:
            raise ValueError(f"{mutant.name}: {mutant.file} has changed; mend the mutant.")
        file.write_text(text.replace(mutant.right, mutant.wrong))
        command = [sys.executable, "-B", "-m", "amora_fs_assets_tests.soak", "--seed", str(mutant.seed)]
        done = subprocess.run(
            [*command, *mutant.words.split()], cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
