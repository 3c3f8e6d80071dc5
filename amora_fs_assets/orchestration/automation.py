"""Automation: a sensor that asks the store what is missing, and requests the runs that bring it up to date.

The store's coverage decides, not Dagster's partition status: a partition that was computed five seconds after midnight
is materialized, and the rest of its day is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import dagster as dg

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionError, FeatureStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.coverage import Coverage, coverages, merged, without
from amora_fs_assets.operations.definitions import check_applied
from amora_fs_assets.operations.impact import Recompute
from amora_fs_assets.operations.scan import scans
from amora_fs_assets.operations.tables import table_name
from amora_fs_assets.operations.upkeep import Piece, Upkeep, awaiting, costly, is_due, slot
from amora_fs_assets.orchestration.in_progress import assets_in_progress
from amora_fs_assets.orchestration.partitions import partitions_of
from amora_fs_assets.orchestration.parts import PARTS, Parts

SENSOR = "feature_store_automation"
MAX_RUNTIME = "dagster/max_runtime"


@dataclass(frozen=True, kw_only=True)
class Automation:
    """What `build_definitions(automation=...)` keeps up to date, and how often. `True` means `Automation()`.

    Slots are aligned to UTC: with `every` 15 minutes the newest rows are computed at 00:00, 00:15 and so on, so that
    the day that has ended and the day that has begun are both computed right after midnight.
    """

    every: timedelta = timedelta(minutes=15)
    """How often the newest rows of a view are computed and loaded online."""
    views: Mapping[str, timedelta] = field(default_factory=dict)
    """The same for single views, by name."""
    whole: timedelta = timedelta(days=1)
    """How often a view without partitions is computed, and a table that somebody else fills is checked and loaded."""
    looks: timedelta = timedelta(seconds=30)
    """How long the sensor waits between two looks."""
    budget: int = 100 * 2**30
    """What one run may read to compute a new or changed definition, or changed inputs [bytes; rows in DuckDB]."""
    longest: timedelta = timedelta(hours=6)
    """A run that takes longer is ended where Dagster monitors runs, and is not waited for anywhere."""

    def __post_init__(self) -> None:
        """Raise DefinitionError for what is no length of time, and for a budget below zero."""
        times = {name: getattr(self, name) for name in ("every", "whole", "looks", "longest")}
        for name, length in {**times, **{f"views[{view!r}]": each for view, each in self.views.items()}}.items():
            if not isinstance(length, timedelta) or length < timedelta(seconds=1):
                raise DefinitionError(f"Automation: {name} is {length!r}. Give a timedelta of one second or more.")
        if type(self.budget) is not int or self.budget < 0:
            raise DefinitionError(f"Automation: budget is {self.budget!r}. Give a whole number of bytes, 0 or more.")

    def cadence(self, view: FeatureView) -> timedelta:
        """How often the view is computed."""
        return self.views.get(view.name, self.every if view.partitions is not None else self.whole)

    def check(self, code: Catalogue) -> None:
        """Raise DefinitionError for a view that the code does not define."""
        unknown = sorted(set(self.views) - set(code.feature_views))
        if unknown:
            raise DefinitionError(f"Automation: there is no feature view {unknown[0]!r} to be computed by itself.")


def automation_sensor(automation: Automation, code: Catalogue) -> dg.SensorDefinition:
    """The sensor `feature_store_automation`, which runs as soon as a daemon does."""
    automation.check(code)

    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        parts = getattr(context.resources, PARTS)
        assert isinstance(parts, Parts), "the resource gives the parts"
        assert context.repository_def is not None, "Dagster gives it to sensors that target assets"
        busy = assets_in_progress(context.instance, context.repository_def, automation.longest)
        view_of_store = _Look(automation, parts, busy, context.repository_def, json.loads(context.cursor or "{}"))
        requests = list(view_of_store.requests())
        for line in view_of_store.said:
            context.log.info(line)
        nothing = "\n".join(view_of_store.said) or "Everything is up to date."
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else dg.SkipReason(nothing),
            cursor=json.dumps(view_of_store.state),
        )

    return dg.SensorDefinition(
        name=SENSOR,
        evaluation_fn=look,
        asset_selection=dg.AssetSelection.all(),
        minimum_interval_seconds=max(1, int(automation.looks.total_seconds())),
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={PARTS},
        description="Computes what is missing up to the clock, and loads it online.",
    )


@dataclass
class _Look:
    """One look at the store: what is to be run now, and what the next look has to know."""

    automation: Automation
    parts: Parts
    busy: frozenset[dg.AssetKey]
    repository: dg.RepositoryDefinition
    state: dict[str, Any]
    said: list[str] = field(default_factory=list)
    unreachable: str = ""  # what the online store said, where it did not answer

    def requests(self) -> Iterator[dg.RunRequest]:
        for view in self.parts.code.in_order:
            try:
                check_applied(view, self.parts.applied)
            except FeatureStoreError as error:
                self.said.append(str(error))
                continue
            if self.busy & {_key("feature_view", view), _key("online", view)}:
                continue
            request = self._computation(view) if view.table is None else self._reload(view)
            yield from filter(None, [request or self._load(view)])

    def _computation(self, view: FeatureView) -> dg.RunRequest | None:
        """The piece of the view that is due, computed and loaded online."""
        every, found = self.automation.cadence(view), self._coverages[view.name]
        published = self._published.get(table_name(view, self.parts.offline.dataset), [])
        views = self.state.setdefault("views", {})
        upkeep = Upkeep.of(views[view.name]) if view.name in views else Upkeep()
        upkeep = upkeep.settled(view, found.to_compute, published, self.clock, every)
        piece = upkeep.next(self._free(view, found, published=bool(published)), self.clock, every)
        if piece is not None:
            upkeep = upkeep.asking(piece, self.clock, self._newest)
        views[view.name] = upkeep.plain()
        return self._run(view, piece) if piece is not None else None

    def _free(self, view: FeatureView, found: Coverage, *, published: bool) -> tuple[Interval, ...]:
        """What of the gaps can be computed now: no view that is read is to be computed first, and it is in budget."""
        waiting = awaiting(view, self._coverages, self.clock)
        if view.partitions is None:
            begun = slot(self.clock, self.automation.cadence(view))
            if any(each.start < begun for each in waiting):
                return ()
            return () if self._over(view, costly(found, published=published)) else found.to_compute
        free = [left for gap in found.to_compute for left in without(gap, waiting)]
        dear = merged(left for each in costly(found, published=published) for left in without(each, waiting))
        over = self._over(view, dear)
        return merged(left for gap in free for left in without(gap, over))

    def _over(self, view: FeatureView, intervals: Iterable[Interval]) -> list[Interval]:
        """Those that read more than the budget, or nobody knows how much; both are said."""
        asked = [Recompute(view.name, each, "automation") for each in intervals]
        over = []
        for each, scan in scans(asked, self.parts.code, self.parts.offline).items():
            if scan.amount is None:
                self.said.append(f"{view} {each.interval} waits: {scan.reason}.")
            elif scan.amount > self.automation.budget:
                self.said.append(
                    f"{view} {each.interval} is not computed by automation: it reads {scan.amount:,} {scan.unit}, and "
                    f"the budget is {self.automation.budget:,}. Where you mean it, `amora-fs compute --views "
                    f"{view.name}`, or materialize these partitions."
                )
            else:
                continue
            over.append(each.interval)
        return over

    def _reload(self, view: FeatureView) -> dg.RunRequest | None:
        """A table that somebody else fills: checked and loaded as often as `whole` says."""
        return self._run(view, None) if self._due(f"online/{view.name}", self.automation.cadence(view)) else None

    def _load(self, view: FeatureView) -> dg.RunRequest | None:
        """A load alone, where publications are not online: made by hand, or with a load that failed."""
        published = self._published.get(table_name(view, self.parts.offline.dataset), [])
        newest = max((each.sequence for each in published), default=0)
        if not newest or self._online(view, newest):
            return None
        loads = self.state.setdefault("loads", {})
        sequence, last = loads.get(view.name, (0, None))
        if sequence == newest and not is_due(datetime.fromisoformat(last), self.clock, self.automation.cadence(view)):
            return None
        loads[view.name] = (newest, self.clock.isoformat())
        return self._request([_key("online", view)], {})

    def _online(self, view: FeatureView, newest: int) -> bool:
        """Whether the publication, and so each before it, is online; true, too, where nobody can say."""
        if self.unreachable:
            return True
        try:
            there = self.parts.online.generation(view)
        except FeatureStoreError as error:
            self.unreachable = str(error)
            self.said.append(f"What is online cannot be asked: {error}")
            return True
        served = self.parts.applied.feature_view(view.name)
        return (
            there is not None
            and (there.view_id, there.schema_hash) == (served.view_id, served.schema_hash)
            and there.cursor >= newest
            and not there.partial
        )

    def _due(self, what: str, every: timedelta) -> bool:
        """Whether a slot has begun since `what` was asked for; then it counts as asked for."""
        last = self.state.setdefault("asked", {}).get(what)
        if not is_due(datetime.fromisoformat(last) if last else None, self.clock, every):
            return False
        self.state["asked"][what] = self.clock.isoformat()
        return True

    def _run(self, view: FeatureView, piece: Piece | None) -> dg.RunRequest:
        keys = [_key("feature_view", view), _key("online", view)]
        definition = partitions_of(view, self.parts.settings.now)
        if piece is None or definition is None or view.partitions is None:
            return self._request(keys, {})
        start, end = piece.interval.start, piece.interval.end
        first, last = (
            view.partitions.floor(each).strftime(definition.fmt) for each in (start, end - timedelta.resolution)
        )
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        config = {"start": start.isoformat(), "end": end.isoformat()}
        return self._request(keys, tags, {"ops": {f"feature_view__{view.name}": {"config": config}}})

    def _request(
        self, keys: list[dg.AssetKey], tags: Mapping[str, str], config: Mapping[str, Any] | None = None
    ) -> dg.RunRequest:
        longest = str(int(self.automation.longest.total_seconds()))
        return dg.RunRequest(asset_selection=keys, tags={MAX_RUNTIME: longest, **tags}, run_config=config or {})

    @cached_property
    def clock(self) -> datetime:
        return self.parts.settings.clock()

    @cached_property
    def _publications(self) -> tuple[Publication, ...]:
        return tuple(self.parts.offline.publications())

    @cached_property
    def _newest(self) -> int:
        return max((each.sequence for each in self._publications), default=0)

    @cached_property
    def _published(self) -> dict[str, list[Publication]]:
        found: dict[str, list[Publication]] = {}
        for each in self._publications:
            found.setdefault(each.table, []).append(each)
        return found

    @cached_property
    def _coverages(self) -> dict[str, Coverage]:
        dataset = self.parts.offline.dataset
        return coverages(self.parts.code, self._publications, clock=self.clock, dataset=dataset)


def _key(kind: str, view: FeatureView) -> dg.AssetKey:
    return dg.AssetKey([kind, view.name])
