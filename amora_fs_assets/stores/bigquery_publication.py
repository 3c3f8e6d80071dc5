"""The SQL of a publication in BigQuery: one transaction that replaces an interval and says so in `_publications`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.names import CREATED_TIMESTAMP
from amora_fs_assets.domain.ports import Draft
from amora_fs_assets.domain.records import PUBLICATION_COLUMNS
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.stores.bigquery_tables import quoted, type_of


def preparation(draft: Draft, dataset: str, there: Iterable[str] | None) -> str:
    """The tables that a publication needs beside its own: BigQuery takes no DDL on them in a transaction.

    `there` are the columns of `_publications`, None where there is no such table: an earlier release made fewer.

    Transactions that only insert do not get in each other's way, so that two would take one sequence. `_sequence`
    has one row, which every publication changes: of two at once BigQuery cancels the later one, which tries again.
    """
    log, counter = quoted(f"{dataset}._publications"), quoted(f"{dataset}._sequence")
    columns = {name: f"{quoted(name)} {type_of(Column(name, type_))}" for name, type_ in PUBLICATION_COLUMNS.items()}
    known = columns if there is None else set(there)
    new = [f"ADD COLUMN IF NOT EXISTS {column}" for name, column in columns.items() if name not in known]
    statements = [
        f"CREATE TABLE IF NOT EXISTS {log} ({', '.join(columns.values())})",
        *([f"ALTER TABLE {log} {', '.join(new)}"] if new else []),
        f"CREATE TABLE IF NOT EXISTS {counter} AS SELECT coalesce(max(sequence), 0) AS newest FROM {log}",
    ]
    if drops(draft):
        keys = ", ".join(f"{quoted(c.name)} {type_of(c)}" for c in draft.dropped_columns)
        statements.append(f"CREATE TABLE IF NOT EXISTS {quoted(dropped(draft, dataset))} ({keys})")
    return ";\n".join(statements) + ";"


def transaction(draft: Draft, staged: str, dataset: str) -> str:
    """The script; its parameters are `parameters(draft)`."""
    table, rows, log = quoted(draft.table), quoted(staged), quoted(f"{dataset}._publications")
    counter = quoted(f"{dataset}._sequence")
    inside, taken = within(draft), taken_of(draft)
    names = ", ".join(quoted(column.name) for column in draft.columns)
    keys = ", ".join(map(quoted, draft.keys))
    next_ = f"(SELECT newest FROM {counter})"
    said = {"sequence": next_, "rows": f"(SELECT count(*) FROM {rows} WHERE {taken})"}
    values_ = [said.get(column) or _said(draft.value(column), column) for column in PUBLICATION_COLUMNS]
    lost = f"""
    INSERT INTO {quoted(dropped(draft, dataset))} ({quoted(draft.dropped_columns[0].name)}, {keys})
    SELECT {next_}, {keys} FROM (
        SELECT {keys} FROM {table} WHERE {inside} EXCEPT DISTINCT SELECT {keys} FROM {rows} WHERE {inside}
    );"""
    return f"""
    BEGIN TRANSACTION;
    UPDATE {counter} SET newest = newest + 1 WHERE true;{lost if drops(draft) else ""}
    DELETE FROM {table} AS _old WHERE {inside}{_of_the_same_key(draft, rows) if draft.appended else ""};
    INSERT INTO {table} ({names}) SELECT {values(draft)} FROM {rows} WHERE {taken};
    INSERT INTO {log} ({", ".join(map(quoted, PUBLICATION_COLUMNS))})
    SELECT {", ".join(values_)};
    COMMIT TRANSACTION;
    """


def parameters(draft: Draft) -> dict[str, str]:
    """The texts of a publication, bound rather than written into the SQL."""
    texts = (name for name, type_ in PUBLICATION_COLUMNS.items() if type_ is DataType.STRING)
    return {name: draft.value(name) for name in texts if draft.value(name) is not None}


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


def _of_the_same_key(draft: Draft, rows: str) -> str:
    """And the condition of rows of which the staged ones hold the key and times.

    No column of a view has the name of either table: BigQuery would take `old.customer` for a field of a column `old`.
    """
    time = quoted(draft.time or "")
    same = [f"_new.{quoted(name)} = _old.{quoted(name)}" for name in (*draft.keys, draft.time or "")]
    if any(column.name == CREATED_TIMESTAMP for column in draft.columns):
        created = quoted(CREATED_TIMESTAMP)
        same.append(f"coalesce(_new.{created}, _new.{time}) = coalesce(_old.{created}, _old.{time})")
    return f" AND EXISTS (SELECT 1 FROM {rows} AS _new WHERE {' AND '.join(same)})"


def dropped(draft: Draft, dataset: str) -> str:
    """The table of the keys that lost all their rows of an interval."""
    return f"{dataset}._dropped_{draft.name}"


def _said(value: Any, column: str) -> str:
    """A value of the publication in SQL: texts are parameters."""
    if value is None:
        return "NULL"
    return f"TIMESTAMP '{value.isoformat()}'" if isinstance(value, datetime) else f"@{column}"
