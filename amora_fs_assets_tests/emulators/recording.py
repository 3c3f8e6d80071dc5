"""The BigQuery emulator, which writes down what it is sent: run in its environment, with its own arguments.

A line of JSON for each shape of SQL that it ran: {"sql", "parameters": {name: type}, "tables": {"dataset.table":
{column: type}}}, the tables as they were when it was sent; those that it made itself, as it left them. The file is
named by SENT in the environment. Imports nothing of the project.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from pathlib import Path
from typing import Any

from local_bigquery import cli
from local_bigquery.catalog import tables
from local_bigquery.engine import database, types
from local_bigquery.jobs import query

SENT = Path(os.environ["SENT"])
NAMES = re.compile(r"`?\b([A-Za-z_][\w-]*)`?\.`?([A-Za-z_][\w$-]*)`?")
_seen: set[str] = set()
_lock = threading.Lock()
_execute = query.execute


def shape(sql: str) -> str:
    """The SQL without its numbers, times and ids, by which alone most statements differ."""
    return re.sub(r"[0-9a-f]{8,}|[0-9]+", "#", sql)


def alone(sql: str, own: str) -> tuple[str, list[str]]:
    """The SQL without projects, which the analyzer does not know, and its projects, the `own` one last."""
    there = database.fetch("SELECT DISTINCT database_name FROM duckdb_tables()", [])
    named = [name for (name,) in there if name != own and (f"{name}." in sql or f"`{name}`." in sql)]
    for project in (*named, own):
        sql = sql.replace(f"{project}.", "").replace(f"`{project}`.", "")
    return sql, [*named, own]


def schemas(sql: str, projects: list[str]) -> dict[str, dict[str, str]]:
    """The columns of each table that the SQL may name, as it is now."""
    named = {tuple(found) for found in NAMES.findall(sql)}
    found: dict[str, dict[str, str]] = {}
    for project in projects:
        there = database.fetch("SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ?", [project])
        for dataset, table in named & set(there):
            columns = tables.columns(project, dataset, table)
            found[f"{dataset}.{table}"] = {each.name: types.bigquery_type(each) for each in columns}
    return found


def execute(cur: Any, project: str, job_id: str | None, config: Any, *arguments: Any, **options: Any) -> Any:
    """Run it as the emulator does, and write it down where it did not fail."""
    sql = config.query or ""
    new = job_id is not None and shape(sql) not in _seen
    own, projects = alone(sql, project) if new else (sql, [])
    before = schemas(own, projects) if new else {}
    result = _execute(cur, project, job_id, config, *arguments, **options)
    if new:
        given = {each.name: each.parameterType.type for each in config.queryParameters or []}
        line = json.dumps({"sql": own, "parameters": given, "tables": schemas(own, projects) | before})
        with _lock, SENT.open("a") as file:
            if shape(sql) not in _seen:
                _seen.add(shape(sql))
                file.write(line + "\n")
    return result


if __name__ == "__main__":
    query.execute = execute
    sys.exit(cli.main())
