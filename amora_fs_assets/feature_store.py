"""FeatureStore: a facade over the reading part (catalogue and Redis) and the building part, loaded at the first use."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, overload

from amora_fs_assets.domain import callers
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import FeatureStoreError, InvalidRequest
from amora_fs_assets.domain.records import Publication, Snapshot
from amora_fs_assets.domain.time import Instant, utc, wall_clock
from amora_fs_assets.facade.audits import Audits
from amora_fs_assets.facade.definitions import Definitions
from amora_fs_assets.facade.online import Online
from amora_fs_assets.facade.removal import Removal
from amora_fs_assets.facade.training import LoadedAs, Training
from amora_fs_assets.lazy import Lazy
from amora_fs_assets.settings import Settings

if TYPE_CHECKING:
    import amora_fs_assets.building as building
    import amora_fs_assets.operations.offline.coverage as coverage
    from amora_fs_assets.operations.offline.corrections import Correction
    from amora_fs_assets.operations.offline.coverage import Coverage
    from amora_fs_assets.operations.online.materialize import Materialized
    from amora_fs_assets.operations.registry.daily_reads import Daily
    from amora_fs_assets.operations.registry.plan import Plan
    from amora_fs_assets.operations.several import Progress
else:
    building = Lazy("amora_fs_assets.building")
    coverage = Lazy("amora_fs_assets.operations.offline.coverage")  # by itself: `status` needs nothing else

_log = logging.getLogger(__name__)


class FeatureStore(Audits, Definitions, Online, Removal, Training):
    """All operations of a feature store, for use outside Dagster.

    Args:
        settings: The settings; by default from the environment's `AMORA_FS_*` and the project.
        definitions: The package or module (or its name, or a Catalogue) with the definitions, which `plan`, `apply` and
            `compute` read; by default the setting `definitions`. All other methods read the registry.
        as_of: Read the definitions of a past state: at a time, for a run (its id), or in a snapshot (its hash). Such a
            store is read-only.

    """

    def plan(
        self, *, prune: bool = False, scan: bool = False, late: bool = False, every: timedelta | None = None
    ) -> Plan:
        """The changes of an `apply`, affected definitions, and intervals to compute. Changes nothing.

        The intervals to compute include changed views, and all missing, stale and part-computed intervals. `scan` adds
        estimates of what the computations read: bytes for BigQuery, rows for DuckDB. `late` adds intervals whose source
        rows changed since: see `corrections`. `every` adds an estimate of what automation reads in a day if it computes
        the newest rows once per `every`. `Plan.unfit` names sources and external views whose tables are missing or do
        not fit, which another system may still create.
        """
        if every is not None:
            callers.cadence("every", every)
        clock = self.settings.clock()  # not after the plan's: the time between would be an interval
        planned = self._planned(prune=prune)
        try:
            planned = replace(planned, unfit=building.unfit(self.code, self.offline))
            planned = building.with_coverage(planned, self._coverage(self.code, clock))
            planned = replace(planned, late=self.corrections() if late else ())
            planned = replace(planned, day=self._day(every) if every is not None else ())
        except FeatureStoreError as error:  # the plan is useful without the offline store
            planned = replace(planned, unread=str(error))
        if not scan or not planned.recompute:
            return planned
        return building.with_scans(planned, building.scans(planned.recompute, self.code, self.offline))

    def _day(self, every: timedelta) -> tuple[Daily, ...]:

        return building.day(self.code, self.offline, clock=self.settings.clock(), every=every)

    def _planned(self, *, prune: bool) -> Plan:
        """The plan from code and registry alone."""
        dataset = self.settings.dataset
        return building.plan(self.code, self.registry, clock=self.settings.clock(), dataset=dataset, prune=prune)

    def coverage(self, feature_views: Sequence[str] | None = None) -> dict[str, Coverage]:
        """The coverage of the applied views from their start to the clock: current, stale, missing, part-computed.

        Views of external tables are left out. Raises FeatureViewNotFound and the offline store's errors.
        """
        catalogue = self.registry.catalogue()
        found = self._coverage(catalogue, self.settings.clock())
        names = [catalogue.feature_view(name).name for name in callers.chosen("feature_views", feature_views, found)]
        return {name: found[name] for name in names if name in found}

    def corrections(self, feature_views: Sequence[str] | None = None) -> tuple[Correction, ...]:
        """Intervals whose source rows changed since they were read: by hand, or because rows came late.

        Each has the number of rows then and now. `compute_late` computes exactly these intervals again. Raises
        FeatureViewNotFound and the offline store's errors.
        """
        return building.corrections(
            self._views_by_name(feature_views),
            self.offline.publications(),
            store=self.offline,
            clock=self.settings.clock(),
        )

    def _coverage(self, catalogue: Catalogue, clock: datetime) -> dict[str, Coverage]:

        return coverage.coverages(catalogue, self.offline.publications(), clock=clock, dataset=self.offline.dataset)

    def apply(
        self,
        *,
        prune: bool = False,
        allow_breaking: bool = False,
        allow_leaks: bool = False,
        planned: Plan | None = None,
        show: Callable[[Plan], None] | None = None,
        check: Callable[[Plan], None] | None = None,
    ) -> Snapshot:
        """Apply the code's definitions. Definitions that the code no longer has stay, unless pruned.

        New views, and views whose rows change, are audited as in `refuse_leaks`, unless leaks are allowed or the
        setting `audit_at_apply` is off.

        With `planned`, exactly this plan is applied; raises RegistryConflict if another apply came first. Without it,
        the code is planned again after each other apply; `show` receives each plan before it is tried, and `check` just
        before it is applied: an error of `check` stops the apply.

        If Feast is installed, registry.db is updated for Feast's clients. Raises BreakingChanges, before any change,
        unless breaking changes are allowed, LeaksFound, and DefinitionError for a definition that the registry cannot
        store.
        """
        self._refuse_the_past("apply")
        audited = self.settings.audit_at_apply and not callers.flag("allow_leaks", allow_leaks)
        checks = [each for each in (self.refuse_leaks if audited else None, check) if each is not None]
        if not isinstance(planned, building.Plan | None):
            raise callers.refused("planned", planned, "the result of plan()")
        if planned is not None:
            if not allow_breaking:
                planned.refuse_breaking()
            for each in checks:
                each(planned)
            snapshot = building.apply_plan(planned, self.registry, clock=wall_clock(), allow_breaking=allow_breaking)
        else:
            snapshot = building.apply_anew(
                lambda: self._planned(prune=prune) if show is None else self.plan(prune=prune),
                self.registry,
                clock=wall_clock,
                allow_breaking=allow_breaking,
                show=show,
                checks=checks,
            )
        self._use_snapshot()
        return snapshot

    @overload
    def compute(
        self,
        start: Instant,
        end: Instant,
        feature_views: Sequence[str] | None = None,
        *,
        progress: Progress | None = None,
    ) -> dict[str, Publication | None]: ...

    @overload
    def compute(
        self,
        start: None = None,
        end: None = None,
        feature_views: Sequence[str] | None = None,
        *,
        progress: Progress | None = None,
    ) -> dict[str, tuple[Publication, ...]]: ...

    def compute(
        self,
        start: Instant | None = None,
        end: Instant | None = None,
        feature_views: Sequence[str] | None = None,
        *,
        progress: Progress | None = None,
    ) -> dict[str, Publication | None] | dict[str, tuple[Publication, ...]]:
        """Compute exactly [start, end) of the views, by default of all, in order of dependency.

        Without start and end: compute exactly the missing, stale and part-computed intervals up to the clock. The
        result then has the publications of each view with such intervals, in order of time.

        A source with a loader is loaded if its table is missing. Raises FeatureViewNotFound before any computation. For
        one view, raises DefinitionNotApplied, ChecksFailed (nothing of the view was published), and the stores' errors.
        For several views, a view that reads a failed view is skipped, and all others are tried and published; then
        raises ViewsFailed, with results and errors by view. `progress` is called when a view begins and when it ends.
        """
        self._refuse_the_past("compute")
        if start is None or end is None:
            if start is not None or end is not None:
                raise InvalidRequest("compute: give both start and end, or neither, to compute missing intervals.")
            found: dict[str, tuple[Publication, ...]] = {}
            for publication in self.compute_missing(feature_views, progress=progress):
                found[publication.name] = (*found.get(publication.name, ()), publication)
            return found
        interval = callers.interval(start, end)
        run_id = f"compute-{uuid.uuid4()}"
        parts: dict[str, Any] = {"store": self.offline, "registry": self.registry, "run_id": run_id}
        several = building.Several("compute", self._views_by_name(feature_views), progress)
        for view in several.each(after_sources=True):
            with several.trying(view):
                building.runs.load_missing([view], self.code, **parts)
                several.results[view.name] = building.runs.compute(
                    view, interval.start, interval.end, clock=self.settings.clock(), **parts
                )
        return several.results

    def compute_missing(
        self, feature_views: Sequence[str] | None = None, *, progress: Progress | None = None
    ) -> Iterator[Publication]:
        """As `compute` without start and end; yields each publication when it is done."""
        self._refuse_the_past("compute")
        yield from building.runs.compute_missing(
            self._views_by_name(feature_views),
            self.code,
            store=self.offline,
            registry=self.registry,
            run_id=f"compute-{uuid.uuid4()}",
            clock=self.settings.clock(),
            progress=progress,
        )

    def compute_late(
        self, feature_views: Sequence[str] | None = None, *, progress: Progress | None = None
    ) -> Iterator[Publication]:
        """Compute exactly the intervals in `corrections`, and those of the views that read them.

        Yields each publication when it is done. Raises the errors of `compute`.
        """
        self._refuse_the_past("compute")
        yield from building.runs.compute_late(
            self._views_by_name(feature_views),
            store=self.offline,
            registry=self.registry,
            run_id=f"compute-{uuid.uuid4()}",
            clock=self.settings.clock(),
            progress=progress,
        )

    def materialize(
        self,
        start: Instant | None = None,
        end: Instant | None = None,
        feature_views: Sequence[str] | None = None,
        *,
        start_date: Instant | None = None,
        end_date: Instant | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Materialized]:
        """Load the newest rows of the entities with rows in [start, end]. Rows of other entities stay.

        Each entity gets its newest row up to `end` or, if later, the greatest event_timestamp loaded before, so that no
        row becomes older. Later calls of `materialize_incremental` load the same rows as without this call. If the view
        was never loaded, only these entities are online until the next incremental load. `start_date` and `end_date`
        are Feast's words for the two times. Raises InvalidRequest, and the errors of `materialize_incremental`.
        """
        first = callers.one_of("start", start, "start_date", start_date)
        interval = callers.interval(first, callers.one_of("end", end, "end_date", end_date))
        return self._materialize(interval.end, feature_views, since=interval.start, progress=progress)

    def materialize_incremental(
        self,
        end: Instant | None = None,
        feature_views: Sequence[str] | None = None,
        *,
        end_date: Instant | None = None,
        full: bool = False,
        progress: Progress | None = None,
    ) -> dict[str, Materialized]:
        """Load the newest row of each entity with event_timestamp up to `end`, by default the clock.

        `full` fills a new generation with all rows. For several views, each view is tried; at the end raises
        ViewsFailed, with results and errors by view, if views failed. `progress` is called when a view begins and when
        it ends. `end_date` is Feast's word for `end`.
        """
        last = None if end is None and end_date is None else callers.one_of("end", end, "end_date", end_date)
        clock = self.settings.clock() if last is None else utc(last, "end")
        return self._materialize(clock, feature_views, full=full, progress=progress)

    def _materialize(
        self,
        clock: datetime,
        feature_views: Sequence[str] | None,
        since: datetime | None = None,
        *,
        full: bool = False,
        progress: Progress | None = None,
    ) -> dict[str, Materialized]:

        self._refuse_the_past("materialize")
        catalogue = self.registry.catalogue()
        names = dict.fromkeys(callers.chosen("feature_views", feature_views, catalogue.feature_views))
        several = building.Several("materialize", [catalogue.feature_view(name) for name in names], progress)
        run_id = f"materialize-{uuid.uuid4()}"
        for view in several.each():
            with several.trying(view):
                several.results[view.name] = building.runs.materialize(
                    view,
                    store=self.offline,
                    online=self.online,
                    registry=self.registry,
                    run_id=run_id,
                    clock=clock,
                    since=since,
                    full=full,
                    expire=self.settings.now is None,
                )
        return several.results


def load_training_set(
    name: str,
    version: str | None = None,
    *,
    as_of: Instant | None = None,
    as_type: LoadedAs = "pandas",
    settings: Settings | None = None,
) -> Any:
    """The rows of a training set's version, by default the newest. See FeatureStore.load_training_set."""
    return FeatureStore(settings).load_training_set(name, version, as_of=as_of, as_type=as_type)
