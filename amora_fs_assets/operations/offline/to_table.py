"""Writes the rows of a read to a table that the caller names."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import pyarrow as pa
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import DefinitionError, InvalidRequest, OfflineStoreError
from amora_fs_assets.domain.job_costs import Meter
from amora_fs_assets.domain.names import check_table
from amora_fs_assets.domain.ownership import TO_TABLE, check_owner
from amora_fs_assets.domain.ports.offline import Draft, OfflineStore
from amora_fs_assets.domain.time import Clock, wall_clock
from amora_fs_assets.operations.expressions.tables import columns_of

_NEVER = datetime.min.replace(tzinfo=UTC)


@contextmanager
def named_run() -> Iterator[str]:
    """A new run id for `write_table`. The engine's jobs in the context have its name, so a job sent twice runs once."""
    run_id = f"{TO_TABLE}{uuid.uuid4()}"
    with Meter("historical", run_id):
        yield run_id


def write_table(rows: Table | pa.Table, name: str, *, store: OfflineStore, run_id: str, now: Clock = wall_clock) -> int:
    """Write the rows to the table `dataset.table` and return their number. Replaces an earlier `to_table` result."""
    staged = store.stage(rows, name="historical", run_id=run_id)
    try:
        staged_columns = store.columns(staged)
        assert staged_columns is not None, "it was staged just now"
        draft = Draft(
            name=name.rpartition(".")[2],
            table=name,
            columns=columns_of(staged_columns, "to_table"),
            run_id=run_id,
            published_at=now(),
        )
        return store.publish(staged, draft).rows
    except BaseException:
        store.discard(staged)
        raise


def check_writable(table: str, store: OfflineStore, owners: Mapping[str, str]) -> None:
    """Raise OfflineStoreError if `to_table` may not write the table, InvalidRequest for a malformed name."""
    try:
        check_table("to_table", table)
    except DefinitionError as error:
        raise InvalidRequest(str(error)) from error
    folded = table.casefold()  # DuckDB's table names are case-insensitive
    if folded.startswith(f"{store.dataset}._".casefold()):
        raise OfflineStoreError(f"Table {table} has a name of the store's internal tables. Name another table.")
    owner = {name.casefold(): owner for name, owner in owners.items()}.get(folded)
    if owner is not None:
        raise OfflineStoreError(f"Table {table} belongs to {owner}: to_table does not write to it. Name another table.")
    last = [each for each in store.publications(newest=True) if each.table.casefold() == folded]
    wanted = Draft(name=table.rpartition(".")[2], table=table, columns=(), run_id=TO_TABLE, published_at=_NEVER)
    filled = store.columns(table) is not None
    check_owner(wanted, last[-1] if last and filled else None, filled=filled)
