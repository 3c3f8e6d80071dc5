"""A view's periods as Dagster partitions, and its dependencies as partition mappings."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

import dagster as dg

from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.time import Interval, Period, utc, wall_clock
from amora_fs_assets.operations.offline.coverage import coverage_now
from amora_fs_assets.orchestration.names import Names

_CRON = {Period.HOUR: "0 * * * *", Period.DAY: "0 0 * * *", Period.WEEK: "0 0 * * 0", Period.MONTH: "0 0 1 * *"}

STRETCH = {
    "start": dg.Field(
        str, default_value="", description="Compute from this instant; empty: from the first partition's start."
    ),
    "end": dg.Field(
        str, default_value="", description="Compute up to this instant; empty: up to the last partition's end."
    ),
}
"""Config of a run of a view: a part of its partitions."""

_LIFE_OF_A_PROCESS = timedelta(days=366)  # for which a code location that is loaded once is right


def partitions_of(view: FeatureView, now: datetime | None) -> dg.TimeWindowPartitionsDefinition | None:
    """The view's periods up to the present one, or up to the period that contains the fixed clock `now`."""
    if view.partitions is None or view.start is None:
        return None
    end = view.partitions.next(view.partitions.floor(now)) if now is not None else None
    return dg.TimeWindowPartitionsDefinition(
        start=view.start,
        end=end,
        end_offset=0 if end else 1,
        fmt="%Y-%m-%d-%H:%M" if view.partitions is Period.HOUR else "%Y-%m-%d",
        cron_schedule=_CRON[view.partitions],
        timezone="UTC",
    )


def asked_for(context: dg.AssetExecutionContext, view: FeatureView) -> tuple[datetime, datetime] | None:
    """The time of the run's partitions of the view; None for a run without partitions.

    Raises InvalidRequest for partitions that the view does not have.
    """
    definition = context.assets_def.partitions_def
    if not isinstance(definition, dg.TimeWindowPartitionsDefinition):
        return None
    if not (context.has_partition_key or context.has_partition_key_range):
        return None
    key_range = context.partition_key_range
    for key in (key_range.start, key_range.end):
        if not definition.has_partition_key(key):
            first, last = definition.get_first_partition_key(), definition.get_last_partition_key()
            raise InvalidRequest(
                f"{view} has no partition '{key}'. It has one partition per {view.partitions}, from '{first}' to "
                f"'{last}'. Choose one of these, or change `start` of the view."
            )
    begin, end = (definition.time_window_for_partition_key(key) for key in (key_range.start, key_range.end))
    return begin.start, end.end


def missing(
    view: FeatureView, publications: Iterable[Publication], clock: datetime, dataset: str
) -> tuple[datetime, datetime]:
    """The interval for a run without a partition: from the first to the last instant that is not current.

    If all is current: the present period. For a view without partitions: always everything.
    """
    if view.partitions is None or view.start is None:
        return view.start or clock, clock
    gaps = coverage_now(view, publications, clock=clock, dataset=dataset).to_compute
    if not gaps:
        return view.partitions.floor(clock - timedelta.resolution), clock
    return gaps[0].start, gaps[-1].end


def periods_of(view: FeatureView, interval: Interval, now: datetime | None) -> Iterator[tuple[str, Interval]]:
    """The partitions that the interval touches: key and time of each."""
    definition = partitions_of(view, now)
    if definition is None or view.partitions is None:
        return
    for part in view.partitions.parts(interval):
        start = view.partitions.floor(part.start)
        yield start.strftime(definition.fmt), Interval(start, view.partitions.next(start))


def completed(
    view: FeatureView,
    interval: Interval,
    publications: Iterable[Publication],
    *,
    now: datetime | None,
    clock: datetime,
    dataset: str,
) -> Iterator[tuple[str, Interval]]:
    """The partitions in the interval that ended before the clock and are computed completely, by this run and others.

    `now` is the fixed clock of the settings, if there is one.
    """
    gaps = coverage_now(view, publications, clock=clock, dataset=dataset).to_compute
    for partition, period in periods_of(view, interval, now):
        if period.end <= clock and not any(gap.start < period.end and gap.end > period.start for gap in gaps):
            yield partition, period


def dependency(view: FeatureView, source: Source | FeatureView, names: Names) -> dg.AssetDep:
    """The dependency on the asset of a source or view. Of a partitioned asset, the view reads the same periods and as
    many before as its lookback and the lateness of the rows need.
    """
    if isinstance(source, Source):
        return dg.AssetDep(names.key("raw", source.name))
    key = names.key("feature_view", source.name)
    if source.partitions is None or view.partitions is None:
        return dg.AssetDep(key)
    reach = view.lookback + _lateness(source)
    if source.start is not None:  # a window without a beginning reaches back to the first partition
        reach = min(reach, max(wall_clock() - source.start, timedelta(0)) + _LIFE_OF_A_PROCESS)
    periods = math.ceil(reach / view.partitions.shortest)
    with warnings.catch_warnings():  # Dagster would warn once per view of a view at each start
        warnings.simplefilter("ignore", dg.BetaWarning)
        mapping = dg.TimeWindowPartitionMapping(start_offset=-periods, allow_nonexistent_upstream_partitions=True)
    return dg.AssetDep(key, partition_mapping=mapping)


def _lateness(view: FeatureView) -> timedelta:
    """The longest time between event_timestamp and the rows becoming known, as far as definitions limit it.

    Rows of a view with created_timestamp may be as late as the rows of its sources.
    """
    if not view.has_created_timestamp:
        return timedelta(0)
    bounds = (s.max_lateness if isinstance(s, Source) else _lateness(s) for s in view.sources)
    return max((each for each in bounds if each is not None), default=timedelta(0))


def stretch(config: Mapping[str, str] | None, start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The part of [start, end), the time of the run's partitions, that the run's config selects.

    Raises InvalidRequest.
    """
    times = {name: utc(value, name) for name, value in (config or {}).items() if value}
    if not times:
        return start, end
    first, last = times.get("start", start), times.get("end", end)
    if not start <= first < last <= end:
        raise InvalidRequest(
            f"The run's config gives [{first.isoformat()}, {last.isoformat()}), which is not inside the time of its "
            f"partitions, [{start.isoformat()}, {end.isoformat()}). Give start and end inside, or leave them empty."
        )
    return first, last
