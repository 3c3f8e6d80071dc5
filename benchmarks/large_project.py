"""200 views of 10 features by the day over three years: what Dagster costs, and what a service of all of them costs.

Each part is a process of its own. Beside ours runs a twin: as many plain assets, with the same partitions and as many
checks, whose functions do nothing. What it costs is Dagster's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psutil

from amora_fs_assets import FeatureStore
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.operations import runs
from amora_fs_assets.operations.offline import load_source as sources
from amora_fs_assets.operations.offline.coverage import coverages
from amora_fs_assets.operations.registry.apply import apply
from amora_fs_assets.orchestration.code_location import build_definitions
from amora_fs_assets.settings import Settings
from amora_fs_assets.stores.open import open_offline_store, open_registry
from benchmarks import large_views
from benchmarks.large_views import CLOCK, CUSTOMERS, FEATURES, SERVICE, START, VIEWS
from benchmarks.measure import MEBIBYTE, median, report, table

RUN_VIEWS, RUN_DAYS = 20, 30
CHECKS = FEATURES + 3  # of the keys, the time, and their uniqueness
HOME = "LARGE_PROJECT_HOME"


def ours(home: Path) -> dg.Definitions:
    """The code location of the 200 views."""
    settings = Settings(home=home, now=CLOCK)
    return build_definitions(settings, definitions=Catalogue.of(large_views.definitions()), automation=True,
                             overrides={"executor": dg.in_process_executor})  # fmt: skip


def twin(partitions: str) -> dg.Definitions:
    """Plain assets, by the `day` or the `month`, with as many checks each, or none."""
    start, end = START.date().isoformat(), CLOCK.date().isoformat()
    monthly = partitions == "month"
    definition = (dg.MonthlyPartitionsDefinition if monthly else dg.DailyPartitionsDefinition)(start, end_date=end)

    def asset(number: int) -> dg.AssetsDefinition:
        key = dg.AssetKey(["feature_view", f"view_{number}"])
        count = 0 if partitions == "day, no checks" else CHECKS
        checks = [dg.AssetCheckSpec(f"check_{each}", asset=key) for each in range(count)]

        @dg.multi_asset(
            name=f"view_{number}",
            specs=[dg.AssetSpec(key, partitions_def=definition)],
            check_specs=checks,
        )
        def made() -> Any:
            for spec in checks:
                yield dg.AssetCheckResult(passed=True, check_name=spec.name, asset_key=key)
            yield dg.MaterializeResult(asset_key=key)

        return made.with_attributes(backfill_policy=dg.BackfillPolicy.single_run())

    return dg.Definitions([asset(number) for number in range(VIEWS)])


def timed(work: Callable[[], Any]) -> float:
    """Seconds of wall time."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def load(kind: str, home: Path) -> dict[str, float]:
    """Seconds to make the definitions; the libraries are imported already."""
    return {"seconds": timed(lambda: (ours(home) if kind == "ours" else twin("day")).get_repository_def())}


def filled(home: Path, views: int) -> tuple[Catalogue, Any, Any]:
    """The catalogue applied and its source loaded."""
    settings = Settings(home=home, now=CLOCK)
    code = Catalogue.of(large_views.definitions(views))
    registry, store = open_registry(settings), open_offline_store(settings)
    apply(code, registry, clock=CLOCK)
    sources.load(large_views.orders, run_id="benchmark", store=store, registry=registry)
    return code, registry, store


def run(kind: str, home: Path) -> dict[str, float]:
    """A single run of 30 days x 20 views: seconds, and bytes in the instance's storage."""
    first, last = CLOCK - timedelta(days=RUN_DAYS), CLOCK - timedelta(days=1)
    if kind in ("ours", "without Dagster"):
        code, registry, store = filled(home, VIEWS)
    if kind == "without Dagster":
        given = {"store": store, "registry": registry, "run_id": "benchmark", "clock": CLOCK}
        views = code.in_order[:RUN_VIEWS]
        return {"seconds": timed(lambda: [runs.compute(each, first, CLOCK, **given) for each in views])}
    definitions = ours(home) if kind == "ours" else twin(kind)
    ends = (first, last) if kind != "month" else (last.replace(day=1),) * 2
    names = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    tags = dict(zip(names, (each.date().isoformat() for each in ends), strict=True))
    keys = [dg.AssetKey(["feature_view", f"view_{number}"]) for number in range(RUN_VIEWS)]
    job = definitions.resolve_implicit_global_asset_job_def()
    folder = home / "dagster"
    folder.mkdir(parents=True)
    with dg.DagsterInstance.local_temp(str(folder), overrides={"telemetry": {"enabled": False}}) as instance:
        config = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

        def work() -> None:
            assert job.execute_in_process(run_config=config, instance=instance, asset_selection=keys, tags=tags).success

        seconds = timed(work)
    return {"seconds": seconds, "bytes": sum(each.stat().st_size for each in (folder / "history").rglob("*.db"))}


