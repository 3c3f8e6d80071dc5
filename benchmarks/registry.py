"""Searching years of run records in a local registry."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from amora_fs_assets.domain.records import CheckResult, ColumnLineage, Input, RuleResult, RunRecord, SourceColumn
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from benchmarks.measure import median, report, table

VIEWS, DAYS = 20, 500
BEGIN = datetime(2019, 1, 1, 3, tzinfo=UTC)


def records() -> Iterable[RunRecord]:
    """A daily run of each of 20 views for 500 days, one in a hundred failed: 10,000."""
    rules = tuple(RuleResult(rule=f"ge(min_value={number})", failed_rows=0) for number in range(2))
    checks = tuple(CheckResult(name=f"feature_{number}", rules=rules) for number in range(10))
    lineage: ColumnLineage = {
        f"feature_{number}": (SourceColumn(name="orders", column="amount"),) for number in range(10)
    }
    for day in range(DAYS):
        for view in range(VIEWS):
            moment = BEGIN + timedelta(days=day, minutes=view)
            number = day * VIEWS + view
            yield RunRecord(
                kind="compute", name=f"view_{view}", run_id=f"run-{number:036d}", started_at=moment,
                finished_at=moment + timedelta(seconds=40), rows=number, sequence=number, checks=checks,
                status="failed" if number % 100 == 0 else "succeeded", column_lineage=lineage,
                inputs=(Input(name="orders", table="raw.orders", sequence=number),),
            )  # fmt: skip


def fill(registry: ObjectRegistry) -> None:
    """Record them all: without the disk's confirmation of each, which is not what is measured here."""
    from amora_fs_assets.stores.registry import folder

    folder.os.fsync = lambda _: None  # type: ignore[attr-defined]
    for run in records():
        registry.record(run)


def searches(registry: Callable[[], ObjectRegistry]) -> dict[str, Callable[[], int]]:
    """What people ask, and how many records they get."""
    day = BEGIN + timedelta(days=250)
    return {
        "all of them, each read and its hash checked": lambda: count(registry().records()),
        "those that failed": lambda: count(registry().records(status="failed")),
        "the ten newest": lambda: count(registry().records(limit=10)),
        "the ten newest of a view": lambda: count(registry().records("view_7", limit=10)),
        "all of a view": lambda: count(registry().records("view_7")),
        "those of a day": lambda: count(registry().records(since=day, until=day + timedelta(days=1))),
        "a run by its id": lambda: count(registry().records(run_id=f"run-{4_321:036d}")),
    }


def count(found: Iterable[Any]) -> int:
    """How many there are."""
    return sum(1 for _ in found)


def main() -> None:
    """Print and keep the table."""
    with tempfile.TemporaryDirectory() as folder:
        fill(ObjectRegistry(FolderObjectStore(Path(folder))))
        rows = []
        for what, search in searches(lambda: ObjectRegistry(FolderObjectStore(Path(folder)))).items():
            times = []
            for _ in range(5):
                began = time.perf_counter()
                found = search()
                times.append(time.perf_counter() - began)
            rows.append([what, f"{found:,}", f"{median(times):.3f} s", f"{max(times):.3f} s", "1 s"])
    report(
        "registry",
        "Searching 10,000 run records",
        "python -m benchmarks.registry",
        table(["asked for", "found", "median of 5", "most", "limit"], rows),
        "A daily run of 20 views for 500 days, with ten checks and ten columns of lineage each, in a local folder; "
        "each search opens the registry anew, the files being in the system's cache.",
    )


if __name__ == "__main__":
    main()
