"""Features at request time: ten expressions beside the plain read of the 30 features of online.py, in one run.

python -m benchmarks.formulas [--seconds 4]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ibis

from amora_fs_assets import (
    FeatureSchema,
    FeatureService,
    FeatureStore,
    Field,
    OnDemandFeatureView,
    Settings,
    request_time,
)
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.request_time.by_columns import by_columns
from amora_fs_assets.domain.request_time.by_rows import by_rows
from amora_fs_assets.domain.request_time.evaluate import MANY
from amora_fs_assets.domain.request_time.formula import joined
from amora_fs_assets.domain.time import EPOCH, MICROSECOND
from benchmarks.measure import report, table
from benchmarks.online_data import NOW, VIEWS, batch, server, views

ENTITIES = 10_000
SIZES = (1, 10, 100, 1_000)
READS = ("plain", "with_ten")
EVALUATED = (1, 10, 50, 100, 200, 400, 1_000, 10_000)


class Ten(FeatureSchema):
    """Ten features at request time."""

    ratio: float = Field(nullable=True, description="A quotient.")
    above: bool = Field(nullable=True, description="A comparison.")
    part: float = Field(nullable=True, description="A quotient of whole numbers.")
    filled: float = Field(nullable=True, description="A sum without nulls.")
    size: str = Field(nullable=True, description="A choice of texts.")
    log: float = Field(nullable=True, description="A logarithm.")
    known: bool = Field(nullable=True, description="Logic with a text.")
    mean: float = Field(nullable=True, description="A mean of three.")
    rest: int = Field(nullable=True, description="A remainder.")
    hour: int = Field(nullable=True, description="The hour of the request.")


def expressions(
    v0_f0: Any, v0_f1: Any, v0_f7: Any, v0_f8: Any, v0_f9: Any, v1_f0: Any, v1_f1: Any, v2_f0: Any, basket: Any
) -> Mapping[str, Any]:
    """Over nine columns: eight of three views and one of the request."""
    return {
        "ratio": basket / v0_f0,
        "above": basket > v0_f1 * 2,
        "part": v0_f7 / v0_f8,
        "filled": ibis.coalesce(v1_f0, 0.0) + basket,
        "size": ibis.cases((basket > 100, "large"), (basket > 20, "medium"), else_="small"),
        "log": (basket + 1).ln(),
        "known": v0_f9.startswith("t1") & (v0_f7 > 10),
        "mean": (v1_f0 + v1_f1 + v2_f0) / 3,
        "rest": v0_f8 % 7,
        "hour": request_time().hour(),
    }


def feature_store(url: str, home: Path) -> tuple[FeatureStore, OnDemandFeatureView]:
    """A store with the service `plain` of 30 features, and `with_ten` of these and ten at request time."""
    store = FeatureStore(Settings(home=home, online_store_url=url))
    made = views()
    one, two, three = made
    inputs = [one["v0_f0", "v0_f1", "v0_f7", "v0_f8", "v0_f9"], two["v1_f0", "v1_f1"], three["v2_f0"]]
    ten = OnDemandFeatureView("ten", Ten, inputs, expressions, request={"basket": float})
    services = [FeatureService("plain", made), FeatureService("with_ten", [*made, ten])]
    store.registry.apply(Catalogue.of([*made, ten, *services]), parent=None, clock=NOW)
    for number, view in enumerate(made):
        store.online.load(view, [batch(number, 0, ENTITIES)], published_through=1, clock=NOW, new_generation=True)
    return store, ten


def reads(store: FeatureStore, seconds: float) -> list[list[str]]:
    """The fast end of each read [ms], one after the other in turns: of the time, and of this process' work."""
    rows = []
    for size in SIZES:
        asked = {"driver": [number * 7 % ENTITIES for number in range(size)]}
        wanted: dict[str, Any] = {
            "plain": asked,
            "with_ten": asked | {"basket": [number * 0.5 for number in range(size)]},
        }
        times: dict[str, list[float]] = {name: [] for name in READS}
        worked: dict[str, list[float]] = {name: [] for name in READS}
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            for name in READS:
                began, began_work = time.perf_counter(), time.process_time()
                store.get_online_features(name, wanted[name])
                worked[name].append(time.process_time() - began_work)
                times[name].append(time.perf_counter() - began)
        row = [f"{size:,}"]
        for each in (times, worked):
            plain, more = (fast(each[name]) * 1e3 for name in READS)
            row += [f"{plain:.3f}", f"{more:.3f}", f"{more / plain:.2f}"]
        rows.append(row)
    return rows


def fast(times: Sequence[float]) -> float:
    """The tenth percentile: what others on the machine disturbed least."""
    return sorted(times)[len(times) // 10]


def evaluations(ten: OnDemandFeatureView, seconds: float) -> list[list[str]]:
    """The fast end of the ten expressions alone [ms], row by row and column by column."""
    steps, results = joined(ten.formulas)
    now = (NOW - EPOCH) // MICROSECOND
    both = by_rows(steps, list(results.values())), by_columns(steps, list(results.values()))
    rows = []
    for count in EVALUATED:
        columns = {f"v{v}_{name.partition('_')[2]}": values for v in range(VIEWS)
                   for name, values in batch(v, 0, count).to_pydict().items() if "_f" in name}  # fmt: skip
        columns["basket"] = [number * 0.5 for number in range(count)]
        shown = [f"{_fast(made, columns, now, count, seconds=seconds / 8) * 1e3:.4f}" for made in both]
        rows.append([f"{count:,}", *shown])
    return rows


def _fast(call: Callable[..., Any], *arguments: Any, seconds: float) -> float:
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        call(*arguments)
        times.append(time.perf_counter() - began)
    return fast(times)


def main() -> None:
    """Print and keep the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    seconds = parser.parse_args().seconds
    with server() as url, tempfile.TemporaryDirectory() as home:
        store, ten = feature_store(url, Path(home))
        read = reads(store, seconds)
    report(
        "formulas",
        "Features at request time: ten expressions",
        "python -m benchmarks.formulas",
        f"One Valkey on loopback, {ENTITIES:,} entities, 30 features in 3 views; the expressions read nine columns.",
        "The online read, by the SDK, tenth percentile: the time, and the processor time of the client.",
        table(
            ["entities", "plain [ms]", "with ten [ms]", "ratio", "plain, work [ms]", "with ten, work [ms]", "ratio"],
            read,
        ),
        f"The expressions alone, tenth percentile. The evaluator goes by rows for fewer than {MANY}, else by columns:",
        table(["rows", "row by row [ms]", "column by column [ms]"], evaluations(ten, seconds)),
    )


if __name__ == "__main__":
    main()