if HOME in os.environ:  # loaded by `dagster dev`
    defs = ours(Path(os.environ[HOME])) if os.environ["LARGE_PROJECT_KIND"] == "ours" else twin("day")


def dev(kind: str, home: Path) -> dict[str, float]:
    """`dagster dev` once its UI answers with all assets: memory of its processes, which share some of it."""
    from amora_fs_assets_tests.e2e.dagster_dev import graphql
    from amora_fs_assets_tests.emulators.process import free_ports

    (port,) = free_ports(1)
    (home / "instance").mkdir(parents=True)
    (home / "instance" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = {**os.environ, "DAGSTER_HOME": str(home / "instance"), HOME: str(home), "LARGE_PROJECT_KIND": kind}
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "-m", "benchmarks.large_project", "-p", str(port)]
    began = time.perf_counter()
    process = psutil.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        count = 0
        while count < VIEWS:
            assert process.is_running(), "it ends by itself"
            time.sleep(0.5)
            try:
                found = graphql(f"http://127.0.0.1:{port}", "{ assetNodes { id } }")
                count = len(found["assetNodes"])
            except (OSError, AssertionError):
                continue
        seconds = time.perf_counter() - began
        time.sleep(10)  # the daemon has looked
        tree = [process, *process.children(recursive=True)]
        memory = [each.memory_full_info() for each in tree]
        return {"seconds": seconds, "rss": sum(m.rss for m in memory), "pss": sum(m.pss for m in memory)}
    finally:
        tree = [process, *process.children(recursive=True)]
        process.terminate()
        _, alive = psutil.wait_procs(tree, timeout=15)
        for each in alive:
            each.kill()


def service(kind: str, home: Path) -> dict[str, float]:  # noqa: ARG001  (as the other parts)
    """A service of all views: 20 rows of history in a new process, and one entity online."""
    import pandas as pd

    code, registry, store = filled(home, VIEWS)
    for view in code.in_order:
        runs.compute(
            view, CLOCK - timedelta(days=10), CLOCK, store=store, registry=registry, run_id="benchmark", clock=CLOCK
        )
    moments = [CLOCK - timedelta(days=number % 10) for number in range(20)]
    asked = pd.DataFrame({"customer": range(20), "event_timestamp": moments})
    with FeatureStore(Settings(home=home, now=CLOCK)) as features:
        vars(features)["code"] = code
        everything = features.get_feature_service(SERVICE)
        found = []
        history = timed(lambda: found.append(features.get_historical_features(everything, asked).to_df()))
        assert found[0].shape == (20, 2 + VIEWS * FEATURES)
        applied = registry.catalogue()
        for name in code.feature_views:
            runs.materialize(
                applied.feature_view(name), store=store, online=features.online, registry=registry,
                run_id="benchmark", clock=CLOCK, expire=False,
            )  # fmt: skip
        reads = [timed(lambda: features.get_online_features(everything, [{"customer": 7}])) for _ in range(200)]
    return {"history": history, "online": median(reads), "online, most": sorted(reads)[-10]}


def looks(kind: str, home: Path) -> dict[str, float]:  # noqa: ARG001
    """A year of looks that publish each 5 minutes, of one view: what a look reads and works out at its end."""
    from amora_fs_assets.domain.identity.definition import computing_identity
    from amora_fs_assets.orchestration.published import Published

    code, _, store = filled(home, 1)
    (view,) = code.in_order
    identity, step, first = computing_identity(view), timedelta(minutes=5), START
    count = timedelta(days=365) // step
    times = ", ".join(f"TIMESTAMPTZ '{first.isoformat()}' + (i {more}) * INTERVAL 5 MINUTE" for more in ("", "+ 1") * 2)
    import duckdb

    with duckdb.connect(home / "offline.duckdb") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            'INSERT INTO feature_store._publications (start, "end", computed_from, computed_until, sequence, name, '
            '"table", rows, run_id, definition_hash, schema_hash, sql_hash, published_at, identity) '
            f"SELECT {times}, i + 2, '{view.name}', 'feature_store.{view.name}', 100, uuid()::VARCHAR, '', '', '', "
            f"now(), '{identity}' FROM range({count}) r(i)"
        )
    known = Published()
    found: list[Publication] = []
    whole = timed(lambda: found.extend(known.of(store)))
    since = timed(lambda: known.of(store))
    clock = first + count * step
    return {
        "first": whole, "since": since,
        "coverage": timed(lambda: coverages(code, found, clock=clock, dataset=store.dataset)),
    }  # fmt: skip


