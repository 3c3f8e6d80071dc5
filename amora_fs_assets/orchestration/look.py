"""One evaluation ("look") of the automation: finds what is not current in the store, and requests runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import dagster as dg

from amora_fs_assets.domain.applied import check_applied
from amora_fs_assets.domain.errors import FeatureStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.training_set import TrainingSet
from amora_fs_assets.operations.offline.corrections import corrections
from amora_fs_assets.operations.offline.coverage import Coverage, merged, without
from amora_fs_assets.operations.offline.upkeep import LONGEST_WAIT, Piece, Upkeep, awaiting, is_due, slot
from amora_fs_assets.orchestration.audit_check import AUDIT
from amora_fs_assets.orchestration.budget import Budget
from amora_fs_assets.orchestration.cadence import Automation
from amora_fs_assets.orchestration.facts import Facts
from amora_fs_assets.orchestration.freshness_check import FRESHNESS, aged
from amora_fs_assets.orchestration.names import Kind
from amora_fs_assets.orchestration.partitions import partitions_of
from amora_fs_assets.orchestration.resources import Stores
from amora_fs_assets.orchestration.together import together

MAX_RUNTIME = "dagster/max_runtime"
_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
_SELDOM = {"parity", FRESHNESS, AUDIT}


@dataclass
class Look:
    """One look at the store: the runs to request now, and the state for the next look."""

    automation: Automation
    busy: frozenset[dg.AssetKey]
    repository: dg.RepositoryDefinition
    state: dict[str, Any]
    facts: Facts
    upstream: Mapping[dg.AssetKey, float] = field(default_factory=dict)
    """Time of the last materialization of each asset that fills a source [s since 1970]."""

    def requests(self) -> list[dg.RunRequest]:
        """The runs that are due, without assets of unfinished runs."""
        return together(self._single(), self.automation.together, self.parts.names)

    def _single(self) -> Iterator[dg.RunRequest]:
        loading = set(self.busy)
        if self.busy:
            self.facts.messages.append(
                f"Runs in progress: {', '.join(sorted(key.to_user_string() for key in self.busy))}."
            )
        for source in self.parts.code.sources.values():
            if (
                source.loader is not None
                and self._is_run(self._key("raw", source))
                and not self.busy & {self._key("raw", source)}
                and self._source_is_due(source)
            ):
                loading.add(self._key("raw", source))
                yield self._request([self._key("raw", source)])
        for view in self.parts.code.in_order:
            reads = {self._key("raw", source) for source in self._loaded_for(view)}
            if not self._is_run(self._key("feature_view", view)):
                continue
            if not loading & {self._key("feature_view", view), self._key("online", view), *reads} and self._applied(
                view
            ):
                if view.table is None:
                    again = self._again(view)
                    yield from again or filter(None, [self._computation(view) or self._load(view)])
                else:
                    yield from filter(None, [self._reload(view)])
        for training_set in self.parts.code.training_sets.values():
            key = self._key("training_set", training_set)
            if self._is_run(key) and key not in self.busy and self._applied(training_set):
                yield from filter(None, [self._training_set(training_set)])

    def freshness(self) -> Iterator[dg.AssetCheckEvaluation]:
        """Results of the freshness checks: at a change of the result, and otherwise once per hour."""
        reported = self.state.setdefault("freshness", {})
        for view in self.parts.code.in_order:
            limit = self.automation.oldest(view)
            if limit is None or not self._is_run(self._key("online", view)) or not self._applied(view, say=False):
                continue
            generation = self.facts.generation(view)
            if self.facts.unreachable:
                return
            result = aged(view, generation, clock=self.clock, limit=limit, names=self.parts.names)
            passed, last = reported.get(view.name, (None, None))
            if passed != result.passed or is_due(datetime.fromisoformat(last), self.clock, LONGEST_WAIT):
                reported[view.name] = (result.passed, self.clock.isoformat())
                yield result

    def _key(self, kind: Kind, definition: Source | FeatureView | TrainingSet) -> dg.AssetKey:
        return self.parts.names.key(kind, definition.name)

    def _is_run(self, key: dg.AssetKey) -> bool:
        """Whether this code location runs the asset. Another system or code location runs external assets."""
        return key in self.repository.asset_graph.executable_asset_keys

    def _applied(self, definition: FeatureView | TrainingSet, *, say: bool = True) -> bool:
        """Whether the definition is applied, so that runs are not refused. If not, the reason is logged."""
        try:
            check_applied(definition, self.parts.applied)
        except FeatureStoreError as error:
            self.facts.messages += [str(error)] * say
            return False
        return True

    def _loaded_for(self, view: FeatureView) -> Iterator[Source]:
        for source in self.parts.code.sources.values():
            if source.loader is not None and (source in view.sources or source.table == view.table):
                yield source

    def _source_is_due(self, source: Source) -> bool:
        every = self.automation.sources
        if every is not None and self._due(f"raw/{source.name}", every):
            return True
        return self._due(f"missing/{source.name}", self.automation.every) and (
            self.parts.offline.columns(source.table) is None
        )

    def _computation(self, view: FeatureView) -> dg.RunRequest | None:
        """The run that computes the stretch of the view that is due, and loads it online; None if none is due."""
        every, found = self.automation.cadence(view), self.facts.coverages[view.name]
        published = self.facts.published(view)
        views = self.state.setdefault("views", {})
        upkeep = Upkeep.of(views[view.name]) if view.name in views else Upkeep()
        upkeep = upkeep.settled(view, found.to_compute, published, self.clock, every)
        piece = upkeep.next(self._free(view, found), self.clock, every)
        if piece is not None:
            upkeep = upkeep.asking(piece, self.clock, self.facts.newest)
        views[view.name] = upkeep.plain()
        return self._run(view, piece) if piece is not None else None

    def _again(self, view: FeatureView) -> list[dg.RunRequest]:
        """Runs for the intervals of sources whose assets were materialized since the previous look."""
        keys = {dg.AssetKey(each.asset) for each in view.sources if isinstance(each, Source) and each.asset}
        newest = max((self.upstream.get(key, 0.0) for key in keys), default=0.0)
        seen = self.state.setdefault("upstream", {})
        before = seen.setdefault(view.name, newest)
        if newest <= before or self.busy & keys:
            return []
        seen[view.name] = newest
        found = corrections([view], self.facts.publications, store=self.parts.offline, clock=self.clock)
        return [self._run(view, Piece(each.interval)) for each in found]

    def _free(self, view: FeatureView, found: Coverage) -> tuple[Interval, ...]:
        """The gaps that can be computed now: they wait for no view that is read, and are within the budget."""
        waiting = awaiting(view, self.facts.coverages, self.clock)
        if view.partitions is None:
            slot_start = slot(self.clock, self.automation.cadence(view))
            if any(each.start < slot_start for each in waiting):
                return ()
            return () if self._budget.over(view) else found.to_compute
        over = self._budget.over(view)
        free = [left for gap in found.to_compute for left in without(gap, waiting)]
        return merged(left for gap in free for left in without(gap, over))

    def _reload(self, view: FeatureView) -> dg.RunRequest | None:
        """Check and load an external table once per `whole`; try again each hour until the load succeeds."""
        generation, slot_start = self.facts.generation(view), slot(self.clock, self.automation.cadence(view))
        if self.facts.unreachable or (
            generation is not None and generation.clock >= slot_start and self.facts.is_served(view, generation)
        ):
            return None
        if not self._due(f"online/{view.name}", min(self.automation.cadence(view), LONGEST_WAIT)):
            return None
        return self._request([self._key("feature_view", view), self._key("online", view)])

    def _load(self, view: FeatureView) -> dg.RunRequest | None:
        """A load without a computation, if publications are not online: made by hand, or after a failed load."""
        if not self._is_run(self._key("online", view)):
            return None
        published = self.facts.published(view)
        if not published:
            return None
        newest, generation = max(each.sequence for each in published), self.facts.generation(view)
        if self.facts.unreachable or (
            generation is not None and generation.published_through >= newest and self.facts.is_served(view, generation)
        ):
            return None
        loads = self.state.setdefault("loads", {})
        sequence, last = loads.get(view.name, (0, None))
        every = min(self.automation.cadence(view), LONGEST_WAIT)
        if sequence == newest and not is_due(datetime.fromisoformat(last), self.clock, every):
            return None
        loads[view.name] = (newest, self.clock.isoformat())
        return self._request([self._key("online", view)])

    def _training_set(self, training_set: TrainingSet) -> dg.RunRequest | None:
        """One build per slot, as soon as the views that it reads are current up to the slot's start.

        A failed build is requested again after an hour.
        """
        every, name = self.automation.training_sets, training_set.name
        if every is None:
            return None
        built = self.state.setdefault("training_sets", {})
        before, last = built.get(name, (None, None))
        at = datetime.fromisoformat(last) if last else None
        if not is_due(at, self.clock, every) and not (
            is_due(at, self.clock, LONGEST_WAIT) and self._version(name) == before
        ):
            return None
        read = dict(training_set.service.views)
        read |= {each.name: each for each in training_set.sources if isinstance(each, FeatureView)}
        for view in read.values():
            if why := self._behind(view, slot(self.clock, every)):
                self.facts.messages.append(f"{training_set} waits for {view}: {why}.")
                return None
        built[name] = (self._version(name), self.clock.isoformat())
        return self._request([self._key("training_set", training_set)])

    def _version(self, training_set: str) -> str | None:
        return next(reversed(self.parts.registry.manifests(training_set)), None)

    def _behind(self, view: FeatureView, instant: datetime) -> str:
        """Why the view is not current up to the instant; empty if it is current, or external."""
        if self.busy & {self._key("feature_view", view)}:
            return "it is being computed"
        if view.table is not None:
            return ""
        if view.partitions is None:
            published = self.facts.published(view)
            done = any(each.computed is not None and each.computed.end >= instant for each in published)
            return "" if done else f"it was not computed since {instant.isoformat()}"
        gap = next((each for each in self.facts.coverages[view.name].gaps if each.interval.start < instant), None)
        return str(gap) if gap is not None else ""

    def _due(self, what: str, every: timedelta) -> bool:
        """Whether a slot has begun since `what` was requested last. If so, notes a request for `what` now."""
        last = self.state.setdefault("asked", {}).get(what)
        if not is_due(datetime.fromisoformat(last) if last else None, self.clock, every):
            return False
        self.state["asked"][what] = self.clock.isoformat()
        return True

    def _run(self, view: FeatureView, piece: Piece) -> dg.RunRequest:
        keys = [self._key("feature_view", view), self._key("online", view)]
        definition = partitions_of(view, self.parts.settings.now)
        if definition is None or view.partitions is None:
            return self._request(keys)
        start, end = piece.interval.start, piece.interval.end
        config = {"start": start.isoformat(), "end": end.isoformat()}
        tags: dict[str, str] = {}
        # After a run Dagster shows its partitions as complete, also the present one, so runs name no partitions. But an
        # asset that reads a partitioned asset cannot run without partitions (see test_dagsters_rules.py).
        if any(isinstance(each, FeatureView) and each.partitions for each in view.sources):
            ends = (view.partitions.floor(each) for each in (start, end - timedelta.resolution))
            tags = dict(zip(_RANGE, (each.strftime(definition.fmt) for each in ends), strict=True))
        return self._request(
            keys, tags, {"ops": {self.parts.names.step("feature_view", view.name): {"config": config}}}
        )

    def _request(
        self, keys: list[dg.AssetKey], tags: Mapping[str, str] | None = None, config: Mapping[str, Any] | None = None
    ) -> dg.RunRequest:
        """A run of the assets with their checks. Parity runs once per its interval; the sensor reports freshness.

        Audits run on their own schedule.
        """
        longest = str(int(self.automation.longest.total_seconds()))
        keys = [key for key in keys if self._is_run(key)]  # a feature store may have no assets for online values
        checks = sorted(self.repository.asset_graph.get_check_keys_for_assets(set(keys)), key=str)
        return dg.RunRequest(
            asset_selection=keys,
            asset_check_keys=[each for each in checks if each.name not in _SELDOM or self._is_wanted(each)],
            tags={MAX_RUNTIME: longest, **(tags or {})},
            run_config=config or {},
        )

    def _is_wanted(self, check: dg.AssetCheckKey) -> bool:
        every = self.automation.parity
        if check.name != "parity" or every is None:
            return False
        return self._due(f"parity/{self.parts.names.definition_of(check.asset_key)[1]}", every)

    @property
    def parts(self) -> Stores:
        """The stores and definitions."""
        return self.facts.parts

    @property
    def clock(self) -> datetime:
        """The instant of the look."""
        return self.facts.clock

    @cached_property
    def _budget(self) -> Budget:
        return Budget(self.automation.budget, self.facts, self._computed, self.state.setdefault("scans", {}))

    def _computed(self) -> Iterator[FeatureView]:
        """The views that can be computed now: their runs are not in progress, and would not be refused."""
        for view in self.parts.code.in_order:
            key = self._key("feature_view", view)
            if view.table is None and self._is_run(key) and key not in self.busy and self._applied(view, say=False):
                yield view
