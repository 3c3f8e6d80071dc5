"""An estimate of what a day of automation scans: the runs for the newest rows of each view."""

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
    """A view's runs of a day, and the total of their scans."""

    view: str
    runs: int
    scan: Scan


def day(code: Catalogue, store: OfflineStore, *, clock: datetime, every: timedelta) -> tuple[Daily, ...]:
    """The runs of a day and their scans for each computed view, if newest rows are computed once per `every`.

    A view without partitions is computed once a day. The estimate multiplies the scan of the last complete slot by the
    number of runs. Loads, parity, training sets and late rows are not included.
    """
    views = [view for view in code.in_order if view.table is None]
    intervals = {view.name: _slot(view, clock, every) for view in views}
    found = scans(list(intervals.values()), code, store)
    return tuple(_of(view.name, DAY // every if view.partitions else 1, found[intervals[view.name]]) for view in views)


def total(days: Iterable[Daily]) -> Daily:
    """The total; views with an unknown scan are left out and counted in the note."""
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
