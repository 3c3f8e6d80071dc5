"""`plan` and `apply` with 200 views: the code read, compared, its impact told, written."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from ibis.expr.types import Table

from amora_fs_assets import Entity, FeatureSchema, FeatureService, FeatureView, Field, Source, SourceSchema, Timestamp
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.operations.offline.load_source import load
from amora_fs_assets.operations.registry.apply import apply_plan
from amora_fs_assets.operations.registry.plan import plan
from amora_fs_assets.operations.registry.scan_estimate import scans
from amora_fs_assets.settings import Settings
from amora_fs_assets.stores.open import open_offline_store, open_registry
from benchmarks.measure import median, report, table

VIEWS, FEATURES, ROWS = 200, 20, 1_000_000
CLOCK = datetime(2020, 3, 1, tzinfo=UTC)
LIMIT = "3 s"


class Orders(SourceSchema):
    """Rows of a source."""

    customer: int
    at: Timestamp
    amount: float


customer = Entity("customer")


def rows() -> pa.Table:
    """A million orders in two months."""
    times = pa.array([CLOCK - timedelta(seconds=5 * (number + 1)) for number in range(ROWS)], pa.timestamp("us", "UTC"))
    amounts = pa.array(range(ROWS), pa.int64())
    return pa.table({"customer": amounts, "at": times, "amount": amounts.cast(pa.float64())})


orders = Source("orders", Orders, timestamp_field="at", loader=rows)


def transform(number: int) -> Callable[[Table], Table]:
    """A transform of 20 features: run for its expression, over no data."""

    def made(orders: Table) -> Table:
        features = {f"f{number}_{each}": orders.amount * each for each in range(FEATURES)}
        return orders.filter(orders.amount > number).select("customer", event_timestamp=orders["at"], **features)

    return made


def definitions(ttl: timedelta, lookback: timedelta) -> Iterator[Any]:
    """200 views of 20 features, a service of each ten."""
    views = []
    for number in range(VIEWS):
        features = {f"f{number}_{each}": Field(ge=0) for each in range(FEATURES)}
        types = {"customer": int, **dict.fromkeys(features, float)}
        schema = type(
            f"Schema{number}", (FeatureSchema,), {"__annotations__": types, "__module__": __name__, **features}
        )
        views.append(
            FeatureView(
                f"view_{number}",
                schema,
                [customer],
                [orders],
                transform=transform(number),
                ttl=ttl,
                lookback=lookback + timedelta(hours=number),
                start="2020-01-01",
                partitions="month",
            )
        )
    yield from views
    for number in range(0, VIEWS, 10):
        yield FeatureService(f"service_{number}", views[number : number + 10])


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came out."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def once() -> dict[str, float]:
    """Every step once, on a new registry."""
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), now=CLOCK)
        seconds["define 200 views of 20 features, as importing them does"], code = timed(
            lambda: Catalogue.of(definitions(timedelta(days=7), timedelta(0)))
        )
        seconds["what they compute: each transform run twice, its expression read"], _ = timed(
            lambda: [view.meaning for view in code.feature_views.values()]
        )
        registry = open_registry(settings)
        seconds["`plan`, all new"], first = timed(lambda: plan(code, registry, clock=CLOCK, dataset="x"))
        store = open_offline_store(settings)
        load(orders, run_id="benchmark", store=store, registry=registry)
        seconds["what it would scan: 200 counts of a million rows in DuckDB"], found = timed(
            lambda: scans(first.recompute, code, store)
        )
        assert all(scan.amount == ROWS for scan in found.values())
        seconds["`apply`, all new"], _ = timed(lambda: apply_plan(first, registry, clock=CLOCK))
        other = Catalogue.of(definitions(timedelta(days=1), timedelta(days=1)))
        fresh = open_registry(settings)  # as another process: the catalogue is read and parsed
        seconds["`plan`, all changed"], changed = timed(lambda: plan(other, fresh, clock=CLOCK, dataset="x"))
        assert len(changed.changes) == len(changed.recompute) == VIEWS
        seconds["`apply`, all changed"], _ = timed(lambda: apply_plan(changed, fresh, clock=CLOCK))
        seconds["`plan`, nothing changed"], none = timed(
            lambda: plan(other, open_registry(settings), clock=CLOCK, dataset="x")
        )
        assert none.empty
    return seconds | commands()


def commands() -> dict[str, float]:
    """The whole of the commands, in processes of their own: Python started, everything imported."""
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        code = (
            "from datetime import timedelta\nfrom benchmarks.plan import definitions\n"
            "globals().update({each.name: each for each in definitions(timedelta(7), timedelta(0))})\n"
        )
        (Path(folder) / "many_views.py").write_text(code)
        environment = {"AMORA_FS_HOME": f"{folder}/home", "PYTHONPATH": f"{Path(__file__).parents[1]}:{folder}"}
        for what, words in (
            ("`amora-fs plan`, the whole command, all new", ["plan"]),
            ("`amora-fs apply`, the whole command, all new", ["apply"]),
            ("`amora-fs plan`, the whole command, nothing changed", ["plan"]),
        ):
            command = [str(Path(sys.executable).with_name("amora-fs")), "--definitions", "many_views", *words]
            began = time.perf_counter()
            done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=False)
            seconds[what] = time.perf_counter() - began
            assert done.returncode == {"all new": 2 if words == ["plan"] else 0}.get(what[-7:], 0), done.stderr
    return seconds


def main() -> None:
    """Print and keep the table."""
    runs = [once() for _ in range(5)]
    lines = [
        [what, f"{median([run[what] for run in runs]):.3f} s", f"{max(run[what] for run in runs):.3f} s",
         "" if what.startswith("define") else LIMIT]
        for what in runs[0]
    ]  # fmt: skip
    report(
        "plan",
        "Plan and apply, 200 views",
        f"{Path(sys.executable).name} -m benchmarks.plan",
        table(["what", "median of 5", "most", "limit"], lines),
    )


if __name__ == "__main__":
    main()
