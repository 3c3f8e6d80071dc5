"""The tables that a publication changes, made ready for it outside the transaction."""

from __future__ import annotations

from amora_fs_assets.domain import protocol
from amora_fs_assets.domain.errors import OfflineStoreError
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.ownership import check_owner
from amora_fs_assets.domain.ports.offline import Draft
from amora_fs_assets.domain.protocol import belongs, new_incarnation
from amora_fs_assets.stores.bigquery.dataset import Dataset
from amora_fs_assets.stores.bigquery.publication import (
    made_anew,
    needed,
    preparation,
    side_tables,
    taken_of,
    values,
    within,
)
from amora_fs_assets.stores.bigquery.tables import columns_of, create, incarnation_of, quoted, type_of


def prepare(dataset: Dataset, draft: Draft) -> None:
    """Create the missing tables that a publication needs beside its own table.

    A table of the view's keys is recreated if the keys changed; the next load is then a full one.
    """
    stored = {name: columns_of(found) for name in needed(draft, dataset.name) if (found := dataset.find(name))}
    for name, columns in side_tables(draft, dataset.name).items():
        if name in stored and stored[name] != {column.name: IBIS_TYPES[column.type] for column in columns}:
            dataset.discard(name)
            del stored[name]
    if script := preparation(draft, dataset.name, stored):
        dataset.jobs.query(script, step="prepare")


def make_room(dataset: Dataset, staged: str, draft: Draft) -> str:
    """Create or change the table as the draft needs it, and return its incarnation.

    Raises OfflineStoreError if rows of other types would stay.
    """
    table, new = dataset.find(draft.table), new_incarnation(draft.view_id or "")
    if table is None:
        # Another publication may create the table first; then the table has its incarnation.
        dataset.jobs.query(f"CREATE {create(draft, new, anew=False)};{made_anew(draft, dataset.name)}", step="prepare")
        made = dataset.find(draft.table)
        return new if made is None else incarnation_of(made)
    stored = columns_of(table)
    published = dataset.publications("`table` = @table", table=draft.table)
    last = published[-1] if published else None
    if not draft.of_external:
        rows = f"SELECT count(*) FROM {quoted(draft.table)}"
        check_owner(draft, last, filled=not last and dataset.one(rows) != (0,))
    incarnation = protocol.incarnation_of(incarnation_of(table), last)
    another = draft.view_id is not None and not belongs(incarnation, draft.view_id)
    another = another or (draft.of_external and last is None)
    if another and draft.appended and not draft.of_external:
        raise OfflineStoreError(
            f"Table {draft.table} holds rows of an earlier feature view '{draft.name}'. "
            f"Compute the view first: `amora-fs compute --feature-views {draft.name}`."
        )
    missing = [column for column in draft.columns if column.name not in stored]
    others = [c for c in draft.columns if stored.get(c.name, IBIS_TYPES[c.type]) != IBIS_TYPES[c.type]]
    by_hand = bool(missing and last and draft.schema_hash and last.schema_hash == draft.schema_hash)
    if (others or by_hand) and not another and not draft.of_external:
        (remaining,) = dataset.one(f"SELECT count(*) FROM {quoted(draft.table)} WHERE NOT ({within(draft)})")
        if remaining:
            problem = (
                f"holds rows of other types than '{draft.name}' has now ({', '.join(c.name for c in others)})"
                if others
                else f"lost its column '{missing[0].name}' since its last publication"
            )
            raise OfflineStoreError(
                f"Table {draft.table} {problem}, and old rows would stay: "
                "compute the whole view at once, from its start, or rename the view."
            )
    if others or another:
        # The table is replaced together with its rows, so that readers see either table. The publication follows.
        dataset.jobs.query(
            f"CREATE OR REPLACE {create(draft, new)} AS SELECT {values(draft)} FROM {quoted(staged)} "
            f"WHERE {taken_of(draft)};{made_anew(draft, dataset.name)}",
            step="prepare",
        )
        return new
    for column in missing:
        added = f"ADD COLUMN IF NOT EXISTS {quoted(column.name)} {type_of(column)}"
        dataset.jobs.query(f"ALTER TABLE {quoted(draft.table)} {added}", step="prepare")
    return incarnation
