"""A publication in DuckDB: one transaction, in the order of docs/protocol.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import duckdb

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import OfflineStoreError
from amora_fs_assets.domain.names import CREATED_TIMESTAMP
from amora_fs_assets.domain.ownership import check_owner
from amora_fs_assets.domain.ports.offline import Draft
from amora_fs_assets.domain.protocol import (
    APPLIED_COLUMNS,
    Applied,
    belongs,
    check_definition,
    incarnation_of,
    new_incarnation,
    refused,
)
from amora_fs_assets.domain.records import PUBLICATION_COLUMNS, PUSH, Publication
from amora_fs_assets.domain.table_names import applied_table, dropped_table, publications_table, pushed_table
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.stores.duckdb.tables import (
    add_columns,
    column_name,
    ensure,
    make,
    one_row,
    quoted,
    same_types,
    stored_table,
    type_of,
)

_LOG = tuple(Column(name, type_) for name, type_ in PUBLICATION_COLUMNS.items())
_APPLIED = tuple(Column(name, type_) for name, type_ in APPLIED_COLUMNS.items())


class _Last(NamedTuple):
    """The fields of a table's last publication that a new publication needs."""

    name: str
    table: str
    run_id: str
    definition_hash: str
    schema_hash: str
    incarnation: str | None


class Publishing:
    """The transaction that publishes one draft, whose rows are in the table `staged`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, staged: str, draft: Draft, dataset: str) -> None:
        self._connection = connection
        self._staged = quoted(staged)
        self._draft = draft
        self._dataset = dataset
        self._log = publications_table(dataset)
        self._pushed = quoted(pushed_table(draft.name, dataset))

    def publish(self) -> Publication:
        """Publish the draft. Raises DefinitionNotApplied, PublicationRefused, OfflineStoreError without any change."""
        connection, draft = self._connection, self._draft
        for schema in (self._dataset, draft.table.rpartition(".")[0]):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
        ensure_log(connection, self._dataset)
        self._check_definition()
        self._check_no_other_publication()
        (sequence,) = one_row(connection, f"SELECT coalesce(max(sequence), 0) + 1 FROM {quoted(self._log)}")
        incarnation, kept = self._make_room()
        if draft.of_a_view:
            ensure(connection, pushed_table(draft.name, self._dataset), draft.pushed_columns, anew=not kept)
        if draft.interval is not None and draft.keys and not draft.of_external:
            self._note_dropped(sequence, kept=kept)
        rows = self._replace_rows()
        if draft.of_a_view:
            self._note_pushed(sequence)
        values_of_draft = {name: draft.value(name) for name in PUBLICATION_COLUMNS if name not in ("sequence", "rows")}
        publication = Publication(sequence=sequence, rows=rows, **{**values_of_draft, "incarnation": incarnation})
        names = ", ".join(map(quoted, PUBLICATION_COLUMNS))
        fields = [getattr(publication, column) for column in PUBLICATION_COLUMNS]
        connection.execute(f"INSERT INTO {quoted(self._log)} ({names}) VALUES ({', '.join('?' * len(fields))})", fields)
        return publication

    def _check_definition(self) -> None:
        applied = self._draft.applied
        if applied is None:
            return
        stored = next((row for row in read_applied(self._connection, self._dataset) if row.view == applied.view), None)
        if check_definition(applied, stored):
            write_applied(self._connection, self._dataset, [applied])

    def _check_no_other_publication(self) -> None:
        draft = self._draft
        if draft.seen is None:
            return
        start, end = (draft.interval.start, draft.interval.end) if draft.interval else (None, None)
        other = self._connection.execute(
            f'SELECT run_id, sequence FROM {quoted(self._log)} WHERE "table" = $table AND sequence > $seen '
            "AND NOT starts_with(run_id, $push) AND (start IS NULL OR $start IS NULL "
            'OR (start < $end AND "end" > $start)) ORDER BY sequence DESC LIMIT 1',
            {"table": draft.table, "seen": draft.seen, "push": PUSH, "start": start, "end": end},
        ).fetchone()
        if other is not None:
            raise refused(draft.name, draft.table, run_id=other[0], sequence=other[1])

    def _make_room(self) -> tuple[str, bool]:
        """Create or change the table as the draft needs it; return its incarnation, and whether the old table stays."""
        connection, draft = self._connection, self._draft
        stored = stored_table(connection, draft.table)
        new = new_incarnation(draft.view_id or "")
        if stored is None:
            make(connection, draft.table, draft.columns, new)
            return new, False
        last = self._last()
        if draft.of_external:
            ours = last is not None and belongs(incarnation_of(stored.incarnation, last), draft.view_id or "")
            if not ours or not same_types(connection, draft.table, draft.columns):
                make(connection, draft.table, draft.columns, new)
                return new, False
        (filled,) = one_row(connection, f"SELECT EXISTS (FROM {quoted(draft.table)})")
        check_owner(draft, last, filled=filled)
        incarnation = incarnation_of(stored.incarnation, last)
        if draft.view_id is not None and not belongs(incarnation, draft.view_id):
            if draft.appended:
                raise OfflineStoreError(
                    f"Table {draft.table} holds rows of an earlier feature view '{draft.name}'. "
                    f"Compute the view first: `amora-fs compute --feature-views {draft.name}`."
                )
            make(connection, draft.table, draft.columns, new)
            return new, False
        within, bounds = self._replaced()
        (remaining,) = one_row(
            connection, f"SELECT EXISTS (FROM {quoted(draft.table)} AS _old WHERE ({within}) IS NOT TRUE)", bounds
        )
        same = same_types(connection, draft.table, draft.columns)
        if not remaining and not (same and set(stored.columns) == {column.name for column in draft.columns}):
            if not (draft.keys and set(draft.keys) <= set(stored.columns) and same):
                make(connection, draft.table, draft.columns, new)
                return new, False
            # The replaced rows are needed to find dropped keys, so the table is changed rather than recreated.
            add_columns(connection, draft.table, draft.columns, stored.columns)
            return incarnation, True
        if not same:
            raise OfflineStoreError(
                f"Table {draft.table} holds rows of other types than '{draft.name}' has now, and old rows would stay: "
                f"compute the whole view at once, from its start, or rename the view."
            )
        missing = [column.name for column in draft.columns if column.name not in stored.columns]
        if missing and draft.schema_hash and last is not None and draft.schema_hash == last.schema_hash:
            raise OfflineStoreError(
                f"Table {draft.table} lost its column '{missing[0]}' since its last publication, and old rows "
                "would stay: compute the whole view at once, from its start, or rename the view."
            )
        add_columns(connection, draft.table, draft.columns, stored.columns)
        return incarnation, True

    def _last(self) -> _Last | None:
        """The table's last publication. DuckDB's table names are case-insensitive."""
        found = self._connection.execute(
            'SELECT name, "table", run_id, definition_hash, schema_hash, incarnation '
            f"FROM {quoted(self._log)} "
            'WHERE lower("table") = lower($table) ORDER BY sequence DESC LIMIT 1',
            {"table": self._draft.table},
        ).fetchone()
        return None if found is None else _Last(*found)

    def _inside(self, interval: Interval | None) -> tuple[str, dict[str, Any]]:
        """The condition for rows in the interval (None: for all rows), and its parameters."""
        draft = self._draft
        if interval is None or draft.time is None:
            return "true", {}
        time = column_name(draft.time)
        return f"{time} >= $start AND {time} < $end", {"start": interval.start, "end": interval.end}

    def _replaced(self) -> tuple[str, dict[str, Any]]:
        """The condition for rows of the table `_old` that the draft's rows replace, and its parameters."""
        inside, bounds = self._inside(self._draft.interval)
        if self._draft.appended:
            return f"{inside} AND {self._among(self._staged)}", bounds
        return inside, bounds

    def _among(self, rows: str) -> str:
        """The condition that a row of `_old` has the key and times of one of the rows."""
        draft = self._draft
        time = column_name(draft.time or "")
        same = [f"_new.{name} = _old.{name}" for name in (*map(column_name, draft.keys), time)]
        if any(column.name == CREATED_TIMESTAMP for column in draft.columns):
            created = column_name(CREATED_TIMESTAMP)
            same.append(f"coalesce(_new.{created}, _new.{time}) = coalesce(_old.{created}, _old.{time})")
        return f"EXISTS (FROM {rows} AS _new WHERE {' AND '.join(same)})"

    def _pushed_since(self) -> str:
        """A query of `_pushed_<view>` for the rows that were pushed since the computation began to read."""
        return f"(FROM {self._pushed} WHERE {column_name(self._draft.pushed_columns[0].name)} > {self._draft.seen})"

    def _note_dropped(self, sequence: int, *, kept: bool) -> None:
        """Note the keys that have rows in the interval before the publication, but not after it."""
        draft = self._draft
        dropped = dropped_table(draft.name, self._dataset)
        ensure(self._connection, dropped, draft.dropped_columns, anew=not kept)
        within, bounds = self._replaced()
        inside, _ = self._inside(draft.interval)
        keys = ", ".join(map(column_name, draft.keys))
        pushed_since = f" EXCEPT SELECT {keys} FROM {self._pushed_since()}" if draft.seen is not None else ""
        self._connection.execute(
            f"INSERT INTO {quoted(dropped)} BY NAME SELECT {sequence} AS {column_name(draft.dropped_columns[0].name)}, "
            f"* FROM (SELECT {keys} FROM {quoted(draft.table)} AS _old WHERE {within} "
            f"EXCEPT SELECT {keys} FROM {self._staged} WHERE {inside}{pushed_since})",
            bounds,
        )

    def _replace_rows(self) -> int:
        """Replace rows by the staged rows; return their number."""
        draft, connection = self._draft, self._connection
        table = quoted(draft.table)
        within, bounds = self._replaced()
        taken, taken_bounds = self._inside(draft.taken)
        if draft.seen is not None:
            within += f" AND NOT ({self._among(self._pushed_since())} AND NOT {self._among(self._staged)})"
        connection.execute(f"DELETE FROM {table} AS _old WHERE {within}", bounds)
        values = ", ".join(
            f"CAST({column_name(c.name)} AS {type_of(c)}) AS {column_name(c.name)}" for c in draft.columns
        )
        insert = f"INSERT INTO {table} BY NAME SELECT {values} FROM {self._staged} WHERE {taken}"
        (count,) = one_row(connection, insert, taken_bounds)
        return int(count)

    def _note_pushed(self, sequence: int) -> None:
        """Note pushed rows; delete the notes of rows that the publication replaces."""
        draft, connection = self._draft, self._connection
        inside, bounds = self._inside(draft.interval)
        columns = draft.pushed_columns
        if draft.appended:
            connection.execute(f"DELETE FROM {self._pushed} AS _old WHERE {self._among(self._staged)}")
            names = ", ".join(column_name(column.name) for column in columns[1:])
            connection.execute(
                f"INSERT INTO {self._pushed} BY NAME SELECT {sequence} AS {column_name(columns[0].name)}, {names} "
                f"FROM {self._staged}"
            )
            return
        old = f"{column_name(columns[0].name)} <= {draft.seen}"
        connection.execute(
            f"DELETE FROM {self._pushed} AS _old WHERE {inside} AND ({old} OR {self._among(self._staged)})", bounds
        )


