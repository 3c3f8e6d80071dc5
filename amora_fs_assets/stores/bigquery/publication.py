"""The SQL of a publication in BigQuery: one transaction that replaces an interval and says so in `_publications`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.names import CREATED_TIMESTAMP
from amora_fs_assets.domain.ports.offline import Draft
from amora_fs_assets.domain.protocol import APPLIED_COLUMNS, Applied
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

NOT_APPLIED, REFUSED = "amora_fs: not applied", "amora_fs: refused by"
"""What a transaction says that the law stops: the second with the sequence and the run that came between."""


def needed(draft: Draft, dataset: str) -> dict[str, tuple[Column, ...]]:
    """The tables that a publication needs beside its own, with their columns, in the order of being made.

    Transactions that only insert do not get in each other's way, so that two would take one sequence. `_sequence`
    has one row, which every publication changes: of two at once BigQuery cancels the later one, which tries again.
    """
    tables = {
        publications_table(dataset): _columns(PUBLICATION_COLUMNS),
        sequence_table(dataset): (Column("newest", DataType.INT64),),
    }
    if draft.applied is not None:
        tables[applied_table(dataset)] = _columns(APPLIED_COLUMNS)
    return tables | side_tables(draft, dataset)


def preparation(draft: Draft, dataset: str, there: Mapping[str, Collection[str]]) -> str:
    """The script that makes the tables of `needed` which are missing; "" where none is.

    `there` has the columns of those that exist: of `_publications` an earlier release made fewer. BigQuery takes no
    such statement on them in a transaction.
    """
    log, statements = publications_table(dataset), ""
    for table, columns in needed(draft, dataset).items():
        if table not in there and table == sequence_table(dataset):
            filled = f"SELECT coalesce(max(sequence), 0) AS newest FROM {quoted(log)}"
            statements += f"CREATE TABLE IF NOT EXISTS {quoted(table)} AS {filled};\n"
        elif table not in there:
            statements += f"CREATE TABLE IF NOT EXISTS {quoted(table)} ({_declared(columns)});\n"
        elif new := [column for column in columns if column.name not in there[table]]:
            added = ", ".join(f"ADD COLUMN IF NOT EXISTS {_declared([column])}" for column in new)
            statements += f"ALTER TABLE {quoted(table)} {added};\n"
    return statements


def side_tables(draft: Draft, dataset: str) -> dict[str, tuple[Column, ...]]:
    """The tables beside the view's own, with their columns: keys that were dropped, rows that were pushed."""
    tables = {dropped_table(draft.name, dataset): draft.dropped_columns} if drops(draft) else {}
    return tables | ({pushed_table(draft.name, dataset): draft.pushed_columns} if draft.of_a_view else {})


def made_anew(draft: Draft, dataset: str) -> str:
    """The statements that empty the tables beside the view's own, once that is made anew; "" where there are none."""
    tables = side_tables(draft, dataset).items()
    return " ".join(f"CREATE OR REPLACE TABLE {quoted(table)} ({_declared(columns)});" for table, columns in tables)


def transaction(draft: Draft, staged: str, dataset: str) -> str:
    """The script, in the order of docs/protocol.md; its parameters are `parameters(draft)`."""
    table, rows, log = quoted(draft.table), quoted(staged), quoted(publications_table(dataset))
    counter = quoted(sequence_table(dataset))
    inside, taken = within(draft), taken_of(draft)
    names = ", ".join(quoted(column.name) for column in draft.columns)
    next_ = f"(SELECT newest FROM {counter})"
    said = {"sequence": next_, "rows": f"(SELECT count(*) FROM {rows} WHERE {taken})"}
    values_ = [said.get(column) or _said(draft.value(column), column) for column in PUBLICATION_COLUMNS]
    replaced = inside
    if draft.appended:
        replaced += f" AND {_among(draft, rows)}"
    elif draft.seen is not None:
        replaced += f" AND NOT ({_among(draft, _carried(draft, dataset))} AND NOT {_among(draft, rows)})"
    return f"""
    BEGIN TRANSACTION;
    UPDATE {counter} SET newest = newest + 1 WHERE true;{_law(draft, dataset)}{_lost(draft, rows, dataset, next_)}
    DELETE FROM {table} AS _old WHERE {replaced};
    INSERT INTO {table} ({names}) SELECT {values(draft)} FROM {rows} WHERE {taken};{
        _pushes(draft, rows, dataset, next_)
    }
    INSERT INTO {log} ({", ".join(map(quoted, PUBLICATION_COLUMNS))})
    SELECT {", ".join(values_)};
    COMMIT TRANSACTION;
    """


