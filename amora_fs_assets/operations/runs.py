"""Whole runs outside Dagster: each verb with its record in the registry, failed or not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports import OfflineStore, OnlineStore, Registry
from amora_fs_assets.domain.records import Publication, RunRecord
from amora_fs_assets.operations import compute as verb
from amora_fs_assets.operations import materialize as online_verb
from amora_fs_assets.operations import sources
from amora_fs_assets.operations.definitions import check_applied
from amora_fs_assets.operations.materialize import Materialized
from amora_fs_assets.operations.tables import table_name


def load_missing(
    views: Sequence[FeatureView], code: Catalogue, *, store: OfflineStore, registry: Registry, run_id: str
) -> None:
    """Load the sources of the views that the project loads itself and that are not there yet."""
    read = {table_name(part, store.dataset) for view in views for part in (view, *view.sources)}
    for source in code.sources.values():
        if source.loader is not None and source.table in read and store.columns(source.table) is None:
            began = datetime.now(UTC)
            publication = sources.load(source, run_id=run_id, store=store, now=began)
            registry.record(sources.record_of(source, publication, started_at=began, finished_at=datetime.now(UTC)))


def compute(
    view: FeatureView,
    start: datetime,
    end: datetime,
    *,
    store: OfflineStore,
    registry: Registry,
    run_id: str,
    clock: datetime,
) -> Publication | None:
    """Compute [start, end) of a view, check it, publish it, and record what happened."""
    hash_ = check_applied(view, registry.catalogue())
    interval = verb.interval_of(view, start, end, clock)
    began = datetime.now(UTC)
    computed = None
    try:
        computed = verb.stage(view, interval, store=store, run_id=run_id, definition_hash=hash_)
        if not computed.checked.passed:
            raise verb.refusal(computed)
        publication = verb.publish(computed, store=store, now=datetime.now(UTC))
    except Exception as error:
        registry.record(
            verb.record_of(view, run_id=run_id, started_at=began, finished_at=datetime.now(UTC), interval=interval,
                           computed=computed, error=error)
        )  # fmt: skip
        if computed and computed.staged:
            store.discard(computed.staged)
        raise
    registry.record(
        verb.record_of(view, run_id=run_id, started_at=began, finished_at=datetime.now(UTC), interval=interval,
                       computed=computed, publication=publication)
    )  # fmt: skip
    return publication


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
) -> Materialized:
    """Bring a view online and record it."""
    began = datetime.now(UTC)
    loaded, failure = None, ""
    try:
        loaded = online_verb.materialize(
            view, store=store, online=online, clock=clock, since=since, full=full, expire=expire
        )
    except Exception as error:
        failure = str(error)
        raise
    finally:
        registry.record(
            RunRecord(
                kind="materialize",
                name=view.name,
                run_id=run_id,
                status="failed" if loaded is None else "succeeded",
                started_at=began,
                finished_at=datetime.now(UTC),
                rows=0 if loaded is None else loaded.rows,
                sequence=None if loaded is None else loaded.cursor,
                schema_hash=view.schema_hash,
                details={"clock": clock.isoformat(), "new_generation": loaded is not None and loaded.new_generation},
                error=failure,
            )
        )
    return loaded
