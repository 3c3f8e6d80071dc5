"""The SQL of a publication in BigQuery: one transaction that replaces an interval and adds a row to `_publications`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from google.api_core.exceptions import GoogleAPIError

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import DefinitionNotApplied
from amora_fs_assets.domain.names import CREATED_TIMESTAMP
from amora_fs_assets.domain.ports.offline import Draft
from amora_fs_assets.domain.protocol import APPLIED_COLUMNS, Applied, not_applied, refused
from amora_fs_assets.domain.records import PUBLICATION_COLUMNS, PUSH
from amora_fs_assets.domain.table_names import (
    applied_table,
    dropped_table,
    publications_table,
    pushed_table,
    sequence_table,
)
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.stores.bigquery.tables import quoted, type_of

_NOT_APPLIED, _REFUSED = "amora_fs: not applied", "amora_fs: refused by"
"""Errors of the transaction's checks; the second is followed by the sequence and run of the other publication."""


def needed(draft: Draft, dataset: str) -> dict[str, tuple[Column, ...]]:
    """The tables that a publication needs beside its own, with their columns, in order of creation.

    Two transactions that only insert do not conflict, so both could use the same sequence. Therefore every publication
    changes the single row of `_sequence`: BigQuery cancels the later of two concurrent transactions, which is retried.
    """
    tables = {
        publications_table(dataset): _columns(PUBLICATION_COLUMNS),
        sequence_table(dataset): (Column("newest", DataType.INT64),),
    }
    if draft.applied is not None:
        tables[applied_table(dataset)] = _columns(APPLIED_COLUMNS)
    return tables | side_tables(draft, dataset)


def preparation(draft: Draft, dataset: str, existing: Mapping[str, Collection[str]]) -> str:
    """The script that creates the missing tables and columns of `needed`; "" if none is missing.

    `there` has the columns of the existing tables; an earlier release made fewer in `_publications`. BigQuery does not
    allow these statements in a transaction.
    """
    log, statements = publications_table(dataset), ""
    for table, columns in needed(draft, dataset).items():
        if table not in existing and table == sequence_table(dataset):
            filled = f"SELECT coalesce(max(sequence), 0) AS newest FROM {quoted(log)}"
            statements += f"CREATE TABLE IF NOT EXISTS {quoted(table)} AS {filled};\n"
        elif table not in existing:
            statements += f"CREATE TABLE IF NOT EXISTS {quoted(table)} ({_declared(columns)});\n"
        elif new := [column for column in columns if column.name not in existing[table]]:
            added = ", ".join(f"ADD COLUMN IF NOT EXISTS {_declared([column])}" for column in new)
            statements += f"ALTER TABLE {quoted(table)} {added};\n"
    return statements


def side_tables(draft: Draft, dataset: str) -> dict[str, tuple[Column, ...]]:
    """The tables of dropped keys and of pushed rows, with their columns."""
    tables = {dropped_table(draft.name, dataset): draft.dropped_columns} if drops(draft) else {}
    return tables | ({pushed_table(draft.name, dataset): draft.pushed_columns} if draft.of_a_view else {})


def made_anew(draft: Draft, dataset: str) -> str:
    """The statements that empty the side tables after the view's table is recreated; "" without side tables."""
    tables = side_tables(draft, dataset).items()
    return " ".join(f"CREATE OR REPLACE TABLE {quoted(table)} ({_declared(columns)});" for table, columns in tables)


def transaction(draft: Draft, staged: str, dataset: str) -> str:
    """The script of the transaction, in the order of docs/protocol.md. Its parameters are `parameters(draft)`."""
    table, rows, log = quoted(draft.table), quoted(staged), quoted(publications_table(dataset))
    counter = quoted(sequence_table(dataset))
    inside, taken = within(draft), taken_of(draft)
    names = ", ".join(quoted(column.name) for column in draft.columns)
    next_ = f"(SELECT newest FROM {counter})"
    computed_values = {"sequence": next_, "rows": f"(SELECT count(*) FROM {rows} WHERE {taken})"}
    values_ = [computed_values.get(column) or _as_sql(draft.value(column), column) for column in PUBLICATION_COLUMNS]
    replaced = inside
    if draft.appended:
        replaced += f" AND {_among(draft, rows)}"
    elif draft.seen is not None:
        replaced += f" AND NOT ({_among(draft, _pushed_since(draft, dataset))} AND NOT {_among(draft, rows)})"
    return f"""
    BEGIN TRANSACTION;
    UPDATE {counter} SET newest = newest + 1 WHERE true;{_checks(draft, dataset)}{
        _note_dropped(draft, rows, dataset, next_)
    }
    DELETE FROM {table} AS _old WHERE {replaced};
    INSERT INTO {table} ({names}) SELECT {values(draft)} FROM {rows} WHERE {taken};{
        _note_pushed(draft, rows, dataset, next_)
    }
    INSERT INTO {log} ({", ".join(map(quoted, PUBLICATION_COLUMNS))})
    SELECT {", ".join(values_)};
    COMMIT TRANSACTION;
    """


