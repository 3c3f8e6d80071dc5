"""Load a source with a loader: loader -> offline store."""

from __future__ import annotations

import pyarrow as pa

from amora_fs_assets.domain.arrow import arrow_table, is_arrow
from amora_fs_assets.domain.errors import InvalidRequest, SourceMismatch
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.ports.offline import Draft, OfflineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.time import Clock, wall_clock
from amora_fs_assets.operations.records.staged_run import StagedRun


def load(
    source: Source, *, run_id: str, store: OfflineStore, registry: Registry, now: Clock = wall_clock
) -> Publication:
    """Replace the whole table of the source with the rows that its loader returns, and record the run.

    Raises InvalidRequest for a source without a loader, SourceMismatch for other columns or types, and the errors of
    the loader.
    """
    run = StagedRun("load_source", source.name, store=store, registry=registry, run_id=run_id, now=now)
    with run.failing():
        run.record_killed_runs()
        rows = _rows_of_loader(source)
        run.staged_table = store.stage(rows, name=source.name, run_id=run_id)
        draft = Draft.of(
            source, table=source.table, columns=source.columns, time=source.timestamp_field, run_id=run_id,
            published_at=now(),
        )  # fmt: skip
        publication = store.publish(run.staged_table, draft)
    run.published(publication)
    run.recording.keep()
    return publication


def _rows_of_loader(source: Source) -> pa.Table:
    """The loader's rows in the source's columns and types."""
    if source.loader is None:
        raise InvalidRequest(f"Source '{source.name}' has no loader: {source.table} is an external table.")
    given = source.loader()
    if hasattr(given, "iloc") or not is_arrow(given):
        raise SourceMismatch(
            f"Source '{source.name}': its loader returned a {type(given).__name__}. Return a pyarrow.Table or a polars "
            "frame (for a pandas DataFrame: `pyarrow.Table.from_pandas(frame)`)."
        )
    data = arrow_table(given)
    names = [column.name for column in source.columns]
    missing = [name for name in names if name not in data.column_names]
    if missing:
        raise SourceMismatch(f"Source '{source.name}': its loader returned no column {missing}. Fix loader or schema.")
    types = [IBIS_TYPES[column.type].to_pyarrow() for column in source.columns]
    try:
        return data.select(names).cast(pa.schema(list(zip(names, types, strict=True))))
    except pa.ArrowException as error:
        raise SourceMismatch(f"Source '{source.name}': its loader's rows do not fit the schema: {error}") from error
