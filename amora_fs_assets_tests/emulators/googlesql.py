"""Whether what was sent to the emulator is GoogleSQL, by a parser that shares nothing with Ibis, sqlglot or DuckDB."""

from __future__ import annotations

import bqsqlparse
from google.cloud import bigquery

UNKNOWN = {"ALTER TABLE": "bqsqlparse knows no ALTER; a test says word for word what is sent"}
"""How statements begin that the parser does not know, and why they are let through."""


def statements(client: bigquery.Client) -> list[str]:
    """Every statement and script of the client's project: the emulator keeps its jobs, whoever sent them."""
    return [job.query for job in client.list_jobs(timeout=60) if isinstance(job, bigquery.QueryJob)]


def faults(sent: list[str]) -> list[str]:
    """What the parser says of each statement that it does not take."""
    said = []
    for sql in dict.fromkeys(sent):
        try:
            bqsqlparse.parse(sql)
        except bqsqlparse.BQSQLError as error:
            unknown = isinstance(error, bqsqlparse.UnsupportedStatementError)
            if not (unknown and any(sql.lstrip().startswith(beginning) for beginning in UNKNOWN)):
                said.append(f"{error}\n{sql}")
    return said
