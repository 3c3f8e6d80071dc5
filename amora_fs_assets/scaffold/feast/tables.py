"""Feast's batch sources as tables, queries and files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from amora_fs_assets.scaffold.feast.model import Table

_SYSTEMS = {
    "BATCH_SNOWFLAKE": "Snowflake", "BATCH_REDSHIFT": "Redshift", "BATCH_TRINO": "Trino", "BATCH_SPARK": "Spark",
    "BATCH_ATHENA": "Athena", "BATCH_ICEBERG": "Iceberg",
}  # fmt: skip
_TABLE = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,62}\.)?[A-Za-z_]\w*\.[A-Za-z_]\w*", re.ASCII)
"""The tables that `table=` takes; BigQuery also has dashes and spaces in names."""
STREAMS = {"STREAM_KAFKA": "Kafka", "STREAM_KINESIS": "Kinesis"}


class NoCounterpart(Exception):
    """An object of Feast cannot be written. The message is the reason, without the object's name."""


def table_of(source: Mapping[str, Any] | None, path_of: Callable[[str], str]) -> Table:
    """The rows of a batch source. `path_of` makes Feast's path of a file the definition's. Raises NoCounterpart."""
    if not source:
        raise NoCounterpart("it has no batch source")
    kind, value = _place(source, path_of)
    own = {new: old for old, new in source.get("fieldMapping", {}).items()}
    timestamp, created = source.get("timestampField", ""), source.get("createdTimestampColumn", "")
    if not timestamp:
        raise NoCounterpart(f"its data source '{source.get('name', '')}' has no timestamp_field")
    return Table(kind, value, own.get(timestamp, timestamp), own.get(created, created))


def _place(source: Mapping[str, Any], path_of: Callable[[str], str]) -> tuple[str, str]:
    type_, name = source.get("type", "INVALID"), source.get("name", "")
    match type_:
        case "BATCH_BIGQUERY":
            options = source.get("bigqueryOptions", {})
            if not options.get("table"):
                return "query", options.get("query", "")
            table = options["table"].strip("`").replace(":", ".")
            return ("table", table) if _TABLE.fullmatch(table) else ("query", f"SELECT * FROM `{table}`")
        case "BATCH_FILE":
            options = source.get("fileOptions", {})
            uri, format_ = options.get("uri", ""), next(iter(options.get("fileFormat", {})), "parquetFormat")
            if format_ != "parquetFormat":
                raise NoCounterpart(f"its data source '{name}' is a {format_.removesuffix('Format')} table")
            if "://" in uri and not uri.startswith(("gs://", "file://")):
                raise NoCounterpart(f"its data source '{name}' is {uri}: copy the file to gs:// or a folder")
            path = uri.removeprefix("file://")
            last = path.rstrip("/").rpartition("/")[2]
            if "." in last.strip(".") and not last.endswith(".parquet"):
                raise NoCounterpart(f"the name of its file {uri} does not end in .parquet: rename the file")
            return "path", path_of(path)
        case _:
            system = _SYSTEMS.get(type_, source.get("dataSourceClassType", type_).rpartition(".")[2])
            raise NoCounterpart(
                f"its data source '{name}' is in {system}: copy the rows into BigQuery or Parquet files and write a "
                "FeatureView with table= or path="
            )


def name_of(source: Mapping[str, Any]) -> str:
    """The name of a data source. Feast takes the table or the path for the name if none is given."""
    options = {**source.get("bigqueryOptions", {}), **source.get("fileOptions", {})}
    return str(source.get("name") or options.get("table") or options.get("uri") or "source")


def short(name: str) -> str:
    """The last part of a name that is a table or a path: `data/orders.parquet` and `shop.raw.orders` are `orders`."""
    last = name.rstrip("/").rpartition("/")[2]
    if last != name:
        return last.partition(".")[0] or last
    return name.rpartition(".")[2] or name
