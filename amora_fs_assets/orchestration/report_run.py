"""Reports runs outside Dagster to its instance, so that the UI shows them.

A completely computed period, and an online load, become materializations. A partial change (some rows of a period, a
push, another live generation) becomes an observation: as a materialization, it would make an incomplete period look
complete, and a backfill of missing partitions would skip the period.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.records import RunRecord
from amora_fs_assets.operations.offline.coverage import publications_for
from amora_fs_assets.orchestration.metadata import DATA_VERSION, check_result, record_metadata, words_of
from amora_fs_assets.orchestration.names import NAMES, Kind, Names
from amora_fs_assets.orchestration.partitions import completed, periods_of

Event = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation
_ASSETS: dict[str, Kind] = {
    "load_source": "raw",
    "training_set": "training_set",
    "prune": "training_set",
    "hold": "training_set",
    "release": "training_set",
    "materialize": "online",
    "push": "online",
    "rollback": "online",
    "unpin": "online",
    "parity": "online",
}


def report(
    run: RunRecord, where: str, applied: Catalogue, store: OfflineStore, now: datetime | None, clock: datetime
) -> None:
    """Report a run, recorded at `where`, to the instance of DAGSTER_HOME.

    `now` is the settings' fixed clock, if there is one. Raises Dagster's error if there is no instance.
    """
    with dg.DagsterInstance.get() as instance:
        for event in events(run, where, applied, store, now, clock):
            instance.report_runless_asset_event(event)


def events(
    run: RunRecord,
    where: str,
    applied: Catalogue,
    store: OfflineStore,
    now: datetime | None,
    clock: datetime,
    names: Names = NAMES,
) -> Iterator[Event]:
    """The events for Dagster's log; only checks for a failed run."""
    key = names.key(_ASSETS.get(run.kind, "feature_view"), run.name)
    if run.status == "succeeded":
        yield from _assets(run, key, record_metadata(run, where, applied, names), applied, store, now, clock, names)
    for check in run.checks:
        result = check_result(check, key, words_of(applied.feature_views.get(run.name)))
        assert result.check_name is not None, "check_result sets the name"
        yield dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=result.check_name,
            passed=result.passed,
            metadata=result.metadata,
            severity=result.severity,
            description=result.description,
            blocking=run.kind != "parity",
        )


def _assets(
    run: RunRecord,
    key: dg.AssetKey,
    metadata: dict[str, Any],
    applied: Catalogue,
    store: OfflineStore,
    now: datetime | None,
    clock: datetime,
    names: Names,
) -> Iterator[Event]:
    version = {} if run.sequence is None else {DATA_VERSION: str(run.sequence)}
    view = applied.feature_views.get(run.name)
    match run.kind:
        case "parity":
            return
        case "push" | "rollback" | "unpin" | "prune" | "hold" | "release":
            yield dg.AssetObservation(key, metadata={"what": run.kind, **metadata})
            if run.kind == "push" and run.sequence is not None:
                yield dg.AssetObservation(names.key("feature_view", run.name), metadata={"what": run.kind, **metadata})
        case "compute" if view is not None and view.partitions is not None:
            assert run.interval is not None, "a computation of periods has an interval"
            published = publications_for(view, store)
            found = completed(view, run.interval, published, now=now, clock=clock, dataset=store.dataset)
            whole = {partition for partition, _ in found}
            for partition, _ in periods_of(view, run.interval, now):
                if partition in whole:
                    yield dg.AssetMaterialization(key, metadata=metadata, partition=partition, tags=version)
                else:
                    yield dg.AssetObservation(key, metadata=metadata, partition=partition)
        case _:
            yield dg.AssetMaterialization(key, metadata=metadata, tags=version)
