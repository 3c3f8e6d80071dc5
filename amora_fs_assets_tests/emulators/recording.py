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


def schemas(sql: str, project: str) -> dict[str, dict[str, str]]:
    """The columns of each table that the SQL may name, as it is now."""
    sql = sql.replace(f"{project}.", "")
    named = {tuple(found) for found in NAMES.findall(sql)}
    there = database.fetch("SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ?", [project])
    return {
        f"{dataset}.{table}": {each.name: types.bigquery_type(each) for each in tables.columns(project, dataset, table)}
        for dataset, table in named & set(there)
    }


def execute(cur: Any, project: str, job_id: str | None, config: Any, *arguments: Any, **options: Any) -> Any:
    """Run it as the emulator does, and write it down where it did not fail."""
    sql = config.query or ""
    new = job_id is not None and shape(sql) not in _seen
    before = schemas(sql, project) if new else {}
    result = _execute(cur, project, job_id, config, *arguments, **options)
    if new:
        given = {each.name: each.parameterType.type for each in config.queryParameters or []}
        alone = sql.replace(f"{project}.", "").replace(f"`{project}`.", "")
        line = json.dumps({"sql": alone, "parameters": given, "tables": schemas(sql, project) | before})
        with _lock, SENT.open("a") as file:
            if shape(sql) not in _seen:
                _seen.add(shape(sql))
                file.write(line + "\n")
    return result


if __name__ == "__main__":
    query.execute = execute
    sys.exit(cli.main())