@contextmanager
def refusals_explained(draft: Draft) -> Iterator[None]:
    """Raise the errors of the transaction's checks as DefinitionNotApplied and PublicationRefused."""
    try:
        yield
    except GoogleAPIError as error:
        if _NOT_APPLIED in str(error):
            raise DefinitionNotApplied(not_applied(draft.name)) from error
        found = re.search(rf"{_REFUSED} (\d+) (\S+)", str(error))
        if found is None:
            raise
        raise refused(draft.name, draft.table, run_id=found[2], sequence=int(found[1])) from error


def _checks(draft: Draft, dataset: str) -> str:
    """Checks that the definition is applied, and that no other computation of the interval was published since."""
    applied, log = quoted(applied_table(dataset)), quoted(publications_table(dataset))
    statements = ""
    if draft.applied is not None:
        newer = f"FROM {applied} WHERE view = @name AND applied_number >= {draft.applied.applied_number}"
        names = ", ".join(map(quoted, APPLIED_COLUMNS))
        statements += f"""
    SELECT ERROR('{_NOT_APPLIED}') {newer} AND (view_id != @view_id OR identity != @applied_identity) LIMIT 1;
    DELETE FROM {applied} WHERE view = @name AND applied_number < {draft.applied.applied_number};
    INSERT INTO {applied} ({names})
    SELECT @name, @view_id, @applied_identity, {draft.applied.applied_number} FROM UNNEST([1])
    WHERE NOT EXISTS (SELECT 1 FROM {applied} WHERE view = @name);"""
    if draft.seen is not None:
        start, end = (_as_sql(each, "") for each in _ends(draft))
        overlaps = f"AND (start IS NULL OR (start < {end} AND `end` > {start}))" if draft.interval else ""
        statements += f"""
    SELECT ERROR(CONCAT('{_REFUSED} ', CAST(sequence AS STRING), ' ', run_id)) FROM (
        SELECT sequence, run_id FROM {log} WHERE `table` = @table AND sequence > {draft.seen}
        AND NOT STARTS_WITH(run_id, '{PUSH}') {overlaps} ORDER BY sequence DESC LIMIT 1
    );"""
    return statements


def _note_dropped(draft: Draft, rows: str, dataset: str, next_: str) -> str:
    """Notes the keys that lose all their rows of the interval."""
    if not drops(draft):
        return ""
    keys, inside = ", ".join(map(quoted, draft.keys)), within(draft)
    pushed_since = (
        f" EXCEPT DISTINCT SELECT {keys} FROM {_pushed_since(draft, dataset)}" if draft.seen is not None else ""
    )
    return f"""
    INSERT INTO {quoted(dropped_table(draft.name, dataset))} ({quoted(draft.dropped_columns[0].name)}, {keys})
    SELECT {next_}, {keys} FROM (
        SELECT {keys} FROM {quoted(draft.table)} WHERE {inside}
        EXCEPT DISTINCT SELECT {keys} FROM {rows} WHERE {inside}{pushed_since}
    );"""


def _note_pushed(draft: Draft, rows: str, dataset: str, next_: str) -> str:
    """Notes pushed rows; deletes the notes of rows that a computation replaces."""
    if not draft.of_a_view:
        return ""
    pushed, (sequence, *of_row) = quoted(pushed_table(draft.name, dataset)), draft.pushed_columns
    same = _among(draft, rows)
    if not draft.appended:
        old = f"{quoted(sequence.name)} <= {draft.seen}"
        return f"\n    DELETE FROM {pushed} AS _old WHERE {within(draft)} AND ({old} OR {same});"
    names = ", ".join(quoted(column.name) for column in of_row)
    return f"""
    DELETE FROM {pushed} AS _old WHERE {same};
    INSERT INTO {pushed} ({quoted(sequence.name)}, {names}) SELECT {next_}, {names} FROM {rows};"""


