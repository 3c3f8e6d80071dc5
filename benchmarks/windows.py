"""Rolling windows beside a DuckDB query that was written by hand for this case.

    python -m benchmarks.windows            # 200k, 1M and 10M events; about 12 minutes
    python -m benchmarks.windows 1000000    # other numbers of events
    python -m benchmarks.windows --temporian PYTHON   # of a Python with temporian "numpy<2" "pandas<2.3"

Events of 100 per key over 90 days; hourly ticks, rows on change; count, sum, mean, min, max and the number of different
values. Each run is a process of its own, in turn; both sides write the same table, and the results are compared by
count and sums.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from benchmarks.measure import median, peak_memory, report, table

WINDOWS = {"1h": 1, "24h": 24, "7d": 168, "30d": 720, "14d": 336}
NUMBERS = [200_000, 1_000_000, 10_000_000]
ROUNDS = 3
MEDIUM = 500_000
"""From so many events on, there is one run of each side."""
LARGE = 5_000_000
"""From so many events on, there are four windows only, and no Temporian."""
LIMIT = "1500MB"
HOUR = 3_600


def events(path: Path, number: int) -> None:
    """The table of events."""
    with duckdb.connect(path) as connection:
        connection.execute(
            f"CREATE TABLE ev AS SELECT (hash(i) % {number // 100})::BIGINT k, make_timestamp((1700000000000000 + "
            "(hash(i * 7 + 1) % (90::UBIGINT * 86400 * 1000000))::BIGINT))::TIMESTAMPTZ t, "
            "(hash(i * 3) % 10000) / 100.0::DOUBLE v, "
            f"(hash(i * 11) % 20)::BIGINT p FROM range({number}) r(i)"
        )


def ours(names: Sequence[str]) -> str:
    """The SQL of `rolling`."""
    import ibis
    import ibis.expr.datatypes as dt

    from amora_fs_assets import Interval, Source, SourceSchema, Timestamp
    from amora_fs_assets.domain.known import handing
    from amora_fs_assets.windows import Windows, count, max_, mean, min_, nunique, rolling, sum_

    schema = type("Events", (SourceSchema,), {"__annotations__": {"k": int, "t": Timestamp, "v": float, "p": int},
                                              "__module__": __name__})  # fmt: skip
    source = Source("ev", schema, table="main.ev", timestamp_field="t")
    rows = ibis.table({"k": "int64", "t": dt.Timestamp("UTC", 6), "v": "float64", "p": "int64"}, name="ev")
    with handing({"ev": rows}, {"ev": source}):
        query = rolling(
            rows, Windows(*names), by="k", time="t", interval=Interval("2023-01-01", "2025-01-01"), n=count(),
            total=sum_("v"), mean=mean("v"), least=min_("v"), greatest=max_("v"), different=nunique("p"),
        )  # fmt: skip
    return str(ibis.to_sql(query, dialect="duckdb"))


def by_hand(names: Sequence[str]) -> str:
    """The same rows by SQL for exactly this case: each window at its own ticks, then its values carried to all ticks.

    No value is null, so a window is empty where its count is 0, and other values may be those of earlier ticks.
    """
    lengths = {name: WINDOWS[name] * HOUR for name in names}
    began = ", ".join(f"count(*) FILTER (s IS NULL OR s >= {w}) b{n}" for n, w in lengths.items())
    ended = ", ".join(f"count(*) FILTER (u IS NULL OR u >= {w}) e{n}" for n, w in lengths.items())
    own = " UNION ALL ".join(
        f"""SELECT * EXCLUDE (nxt), {w} w FROM (
            SELECT k, o, lead(o) OVER (PARTITION BY k ORDER BY o) nxt, coalesce(sum(n) OVER f, 0)::BIGINT n,
                sum(s) OVER f s, min(l) OVER f l, max(g) OVER f g,
                (coalesce(sum(b) OVER up, 0) - coalesce(sum(e) OVER x, 0))::BIGINT d
            FROM (
                SELECT k, o, n, s, l, g, b{n} b, e{n} e FROM h
                UNION ALL SELECT k, o + {w}, NULL, NULL, NULL, NULL, NULL, NULL FROM h
            )
            WINDOW f AS (PARTITION BY k ORDER BY o RANGE BETWEEN {w - HOUR} PRECEDING AND CURRENT ROW),
                up AS (PARTITION BY k ORDER BY o RANGE UNBOUNDED PRECEDING),
                x AS (PARTITION BY k ORDER BY o RANGE BETWEEN UNBOUNDED PRECEDING AND {w} PRECEDING)
        ) WHERE nxt IS DISTINCT FROM o"""
        for n, w in lengths.items()
    )
    carried = ", ".join(
        f"last_value(CASE WHEN w = {w} THEN {kind} END IGNORE NULLS) OVER up {kind}{n}"
        for n, w in lengths.items()
        for kind in "nslgd"
    )
    values = ", ".join(
        f"coalesce(n{n}, 0) n_{n}, CASE WHEN n{n} > 0 THEN s{n} ELSE 0 END total_{n}, "
        f"CASE WHEN n{n} > 0 THEN s{n} / n{n} END mean_{n}, CASE WHEN n{n} > 0 THEN l{n} END least_{n}, "
        f"CASE WHEN n{n} > 0 THEN g{n} END greatest_{n}, coalesce(d{n}, 0) different_{n}"
        for n in lengths
    )
    return f"""
    WITH e AS (SELECT k, (epoch_us(t) // {HOUR * 1_000_000} + 1) * {HOUR} o, v, p FROM ev),
    d AS (SELECT DISTINCT k, p, o FROM e),
    r AS (SELECT k, o, o - lag(o) OVER y s, lead(o) OVER y - o u FROM d WINDOW y AS (PARTITION BY k, p ORDER BY o)),
    h AS MATERIALIZED (
        SELECT * FROM (SELECT k, o, count(*) n, sum(v) s, min(v) l, max(v) g FROM e GROUP BY ALL)
        JOIN (SELECT k, o, {began}, {ended} FROM r GROUP BY ALL) USING (k, o)
    ),
    t AS ({own}),
    f AS (
        SELECT k, o, lead(o) OVER (PARTITION BY k ORDER BY o) nxt, {carried} FROM t
        WINDOW up AS (PARTITION BY k ORDER BY o RANGE UNBOUNDED PRECEDING)
    )
    SELECT k, to_timestamp(o) event_timestamp, {values} FROM f WHERE nxt IS DISTINCT FROM o"""


def one(path: str, side: str, names: Sequence[str]) -> None:
    """Run one side, and print its seconds, CPU seconds, peak memory [MiB] and a digest of the result."""
    sql = (ours if side == "ours" else by_hand)(names)
    with duckdb.connect(path) as connection:
        connection.execute(f"SET TimeZone = 'UTC'; SET memory_limit = '{LIMIT}'; SET preserve_insertion_order = false")
        began, used = time.perf_counter(), time.process_time()
        connection.execute(f"CREATE OR REPLACE TABLE result AS {sql}")
        seconds, cpu, peak = time.perf_counter() - began, time.process_time() - used, peak_memory()
        sums = ", ".join(f"sum(n_{n}), sum(total_{n})" for n in names)
        rest = ", ".join(f"sum(different_{n}), sum(least_{n}), sum(greatest_{n}), sum(mean_{n})" for n in names)
        digest = connection.execute(f"SELECT count(*), {sums}, {rest} FROM result").fetchone()
        if side == "ours":
            for name, query in (("events", "SELECT k, epoch(t) t, v FROM ev ORDER BY t"),
                                ("ticks", "SELECT k, epoch(event_timestamp) t FROM result")):  # fmt: skip
                columns: dict[str, Any] = connection.execute(query).fetchnumpy()
                np.savez(Path(path).parent / name, **columns)
        connection.execute("DROP TABLE result")
    print(json.dumps([seconds, cpu, peak, [float(each) for each in digest or ()]]))


def run(path: Path, side: str, names: Sequence[str], temporian: str) -> tuple[float, float, float, list[float]]:
    """One side in a process of its own: seconds, CPU seconds, peak memory [MiB], digest."""
    if side == "Temporian":
        script, hours = Path(__file__).with_name("windows_temporian.py"), [str(WINDOWS[name]) for name in names]
        command = [temporian, str(script), str(path.parent), *hours]
    else:
        command = [sys.executable, "-m", "benchmarks.windows", "--one", str(path), side, *names]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, cpu, peak, digest = json.loads(done.stdout.splitlines()[-1])
    return seconds, cpu, peak, digest


Cpu = dict[tuple[int, str, int], float]
"""CPU seconds by events, side and windows."""


def measured(path: Path, number: int, names: Sequence[str], temporian: str, used: Cpu) -> list[list[str]]:
    """The rows of the table for these windows: the sides in turn. Raises AssertionError if their results differ.

    The CPU seconds are added to `used`.
    """
    found: dict[str, list[tuple[float, float, float, list[float]]]] = {
        side: [] for side in ("by hand", "ours", *(["Temporian"] if temporian and number < LARGE else []))
    }
    for _ in range(ROUNDS if number < MEDIUM else 1):
        for side, runs in found.items():
            runs.append(run(path, side, names, temporian))
    right = found["by hand"][0][3]
    for side, runs in found.items():
        for *_rest, digest in runs:
            same = [math.isclose(one, two, rel_tol=1e-9) for one, two in zip(digest, right, strict=False)]
            assert all(same), f"{side} differs: {digest}, {right}"
    for side, runs in found.items():
        used[number, side, len(names)] = median([cpu for _, cpu, _, _ in runs])
    return [
        [
            _words(number), str(len(names)), f"{right[0]:,.0f}",
            side, f"{median([each[0] for each in runs]):.1f} s", f"{(cpu := used[number, side, len(names)]):.1f} s",
            f"{cpu / used[number, 'by hand', len(names)]:.2f}", f"{max(each[2] for each in runs):,.0f} MiB",
        ]
        for side, runs in found.items()
    ]  # fmt: skip


def _words(number: int) -> str:
    return f"{number // 1_000_000}M" if number >= 1_000_000 else f"{number:,}"


def compared(used: Cpu) -> list[str]:
    """What a fifth window costs to the first, and ten times the events to the first ones, each as a line."""
    lines = []
    for number, side, windows in used:
        if windows == 5:
            fifth, first = used[number, side, 5] - used[number, side, 4], used[number, side, 1]
            lines.append(
                f"- {_words(number)} events, {side}: a fifth window costs {fifth / first:.1f} times the first."
            )
        fewer = [n for n, *rest in used if n < number and rest == [side, 4]]
        if windows == 4 and fewer:
            cost, times = used[number, side, 4] / used[max(fewer), side, 4], number / max(fewer)
            lines.append(
                f"- {_words(number)} events, {side}: {cost:.1f} times the CPU for {times:.0f} times the events."
            )
    return lines


def main(numbers: Sequence[int], temporian: str) -> None:
    """Measure, compare the results, and write the table."""
    rows, used = [], Cpu()
    for number in numbers:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            path = Path(folder) / "events.duckdb"
            events(path, number)
            for windows in (1, 4, 5) if number < LARGE else (4,):
                rows += measured(path, number, list(WINDOWS)[:windows], temporian, used)
                print(*rows[-3:], sep="\n", flush=True)
    head = ["events", "windows", "rows", "side", "median", "CPU", "CPU to by hand", "peak memory"]
    command = "python -m benchmarks.windows" + " --temporian PYTHON" * bool(temporian)
    if list(numbers) != NUMBERS:
        command += "".join(f" {each}" for each in numbers)
    report(
        "windows", "Rolling windows", command,
        "Six aggregates (count, sum, mean, min, max, number of different values), hourly ticks, rows on change; 100 "
        f"events per key over 90 days. DuckDB with a memory limit of {LIMIT}, the rest on disk. {ROUNDS} runs of each "
        f"side up to {MEDIUM:,} events, then one. The query by hand is the fastest that we know, for exactly this "
        "case. The ratio is of CPU seconds, which other processes on the machine change less than wall time. At most "
        "1.5 times the query by hand is wanted, a cost linear in events, a quarter of the first window's cost for a "
        "fifth, and 10M events under 2 GB.",
        *["Temporian 0.9 gets the ticks, writes no table, and computes five of the six aggregates."] * bool(temporian),
        table(head, rows), "\n".join(compared(used)),
    )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], sys.argv[3], sys.argv[4:])
    else:
        arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        arguments.add_argument("numbers", nargs="*", type=int, default=NUMBERS)
        arguments.add_argument("--temporian", default="", metavar="PYTHON", help="a Python with temporian")
        given = arguments.parse_args()
        main(given.numbers, given.temporian)
