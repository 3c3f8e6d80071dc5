"""Runs GoogleSQL with Google's analyzer and reference implementation: one line of JSON in, one line of JSON out.

A process in an environment with the package zetasql. Does not import other modules of the project.

In: {"sql", "tables": {"dataset.table": {"columns": {"name": "ARRAY<INT64>"}, "rows": [[...]]}},
"parameters": {"name": [type, value]}, "execute": true to run a query, false to analyze a script}. Out: {"fault":
Google's error, or null} and, for an analyzed script, {"statements": the number of accepted statements}; for a query
{"columns": [[name, type]], "rows": [[...]]}. Values: numbers, texts and booleans unchanged; bytes in hex; decimals as
text; dates in days and timestamps in microseconds since 1970.
"""

from __future__ import annotations

import ctypes
import json
import re
import sys
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

from wasmtime import Config
from zetasql.api.builders import CatalogBuilder, TableBuilder
from zetasql.api.type_factory import TypeFactory, TypeKind
from zetasql.core import wasm_client
from zetasql.core.exceptions import ZetaSQLError
from zetasql.core.local_service import ZetaSqlLocalService, local_service_pb2
from zetasql.types import (
    AnalyzerOptions,
    LanguageOptions,
    ResolvedNodeKind,
    SimpleCatalog,
    ZetaSQLBuiltinFunctionOptions,
)

KINDS = {"FLOAT64": "TYPE_DOUBLE", "BOOL": "TYPE_BOOL"}
FIELDS = {
    "INT64": "int64_value",
    "FLOAT64": "double_value",
    "BOOL": "bool_value",
    "STRING": "string_value",
    "BYTES": "bytes_value",
    "DATE": "date_value",
    "TIMESTAMP": "timestamp_value",
    "NUMERIC": "numeric_value",
    "TIME": "time_value",
}
NAMES = {TypeKind[KINDS.get(name, f"TYPE_{name}")].value: name for name in FIELDS}
SCALE = 10**9  # the scale of a NUMERIC


def _written(self: Any, start: int, data: bytes) -> None:
    ctypes.memmove(ctypes.addressof(self.memory.data_ptr().contents) + start, data, len(data))


def _read(self: Any, start: int, size: int) -> bytes:
    return ctypes.string_at(ctypes.addressof(self.memory.data_ptr().contents) + start, size)


# The package copies single bytes in Python, which takes longer than the queries.
wasm_client.WasmClient.write_bytes, wasm_client.WasmClient.read_bytes = _written, _read


def _cached() -> Any:
    config = Config()
    config.cache = True
    return config


# Compiling takes half a minute, so wasmtime caches the result in the user's home.
wasm_client.Config = _cached

LANGUAGE = LanguageOptions.maximum_features()
LANGUAGE.reserved_keywords = ["QUALIFY"]
LANGUAGE.supported_statement_kinds = [kind for kind in ResolvedNodeKind if kind.name.endswith("_STMT")]
FUNCTIONS = ZetaSQLBuiltinFunctionOptions(language_options=LANGUAGE)


def item_of(text: str) -> str:
    """The type of an array's items; empty for another type."""
    return text.removeprefix("ARRAY<").removesuffix(">") if text.startswith("ARRAY<") else ""


def fields_of(text: str) -> list[tuple[str, str]]:
    """The names and types of a struct's fields: the parts at the commas that are in no inner type."""
    parts, depth = [""], 0
    for letter in text.removeprefix("STRUCT<")[:-1]:
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    pairs = (part.strip().partition(" ") for part in parts)
    return [(name.strip("`"), type_) for name, _, type_ in pairs]


def type_of(text: str) -> Any:
    """The type for its GoogleSQL text."""
    if item := item_of(text):
        return TypeFactory.create_array_type(type_of(item))
    if text.startswith("STRUCT<"):
        return TypeFactory.create_struct_type([(name, type_of(field)) for name, field in fields_of(text)])
    plain = text.partition("(")[0]
    return TypeFactory.create_simple_type(getattr(TypeKind, KINDS.get(plain, f"TYPE_{plain}")))


