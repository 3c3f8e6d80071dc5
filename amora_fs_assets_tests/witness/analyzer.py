"""Analyzes GoogleSQL: a line of JSON for each script in, one for what was found out.

Runs in the environment of `make witness`, and imports nothing of the project.

In: {"sql": a script, "tables": {"dataset.table": {"column": "ARRAY<INT64>"}}, "texts": names of parameters}.
Out: {"statements": how many were analyzed, "fault": what the analyzer said of the next one, or null}.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from zetasql.api.analyzer import Analyzer
from zetasql.api.builders import CatalogBuilder, TableBuilder
from zetasql.api.type_factory import TypeFactory, TypeKind
from zetasql.core.exceptions import ZetaSQLError
from zetasql.types import (
    AnalyzerOptions,
    LanguageOptions,
    ParseResumeLocation,
    ResolvedNodeKind,
    SimpleCatalog,
    ZetaSQLBuiltinFunctionOptions,
)

LANGUAGE = LanguageOptions.maximum_features()
LANGUAGE.reserved_keywords = ["QUALIFY"]
LANGUAGE.supported_statement_kinds = [kind for kind in ResolvedNodeKind if kind.name.endswith("_STMT")]
FUNCTIONS = ZetaSQLBuiltinFunctionOptions(language_options=LANGUAGE)
KINDS = {"FLOAT64": "TYPE_DOUBLE", "BOOL": "TYPE_BOOL"}


def type_of(text: str) -> Any:
    """The type of a column."""
    if text.startswith("ARRAY<"):
        return TypeFactory.create_array_type(type_of(text.removeprefix("ARRAY<").removesuffix(">")))
    plain = text.partition("(")[0]
    return TypeFactory.create_simple_type(getattr(TypeKind, KINDS.get(plain, f"TYPE_{plain}")))


def catalog_of(tables: dict[str, dict[str, str]]) -> SimpleCatalog:
    """Datasets as catalogs in a catalog; a table without a dataset is in the outer one."""
    datasets: dict[str, CatalogBuilder] = {}
    for name, columns in tables.items():
        dataset, _, table = name.rpartition(".")
        builder = TableBuilder(table)
        for column, type_ in columns.items():
            builder.add_column(column, type_of(type_))
        datasets.setdefault(dataset, CatalogBuilder(dataset or "all").with_builtin_functions(FUNCTIONS))
        datasets[dataset].add_table(builder.build())
    outer: SimpleCatalog = datasets.pop("", CatalogBuilder("all").with_builtin_functions(FUNCTIONS)).build()
    outer.catalog.extend(each.build() for each in datasets.values())
    return outer


def analyzed(sql: str, tables: dict[str, dict[str, str]], texts: list[str]) -> dict[str, Any]:
    """How many statements were analyzed, and what is wrong with the first that could not be."""
    options = AnalyzerOptions(language_options=LANGUAGE)
    options.query_parameters = [AnalyzerOptions.QueryParameter(name=name, type=type_of("STRING")) for name in texts]
    analyzer, location, statements = Analyzer(options, catalog_of(tables)), ParseResumeLocation(), 0
    location.input, location.byte_position = sql, 0
    try:
        while sql.encode()[location.byte_position :].strip(b"; \n"):
            analyzer.analyze_next_statement(location)
            statements += 1
    except ZetaSQLError as error:
        return {"statements": statements, "fault": str(error)}
    return {"statements": statements, "fault": None}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(analyzed(**json.loads(line))), flush=True)
