"""A publication's script, statement by statement, by the reference implementation: it runs queries, and so do these."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa

from amora_fs_assets.testing.witness import Witness

_INSERT = re.compile(r"INSERT INTO (\S+) \((.*?)\)\s+SELECT(.*)", re.DOTALL)
_DELETE = re.compile(r"DELETE FROM (\S+)( AS _old)? WHERE (.*)", re.DOTALL)
_UPDATE = re.compile(r"UPDATE (\S+) SET newest = (.*) WHERE true", re.DOTALL)


def run(
    script: str, tables: Mapping[str, pa.Table], parameters: Mapping[str, str], witness: Witness
) -> dict[str, pa.Table]:
    """The tables after the script. What an INSERT, DELETE or UPDATE reads is asked as a query of the same words."""
    held = dict(tables)
    for part in script.split(";\n"):
        statement = part.strip().rstrip(";")
        if not statement or statement.endswith("TRANSACTION"):
            continue
        if found := _INSERT.fullmatch(statement):
            name = found[1].replace("`", "")
            names = [each.strip().strip("`") for each in found[2].split(",")]
            rows = witness.execute(f"SELECT{found[3]}", held, parameters).rename_columns(names)
            schema = pa.schema([held[name].schema.field(each) for each in names])
            arrived = pa.Table.from_arrays([_as(rows[f.name], f.type) for f in schema], schema=schema)
            held[name] = pa.concat_tables([held[name], arrived.select(held[name].column_names)])
        elif found := _DELETE.fullmatch(statement):
            name = found[1].replace("`", "")
            kept = witness.execute(f"SELECT * FROM {found[1]} AS _old WHERE ({found[3]}) IS NOT TRUE", held, parameters)
            held[name] = kept.cast(held[name].schema)
        elif found := _UPDATE.fullmatch(statement):
            name = found[1].replace("`", "")
            held[name] = witness.execute(f"SELECT {found[2]} AS newest FROM {found[1]}", held, parameters)
        else:
            assert witness.execute(statement, held, parameters).num_rows == 0, statement  # a law that holds
    return held


def _as(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    """An untyped NULL of GoogleSQL is INT64."""
    return pa.chunked_array([pa.nulls(len(column), type_)]) if column.null_count == len(column) else column.cast(type_)
