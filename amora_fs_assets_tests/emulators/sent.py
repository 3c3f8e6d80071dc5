"""Whether BigQuery would take what the emulator was sent: each statement before Google's own analyzer of GoogleSQL."""

from __future__ import annotations

import json
import re
from pathlib import Path

from google.cloud import bigquery

from amora_fs_assets.testing import RefusedByGoogleSQL, Witness

NOT_ANALYZED = {
    # The analyzer knows no table that BigQuery itself keeps.
    "INFORMATION_SCHEMA": "SELECT * FROM `d`.INFORMATION_SCHEMA.PARTITIONS WHERE table_name = @name",
    # The analyzer does not know a table that the script itself made. Only the stock Feast client sends such scripts.
    "TEMP": "CREATE TEMP TABLE t AS (SELECT 1 AS x); SELECT x FROM t",
}
"""Kinds of statements that the analyzer cannot take, by a word in them, each with an example; it can only shrink."""


def statements(client: bigquery.Client) -> list[str]:
    """Every statement and script of the client's project: the emulator keeps its jobs, whoever sent them."""
    return [job.query for job in client.list_jobs(timeout=60) if isinstance(job, bigquery.QueryJob)]


def faults(sent: Path, witness: Witness) -> list[str]:
    """What the analyzer says against the statements that `recording.py` wrote down, with the tables as they were."""
    said = []
    for line in sent.read_text().splitlines() if sent.exists() else []:
        recorded = json.loads(line)
        if any(re.search(rf"\b{word}\b", recorded["sql"]) for word in NOT_ANALYZED):
            continue
        try:
            witness.analyze_types(recorded["sql"], recorded["tables"], recorded["parameters"])
        except RefusedByGoogleSQL as error:
            said.append(str(error))
    return said
