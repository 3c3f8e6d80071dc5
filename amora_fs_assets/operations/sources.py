"""Sources that the project loads itself: loader -> offline store."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from amora_fs_assets.domain.errors import InvalidRequest, SourceMismatch
from amora_fs_assets.domain.ports import Draft, OfflineStore, Registry
from amora_fs_assets.domain.records import Output, Publication
from amora_fs_assets.domain.schema import IBIS_TYPES
from amora_fs_assets.domain.source import Source
from amora_fs_assets.operations.recording import recorded
from amora_fs_assets.operations.recovery import complete


def load(source: Source, *, run_id: str, store: OfflineStore, registry: Registry) -> Publication:
    """Replace the source's table by what its loader returns, whole, and record the load, failed or not.

    Raises SourceMismatch for other columns, and what the loader raises.
    """
    with recorded("load_source", source.name, run_id=run_id, registry=registry) as run:
        complete("load_source", source.name, store=store, registry=registry)
        publication = _publish(source, run_id=run_id, store=store)
        output = Output(name=source.name, table=source.table, sequence=publication.sequence)
        run.update(rows=publication.rows, sequence=publication.sequence, outputs=(output,))
    return publication


def _publish(source: Source, *, run_id: str, store: OfflineStore) -> Publication:
    if source.loader is None:
        raise InvalidRequest(f"Source '{source.name}' has no loader: {source.table} is filled elsewhere.")
    data = source.loader()
    if not isinstance(data, pa.Table):
        raise SourceMismatch(
            f"Source '{source.name}': its loader returned a {type(data).__name__}. Return a pyarrow.Table "
            "(of a data frame: `pyarrow.Table.from_pandas(frame)`)."
        )
    names = [column.name for column in source.columns]
    missing = [name for name in names if name not in data.column_names]
    if missing:
        raise SourceMismatch(f"Source '{source.name}': its loader returned no column {missing}. Mend loader or schema.")
    types = [IBIS_TYPES[column.type].to_pyarrow() for column in source.columns]
    try:
        rows = data.select(names).cast(pa.schema(list(zip(names, types, strict=True))))
    except pa.ArrowException as error:
        raise SourceMismatch(f"Source '{source.name}': its loader's rows do not fit the schema: {error}") from error
    staged = store.stage(rows, name=source.name, run_id=run_id)
    draft = Draft(
        name=source.name,
        table=source.table,
        columns=source.columns,
        time=source.timestamp_field,
        description=source.description,
        owner=source.owner,
        run_id=run_id,
        published_at=datetime.now(UTC),
    )
    try:
        return store.publish(staged, draft)
    except BaseException:
        store.discard(staged)
        raise