def catalog_of(tables: dict[str, dict[str, Any]], *, flat: bool = False) -> SimpleCatalog:
    """A catalog with one inner catalog per dataset; tables without a dataset are outside, with `flat` all tables."""
    outer = CatalogBuilder("all").with_builtin_functions(FUNCTIONS)
    datasets: dict[str, CatalogBuilder] = {}
    for name, table in tables.items():
        dataset, _, short = ("", "", name) if flat else name.rpartition(".")
        builder = TableBuilder(short)
        for column, type_ in table["columns"].items():
            builder.add_column(column, type_of(type_))
        within = datasets.setdefault(dataset, CatalogBuilder(dataset)) if dataset else outer
        within.add_table(builder.build())
    built: SimpleCatalog = outer.build()
    built.catalog.extend(each.build() for each in datasets.values())
    return built


def options_of(parameters: dict[str, list[Any]]) -> AnalyzerOptions:
    """The analyzer's options, with the types of the parameters. A time without a zone is UTC, as in BigQuery."""
    options = AnalyzerOptions(language_options=LANGUAGE, default_timezone="UTC")
    options.query_parameters = [
        AnalyzerOptions.QueryParameter(name=name, type=type_of(type_)) for name, (type_, _) in parameters.items()
    ]
    return options


def put(cell: Any, value: Any, type_: str) -> None:
    """Set the cell to the value; a null stays unset."""
    if value is None:
        return
    if item := item_of(type_):
        cell.array_value.SetInParent()
        for each in value:
            put(cell.array_value.element.add(), each, item)
    elif type_.startswith("STRUCT<"):
        cell.struct_value.SetInParent()
        for (_, field), each in zip(fields_of(type_), value, strict=True):
            put(cell.struct_value.field.add(), each, field)
    elif type_ == "TIMESTAMP":
        seconds, microseconds = divmod(value, 10**6)
        cell.timestamp_value.seconds, cell.timestamp_value.nanos = seconds, microseconds * 1000
        cell.timestamp_value.SetInParent()
    elif type_ == "TIME":  # bit fields of hour, minute, second and nanoseconds
        seconds, microseconds = divmod(value, 10**6)
        minutes, second = divmod(seconds, 60)
        cell.time_value = (((minutes // 60 << 6 | minutes % 60) << 6 | second) << 30) | microseconds * 1000
    elif type_ == "NUMERIC":
        scaled = int(Decimal(value).scaleb(9, Context(prec=60)))
        size = (scaled + (scaled < 0)).bit_length() // 8 + 1
        cell.numeric_value = scaled.to_bytes(size, "little", signed=True)
    else:
        setattr(cell, FIELDS[type_], bytes.fromhex(value) if type_ == "BYTES" else value)


def got(cell: Any, type_: str) -> Any:
    """The value of the cell."""
    item = item_of(type_)
    if cell.WhichOneof("value") is None:
        return None
    if item:
        return [got(each, item) for each in cell.array_value.element]
    if type_.startswith("STRUCT<"):
        pairs = zip(cell.struct_value.field, fields_of(type_), strict=True)
        return [got(each, field) for each, (_, field) in pairs]
    value = getattr(cell, FIELDS[type_])
    if type_ == "TIMESTAMP":
        return value.seconds * 10**6 + value.nanos // 1000
    if type_ == "TIME":
        seconds = (value >> 42) * 3600 + (value >> 36 & 63) * 60 + (value >> 30 & 63)
        return seconds * 10**6 + (value & 2**30 - 1) // 1000
    if type_ == "NUMERIC":
        whole, part = divmod(abs(number := int.from_bytes(value, "little", signed=True)), SCALE)
        return f"{'-' if number < 0 else ''}{whole}.{part:09}"
    return value.hex() if type_ == "BYTES" else value


def named(type_: Any) -> str:
    """The GoogleSQL text of a column's type."""
    if type_.type_kind == TypeKind.TYPE_ARRAY.value:
        return f"ARRAY<{named(type_.array_type.element_type)}>"
    if type_.type_kind == TypeKind.TYPE_STRUCT.value:
        fields = (f"`{field.field_name}` {named(field.field_type)}" for field in type_.struct_type.field)
        return f"STRUCT<{', '.join(fields)}>"
    if type_.type_kind not in NAMES:
        raise ValueError(f"a result of type {TypeKind(type_.type_kind).name} is not supported")
    return NAMES[type_.type_kind]


def flat(sql: str, tables: dict[str, dict[str, Any]]) -> str:
    """The query with single names `dataset.table`, since only tables of the outer catalog can hold rows."""
    for name in tables:
        dataset, _, short = name.rpartition(".")
        if dataset:
            first, last = re.escape(dataset), re.escape(short)
            path = rf"(?:`{first}`|(?<![\w`.]){first})\.(?:`{last}`|{last}(?![\w`]))"
            sql = re.sub(path, f"`{name}`", sql)
    return sql


def called(method: str, request: Any) -> bytes:
    """The answer of the local service, as bytes."""
    client = ZetaSqlLocalService.get_instance().wasm_client
    return bytes(client._call_grpc_method(f"ZetaSqlLocalService_{method}", request.SerializeToString()))  # noqa: SLF001


@lru_cache(maxsize=1)
def registered(tables_and_flat: str) -> int:
    """The number of a catalog of the tables with their rows.

    The last catalog is kept, since making one takes longer than most queries, and queries often use the same tables.
    """
    tables, flat = json.loads(tables_and_flat)
    request = local_service_pb2.RegisterCatalogRequest(simple_catalog=catalog_of(tables, flat=flat).to_proto())
    for name, table in tables.items() if flat else ():
        content = request.table_content[name]
        content.table_data.SetInParent()
        types = list(table["columns"].values())
        for row in table["rows"]:
            into = content.table_data.row.add()
            for value, type_ in zip(row, types, strict=True):
                put(into.cell.add(), value, type_)
    made = local_service_pb2.RegisterResponse.FromString(called("RegisterCatalog", request)).registered_id
    while KEPT:
        called("UnregisterCatalog", local_service_pb2.UnregisterRequest(registered_id=KEPT.pop()))
    KEPT.append(made)
    return int(made)


KEPT: list[int] = []
"""The number of the kept catalog."""


def executed(sql: str, tables: dict[str, dict[str, Any]], parameters: dict[str, list[Any]]) -> dict[str, Any]:
    """The columns and rows of a query."""
    catalog = registered(json.dumps([tables, True]))
    request = local_service_pb2.EvaluateQueryRequest(sql=flat(sql, tables), registered_catalog_id=catalog)
    request.options.CopyFrom(options_of(parameters).to_proto())
    for name, (type_, value) in parameters.items():
        given = request.params.add(name=name.lower())
        given.value.SetInParent()
        put(given.value, value, type_)
    answer = local_service_pb2.EvaluateQueryResponse.FromString(called("EvaluateQuery", request))
    columns = [(column.name, named(column.type)) for column in answer.prepared.columns]
    return {
        "columns": columns,
        "rows": [
            [got(cell, type_) for cell, (_, type_) in zip(row.cell, columns, strict=True)]
            for row in answer.content.table_data.row
        ],
    }


def resumed(answer: bytes) -> int:
    """The position of the next statement: field 2 of an AnalyzeResponse.

    Field 1 is the tree of the statement, which is not needed and may be too deep for protobuf.
    """
    place = 0
    while place < len(answer):
        field, number, shift, place = answer[place], 0, 0, place + 1
        while True:
            byte, place = answer[place], place + 1
            number, shift = number | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                break
        if field >> 3 == 2:
            return number
        place += number
    raise ValueError("the analyzer did not return the position of the next statement")


def analyzed(sql: str, tables: dict[str, dict[str, Any]], parameters: dict[str, list[Any]]) -> dict[str, Any]:
    """The number of accepted statements, and the error of the first refused one."""
    request = local_service_pb2.AnalyzeRequest(registered_catalog_id=registered(json.dumps([tables, False])))
    request.options.CopyFrom(options_of(parameters).to_proto())
    for name in tables:  # BigQuery reads a path in one pair of quotes as a path
        sql = sql.replace(f"`{name}`", "`" + name.replace(".", "`.`") + "`")
    request.parse_resume_location.input = sql
    statements, place, script = 0, 0, sql.encode()
    try:
        while script[place:].strip(b"; \n"):
            request.parse_resume_location.byte_position = place
            place = resumed(called("Analyze", request))
            statements += 1
    except ZetaSQLError as error:
        return {"statements": statements, "fault": str(error)}
    return {"statements": statements, "fault": None}


def answered(asked: dict[str, Any]) -> dict[str, Any]:
    """The answer to one line."""
    if not asked.pop("execute"):
        return analyzed(**asked)
    try:
        return {"fault": None} | executed(**asked)
    except (ZetaSQLError, ValueError) as error:
        return {"fault": str(error)}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answered(json.loads(line))), flush=True)  # noqa: T201 (the process's output)
