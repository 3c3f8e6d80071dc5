"""The leak audit of the whole sample: the last two months of each view, at five instants, in parts and again.

python -m benchmarks.audit
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from amora_fs_assets import FeatureStore, Settings
from benchmarks.measure import report, table

SAMPLE = "amora_fs_assets.features"
CLOCK = datetime(2014, 1, 1, 5, tzinfo=UTC)  # the end of the sample's data


def audits(store: FeatureStore) -> list[list[str]]:
    """For each view: rows, findings, seconds and processor seconds; and their sums. The first audit also imports."""
    rows, total = [], [0, 0, 0.0, 0.0]
    began, worked = time.perf_counter(), time.process_time()
    for found in store.audit():
        ended, done = time.perf_counter(), time.process_time()
        figures = [found.rows, len(found.findings), ended - began, done - worked]
        rows.append([found.view, *_texts(figures)])
        total = [one + other for one, other in zip(total, figures, strict=True)]
        began, worked = time.perf_counter(), time.process_time()
    return [*rows, ["all", *_texts(total)]]


def _texts(figures: list[float]) -> list[str]:
    rows, findings, seconds, processor = figures
    return [f"{rows:,}", str(findings), f"{seconds:.1f}", f"{processor:.1f}"]


def main() -> None:
    """Print and keep the table."""
    with tempfile.TemporaryDirectory() as home, FeatureStore(Settings(home=Path(home), now=CLOCK), SAMPLE) as store:
        store.apply()
        store.compute()
        rows = audits(store)
    report(
        "audit",
        "The leak audit of the sample",
        "python -m benchmarks.audit",
        "336,776 flights of a year in DuckDB; the last two months of each view, as `amora-fs audit` does.",
        table(["view", "rows", "findings", "seconds", "processor seconds"], rows),
    )


if __name__ == "__main__":
    main()