def ensure_log(connection: duckdb.DuckDBPyConnection, dataset: str) -> None:
    """Create `_publications`, or add the columns that an earlier release did not have."""
    log = publications_table(dataset)
    stored = stored_table(connection, log)
    if stored is None:
        ensure(connection, log, _LOG)
    else:
        add_columns(connection, log, _LOG, stored.columns)


def read_applied(connection: duckdb.DuckDBPyConnection, dataset: str) -> tuple[Applied, ...]:
    """The rows of `_applied`."""
    if stored_table(connection, applied_table(dataset)) is None:
        return ()
    names = list(APPLIED_COLUMNS)
    rows = connection.execute(f"SELECT {', '.join(map(column_name, names))} FROM {quoted(applied_table(dataset))}")
    return tuple(Applied(**dict(zip(names, row, strict=True))) for row in rows.fetchall())


def write_applied(connection: duckdb.DuckDBPyConnection, dataset: str, rows: Sequence[Applied]) -> None:
    """Replace the rows of `_applied` of these views."""
    table = applied_table(dataset)
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(dataset)}")
    ensure(connection, table, _APPLIED)
    if rows:
        views = [row.view for row in rows]
        connection.execute(f"DELETE FROM {quoted(table)} WHERE view IN (SELECT unnest(?))", [views])
        values = [getattr(row, name) for row in rows for name in APPLIED_COLUMNS]
        places = ", ".join([f"({', '.join('?' * len(APPLIED_COLUMNS))})"] * len(rows))
        connection.execute(f"INSERT INTO {quoted(table)} VALUES {places}", values)
