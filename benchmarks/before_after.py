"""The verbs before and after a change, in alternating processes: what a change of the protocol costs.

    python -m benchmarks.before_after COMMIT

Checks the commit out beside this checkout, runs benchmarks/verbs.py in both in turn, and writes the medians and their
ratios. The environment is this checkout's, for both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import report, table

ROUNDS = 7
ROOT = Path(__file__).parents[1]


def measured(checkout: Path) -> dict[str, tuple[float, float]]:
    """Seconds of each verb, by the clock and on the processors, by a process that imports the checkout's package."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, str(ROOT / "benchmarks" / "verbs.py"), home], check=True, capture_output=True, text=True,
            cwd=checkout, env={**os.environ, "PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"},
        )  # fmt: skip
    found: dict[str, tuple[float, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(commit: str) -> None:
    """Measure both, and write the table."""
    git = ["git", "-C", str(ROOT)]
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        subprocess.run([*git, "worktree", "add", "--quiet", "--detach", str(before), commit], check=True)
        try:
            rounds = [(measured(before), measured(ROOT)) for _ in range(ROUNDS)]
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(before)], check=True)
    lines = []
    for name in rounds[0][0]:
        cells = [name]
        for kind in (0, 1):
            old, new = ([each[side][name][kind] * 1_000 for each in rounds] for side in (0, 1))
            ratio = statistics.median(b / a for a, b in zip(old, new, strict=True))
            cells += [f"{statistics.median(old):.2f} ms", f"{statistics.median(new):.2f} ms", f"{ratio:.2f}"]
        lines.append(tuple(cells))
    report(
        "before_after",
        "The verbs before and after",
        f"python -m benchmarks.before_after {commit}",
        f"{ROUNDS} processes of each side in turn, by benchmarks/verbs.py; the ratio is the median of the pairs'.",
        table(("verb", f"at {commit[:7]}", "now", "now : before", "CPU before", "CPU now", "now : before"), lines),
    )


if __name__ == "__main__":
    main(sys.argv[1])
