"""Records of runs that did not get to their end: of those that failed, and of those whose process was killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from amora_fs_assets.domain.errors import message_of
from amora_fs_assets.domain.ports import OfflineStore, Registry
from amora_fs_assets.domain.records import Publication, RunKind, RunRecord
from amora_fs_assets.operations.training_sets import table_of_version


@contextmanager
def failure_recorded(kind: RunKind, name: str, *, run_id: str, registry: Registry) -> Iterator[None]:
    """Whatever is raised inside is kept as a failed run's record, and raised on."""
    began = datetime.now(UTC)
    try:
        yield
    except BaseException as error:  # an interrupted run failed too
        registry.record(
            RunRecord(
                kind=kind,
                name=name,
                run_id=run_id,
                status="failed",
                started_at=began,
                finished_at=datetime.now(UTC),
                error=message_of(error),
            )
        )
        raise


def complete(kind: RunKind, name: str, *, store: OfflineStore, registry: Registry) -> None:
    """Record the publications that have no record: their process was killed in between.

    To be called before publishing. A run that is about to record its publication at this very moment gets two
    records of the same run and sequence, of which its own says more.
    """
    recorded = next((r.sequence for r in registry.records(name) if r.kind == kind and r.sequence is not None), 0)
    for publication in store.publications(name, after=recorded):
        registry.record(_record(kind, publication, store, registry))


def _record(kind: RunKind, publication: Publication, store: OfflineStore, registry: Registry) -> RunRecord:
    lost = kind == "training_set" and publication.table not in {
        table_of_version(publication.name, version, store) for version in registry.manifests(publication.name)
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
        details={"completed": "The process ended before it recorded this; taken from _publications by the next run."},
        error=f"The process was killed before the manifest was written: {publication.table} is no version."
        if lost
        else "",
    )