def _law(draft: Draft, dataset: str) -> str:
    """That the definition counts, and that no other computation of the interval came between."""
    applied, log = quoted(applied_table(dataset)), quoted(publications_table(dataset))
    statements = ""
    if draft.applied is not None:
        newer = f"FROM {applied} WHERE view = @name AND applied_number >= {draft.applied.applied_number}"
        names = ", ".join(map(quoted, APPLIED_COLUMNS))
        statements += f"""
    SELECT ERROR('{NOT_APPLIED}') {newer} AND (view_id != @view_id OR identity != @applied_identity) LIMIT 1;
    DELETE FROM {applied} WHERE view = @name AND applied_number < {draft.applied.applied_number};
    INSERT INTO {applied} ({names})
    SELECT @name, @view_id, @applied_identity, {draft.applied.applied_number} FROM UNNEST([1])
    WHERE NOT EXISTS (SELECT 1 FROM {applied} WHERE view = @name);"""
    if draft.seen is not None:
        start, end = (_said(each, "") for each in _ends(draft))
        overlaps = f"AND (start IS NULL OR (start < {end} AND `end` > {start}))" if draft.interval else ""
        statements += f"""
    SELECT ERROR(CONCAT('{REFUSED} ', CAST(sequence AS STRING), ' ', run_id)) FROM (
        SELECT sequence, run_id FROM {log} WHERE `table` = @table AND sequence > {draft.seen}
        AND NOT STARTS_WITH(run_id, '{PUSH}') {overlaps} ORDER BY sequence DESC LIMIT 1
    );"""
    return statements


def _lost(draft: Draft, rows: str, dataset: str, next_: str) -> str:
    """That keys which lose all their rows of the interval are noted."""
    if not drops(draft):
        return ""
    keys, inside = ", ".join(map(quoted, draft.keys)), within(draft)
    carried = f" EXCEPT DISTINCT SELECT {keys} FROM {_carried(draft, dataset)}" if draft.seen is not None else ""
    return f"""
    INSERT INTO {quoted(dropped_table(draft.name, dataset))} ({quoted(draft.dropped_columns[0].name)}, {keys})
    SELECT {next_}, {keys} FROM (
        SELECT {keys} FROM {quoted(draft.table)} WHERE {inside}
        EXCEPT DISTINCT SELECT {keys} FROM {rows} WHERE {inside}{carried}
    );"""


def _pushes(draft: Draft, rows: str, dataset: str, next_: str) -> str:
    """That rows which were pushed are noted, and forgotten once a computation has replaced them."""
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
    """The texts of a publication, bound rather than written into the SQL."""
    texts = (name for name, type_ in PUBLICATION_COLUMNS.items() if type_ is DataType.STRING)
    applied = {"applied_identity": draft.applied.identity} if draft.applied else {}
    return {name: draft.value(name) for name in texts if draft.value(name) is not None} | applied


def drops(draft: Draft) -> bool:
    """Whether keys may lose all their rows by it, which the online store has to hear of."""
    return draft.interval is not None and bool(draft.keys) and not draft.appended


def values(draft: Draft) -> str:
    """The staged rows' columns, in the table's types."""
    return ", ".join(f"CAST({quoted(c.name)} AS {type_of(c)}) AS {quoted(c.name)}" for c in draft.columns)


def within(draft: Draft) -> str:
    """The condition of rows that the draft replaces: literal bounds, so that partitions are pruned."""
    return _inside(draft, draft.interval)


def taken_of(draft: Draft) -> str:
    """The condition of staged rows that are published."""
    return _inside(draft, draft.taken)


def _inside(draft: Draft, interval: Interval | None) -> str:
    if interval is None or draft.time is None:
        return "true"
    time = quoted(draft.time)
    start, end = interval.start.isoformat(), interval.end.isoformat()
    return f"{time} >= TIMESTAMP '{start}' AND {time} < TIMESTAMP '{end}'"


def _among(draft: Draft, rows: str) -> str:
    """The condition that a row of `_old` has the key and times of one of the rows.

    No column of a view has the name of either table: BigQuery would take `old.customer` for a field of a column `old`.
    """
    time = quoted(draft.time or "")
    same = [f"_new.{quoted(name)} = _old.{quoted(name)}" for name in (*draft.keys, draft.time or "")]
    if any(column.name == CREATED_TIMESTAMP for column in draft.columns):
        created = quoted(CREATED_TIMESTAMP)
        same.append(f"coalesce(_new.{created}, _new.{time}) = coalesce(_old.{created}, _old.{time})")
    return f"EXISTS (SELECT 1 FROM {rows} AS _new WHERE {' AND '.join(same)})"


def _carried(draft: Draft, dataset: str) -> str:
    """The rows that were pushed since the computation began to read, as a query of `_pushed_<view>`."""
    sequence = quoted(draft.pushed_columns[0].name)
    return f"(SELECT * FROM {quoted(pushed_table(draft.name, dataset))} WHERE {sequence} > {draft.seen})"


def _columns(types: Mapping[str, DataType]) -> tuple[Column, ...]:
    return tuple(Column(name, type_) for name, type_ in types.items())


def _declared(columns: Iterable[Column]) -> str:
    return ", ".join(f"{quoted(column.name)} {type_of(column)}" for column in columns)


def _ends(draft: Draft) -> tuple[datetime | None, datetime | None]:
    return (draft.interval.start, draft.interval.end) if draft.interval else (None, None)


def applied_written(rows: Sequence[Applied], dataset: str) -> str:
    """The script that replaces the rows of `_applied` of these views. Names and identities are letters and digits."""
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


def _said(value: Any, column: str) -> str:
    """A value of the publication in SQL: texts are parameters."""
    if value is None:
        return "NULL"
    return f"TIMESTAMP '{value.isoformat()}'" if isinstance(value, datetime) else f"@{column}"
