"""Training sets: a spine joined with a service. Each version is an immutable table and a manifest."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import pyarrow as pa
from ibis.expr.types import Table

from amora_fs_assets.domain.applied import check_applied
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import DefinitionError, TransformError
from amora_fs_assets.domain.identity.definition import code_version
from amora_fs_assets.domain.identity.fingerprint import content_hash
from amora_fs_assets.domain.job_costs import Meter
from amora_fs_assets.domain.known import handing
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import Draft, OfflineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.records import ColumnLineage, Input, Publication, RunRecord
from amora_fs_assets.domain.table_names import pushed_table, version_table
from amora_fs_assets.domain.time import Clock, Instant, wall_clock
from amora_fs_assets.domain.training_set import TrainingSet
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.column_lineage import column_lineage
from amora_fs_assets.operations.expressions.point_in_time import Bounds, point_in_time
from amora_fs_assets.operations.expressions.table_fingerprint import Contents, contents_of
from amora_fs_assets.operations.expressions.tables import Stored, all_rows, check_tables, columns_of
from amora_fs_assets.operations.offline.compute import inputs_of
from amora_fs_assets.operations.records.staged_run import StagedRun
from amora_fs_assets.operations.training.spine import QuerySpine
from amora_fs_assets.operations.training.versions import check_not_pruned, manifest_of, rows_of_version


@dataclass(frozen=True, kw_only=True)
class StagedTrainingSet:
    """A version that is staged but not yet published."""

    training_set: TrainingSet
    version: str
    run_id: str
    definition_hash: str
    staged: str
    columns: tuple[Column, ...]
    labels: tuple[str, ...]  # the spine's columns except join keys and event_timestamp
    spine_sql: str
    sql: str  # the SQL of the join, which reads the spine from a staged table
    inputs: tuple[Input, ...]
    lineage: ColumnLineage
    bounds: Bounds | None  # the first and the last moment; None without rows


def spine_of(training_set: TrainingSet, dataset: str, stored: Stored | None = None) -> Table:
    """The labelled moments. Raises TransformError if the spine function fails.

    The function receives all rows of its sources, since labels become known after their moment.
    """
    if training_set.spine is None:
        raise DefinitionError(f"{training_set} was read from the registry, which holds no code. Import its definition.")
    try:
        added = stored.added if stored else {}
        tables = {s.name: all_rows(s, dataset, added.get(s.name, ())) for s in training_set.sources}
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
) -> StagedTrainingSet:
    """Join spine and features into a staged table. `applied` is the registry's catalogue.

    Raises TableNotFound, SourceMismatch, the errors of `spine_of`, and InvalidRequest for a spine without join keys.
    """
    with Meter(training_set.name, run_id):
        return _stage(training_set, store, run_id, now, definition_hash, applied)


def _stage(
    training_set: TrainingSet,
    store: OfflineStore,
    run_id: str,
    now: datetime,
    definition_hash: str,
    applied: Catalogue | None,
) -> StagedTrainingSet:
    service = training_set.service
    read = {s.name: s for s in (*training_set.sources, *service.views.values())}
    stored = check_tables(list(read.values()), store, applied, may_lack_added=True)
    inputs = _with_pushes(inputs_of(list(read.values()), store), stored, store)
    spine = spine_of(training_set, store.dataset, stored)
    join = partial(
        point_in_time,
        service=service,
        dialect=store.dialect,
        dataset=store.dataset,
        known_time=training_set.known_time,
        stored=stored,
    )
    # Pushed rows have the columns of their view, so lineage does not need them.
    whole = join(spine, stored=Stored(stored.added))
    owner, lineage = str(training_set), column_lineage(whole, list(read.values()), store)
    columns = columns_of(whole.schema(), owner)
    with QuerySpine(query=spine).stored(store) as (moments, bounds):
        query = join(moments, bounds=bounds)
        sql = store.sql(query)
        staged = store.stage(query, name=training_set.name, run_id=run_id)
    return StagedTrainingSet(
        training_set=training_set,
        version=f"{now:%Y%m%dT%H%M%S%fZ}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}",
        run_id=run_id,
        definition_hash=definition_hash,
        staged=staged,
        columns=columns,
        labels=tuple(c for c in spine.columns if c not in (EVENT_TIMESTAMP, *service.join_keys, *service.request)),
        spine_sql=store.sql(spine),
        sql=sql,
        inputs=inputs,
        lineage=lineage,
        bounds=bounds,
    )


def _with_pushes(inputs: tuple[Input, ...], stored: Stored, store: OfflineStore) -> tuple[Input, ...]:
    """The inputs, for an external view with its newest push."""
    if not stored.pushed:
        return inputs
    newest = {each.table: each.sequence for each in store.publications(newest=True)}
    pushes = {name: newest.get(pushed_table(name, store.dataset)) for name in stored.pushed}
    return tuple(replace(each, sequence=pushes.get(each.name, each.sequence)) for each in inputs)


class TrainingSetBuild(StagedRun):
    """One build of a training set's version, from its start to its record.

    Call `stage`, then `publish`. An error in either is recorded, and the staged rows are dropped.
    """

    def __init__(
        self, training_set: TrainingSet, *, store: OfflineStore, registry: Registry, run_id: str,
        now: Clock = wall_clock,
    ) -> None:  # fmt: skip
        """Begin the build."""
        self.began = now()
        super().__init__(
            "training_set", training_set.name, store=store, registry=registry, run_id=run_id, now=now,
            began=self.began, code_version=code_version(training_set),
        )  # fmt: skip
        self.training_set = training_set
        self._staged: StagedTrainingSet | None = None

    @property
    def staged(self) -> StagedTrainingSet:
        """The staged version, after `stage`."""
        assert self._staged is not None, "stage() comes first"
        return self._staged

    def stage(self, applied: Catalogue) -> StagedTrainingSet:
        """Join spine and features into a staged table. `applied` is the registry's catalogue.

        Raises DefinitionNotApplied and the errors of the function `stage`.
        """
        with self.failing():
            hash_ = check_applied(self.training_set, applied)
            self.record_killed_runs()
            self._staged = stage(
                self.training_set, store=self.store, run_id=self.run_id, now=self.began, definition_hash=hash_,
                applied=applied,
            )  # fmt: skip
            self.staged_table = self._staged.staged
        return self._staged

    def publish(self) -> RunRecord:
        """Publish the table, then write the manifest, which makes the version readable. Record the run."""
        with self.failing():
            self._publish()
        return self.recording.keep()

    def _publish(self) -> None:
        staged, store, training_set = self.staged, self.store, self.training_set
        table = version_table(training_set.name, staged.version, store.dataset)
        draft = Draft.of(
            training_set, table=table, columns=staged.columns, run_id=staged.run_id,
            definition_hash=staged.definition_hash, published_at=self.now(),
        )  # fmt: skip
        publication = store.publish(staged.staged, draft)
        contents = contents_of(table, staged.columns, store)
        manifest = _manifest(staged, table, contents, publication, store)
        where = self.registry.put_manifest(training_set.name, staged.version, manifest)
        self.published(publication)
        self.recording.fields.update(
            definition_hash=staged.definition_hash,
            schema_hash=content_hash([[column.name, column.type, column.nullable] for column in staged.columns]),
            sql_hash=hashlib.sha256(staged.sql.encode()).hexdigest(),
            inputs=staged.inputs,
            column_lineage=staged.lineage,
            details=_details(staged, table, contents, f"{self.registry.url}/{where}"),
        )


def build(training_set: TrainingSet, *, store: OfflineStore, registry: Registry, run_id: str) -> RunRecord:
    """Build and publish a version outside Dagster; see TrainingSetBuild."""
    run = TrainingSetBuild(training_set, store=store, registry=registry, run_id=run_id)
    run.stage(registry.catalogue())
    return run.publish()


def _manifest(
    staged: StagedTrainingSet, table: str, contents: Contents, publication: Publication, store: OfflineStore
) -> dict[str, Any]:
    """The manifest of a version, which the registry never deletes."""
    training_set = staged.training_set
    return {
        "table": table,
        "rows": contents.rows,
        "checksum": contents.checksum,
        "first": staged.bounds[0].isoformat() if staged.bounds else None,
        "last": staged.bounds[1].isoformat() if staged.bounds else None,
        "columns": [
            {"name": column.name, "type": str(column.type), "statistics": contents.statistics[column.name]}
            for column in staged.columns
        ],
        "labels": list(staged.labels),
        "service": training_set.service.name,
        "service_version": training_set.service.version,
        "definition_hash": staged.definition_hash,
        "definitions": Catalogue.of([training_set]).to_plain(),
        "run_id": staged.run_id,
        "sequence": publication.sequence,
        "inputs": _inputs(staged, store),
        "spine_sql": staged.spine_sql,
        "sql": staged.sql,
    }


def _details(staged: StagedTrainingSet, table: str, contents: Contents, manifest: str) -> dict[str, Any]:
    """The details in the record of the build."""
    types = {column.name: column.type for column in staged.columns}
    return {
        "version": staged.version,
        "table": table,
        "checksum": contents.checksum,
        "manifest": manifest,
        "null rates": {name: found["nulls"] / max(contents.rows, 1) for name, found in contents.statistics.items()},
        "label balance": {
            name: contents.statistics[name]["mean"] for name in staged.labels if types[name] is DataType.BOOLEAN
        },
    }


def _inputs(staged: StagedTrainingSet, store: OfflineStore) -> list[dict[str, Any]]:
    """Each input with its newest publication: sequence, identities, and the run that published it."""
    published = {publication.sequence: publication for publication in store.publications()}
    found = ((each, published.get(each.sequence or 0)) for each in staged.inputs)
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
    """The rows of a version: a named one, the newest, or the newest at a past time. Verifies that they are unchanged.

    Raises TrainingSetNotFound, TrainingSetAltered.
    """
    manifest = manifest_of(name, version, registry, as_of=as_of)
    if store.columns(manifest["table"]) is None:
        check_not_pruned(name, manifest["version"], registry)
    return store.read(rows_of_version(name, manifest, store))
