"""Tables in BigQuery: types, layout, and descriptions in the console."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import ibis.expr.datatypes as dt
from google.api_core.exceptions import PreconditionFailed
from google.cloud import bigquery
from ibis.backends.bigquery.datatypes import BigQuerySchema

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.ports.offline import Draft
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.stores.bigquery.jobs import label

_TYPES = {
    DataType.INT64: "INT64",
    DataType.FLOAT64: "FLOAT64",
    DataType.STRING: "STRING",
    DataType.BOOLEAN: "BOOL",
    DataType.BYTES: "BYTES",
    DataType.DATE: "DATE",
    DataType.TIMESTAMP: "TIMESTAMP",
    DataType.DECIMAL: "NUMERIC",
    DataType.TIME: "TIME",
    DataType.UUID: "STRING",
    DataType.JSON: "STRING",
}
_OURS = "amora_fs_"
"""The prefix of the labels that this project sets and removes. Other labels stay."""
_INCARNATION = "amora-fs-incarnation"
_CLUSTERED = 4  # BigQuery's limit of clustering columns
_log = logging.getLogger(__name__)


def quoted(name: str) -> str:
    """A name of one or more parts, quoted: `feature_store.flights` is "`feature_store`.`flights`"."""
    return ".".join(f"`{part}`" for part in name.split("."))


def type_of(column: Column) -> str:
    """The column's type in GoogleSQL."""
    return _type(column.type)


def _type(type_: DataType) -> str:
    if type_.is_list:
        return f"ARRAY<{_type(type_.item)}>"
    if type_.is_map:
        return f"ARRAY<STRUCT<`key` STRING, `value` {_type(type_.fields['value'])}>>"
    if type_.is_struct:
        return f"STRUCT<{', '.join(f'{quoted(name)} {_type(field)}' for name, field in type_.fields.items())}>"
    return _TYPES[type_]


def columns_of(table: bigquery.Table) -> dict[str, dt.DataType]:
    """The table's present columns, as Ibis types."""
    return types_of(table.schema)


def types_of(schema: Sequence[bigquery.SchemaField]) -> dict[str, dt.DataType]:
    """The columns of a schema, as Ibis types."""
    return {name: _as_declared(type_) for name, type_ in BigQuerySchema.to_ibis(schema).items()}


def _as_declared(type_: dt.DataType) -> dt.DataType:
    """The declared form of a stored type: BigQuery's timestamps have microseconds, its columns are nullable."""
    if type_.is_timestamp() and type_.timezone == "UTC":
        return dt.Timestamp("UTC", 6)
    if type_.is_array():
        return dt.Array(_as_declared(type_.value_type))
    if type_.is_struct():
        return dt.Struct({name: _as_declared(field) for name, field in type_.items()})
    return type_.copy(nullable=True)


def create(draft: Draft, incarnation: str, *, anew: bool = True) -> str:
    """The part after CREATE or CREATE OR REPLACE: partitioned by the time, clustered by the first join keys.

    The table's incarnation is a label. Without `anew` an existing table stays.
    """
    columns = ", ".join(f"{quoted(column.name)} {type_of(column)}" for column in draft.columns)
    period = draft.table_partitions.upper()
    partitioned = f" PARTITION BY TIMESTAMP_TRUNC({quoted(draft.time)}, {period})" if draft.time else ""
    clustered = f" CLUSTER BY {', '.join(map(quoted, draft.keys[:_CLUSTERED]))}" if draft.keys else ""
    table = f"TABLE {'' if anew else 'IF NOT EXISTS '}{quoted(draft.table)} ({columns}){partitioned}{clustered}"
    return f"{table} OPTIONS (labels = [('{_INCARNATION}', '{incarnation}')])"


def incarnation_of(table: bigquery.Table) -> str:
    """The incarnation in the table's label; empty without the label."""
    return str(table.labels.get(_INCARNATION, ""))


def describe(client: bigquery.Client, draft: Draft, call: Mapping[str, Any]) -> None:
    """Write description, owner, tags and the columns' descriptions to the table, as far as they differ.

    `call` are the arguments `timeout` and `retry` for calls of BigQuery's API.
    """
    table = client.get_table(draft.table, **call)
    partitioning = table.time_partitioning
    if draft.time and partitioning is not None and partitioning.type_ != draft.table_partitions.upper():
        _log.warning(
            "Table %s stays partitioned by %s, although '%s' has table_partitions=%s: BigQuery cannot change the "
            "partitions of a table. See docs/bigquery.md.", draft.table, partitioning.type_.lower(), draft.name,
            draft.table_partitions,
        )  # fmt: skip
    changed = []
    description = "\n".join(filter(None, (draft.description, draft.owner and f"Owner: {draft.owner}")))
    if description != (table.description or ""):
        table.description = description or None
        changed.append("description")
    labels = _labels(draft)
    ours = {name: value for name, value in table.labels.items() if name.startswith(_OURS)}
    if ours != labels:
        table.labels = {**table.labels, **dict.fromkeys(ours), **labels}  # None removes a label
        changed.append("labels")
    words = {column.name: column.description for column in draft.columns}
    if any((field.description or "") != words.get(field.name, "") for field in table.schema):
        table.schema = [_with_description(field, words.get(field.name, "")) for field in table.schema]
        changed.append("schema")
    if changed:
        with suppress(PreconditionFailed):  # another publication updates the table
            client.update_table(table, changed, **call)


def _labels(draft: Draft) -> Mapping[str, str]:
    owner = {"owner": draft.owner} if draft.owner else {}
    return {label(f"{_OURS}{name}"): label(value) for name, value in {**draft.tags, **owner}.items()}


def _with_description(field: bigquery.SchemaField, description: str) -> bigquery.SchemaField:
    return bigquery.SchemaField.from_api_repr({**field.to_api_repr(), "description": description})
