"""The whole sample from a cold start, the cost of importing the package, and of loading the Dagster definitions."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Run, median, report, run, table

AMORA_FS = str(Path(sys.executable).with_name("amora-fs"))


def demo() -> Run:
    """2013 from nothing: sources, all views, checks, online, the training set of every flight, and its load."""
    with tempfile.TemporaryDirectory() as home:
        return run([AMORA_FS, "demo"], environment={"AMORA_FS_HOME": home})


def imported(module: str) -> float:
    """Seconds that a fresh interpreter takes to import a module."""
    code = f"import time; began = time.perf_counter(); import {module}; print(time.perf_counter() - began)"
    return float(subprocess.check_output([sys.executable, "-c", code], text=True))


def main() -> None:
    """Print and keep the table."""
    runs = [demo() for _ in range(3)]
    package = [imported("amora_fs_assets") for _ in range(9)]
    definitions = [imported("amora_fs_assets.definitions") for _ in range(9)]
    peak = f"{max(each.peak for each in runs):,.0f} MiB (limit: 1.5 GB, which are 1,431)"
    rows = [
        [
            "`amora-fs demo`: the year, all views, online, training set",
            *cells([each.seconds for each in runs]),
            "30 s",
            peak,
        ],
        ["`import amora_fs_assets`", *cells(package), "0.1 s", ""],
        ["`import amora_fs_assets.definitions`: Dagster and the sample", *cells(definitions), "5 s", ""],
    ]
    report(
        "main_job",
        "The main job",
        "make bench",
        table(["what", "runs", "median", "least - most", "limit", "peak memory"], rows),
        "The demo's wall time is that of the whole process, from a cold start. Memory is the resident set of the "
        "process and its children, the embedded Valkey server among them, at its peak, the greatest of the runs. "
        "Imports are timed in a fresh interpreter each.",
        "The peak is the training set's join: seven ASOF joins of 336,776 rows, whose sorts DuckDB holds at once; "
        "until then the demo stays near 500 MiB. The store sets no limit to DuckDB's memory. With a memory_limit of "
        "600 MB the join alone peaked at 825 MiB instead of 1,306, in 3.5 s instead of 3.1.",
    )


def cells(seconds: list[float]) -> list[str]:
    """Runs, median, least and most."""
    return [str(len(seconds)), f"{median(seconds):.3g} s", f"{min(seconds):.3g} - {max(seconds):.3g} s"]


if __name__ == "__main__":
    main()