STORES = {each.__name__: each for each in (load, run, dev, service, looks)}


def measured(part: str, kind: str = "ours") -> dict[str, float]:
    """A part in a process of its own, in a home of its own."""
    with tempfile.TemporaryDirectory() as home:
        said = subprocess.run(
            [sys.executable, "-m", "benchmarks.large_project", part, kind, home],
            capture_output=True,
            text=True,
            check=False,
        )
    assert said.returncode == 0, said.stderr[-3_000:]
    found: dict[str, float] = json.loads(said.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print and keep the tables."""
    began = datetime.now(UTC)
    loads = {kind: [measured("load", kind)["seconds"] for _ in range(3)] for kind in ("ours", "twin")}
    devs = {kind: measured("dev", kind) for kind in ("ours", "twin")}
    done = {k: measured("run", k) for k in ("ours", "without Dagster", "day", "day, no checks", "month")}
    own = done["ours"]["seconds"] - done["without Dagster"]["seconds"]
    whole, year = measured("service"), measured("looks")
    size = {kind: each.get("bytes", 0) / MEBIBYTE for kind, each in done.items()}
    seconds = {kind: each["seconds"] for kind, each in done.items()}

    def pair(what: str, form: str, cells: Callable[[str], float], limit: str = "") -> list[str]:
        return [what, *(format(cells(kind), form) for kind in ("ours", "twin")), limit]

    done["twin"] = done["day"]
    rows = [
        pair("definitions load, libraries imported [s]", ".1f", lambda kind: median(loads[kind]), "4"),
        pair("`dagster dev` until it shows all assets [s]", ".0f", lambda kind: devs[kind]["seconds"]),
        pair("its memory, RSS of its processes [MiB]", ",.0f", lambda kind: devs[kind]["rss"] / MEBIBYTE, "954"),
        pair("the same, shared pages once (PSS) [MiB]", ",.0f", lambda kind: devs[kind]["pss"] / MEBIBYTE),
        pair(f"single run, {RUN_DAYS} days x {RUN_VIEWS} views [s]", ".1f", lambda kind: done[kind]["seconds"]),
        ["the same work without Dagster [s]", f"{seconds['without Dagster']:.1f}", "0", ""],
        ["Dagster's own time per view [s]", f"{own / RUN_VIEWS:.2f}", f"{seconds['day'] / RUN_VIEWS:.2f}", "2"],
        pair("the instance's SQLite [MiB]", ".1f", lambda kind: done[kind]["bytes"] / MEBIBYTE),
    ]
    twins = [
        [kind, f"{seconds[kind]:.1f}", f"{seconds[kind] / RUN_VIEWS:.2f}", f"{size[kind]:.1f}"]
        for kind in ("day", "day, no checks", "month")
    ]
    served = [
        ["20 rows of history of 2,000 features, the first in a process", f"{whole['history']:.2f} s", "3 s"],
        ["one entity online, 2,000 features, median of 200", f"{1000 * whole['online']:.1f} ms", "10 ms"],
        ["the same, 95 of 100", f"{1000 * whole['online, most']:.1f} ms", ""],
        ["the first look after a year of publications each 5 minutes: its read", f"{year['first']:.2f} s", ""],
        ["each look after it: its read", f"{1000 * year['since']:.0f} ms", ""],
        ["coverage of that view", f"{year['coverage']:.2f} s", ""],
    ]
    report(
        "large_project",
        "A large project: 200 views, three years of days",
        f"{Path(sys.executable).name} -m benchmarks.large_project",
        table(["what", "ours", "twin of plain assets", "limit"], rows),
        f"Dagster's own: the time of a run less that of the same work without Dagster. The twin has {CHECKS} checks an "
        f"asset, as ours, and does nothing. The views have {CUSTOMERS} rows a day.",
        "Where the twin's time goes, by its partitions:",
        table(["partitions", "run [s]", "per view [s]", "SQLite [MiB]"], twins),
        "A service of all views:",
        table(["what", "measured", "limit"], served),
        f"Measured in {(datetime.now(UTC) - began).total_seconds() / 60:.0f} minutes, beside other work.",
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        part, kind, folder = sys.argv[1:]
        sys.stdout.write("\n" + json.dumps(STORES[part](kind, Path(folder))) + "\n")
    else:
        main()
