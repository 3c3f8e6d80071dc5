"""Records for runs whose process was killed after its publication and before its record."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.records import Output, Publication, RunKind, RunRecord
from amora_fs_assets.domain.table_names import version_table

_LOOKED_BACK = 5  # records of each kind, so that concurrent runs do not hide a killed one


def record_killed_runs(kind: RunKind, name: str, *, store: OfflineStore, registry: Registry) -> None:
    """Record the publications without a record: their process was killed after the publication.

    Call this before publishing. If another run is just writing its own record, readers of the registry get this one.
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
        details={
            "completed": "The process ended before it wrote this record. A later run wrote it from _publications."
        },
        error=f"The process was killed before it wrote the manifest: {publication.table} is not a version."
        if lost
        else "",
    )
