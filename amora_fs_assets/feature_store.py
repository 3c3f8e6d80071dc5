"""FeatureStore: a facade over the reading part (catalogue and Redis) and the building part, loaded at the first use."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Self, get_args, overload

from amora_fs_assets.domain import callers
from amora_fs_assets.domain.catalogue import Catalogue, Features, applied_of, package_of
from amora_fs_assets.domain.entity import Entity
from amora_fs_assets.domain.errors import (
    DefinitionNotApplied,
    FeatureStoreError,
    InvalidRequest,
    OfflineStoreError,
    SettingsError,
)
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import Generation, OnlineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.records import Publication, RunRecord, Snapshot
from amora_fs_assets.domain.time import Instant, utc, wall_clock
from amora_fs_assets.lazy import Lazy
from amora_fs_assets.operations.online.catalogue_cache import ServedCatalogue
from amora_fs_assets.operations.online.lost import Loads
from amora_fs_assets.operations.online.read import EntityRows, OnlineReader, OnlineResponse
from amora_fs_assets.operations.records.git_commit import commit_of
from amora_fs_assets.settings import Settings, missing_definitions
from amora_fs_assets.stores.open import open_objects, open_offline_store, open_online_store, open_registry

if TYPE_CHECKING:
    import pyarrow as pa

    import amora_fs_assets.building as building
    import amora_fs_assets.operations.offline.coverage as coverage
    import amora_fs_assets.operations.online.readers as readers
    import amora_fs_assets.operations.registry.history as history
    import amora_fs_assets.orchestration.report_run as reporting
    from amora_fs_assets.operations.offline.corrections import Correction
    from amora_fs_assets.operations.offline.coverage import Coverage
    from amora_fs_assets.operations.online.materialize import Materialized
    from amora_fs_assets.operations.online.parity import Parity
    from amora_fs_assets.operations.online.pushed_rows import Rows
    from amora_fs_assets.operations.registry.daily_reads import Daily
    from amora_fs_assets.operations.registry.history import AsOf
    from amora_fs_assets.operations.registry.plan import Plan
    from amora_fs_assets.operations.several import Progress
    from amora_fs_assets.operations.training.historical import HistoricalFeatures
    from amora_fs_assets.operations.training.retention import Pruning
else:
    building = Lazy("amora_fs_assets.building")
    coverage = Lazy("amora_fs_assets.operations.offline.coverage")  # by itself: `status` needs nothing else
    history = Lazy("amora_fs_assets.operations.registry.history")
    readers = Lazy("amora_fs_assets.operations.online.readers")
    reporting = Lazy("amora_fs_assets.orchestration.report_run")

LoadedAs = Literal["pandas", "arrow", "polars", "batches"]
_log = logging.getLogger(__name__)


class FeatureStore:
    """All operations of a feature store, for use outside Dagster.

    Args:
        settings: The settings; by default from the environment's `AMORA_FS_*` and the project.
        definitions: The package or module (or its name, or a Catalogue) with the definitions, which `plan`, `apply` and
            `compute` read; by default the setting `definitions`. All other methods read the registry.
        as_of: Read the definitions of a past state: at a time, for a run (its id), or in a snapshot (its hash). Such a
            store is read-only.

    """

    def __init__(
        self,
        settings: Settings | None = None,
        definitions: str | ModuleType | Catalogue | None = None,
        as_of: AsOf | None = None,
    ) -> None:
        if not isinstance(settings, Settings | None):
            raise callers.refused("settings", settings, "Settings, or None for the settings of the environment")
        if not isinstance(definitions, str | ModuleType | Catalogue | None):
            raise callers.refused("definitions", definitions, "a package or a module, its name, or a Catalogue")
        if not isinstance(as_of, datetime | str | None):
            raise callers.refused("as_of", as_of, "a time, the id of a run, or the hash of a snapshot")
        self.settings = settings or Settings.from_env()
        self.as_of = as_of
        self._given = definitions
        self._versions: dict[tuple[str, str], FeatureService] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and release the lease on the embedded server. The next read connects again."""
        if "online" in vars(self):
            self.online.close()

    @cached_property
    def registry(self) -> Registry:
        """The registry, in the state of `as_of`. Raises InvalidRequest if the registry has no such state."""
        registry = open_registry(
            self.settings,
            commit=lambda: commit_of(package_of(self._given or self.settings.definitions)),
            listener=self._report_to_dagster if os.environ.get("DAGSTER_HOME") else None,
        )
        if self.as_of is None:
            return registry

        return history.PastRegistry(registry, self.as_of)

    def _report_to_dagster(self, run: RunRecord, name: str) -> None:
        """Report the run to Dagster's UI. If Dagster cannot be reached, log a warning."""
        settings = self.settings
        try:
            where, applied = f"{self.registry.url}/{name}", self.registry.catalogue()
            reporting.report(run, where, applied, self.offline, settings.now, settings.clock())
        except Exception as error:  # noqa: BLE001  (any error of Dagster's storage)
            _log.warning(
                "Run %s was not reported to DAGSTER_HOME=%s: %s", run.run_id, os.environ["DAGSTER_HOME"], error
            )

    @cached_property
    def online(self) -> OnlineStore:
        """The online store."""
        return open_online_store(self.settings)

    @cached_property
    def offline(self) -> OfflineStore:
        """The offline store."""
        return open_offline_store(self.settings)

    @cached_property
    def code(self) -> Catalogue:
        """The definitions in the code. Raises DefinitionError."""
        definitions = self._given or self.settings.definitions or Settings.from_env().definitions
        if isinstance(definitions, Catalogue):
            return definitions
        return building.collect(definitions or missing_definitions())

    def plan(
        self, *, prune: bool = False, scan: bool = False, late: bool = False, every: timedelta | None = None
    ) -> Plan:
        """The changes of an `apply`, affected definitions, and intervals to compute. Changes nothing.

        The intervals to compute include changed views, and all missing, stale and part-computed intervals. `scan` adds
        estimates of what the computations read: bytes for BigQuery, rows for DuckDB. `late` adds intervals whose source
        rows changed since: see `corrections`. `every` adds an estimate of what automation reads in a day if it computes
        the newest rows once per `every`.
        """
        if every is not None:
            callers.cadence("every", every)
        planned = self._planned(prune=prune)
        try:
            planned = building.with_coverage(planned, self._coverage(self.code))
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
        found = self._coverage(catalogue)
        names = [catalogue.feature_view(name).name for name in callers.texts("feature_views", feature_views) or found]
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

    def _views_by_name(self, feature_views: Sequence[str] | None) -> list[FeatureView]:
        """The code's views by name, by default all, in order of dependency."""
        selected = callers.texts("feature_views", feature_views) or self.code.feature_views
        names = {self.code.feature_view(name).name for name in selected}
        return [view for view in self.code.in_order if view.name in names]

    def _coverage(self, catalogue: Catalogue) -> dict[str, Coverage]:

        return coverage.coverages(
            catalogue, self.offline.publications(), clock=self.settings.clock(), dataset=self.offline.dataset
        )

    def apply(
        self,
        *,
        prune: bool = False,
        allow_breaking: bool = False,
        planned: Plan | None = None,
        show: Callable[[Plan], None] | None = None,
    ) -> Snapshot:
        """Apply the code's definitions. Definitions that the code no longer has stay, unless pruned.

        With `planned`, exactly this plan is applied; raises RegistryConflict if another apply came first. Without it,
        the code is planned again after each other apply; `show` receives each plan before it is tried.

        If Feast is installed, registry.db is updated for Feast's clients. Raises BreakingChanges, before any change,
        unless breaking changes are allowed, and DefinitionError for a definition that the registry cannot store.
        """
        self._refuse_the_past("apply")
        if not isinstance(planned, building.Plan | None):
            raise callers.refused("planned", planned, "the result of plan()")
        if planned is not None:
            snapshot = building.apply_plan(planned, self.registry, clock=wall_clock(), allow_breaking=allow_breaking)
        else:
            snapshot = building.apply_anew(
                lambda: self._planned(prune=prune) if show is None else self.plan(prune=prune),
                self.registry,
                clock=wall_clock,
                allow_breaking=allow_breaking,
                show=show,
            )
        self._served.refresh()
        self._sync_applied()
        if building.feast_registry.sync(open_objects(self.settings), self.settings) == "behind":
            _log.warning(
                "Feast's registry.db in %s is outdated, since Feast is not installed here. "
                "Run `pip install 'amora-fs-assets[feast]'` and `amora-fs apply` again.",
                self.registry.url,
            )
        return snapshot

    def _sync_applied(self) -> None:
        """Write the applied definitions to `_applied` in the offline store. If this fails, publications do it later."""
        try:
            building.applied_table.sync(self.registry, self.offline)
        except (OfflineStoreError, SettingsError) as error:
            _log.warning("The registry was changed, but `_applied` in the offline store was not updated yet: %s", error)

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
        start: Instant,
        end: Instant,
        feature_views: Sequence[str] | None = None,
        *,
        progress: Progress | None = None,
    ) -> dict[str, Materialized]:
        """Load the newest rows of the entities with rows in [start, end]. Rows of other entities stay.

        Each entity gets its newest row up to `end` or, if later, the greatest event_timestamp loaded before, so that no
        row becomes older. Later calls of `materialize_incremental` load the same rows as without this call. If the view
        was never loaded, only these entities are online until the next incremental load. Raises InvalidRequest, and the
        errors of `materialize_incremental`.
        """
        interval = callers.interval(start, end)
        return self._materialize(interval.end, feature_views, since=interval.start, progress=progress)

    def materialize_incremental(
        self,
        end: Instant | None = None,
        feature_views: Sequence[str] | None = None,
        *,
        full: bool = False,
        progress: Progress | None = None,
    ) -> dict[str, Materialized]:
        """Load the newest row of each entity with event_timestamp up to `end`, by default the clock.

        `full` fills a new generation with all rows. For several views, each view is tried; at the end raises
        ViewsFailed, with results and errors by view, if views failed. `progress` is called when a view begins and when
        it ends.
        """
        clock = self.settings.clock() if end is None else utc(end, "end")
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
        names = dict.fromkeys(callers.texts("feature_views", feature_views) or catalogue.feature_views)
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

    def get_historical_features(
        self,
        features: Features,
        entity_df: Any = None,
        full_feature_names: bool = False,  # noqa: FBT001, FBT002  (Feast's signature)
        known_time: bool = False,  # noqa: FBT001, FBT002
        *,
        start: Instant | None = None,
        end: Instant | None = None,
    ) -> HistoricalFeatures:
        """The features at each row's event_timestamp, as a lazy result: `.to_df()`, `.to_arrow()`, `.to_table(name)`.

        The result has all rows and columns of `entity_df`; rows of a frame keep their order. Without `entity_df`: every
        row of the views in [start, end). With `known_time` a row counts only from its created_timestamp. Raises
        InvalidRequest and NotFound errors.
        """
        if (start is None) != (end is None):
            raise InvalidRequest("Give both start and end, or entity_df.")
        callers.flag("full_feature_names", full_feature_names)
        callers.flag("known_time", known_time)
        interval = None if start is None or end is None else callers.interval(start, end)
        catalogue = self.registry.catalogue()
        return building.historical_features(
            self._resolve(features, catalogue),
            entity_df,
            store=self.offline,
            full_feature_names=full_feature_names,
            known_time=known_time,
            interval=interval,
            owners=building.owners_of(catalogue, self.offline.dataset),
        )

    def get_online_features(
        self,
        features: Features,
        entity_rows: EntityRows,
        full_feature_names: bool = False,  # noqa: FBT001, FBT002
        *,
        timeout: float | None = None,
    ) -> OnlineResponse:
        """The newest values for entity rows (a list of dicts, or a dict of columns), in the same order.

        Takes one round trip. Raises OnlineStoreUnavailable if Redis cannot be reached or does not answer within
        `timeout` [s], connecting included; OnlineStateLost if Redis was emptied; InvalidRequest and NotFound errors.
        """
        callers.seconds("timeout", timeout)
        plan = self._plan_of(features, full_feature_names=callers.flag("full_feature_names", full_feature_names))
        entities, requests = plan.requests(entity_rows)
        found = self.online.read(requests, timeout=timeout)
        if missed := self._loads.missed_by(requests, found):
            self._loads.refuse_lost(missed)
        return plan.response(entities, found, self.settings.clock())

    async def get_online_features_async(
        self,
        features: Features,
        entity_rows: EntityRows,
        full_feature_names: bool = False,  # noqa: FBT001, FBT002
        *,
        timeout: float | None = None,
    ) -> OnlineResponse:
        """As `get_online_features`, without blocking the event loop."""
        callers.seconds("timeout", timeout)
        callers.flag("full_feature_names", full_feature_names)
        plan = self._served.known(features, full_feature_names=full_feature_names)
        if plan is None:
            plan = await asyncio.to_thread(self._plan_of, features, full_feature_names=full_feature_names)
        entities, requests = plan.requests(entity_rows)
        found = await self.online.read_async(requests, timeout=timeout)
        if missed := self._loads.missed_by(requests, found):
            await asyncio.to_thread(self._loads.refuse_lost, missed)
        return plan.response(entities, found, self.settings.clock())

    def push(self, feature_view: str, rows: Rows, *, to_offline: bool = True) -> int:
        """Append rows to the offline table as a publication, and write the newer ones online.

        `rows`: a DataFrame, an Arrow table, dicts or a dict of columns with join keys, event_timestamp and features.
        Pushed rows must pass the same rules as computed rows. A row with event_timestamp after the clock is only
        appended offline; the first load after its time brings it online. Returns the number of rows that were newer
        than the online rows. Raises InvalidRequest and ChecksFailed, with nothing written, and OnlineStoreError if the
        view was never loaded.
        """
        self._refuse_the_past("push")
        try:
            return self._push(feature_view, rows, to_offline=to_offline)
        except DefinitionNotApplied:  # the catalogue in memory may be some seconds old
            self._served.refresh()
            return self._push(feature_view, rows, to_offline=to_offline)

    def _push(self, feature_view: str, rows: Rows, *, to_offline: bool) -> int:

        view = self._served.view(feature_view)
        return readers.push(
            view,
            rows,
            online=self.online,
            offline=self.offline if to_offline else None,
            registry=self.registry,
            run_id=f"push-{uuid.uuid4()}",
            clock=self.settings.clock(),
            applied=applied_of(self._served.catalogue, view.name),
            expire=self.settings.now is None,
        )

    def rollback(self, feature_view: str, to: int | None = None) -> Generation:
        """Make generation `to` of a view live until unpinned; by default the generation before the live one.

        Raises OnlineStoreError if the generation does not exist.
        """
        self._refuse_the_past("rollback")
        callers.text("feature_view", feature_view)
        if to is not None:
            callers.whole("to", to, least=1)
        run_id = f"rollback-{uuid.uuid4()}"
        return readers.rollback(feature_view, to, online=self.online, registry=self.registry, run_id=run_id)

    def unpin(self, feature_view: str) -> Generation:
        """Make a view's newest generation live again. Raises OnlineStoreError if the view was never loaded."""
        self._refuse_the_past("unpin")
        callers.text("feature_view", feature_view)
        return readers.unpin(feature_view, online=self.online, registry=self.registry, run_id=f"unpin-{uuid.uuid4()}")

    def parity(self, feature_view: str, *, sample: int | None = 1_000) -> Parity:
        """Compare the online rows of a sample of keys (None: of all keys) with the newest offline rows.

        Allowed differences are counted separately: rows that were published after the load (`behind`) or pushed only
        online (`ahead`), keys that no window load has loaded (`outside`), and rows that Redis may have collected
        because of their age (`aged_out`). With None the newest rows of the view are held in memory.
        """
        self._refuse_the_past("parity")
        if sample is not None:
            callers.whole("sample", sample, least=1)
        callers.text("feature_view", feature_view)
        view, run_id = self.registry.catalogue().feature_view(feature_view), f"parity-{uuid.uuid4()}"
        return building.runs.parity(
            view,
            store=self.offline,
            online=self.online,
            registry=self.registry,
            run_id=run_id,
            sample=sample,
            expire=self.settings.now is None,
        )

    @property
    def served(self) -> Catalogue:
        """The catalogue that reads use, a few seconds old at most."""
        return self._served.catalogue

    def served_view(self, name: str) -> FeatureView:
        """A feature view of `served`; an unknown name is looked up in the registry. Raises FeatureViewNotFound."""
        return self._served.view(name)

    async def close_async(self) -> None:
        """As `close`, including the connections of the running event loop."""
        if "online" in vars(self):
            await self.online.close_async()
        self.close()

    def _plan_of(self, features: Features, *, full_feature_names: bool) -> OnlineReader:
        return self._served.plan(features, full_feature_names=full_feature_names)

    @cached_property
    def _loads(self) -> Loads:
        return Loads(self.registry)

    @cached_property
    def _served(self) -> ServedCatalogue:
        return ServedCatalogue(self.registry, self._resolve)

    def load_training_set(
        self, name: str, version: str | None = None, *, as_of: Instant | None = None, as_type: LoadedAs = "pandas"
    ) -> Any:
        """The rows of a training set's version: the newest, a named one, or the newest at a past time.

        `as_type` selects a pandas DataFrame, an Arrow table, a polars DataFrame or an iterator of Arrow batches. Raises
        TrainingSetNotFound, and TrainingSetAltered if rows are missing or changed since they were built.
        """
        callers.text("name", name)
        if version is not None:
            callers.text("version", version)
        if as_of is not None:
            as_of = utc(as_of, "as_of")
        if as_type not in get_args(LoadedAs):
            raise InvalidRequest(f"as_type is {as_type!r}; give one of {', '.join(get_args(LoadedAs))}.")
        loaded = building.load(name, version=version, as_of=as_of, store=self.offline, registry=self.registry)
        if as_type == "batches":
            return _batches(loaded)
        with loaded as batches:
            rows = batches.read_all()
        return {"pandas": building.to_pandas, "arrow": lambda table: table, "polars": building.to_polars}[as_type](rows)

    def prune_training_set(self, name: str, *, keep: int, dry_run: bool = True) -> Pruning:
        """Remove the rows of all but the newest `keep` versions of a training set; a dry run only lists the versions.

        Held versions, versions younger than a day, and versions whose table this store did not make are kept. Manifests
        stay. Raises TrainingSetNotFound, InvalidRequest.
        """
        self._refuse_the_past("prune")
        callers.text("name", name)
        callers.whole("keep", keep, least=1)
        now, run_id = wall_clock(), f"prune-{uuid.uuid4()}"  # versions have the time of their build
        return building.prune(
            name, keep=keep, store=self.offline, registry=self.registry, run_id=run_id, now=now, dry_run=dry_run
        )

    def hold_training_set(self, name: str, version: str, because: str) -> None:
        """Protect a version from pruning, such as the version of a model in use. Raises TrainingSetNotFound."""
        self._refuse_the_past("hold")
        for argument, value in (("name", name), ("version", version), ("because", because)):
            callers.text(argument, value)
        building.hold(name, version, because, registry=self.registry, run_id=f"hold-{uuid.uuid4()}")

    def release_training_set(self, name: str, version: str) -> None:
        """End the protection of a version. Raises InvalidRequest if the version is not held."""
        self._refuse_the_past("release")
        callers.text("name", name)
        callers.text("version", version)
        building.release(name, version, registry=self.registry, run_id=f"release-{uuid.uuid4()}")

    def _resolve(self, features: Features, catalogue: Catalogue) -> FeatureService:
        """The service for the requested features. `"name@version"` is an old version of a service."""
        name, at, version = features.partition("@") if isinstance(features, str) else ("", "", "")
        if not at:
            return catalogue.resolve(features)
        key = (str(features), catalogue.hash)
        if key not in self._versions:
            from amora_fs_assets.operations.registry.history import service_version

            self._versions[key] = service_version(self.registry, name, version)
        return self._versions[key]

    def _refuse_the_past(self, verb: str) -> None:
        if self.as_of is not None:
            raise InvalidRequest(f"A store as of {self.as_of} is read-only: {verb} without as_of.")

    def list_entities(self) -> list[Entity]:
        """All applied entities."""
        return list(self.registry.catalogue().entities.values())

    def list_feature_views(self) -> list[FeatureView]:
        """All applied feature views."""
        return list(self.registry.catalogue().feature_views.values())

    def list_feature_services(self) -> list[FeatureService]:
        """All applied feature services."""
        return list(self.registry.catalogue().feature_services.values())

    def get_feature_view(self, name: str) -> FeatureView:
        """The applied feature view of the name. Raises FeatureViewNotFound."""
        return self.registry.catalogue().feature_view(callers.text("name", name))

    def get_feature_service(self, name: str, version: str | None = None) -> FeatureService:
        """The applied service of the name, or an old version. Every view is also a service.

        Raises FeatureServiceNotFound.
        """
        callers.text("name", name)
        if version is not None:
            callers.text("version", version)
        return self._resolve(name if version is None else f"{name}@{version}", self.registry.catalogue())


def _batches(loaded: AbstractContextManager[pa.RecordBatchReader]) -> Iterator[pa.RecordBatch]:
    with loaded as batches:
        yield from batches


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
