"""Column lineage: the source columns from which a query's columns are computed, derived from its SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlglot
from ibis.expr.types import Table
from sqlglot import exp
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.places.external import as_declared
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.records import ColumnLineage, SourceColumn
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.operations.expressions.tables import all_columns


def column_lineage(query: Table, sources: Sequence[Source | FeatureView], store: OfflineStore) -> ColumnLineage:
    """For each column of the query, the source columns from which its values are computed, sorted by name.

    Columns that are only used to filter, group or join are not included.
    """
    # Without projects, since sqlglot wants names of equal length.
    tables = {source.name: ".".join(table_name(source, store.dataset).split(".")[-2:]) for source in sources}
    names = {table: name for name, table in tables.items()}
    schema: dict[str, Any] = {}
    for source in sources:
        dataset, _, table = tables[source.name].rpartition(".")
        schema.setdefault(dataset, {})[table] = {column.name: str(column.type) for column in all_columns(source)}
    tree = sqlglot.parse_one(store.sql(as_declared(query)), dialect=store.dialect.name)
    for each in tree.find_all(exp.Table):
        each.set("catalog", None)
    # Ibis writes SELECT *, so the columns behind the stars are needed.
    tree = qualify(
        tree, dialect=store.dialect.name, schema=schema, validate_qualify_columns=False, quote_identifiers=False
    )
    scope = build_scope(tree)
    declared = {
        (source.name, source.place.stored_name(column.name)): column.name
        for source in sources
        if isinstance(source, Source)
        for column in source.columns
    }
    found: ColumnLineage = {}
    for column in query.columns:
        origins = set()
        for node in lineage(
            column, tree, dialect=store.dialect.name, scope=scope, copy=False, trim_selects=False
        ).walk():
            if isinstance(node.expression, exp.Table):
                origin = names.get(f"{node.expression.db}.{node.expression.name}")
                name = node.name.rpartition(".")[2].strip('"`')
                if origin is not None and name != "*":
                    origins.add((origin, declared.get((origin, name), name)))
        found[column] = tuple(SourceColumn(name=origin, column=name) for origin, name in sorted(origins))
    return found
