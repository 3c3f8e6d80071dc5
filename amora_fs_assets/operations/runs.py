"""Whole runs of operations, for FeatureStore: each run is recorded in the registry, successful or not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import PublicationRefused
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.definition import code_version
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import OnlineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.protocol import TRIES
from amora_fs_assets.domain.records import CheckResult, Input, Output, Publication, RuleResult
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.time import Clock, Interval, wall_clock
from amora_fs_assets.operations.offline import load_source
from amora_fs_assets.operations.offline.computation import Computation
from amora_fs_assets.operations.offline.compute import interval_of
from amora_fs_assets.operations.offline.corrections import corrections
from amora_fs_assets.operations.offline.coverage import coverage_now, merged, without
from amora_fs_assets.operations.online import materialize as online_verb
from amora_fs_assets.operations.online import parity as parity_verb
from amora_fs_assets.operations.online.materialize import Materialized
from amora_fs_assets.operations.online.parity import Parity
from amora_fs_assets.operations.records.recording import recorded
from amora_fs_assets.operations.several import Progress, Several

_log = logging.getLogger(__name__)


def load_missing(
    views: Sequence[FeatureView], code: Catalogue, *, store: OfflineStore, registry: Registry, run_id: str
) -> None:
    """Load those sources of the views that have a loader and no table yet."""
    read = {table_name(part, store.dataset) for view in views for part in (view, *view.sources)}
    for source in code.sources.values():
        if source.loader is not None and source.table in read and store.columns(source.table) is None:
            load_source.load(source, run_id=run_id, store=store, registry=registry)


def compute_missing(
    views: Sequence[FeatureView],
    code: Catalogue,
    *,
    store: OfflineStore,
    registry: Registry,
    run_id: str,
    clock: datetime,
    progress: Progress | None = None,
) -> Iterator[Publication]:
    """Compute the missing, stale and part-computed intervals of the views up to the clock, in order of dependency.

    Views of external tables have nothing to compute. A view that reads a failed view is skipped; all others are tried.
    Raises ViewsFailed at the end.
    """
    published = list(store.publications())
    several = Several("compute", views, progress)
    for view in several.each(after_sources=True):
        with several.trying(view):
            load_missing([view], code, store=store, registry=registry, run_id=run_id)
            for interval in coverage_now(view, published, clock=clock, dataset=store.dataset).to_compute:
                published.append(_compute_interval(view, interval, store, registry, run_id, clock))
                several.results[view.name] = (*several.results.get(view.name, ()), published[-1])
                yield published[-1]


def compute_late(
    views: Sequence[FeatureView],
    *,
    store: OfflineStore,
    registry: Registry,
    run_id: str,
    clock: datetime,
    progress: Progress | None = None,
) -> Iterator[Publication]:
    """Compute only the intervals whose source rows changed since they were read, and the intervals that read these.

    A view that reads a failed view is skipped; all others are tried. Raises ViewsFailed at the end.
    """
    published = list(store.publications())
    found = corrections(views, published, store=store, clock=clock)
    stale_before = {v.name: coverage_now(v, published, clock=clock, dataset=store.dataset).to_compute for v in views}
    several = Several("compute", views, progress)
    for view in several.each(after_sources=True):
        with several.trying(view):
            stale = coverage_now(view, published, clock=clock, dataset=store.dataset).to_compute
            newly_stale = [left for each in stale for left in without(each, stale_before[view.name])]
            for interval in merged([*newly_stale, *(each.interval for each in found if each.view == view.name)]):
                published.append(_compute_interval(view, interval, store, registry, run_id, clock))
                several.results[view.name] = (*several.results.get(view.name, ()), published[-1])
                yield published[-1]


def _compute_interval(
    view: FeatureView, interval: Interval, store: OfflineStore, registry: Registry, run_id: str, clock: datetime
) -> Publication:
    publication = compute(
        view, interval.start, interval.end, store=store, registry=registry, run_id=run_id, clock=clock
    )
    assert publication is not None, "a computed view is published"
    return publication


def compute(
    view: FeatureView,
    start: datetime,
    end: datetime,
    *,
    store: OfflineStore,
    registry: Registry,
    run_id: str,
    clock: datetime,
    now: Clock = wall_clock,
) -> Publication | None:
    """Compute, check and publish [start, end) of a view, and record the run.

    If another run published the interval meanwhile, the computation is repeated, with at most TRIES tries.
    """
    for tried in range(1, TRIES + 1):
        try:
            return _compute_once(view, start, end, store=store, registry=registry, run_id=run_id, clock=clock, now=now)
        except PublicationRefused as error:
            if tried == TRIES:
                raise
            _log.warning("%s Trying again (%s of %s).", error, tried + 1, TRIES)
    raise AssertionError("the last try returns or raises")


def _compute_once(
    view: FeatureView,
    start: datetime,
    end: datetime,
    *,
    store: OfflineStore,
    registry: Registry,
    run_id: str,
    clock: datetime,
    now: Clock,
) -> Publication | None:
    applied = registry.catalogue()
    interval = interval_of(view, start, end, clock)
    computation = Computation(view, store=store, registry=registry, run_id=run_id, now=now)
    with computation.failing():
        computation.stage(interval, applied)
        computation.require_passed()
    computation.publish()
    return computation.publication


def materialize(
    view: FeatureView,
    *,
    store: OfflineStore,
    online: OnlineStore,
    registry: Registry,
    run_id: str,
    clock: datetime,
    since: datetime | None = None,
    full: bool = False,
    expire: bool = True,
    now: Clock = wall_clock,
) -> Materialized:
    """Load a view into the online store, and record the run."""
    return recorded_load(
        view,
        lambda: online_verb.materialize(
            view, store=store, online=online, clock=clock, since=since, full=full, expire=expire
        ),
        store=store, online=online, registry=registry, run_id=run_id, clock=clock, began=now(), now=now,
    )  # fmt: skip


def recorded_load(
    view: FeatureView,
    load: Callable[[], Materialized],
    *,
    store: OfflineStore,
    online: OnlineStore,
    registry: Registry,
    run_id: str,
    clock: datetime,
    began: datetime,
    now: Clock = wall_clock,
) -> Materialized:
    """Run `load`, and record the load."""
    details = {"clock": clock.isoformat(), "new_generation": False, "view_id": view.view_id}
    known: dict[str, Any] = {"code_version": code_version(view), "schema_hash": view.schema_hash, "details": details}
    with recorded("materialize", view.name, run_id=run_id, registry=registry, began=began, now=now, **known) as run:
        loaded = load()
        table = table_name(view, store.dataset)
        newest = online.generation(view)
        run.update(
            rows=loaded.rows,
            sequence=loaded.published_through,
            inputs=(Input(name=view.name, table=table, sequence=loaded.published_through or None),),
            outputs=(
                Output(name=view.name, sequence=loaded.published_through, generation=newest.number if newest else None),
            ),
            details=details
            | {"new_generation": loaded.new_generation}
            | ({"because": loaded.because} if loaded.because else {}),
        )
    return loaded


def parity(
    view: FeatureView,
    *,
    store: OfflineStore,
    online: OnlineStore,
    registry: Registry,
    run_id: str,
    sample: int | None,
    expire: bool = True,
) -> Parity:
    """Compare online rows with the offline store, and record the result; a run with faults is recorded as failed."""
    with recorded("parity", view.name, run_id=run_id, registry=registry, schema_hash=view.schema_hash) as run:
        found = parity_verb.parity(view, store, online, sample=sample, expire=expire)
        rules = [RuleResult(rule=rule, failed_rows=getattr(found, rule)) for rule in parity_verb.FAULTS]
        faults = ", ".join(f"{rule.failed_rows} {rule.rule}" for rule in rules if rule.failed_rows)
        run.update(
            status="succeeded" if found.passed else "failed",
            rows=found.sampled,
            sequence=found.published_through,
            inputs=(
                Input(name=view.name, table=table_name(view, store.dataset), sequence=found.published_through or None),
            ),
            checks=(CheckResult(name="parity", rules=tuple(rules), failing_rows=found.examples),),
            details={name: getattr(found, name) for name in ("equal", *parity_verb.NO_FAULTS)},
            error=f"Of {found.sampled} keys {faults}." if faults else "",
        )
    return found
