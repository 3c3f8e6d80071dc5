"""What a day of automation reads: the runs that compute each view's newest rows, by what one of them reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.offline.upkeep import slot
from amora_fs_assets.operations.registry.impact import Recompute, Scan
from amora_fs_assets.operations.registry.scan_estimate import scans

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Daily:
    """A view's runs of a day, and what they read together."""

    view: str
    runs: int
    scan: Scan


def day(code: Catalogue, store: OfflineStore, *, clock: datetime, every: timedelta) -> tuple[Daily, ...]:
    """For each computed view its runs of a day, where its newest rows are computed so often, and what they read.

    A view without partitions is computed once. What is read is that of the newest slot that has ended, as often as
    there are runs. Loads, parity, training sets and late rows come on top of that.
    """
    views = [view for view in code.in_order if view.table is None]
    asked = {view.name: _slot(view, clock, every) for view in views}
    found = scans(list(asked.values()), code, store)
    return tuple(_of(view.name, DAY // every if view.partitions else 1, found[asked[view.name]]) for view in views)


def total(days: Iterable[Daily]) -> Daily:
    """All of them together; what nobody knows of a view is left out, and said."""
    found = list(days)
    unit = found[0].scan.unit if found else "rows"
    unknown = sum(each.scan.amount is None for each in found)
    note = f"{unknown} view{'s' * (unknown != 1)} unknown" if unknown else ""
    return Daily(
        "together",
        sum(each.runs for each in found),
        Scan(sum(each.scan.amount or 0 for each in found), unit, note=note),
    )


def _slot(view: FeatureView, clock: datetime, every: timedelta) -> Recompute:
    whole = view.interval(clock)
    if view.partitions is None:
        return Recompute(view.name, whole, "a day")
    end = max(whole.start, slot(clock, every))
    return Recompute(view.name, Interval(max(whole.start, end - every), end), "a slot")


def _of(view: str, runs: int, scan: Scan) -> Daily:
    return Daily(view, runs, scan if scan.amount is None else replace(scan, amount=scan.amount * runs))
