"""Records of runs whose process was killed between what it published and its record."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.records import Output, Publication, RunKind, RunRecord
from amora_fs_assets.domain.table_names import version_table

_LOOKED_BACK = 5  # records of each kind: runs that went on beside each other do not hide one that was killed


def record_killed_runs(kind: RunKind, name: str, *, store: OfflineStore, registry: Registry) -> None:
    """Record the publications that have no record: their process was killed in between.

    To be called before publishing. Where a run is about to record its publication at this very moment, its own record
    is what readers of the registry get.
    """
    kinds: tuple[RunKind, ...] = (kind, "push") if kind == "compute" else (kind,)
    recorded, since = set[int](), 0
    for each in kinds:
        newest = list(islice(_sequences(registry.records(name, kind=each)), _LOOKED_BACK))
        recorded.update(newest)
        since = max(since, min(newest)) if len(newest) == _LOOKED_BACK else since
    for publication in store.publications(name, after=since):
        if publication.sequence not in recorded:
            pushed = kind == "compute" and publication.pushed
            registry.record(_record("push" if pushed else kind, publication, store, registry))


def _sequences(records: Iterable[RunRecord]) -> Iterable[int]:
    return (record.sequence for record in records if record.sequence is not None)


def _record(kind: RunKind, publication: Publication, store: OfflineStore, registry: Registry) -> RunRecord:
    lost = kind == "training_set" and publication.table not in {
        version_table(publication.name, version, store.dataset) for version in registry.manifests(publication.name)
    }
    return RunRecord(
        kind=kind,
        name=publication.name,
        run_id=publication.run_id,
        status="failed" if lost else "succeeded",
        started_at=publication.published_at,
        finished_at=publication.published_at,
        interval_start=publication.start,
        interval_end=publication.end,
        rows=publication.rows,
        sequence=publication.sequence,
        definition_hash=publication.definition_hash,
        schema_hash=publication.schema_hash,
        sql_hash=publication.sql_hash,
        outputs=(Output(name=publication.name, table=publication.table, sequence=publication.sequence),),
        completed=True,
        details={"completed": "The process ended before it recorded this; taken from _publications by the next run."},
        error=f"The process was killed before the manifest was written: {publication.table} is no version."
        if lost
        else "",
    )
