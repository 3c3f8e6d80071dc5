"""The point-in-time join of many views to few rows: a query for each view, of one state of the store.

One join of 200 views takes DuckDB 20 s to plan, and Ibis a minute to write, for 20 rows: both go by the square of the
views. A query for each takes 8 ms. Views of the same keys, ttl and times have the same query but for names: Ibis
writes it once, with placeholders for the table and for a feature of each type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlglot
from ibis.expr.types import Table
from sqlglot import expressions

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports import Part
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.schema import IBIS_TYPES
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.tables import Added

MANY = 8
"""Views of one service, from which on this pays."""
FEW = 10_000
"""Rows asked for, up to which it does: each query goes through them, and its features are in memory at once."""
_VIEW, _FEATURE = "placeholder__of_the_view", "placeholder__of_a_feature_of_type_"
_SLOT = "placeholder__of_the_features_at_"

Join = Callable[..., Table]
"""`point_in_time` of a spine and a service, with features' full names."""


@dataclass(frozen=True)
class _Template:
    """The query of a view, in parts: text, and in between lists of what is written for each feature, by its type."""

    text: str
    lists: tuple[Mapping[DataType, str], ...]

    def of(self, projection: FeatureViewProjection) -> str:
        """The query of a view of that shape."""

        def written(found: re.Match[str]) -> str:
            if found[1] is None:
                return projection.view.name
            items, said = self.lists[int(found[1])], f"{projection.name}__"
            return ", ".join(
                items[each.type].replace(_FEATURE + each.type.name, each.name).replace(f"{_VIEW}__", said)
                for each in projection.columns
            )

        return re.sub(rf'"{_SLOT}(\d+)"|{_VIEW}', written, self.text)


def parts(
    service: FeatureService, *, spine: Table, row: str, join: Join, sql: Callable[[Table], str], added: Added
) -> Iterator[Part]:
    """For each of the service's projections the query that gives its features, in the order of the spine's rows.

    `added` are the columns that views' tables lack.
    """
    templates: dict[Any, _Template | None] = {}
    for projection in service.projections:
        view = projection.view
        schema = pa.schema([(name, _arrow(c)) for name, c in zip(_names(projection), projection.columns, strict=True)])
        template = None
        if view.table is None and not added.get(view.name):
            shape = (projection.join_keys, view.key_columns, view.ttl, view.has_created_timestamp)
            if shape not in templates:
                types = {column.type for each in service.projections for column in each.columns}
                templates[shape] = _template(projection, types, spine, row, join, sql)
            template = templates[shape]
        if template is not None:
            yield Part(template.of(projection), schema)
        else:
            yield Part(sql(_query(projection, spine, row, join)), schema)


def _arrow(column: Column) -> pa.DataType:
    return IBIS_TYPES[column.type].to_pyarrow()


def _names(projection: FeatureViewProjection) -> list[str]:
    return [f"{projection.name}__{feature}" for feature in projection.features]


def _query(projection: FeatureViewProjection, spine: Table, row: str, join: Join) -> Table:
    return join(spine, FeatureService("beside", [projection])).order_by(row).select(*_names(projection))


def _template(
    like: FeatureViewProjection,
    types: Collection[DataType],
    spine: Table,
    row: str,
    join: Join,
    sql: Callable[..., str],
) -> _Template | None:
    """The query of a view as `like`, whose features are one of each type; None where it is none that can be filled."""
    view = like.view
    times = [Column(EVENT_TIMESTAMP, DataType.TIMESTAMP)]
    if view.has_created_timestamp:
        times.append(Column(CREATED_TIMESTAMP, DataType.TIMESTAMP, nullable=True))
    features = [Column(_FEATURE + each.name, each, nullable=True) for each in sorted(types)]
    stand_in = FeatureView(
        _VIEW, (*view.key_columns, *times, *features), view.entities, ttl=view.ttl, start="2020-01-01"
    )
    projection = FeatureViewProjection(stand_in, tuple(c.name for c in features), join_key_map=like.join_key_map)
    tree = sqlglot.parse_one(sql(_query(projection, spine, row, join)), dialect="duckdb")
    lists: list[Mapping[DataType, str]] = []
    for select in tree.find_all(expressions.Select):
        texts = [each.sql(dialect="duckdb") for each in select.expressions]
        found = {type_: text for type_ in types for text in texts if _FEATURE + type_.name + '"' in text}
        if found:
            kept = [e for e, text in zip(select.expressions, texts, strict=True) if text not in found.values()]
            slot = expressions.column(f"{_SLOT}{len(lists)}", quoted=True)
            select.set("expressions", [*kept, slot])
            lists.append(found)
    text = tree.sql(dialect="duckdb", pretty=True)
    return _Template(text, tuple(lists)) if _FEATURE not in text else None
