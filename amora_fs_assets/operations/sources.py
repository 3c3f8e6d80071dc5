"""Sources that the project loads itself: loader -> offline store."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from amora_fs_assets.domain.errors import InvalidRequest, SourceMismatch
from amora_fs_assets.domain.ports import Draft, OfflineStore
from amora_fs_assets.domain.records import Publication, RunRecord
from amora_fs_assets.domain.schema import IBIS_TYPES
from amora_fs_assets.domain.source import Source


def load(source: Source, *, run_id: str, store: OfflineStore, now: datetime) -> Publication:
    """Replace the source's table by what its loader returns, whole. Raises SourceMismatch for other columns."""
    if source.loader is None:
        raise InvalidRequest(f"Source '{source.name}' has no loader: {source.table} is filled elsewhere.")
    data = source.loader()
    names = [column.name for column in source.columns]
    missing = [name for name in names if name not in data.column_names]
    if missing:
        raise SourceMismatch(f"Source '{source.name}': its loader returned no column {missing}. Mend loader or schema.")
    types = [IBIS_TYPES[column.type].to_pyarrow() for column in source.columns]
    try:
        rows = data.select(names).cast(pa.schema(list(zip(names, types, strict=True))))
    except pa.ArrowInvalid as error:
        raise SourceMismatch(f"Source '{source.name}': its loader's rows do not fit the schema: {error}") from error
    staged = store.stage(rows, name=source.name, run_id=run_id)
    draft = Draft(
        name=source.name,
        table=source.table,
        columns=source.columns,
        time=source.timestamp_field,
        description=source.description,
        run_id=run_id,
        published_at=now,
    )
    return store.publish(staged, draft)


def record_of(source: Source, publication: Publication, *, started_at: datetime, finished_at: datetime) -> RunRecord:
    """What the registry keeps of a load."""
    return RunRecord(
        kind="load_source",
        name=source.name,
        run_id=publication.run_id,
        status="succeeded",
        started_at=started_at,
        finished_at=finished_at,
        rows=publication.rows,
        sequence=publication.sequence,
    )