def parameters(draft: Draft) -> dict[str, str]:
    """The texts of a publication, as query parameters."""
    texts = (name for name, type_ in PUBLICATION_COLUMNS.items() if type_ is DataType.STRING)
    applied = {"applied_identity": draft.applied.identity} if draft.applied else {}
    return {name: draft.value(name) for name in texts if draft.value(name) is not None} | applied


def drops(draft: Draft) -> bool:
    """Whether keys may lose all their rows in the publication, which loads must know."""
    return draft.interval is not None and bool(draft.keys) and not draft.appended


def values(draft: Draft) -> str:
    """The staged rows' columns, cast to the table's types."""
    return ", ".join(f"CAST({quoted(c.name)} AS {type_of(c)}) AS {quoted(c.name)}" for c in draft.columns)


def within(draft: Draft) -> str:
    """The condition for rows that the draft replaces, with literal bounds, so that partitions are pruned."""
    return _inside(draft, draft.interval)


def taken_of(draft: Draft) -> str:
    """The condition for staged rows that are published."""
    return _inside(draft, draft.taken)


def _inside(draft: Draft, interval: Interval | None) -> str:
    if interval is None or draft.time is None:
        return "true"
    time = quoted(draft.time)
    start, end = interval.start.isoformat(), interval.end.isoformat()
    return f"{time} >= TIMESTAMP '{start}' AND {time} < TIMESTAMP '{end}'"


def _among(draft: Draft, rows: str) -> str:
    """The condition that a row of `_old` has the key and times of one of the rows.

    The names begin with an underscore, as no column does, since BigQuery would read `old.customer` as a field of a
    column `old`.
    """
    time = quoted(draft.time or "")
    same = [f"_new.{quoted(name)} = _old.{quoted(name)}" for name in (*draft.keys, draft.time or "")]
    if any(column.name == CREATED_TIMESTAMP for column in draft.columns):
        created = quoted(CREATED_TIMESTAMP)
        same.append(f"coalesce(_new.{created}, _new.{time}) = coalesce(_old.{created}, _old.{time})")
    return f"EXISTS (SELECT 1 FROM {rows} AS _new WHERE {' AND '.join(same)})"


def _pushed_since(draft: Draft, dataset: str) -> str:
    """A query of `_pushed_<view>` for the rows that were pushed since the computation began to read."""
    sequence = quoted(draft.pushed_columns[0].name)
    return f"(SELECT * FROM {quoted(pushed_table(draft.name, dataset))} WHERE {sequence} > {draft.seen})"


def _columns(types: Mapping[str, DataType]) -> tuple[Column, ...]:
    return tuple(Column(name, type_) for name, type_ in types.items())


def _declared(columns: Iterable[Column]) -> str:
    return ", ".join(f"{quoted(column.name)} {type_of(column)}" for column in columns)


def _ends(draft: Draft) -> tuple[datetime | None, datetime | None]:
    return (draft.interval.start, draft.interval.end) if draft.interval else (None, None)


def applied_written(rows: Sequence[Applied], dataset: str) -> str:
    """The script that replaces the rows of `_applied` of these views. Names and identities need no quoting."""
    table = quoted(applied_table(dataset))
    columns = _columns(APPLIED_COLUMNS)
    views = ", ".join(f"'{row.view}'" for row in rows)
    written = ", ".join(f"('{r.view}', '{r.view_id}', '{r.identity}', {r.applied_number})" for r in rows)
    return f"""
    CREATE TABLE IF NOT EXISTS {table} ({_declared(columns)});
    BEGIN TRANSACTION;
    DELETE FROM {table} WHERE view IN ({views});
    INSERT INTO {table} ({", ".join(map(quoted, APPLIED_COLUMNS))}) VALUES {written};
    COMMIT TRANSACTION;
    """


def _as_sql(value: Any, column: str) -> str:
    """A value of the publication as SQL: a literal, or a parameter for a text."""
    if value is None:
        return "NULL"
    return f"TIMESTAMP '{value.isoformat()}'" if isinstance(value, datetime) else f"@{column}"
