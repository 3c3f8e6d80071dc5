"""Training sets: a spine joined with its service, kept as an immutable table and a manifest per version."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyarrow as pa
from ibis.expr.types import Table

from amora_fs_assets.domain.catalogue import Catalogue, code_version
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import DefinitionError, TransformError
from amora_fs_assets.domain.fingerprint import content_hash
from amora_fs_assets.domain.known import handing
from amora_fs_assets.domain.meter import Meter
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports import Draft, OfflineStore, Registry
from amora_fs_assets.domain.records import ColumnLineage, Input, Output, RunRecord
from amora_fs_assets.domain.time import Instant
from amora_fs_assets.domain.training_set import TrainingSet
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.compute import inputs_of
from amora_fs_assets.operations.contents import contents_of
from amora_fs_assets.operations.lineage import column_lineage
from amora_fs_assets.operations.point_in_time import Bounds, point_in_time
from amora_fs_assets.operations.spine import QuerySpine
from amora_fs_assets.operations.tables import Added, all_rows, check_tables, columns_of
from amora_fs_assets.operations.versions import check_not_pruned, manifest_of, rows_of_version


@dataclass(frozen=True, kw_only=True)
class Built:
    """A version that is computed and staged, not yet published."""

    training_set: TrainingSet
    version: str
    run_id: str
    definition_hash: str
    staged: str
    columns: tuple[Column, ...]
    labels: tuple[str, ...]  # the spine's columns that are neither join key nor time
    spine_sql: str
    sql: str  # of the join; the spine is a table of its own there
    inputs: tuple[Input, ...]
    lineage: ColumnLineage
    bounds: Bounds | None  # the first and the last moment; None where there is no row
    meter: Meter = field(default_factory=Meter, compare=False)  # of what it scans, publishing included


def spine_of(training_set: TrainingSet, dataset: str, added: Added | None = None) -> Table:
    """The labelled moments. Raises TransformError for a spine that fails.

    It sees all rows of its sources: labels lie in the future of the moment they are asked for.
    """
    if training_set.spine is None:
        raise DefinitionError(f"{training_set} was read from the registry, which holds no code. Import its definition.")
    try:
        tables = {s.name: all_rows(s, dataset, (added or {}).get(s.name, ())) for s in training_set.sources}
        with handing(tables, {s.name: s for s in training_set.sources}):
            spine = training_set.spine(**tables)
    except Exception as error:
        raise TransformError(f"{training_set}: its spine failed: {type(error).__name__}: {error}") from error
    if not isinstance(spine, Table):
        raise TransformError(
            f"{training_set}: its spine returned {type(spine).__name__}; return an Ibis table expression."
        )
    return spine


def stage(
    training_set: TrainingSet,
    *,
    store: OfflineStore,
    run_id: str,
    now: datetime,
    definition_hash: str,
    applied: Catalogue | None = None,
) -> Built:
    """Join spine and features into a staged table. `applied` is the registry's catalogue.

    Raises TableNotFound, SourceMismatch, what `spine_of` raises, InvalidRequest where the spine lacks keys.
    """
    with Meter(training_set.name, run_id) as meter:
        return _stage(training_set, store, run_id, now, definition_hash, applied, meter)


def _stage(
    training_set: TrainingSet,
    store: OfflineStore,
    run_id: str,
    now: datetime,
    definition_hash: str,
    applied: Catalogue | None,
    meter: Meter,
) -> Built:
    service = training_set.service
    read = {s.name: s for s in (*training_set.sources, *(p.view for p in service.projections))}
    added = check_tables(list(read.values()), store, applied, may_lack_added=True)
    inputs = inputs_of(list(read.values()), store)
    spine = spine_of(training_set, store.dataset, added)
    join = partial(
        point_in_time,
        service=service,
        engine=store.engine,
        dataset=store.dataset,
        known_time=training_set.known_time,
        added=added,
    )
    whole = join(spine)
    owner, lineage = str(training_set), column_lineage(whole, list(read.values()), store)
    columns = columns_of(whole.schema(), owner)
    with QuerySpine(query=spine).stored(store) as (moments, bounds):
        query = join(moments, bounds=bounds)
        sql = store.sql(query)
        staged = store.stage(query, name=training_set.name, run_id=run_id)
    return Built(
        training_set=training_set,
        version=f"{now:%Y%m%dT%H%M%S%fZ}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}",
        run_id=run_id,
        definition_hash=definition_hash,
        staged=staged,
        columns=columns,
        labels=tuple(c for c in spine.columns if c not in (EVENT_TIMESTAMP, *service.join_keys)),
        spine_sql=store.sql(spine),
        sql=sql,
        inputs=inputs,
        lineage=lineage,
        bounds=bounds,
        meter=meter,
    )


def table_of_version(name: str, version: str, store: OfflineStore) -> str:
    """Where the rows of a version are."""
    return f"{store.dataset}.training_set_{name}_{version.replace('-', '_').lower()}"


def publish(built: Built, *, store: OfflineStore, registry: Registry, now: datetime, started_at: datetime) -> RunRecord:
    """Make the version readable: its table first, then the manifest that points at it. Gives the record to be kept."""
    with built.meter:
        return _publish(built, store, registry, now, started_at)


def _publish(built: Built, store: OfflineStore, registry: Registry, now: datetime, started_at: datetime) -> RunRecord:
    training_set = built.training_set
    table = table_of_version(training_set.name, built.version, store)
    publication = store.publish(
        built.staged,
        Draft(
            name=training_set.name,
            table=table,
            columns=built.columns,
            description=training_set.description,
            owner=training_set.owner,
            tags=training_set.tags,
            run_id=built.run_id,
            definition_hash=built.definition_hash,
            published_at=now,
        ),
    )
    contents = contents_of(table, built.columns, store)
    manifest = {
        "table": table,
        "rows": contents.rows,
        "checksum": contents.checksum,
        "first": built.bounds[0].isoformat() if built.bounds else None,
        "last": built.bounds[1].isoformat() if built.bounds else None,
        "columns": [
            {"name": column.name, "type": str(column.type), "statistics": contents.statistics[column.name]}
            for column in built.columns
        ],
        "labels": list(built.labels),
        "service": training_set.service.name,
        "service_version": training_set.service.version,
        "definition_hash": built.definition_hash,
        "definitions": Catalogue.of([training_set]).to_plain(),
        "run_id": built.run_id,
        "sequence": publication.sequence,
        "inputs": _inputs(built, store),
        "spine_sql": built.spine_sql,
        "sql": built.sql,
    }
    where = registry.put_manifest(training_set.name, built.version, manifest)
    return RunRecord(
        kind="training_set",
        name=training_set.name,
        run_id=built.run_id,
        status="succeeded",
        started_at=started_at,
        finished_at=datetime.now(UTC),
        rows=publication.rows,
        bytes=built.meter.bytes,
        jobs=tuple(built.meter.jobs),
        sequence=publication.sequence,
        code_version=code_version(training_set),
        definition_hash=built.definition_hash,
        schema_hash=content_hash([[column.name, column.type, column.nullable] for column in built.columns]),
        sql_hash=hashlib.sha256(built.sql.encode()).hexdigest(),
        inputs=built.inputs,
        outputs=(Output(name=training_set.name, table=table, sequence=publication.sequence),),
        column_lineage=built.lineage,
        details={
            "version": built.version,
            "table": table,
            "checksum": contents.checksum,
            "manifest": f"{registry.url}/{where}",
            "null rates": {name: found["nulls"] / max(contents.rows, 1) for name, found in contents.statistics.items()},
            "label balance": {
                name: contents.statistics[name]["mean"]
                for name in built.labels
                if next(c.type for c in built.columns if c.name == name) is DataType.BOOLEAN
            },
        },
    )


def _inputs(built: Built, store: OfflineStore) -> list[dict[str, Any]]:
    """Each input with the newest publication that was in it, its identities, and the run that made it."""
    published = {publication.sequence: publication for publication in store.publications()}
    found = ((each, published.get(each.sequence or 0)) for each in built.inputs)
    return [
        {
            "name": each.name,
            "table": each.table,
            "sequence": each.sequence,
            "run_id": of.run_id if of else None,
            "publication_id": of.publication_id if of else None,
            "incarnation": of.incarnation if of else None,
        }
        for each, of in found
    ]


def load(
    name: str,
    *,
    version: str | None = None,
    as_of: Instant | None = None,
    store: OfflineStore,
    registry: Registry,
) -> AbstractContextManager[pa.RecordBatchReader]:
    """The rows of a version, the newest by default or that of a past time, proven to be those that were built.

    Raises TrainingSetNotFound, TrainingSetAltered.
    """
    manifest = manifest_of(name, version, registry, as_of=as_of)
    if store.columns(manifest["table"]) is None:
        check_not_pruned(name, manifest["version"], registry)
    return store.read(rows_of_version(name, manifest, store))
