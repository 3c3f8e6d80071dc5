"""Training sets: a spine joined with its service, kept as an immutable table and a manifest per version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ibis
import pyarrow as pa
from ibis.expr.types import Table

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import DefinitionError, TrainingSetNotFound, TransformError
from amora_fs_assets.domain.ports import Draft, OfflineStore, Registry
from amora_fs_assets.domain.records import ColumnLineage, Input, RunRecord
from amora_fs_assets.domain.schema import IBIS_TYPES
from amora_fs_assets.domain.training_set import TrainingSet
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.compute import inputs_of
from amora_fs_assets.operations.lineage import column_lineage
from amora_fs_assets.operations.point_in_time import point_in_time
from amora_fs_assets.operations.tables import all_rows, check_tables, unbound


@dataclass(frozen=True, kw_only=True)
class Built:
    """A version that is computed and staged, not yet published."""

    training_set: TrainingSet
    version: str
    run_id: str
    definition_hash: str
    staged: str
    columns: tuple[Column, ...]
    sql: str
    inputs: tuple[Input, ...]
    lineage: ColumnLineage


def query_of(training_set: TrainingSet, store: OfflineStore) -> Table:
    """The spine with its features. Raises TransformError for a spine that fails, InvalidRequest where keys are missing.

    The spine sees all rows of its sources: labels lie in the future of the moment they are asked for.
    """
    if training_set.spine is None:
        raise DefinitionError(f"{training_set} was read from the registry, which holds no code. Import its definition.")
    try:
        spine = training_set.spine(**{s.name: all_rows(s, store.dataset) for s in training_set.sources})
    except Exception as error:
        raise TransformError(f"{training_set}: its spine failed: {type(error).__name__}: {error}") from error
    return point_in_time(spine, training_set.service, engine=store.engine, dataset=store.dataset)


def stage(training_set: TrainingSet, *, store: OfflineStore, run_id: str, now: datetime, definition_hash: str) -> Built:
    """Join spine and features into a staged table. Raises TableNotFound, SourceMismatch and what `query_of` raises."""
    views = {p.view.name: p.view for p in training_set.service.projections}
    read = {source.name: source for source in (*training_set.sources, *views.values())}
    check_tables(list(read.values()), store)
    inputs = inputs_of(list(read.values()), store)
    query = query_of(training_set, store)
    columns, lineage = _columns(training_set, query), column_lineage(query, list(read.values()), store)
    return Built(
        training_set=training_set,
        version=f"{now:%Y%m%dT%H%M%S%fZ}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}",
        run_id=run_id,
        definition_hash=definition_hash,
        staged=store.stage(query, name=training_set.name, run_id=run_id),
        columns=columns,
        sql=store.sql(query),
        inputs=inputs,
        lineage=lineage,
    )


def _columns(training_set: TrainingSet, query: Table) -> tuple[Column, ...]:
    known = {type_: data_type for data_type, type_ in IBIS_TYPES.items()}
    columns = []
    for name, type_ in query.schema().items():
        wide = ibis.expr.datatypes.int64 if type_.is_integer() else type_.copy(nullable=True)
        if wide not in known:
            raise TransformError(
                f"{training_set}: column '{name}' is {type_}, which is not kept. Cast it in the spine."
            )
        columns.append(Column(name, known[wide], nullable=True))
    return tuple(columns)


def table_of_version(name: str, version: str, store: OfflineStore) -> str:
    """Where the rows of a version are."""
    return f"{store.dataset}.training_set_{name}_{version.replace('-', '_').lower()}"


def publish(built: Built, *, store: OfflineStore, registry: Registry, now: datetime, started_at: datetime) -> RunRecord:
    """Make the version readable: its table first, then the manifest that points at it. Gives the record to be kept."""
    training_set = built.training_set
    table = table_of_version(training_set.name, built.version, store)
    publication = store.publish(
        built.staged,
        Draft(
            name=training_set.name,
            table=table,
            columns=built.columns,
            description=training_set.description,
            run_id=built.run_id,
            definition_hash=built.definition_hash,
            published_at=now,
        ),
    )
    registry.put_manifest(
        training_set.name,
        built.version,
        {
            "table": table,
            "rows": publication.rows,
            "columns": [{"name": column.name, "type": str(column.type)} for column in built.columns],
            "service": training_set.service.name,
            "service_version": training_set.service.version,
            "definition_hash": built.definition_hash,
            "run_id": built.run_id,
            "sequence": publication.sequence,
            "inputs": [{"name": i.name, "table": i.table, "sequence": i.sequence} for i in built.inputs],
            "sql": built.sql,
        },
    )
    return RunRecord(
        kind="training_set",
        name=training_set.name,
        run_id=built.run_id,
        status="succeeded",
        started_at=started_at,
        finished_at=now,
        rows=publication.rows,
        sequence=publication.sequence,
        definition_hash=built.definition_hash,
        sql_hash=hashlib.sha256(built.sql.encode()).hexdigest(),
        inputs=built.inputs,
        column_lineage=built.lineage,
        details={"version": built.version, "table": table},
    )


def manifest_of(name: str, version: str | None, registry: Registry) -> Mapping[str, Any]:
    """The manifest of a version, the newest by default. Raises TrainingSetNotFound."""
    versions = registry.manifests(name)
    if not versions:
        known = [each for each in registry.catalogue().training_sets if registry.manifests(each)]
        raise TrainingSetNotFound(
            f"Training set '{name}' has no version yet: materialize asset training_set/{name}. "
            f"Built so far: {', '.join(known) or 'none'}."
        )
    found = registry.manifest(name, version or versions[-1])
    if found is None:
        raise TrainingSetNotFound(
            f"Training set '{name}' has no version '{version}'. Newest: {', '.join(versions[-5:])}."
        )
    return found


def table_of(name: str, *, version: str | None, registry: Registry) -> Table:
    """The rows of a version as a query. Raises TrainingSetNotFound."""
    manifest = manifest_of(name, version, registry)
    columns = [Column(each["name"], DataType(each["type"]), nullable=True) for each in manifest["columns"]]
    return unbound(columns, manifest["table"])


def load(name: str, *, version: str | None, store: OfflineStore, registry: Registry) -> pa.Table:
    """The rows of a version, the newest by default. Raises TrainingSetNotFound, TableNotFound."""
    with store.read(table_of(name, version=version, registry=registry)) as batches:
        return batches.read_all()
