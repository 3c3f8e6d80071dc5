"""One evaluation ("look") of the automation: finds what is not current in the store, and requests runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import dagster as dg

from amora_fs_assets.domain.applied import check_applied
from amora_fs_assets.domain.errors import FeatureStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.definition import computing_identity
from amora_fs_assets.domain.ports.online import Generation
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.training_set import TrainingSet
from amora_fs_assets.operations.offline.corrections import corrections
from amora_fs_assets.operations.offline.coverage import Coverage, coverages, merged, without
from amora_fs_assets.operations.offline.upkeep import LONGEST_WAIT, Piece, Upkeep, awaiting, costly, is_due, slot
from amora_fs_assets.operations.registry.impact import Recompute, Scan
from amora_fs_assets.operations.registry.scan_estimate import scans
from amora_fs_assets.orchestration.audit_check import AUDIT
from amora_fs_assets.orchestration.cadence import Automation
from amora_fs_assets.orchestration.freshness_check import FRESHNESS, aged
from amora_fs_assets.orchestration.names import Kind
from amora_fs_assets.orchestration.partitions import partitions_of
from amora_fs_assets.orchestration.published import Published
from amora_fs_assets.orchestration.resources import Stores
from amora_fs_assets.orchestration.together import together

MAX_RUNTIME = "dagster/max_runtime"
_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
_SELDOM = {"parity", FRESHNESS, AUDIT}
_WHY = "automation"


@dataclass
class Look:
    """One look at the store: the runs to request now, and the state for the next look."""

    automation: Automation
    parts: Stores
    busy: frozenset[dg.AssetKey]
    repository: dg.RepositoryDefinition
    state: dict[str, Any]
    published: Published
    upstream: Mapping[dg.AssetKey, float] = field(default_factory=dict)
    """Time of the last materialization of each asset that fills a source [s since 1970]."""
    messages: list[str] = field(default_factory=list)
    unreachable: bool = False  # whether the online store does not answer
    generations: dict[str, Generation | None] = field(default_factory=dict)  # a cache, by view

    def requests(self) -> list[dg.RunRequest]:
        """The runs that are due, without assets of unfinished runs."""
        return together(self._single(), self.automation.together, self.parts.names)

    def _single(self) -> Iterator[dg.RunRequest]:
        loading = set(self.busy)
        if self.busy:
            self.messages.append(f"Runs in progress: {', '.join(sorted(key.to_user_string() for key in self.busy))}.")
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
            generation = self._generation(view)
            if self.unreachable:
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
            self.messages += [str(error)] * say
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
        every, found = self.automation.cadence(view), self._coverages[view.name]
        published = self._published.get(table_name(view, self.parts.offline.dataset), [])
        views = self.state.setdefault("views", {})
        upkeep = Upkeep.of(views[view.name]) if view.name in views else Upkeep()
        upkeep = upkeep.settled(view, found.to_compute, published, self.clock, every)
        piece = upkeep.next(self._free(view, found), self.clock, every)
        if piece is not None:
            upkeep = upkeep.asking(piece, self.clock, self._newest)
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
        found = corrections([view], self._publications, store=self.parts.offline, clock=self.clock)
        return [self._run(view, Piece(each.interval)) for each in found]

    def _free(self, view: FeatureView, found: Coverage) -> tuple[Interval, ...]:
        """The gaps that can be computed now: they wait for no view that is read, and are within the budget."""
        waiting = awaiting(view, self._coverages, self.clock)
        if view.partitions is None:
            slot_start = slot(self.clock, self.automation.cadence(view))
            if any(each.start < slot_start for each in waiting):
                return ()
            return () if self._over(view, self._to_compare_with_budget(view)) else found.to_compute
        over = self._over(view, self._to_compare_with_budget(view))
        free = [left for gap in found.to_compute for left in without(gap, waiting)]
        return merged(left for gap in free for left in without(gap, over))

    def _over(self, view: FeatureView, intervals: Iterable[Interval]) -> list[Interval]:
        """The intervals whose scan exceeds the budget or is unknown; the reasons are logged.

        A known scan is not estimated again within an hour, since a look happens twice a minute.
        """
        now: dict[str, tuple[str, str]] = {}
        over = []
        for each in intervals:
            verdict = self._verdict(view, each)
            if verdict is None:
                scan = self._estimates.get(
                    Recompute(view.name, each, _WHY), Scan(None, "bytes", "there is no estimate")
                )
                verdict = (self._too_much(view, scan), self.clock.isoformat())
                now |= {_key_of(view, each): verdict} if scan.amount is not None else {}
            else:
                now[_key_of(view, each)] = verdict
            if verdict[0]:
                self.messages.append(f"{view} {each} {verdict[0]}")
                over.append(each)
        self._scans[view.name] = now
        return over

    def _verdict(self, view: FeatureView, interval: Interval) -> tuple[str, str] | None:
        """The last verdict on the interval (empty: within the budget) and its time; None if older than an hour."""
        why, at = self._scans.get(view.name, {}).get(_key_of(view, interval), ("", ""))
        return (why, at) if at and not is_due(datetime.fromisoformat(at), self.clock, LONGEST_WAIT) else None

    @cached_property
    def _estimates(self) -> dict[Recompute, Scan]:
        """The estimated scans of all intervals without a verdict, in one call: 200 single calls outlast a look."""
        computations = [
            Recompute(view.name, each, _WHY)
            for view in self.parts.code.in_order
            if view.table is None
            and self._is_run(self._key("feature_view", view))
            and not self.busy & {self._key("feature_view", view)}
            and self._applied(view, say=False)
            for each in self._to_compare_with_budget(view)
            if self._verdict(view, each) is None
        ]
        return scans(computations, self.parts.code, self.parts.offline)

    def _to_compare_with_budget(self, view: FeatureView) -> tuple[Interval, ...]:
        """The gaps whose scan must be compared with the budget: `costly` gaps that wait for no view that is read."""
        found = self._coverages[view.name]
        published = bool(self._published.get(table_name(view, self.parts.offline.dataset)))
        if view.partitions is None:
            return costly(found, published=published)
        waiting = awaiting(view, self._coverages, self.clock)
        return merged(left for each in costly(found, published=published) for left in without(each, waiting))

    def _too_much(self, view: FeatureView, scan: Scan) -> str:
        """Why automation does not compute an interval with this scan; empty if it does."""
        if scan.amount is None:
            return f"waits: {scan.reason}."
        if scan.amount <= self.automation.budget:
            return ""
        return (
            f"is not computed by automation: it reads {scan.amount:,} {scan.unit}, but the budget is "
            f"{self.automation.budget:,}. To compute it anyway: `amora-fs compute --feature-views {view.name}`, or "
            "materialize these partitions."
        )

    def _reload(self, view: FeatureView) -> dg.RunRequest | None:
        """Check and load an external table once per `whole`; try again each hour until the load succeeds."""
        generation, slot_start = self._generation(view), slot(self.clock, self.automation.cadence(view))
        if self.unreachable or (
            generation is not None and generation.clock >= slot_start and self._served(view, generation)
        ):
            return None
        if not self._due(f"online/{view.name}", min(self.automation.cadence(view), LONGEST_WAIT)):
            return None
        return self._request([self._key("feature_view", view), self._key("online", view)])

    def _load(self, view: FeatureView) -> dg.RunRequest | None:
        """A load without a computation, if publications are not online: made by hand, or after a failed load."""
        if not self._is_run(self._key("online", view)):
            return None
        published = self._published.get(table_name(view, self.parts.offline.dataset), [])
        if not published:
            return None
        newest, generation = max(each.sequence for each in published), self._generation(view)
        if self.unreachable or (
            generation is not None and generation.published_through >= newest and self._served(view, generation)
        ):
            return None
        loads = self.state.setdefault("loads", {})
        sequence, last = loads.get(view.name, (0, None))
        every = min(self.automation.cadence(view), LONGEST_WAIT)
        if sequence == newest and not is_due(datetime.fromisoformat(last), self.clock, every):
            return None
        loads[view.name] = (newest, self.clock.isoformat())
        return self._request([self._key("online", view)])

    def _served(self, view: FeatureView, generation: Generation) -> bool:
        """Whether the generation belongs to the applied view, and is not partial."""
        applied = self.parts.applied.feature_view(view.name)
        return (generation.view_id, generation.schema_hash) == (
            applied.view_id,
            applied.schema_hash,
        ) and not generation.partial

    def _generation(self, view: FeatureView) -> Generation | None:
        """The view's newest generation. An online store that does not answer is logged once."""
        if view.name not in self.generations and not self.unreachable:
            try:
                self.generations[view.name] = self.parts.online.generation(view)
            except FeatureStoreError as error:
                self.unreachable = True
                self.messages.append(f"The online store does not answer: {error}")
        return self.generations.get(view.name)

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
                self.messages.append(f"{training_set} waits for {view}: {why}.")
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
            published = self._published.get(table_name(view, self.parts.offline.dataset), [])
            done = any(each.computed is not None and each.computed.end >= instant for each in published)
            return "" if done else f"it was not computed since {instant.isoformat()}"
        gap = next((each for each in self._coverages[view.name].gaps if each.interval.start < instant), None)
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

    @cached_property
    def clock(self) -> datetime:
        """The instant of the look."""
        return self.parts.settings.clock()

    @property
    def _scans(self) -> dict[str, dict[str, tuple[str, str]]]:
        found: dict[str, dict[str, tuple[str, str]]] = self.state.setdefault("scans", {})
        return found

    @cached_property
    def _publications(self) -> Sequence[Publication]:
        return self.published.of(self.parts.offline)

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


def _key_of(view: FeatureView, interval: Interval) -> str:
    return f"{computing_identity(view)[:12]} {interval.start.isoformat()}"
