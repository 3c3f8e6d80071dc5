"""The point-in-time join of many views to few rows: one query per view, all on one state of the store.

For 200 views and 20 rows a single join takes DuckDB 20 s to plan and Ibis a minute to compile, because both times grow
with the square of the number of views. One query per view takes 8 ms. Views with the same join keys, ttl and timestamps
have the same query except for names. Ibis compiles that query once, with placeholders for the table and the features.
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
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import Part
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.tables import Stored

MANY = 8
"""The smallest number of views of a service for which one query per view is faster."""
FEW = 10_000
"""The largest number of rows for which it is faster. All features of these rows are in memory at once."""
_VIEW, _FEATURE = "placeholder__of_the_view", "placeholder__of_a_feature_of_type_"
_SLOT = "placeholder__of_the_features_at_"

Join = Callable[..., Table]
"""`point_in_time` of a spine and a service, with features' full names."""


@dataclass(frozen=True)
class _Template:
    """A query with placeholders: the text, and for each list of features the text of one feature, by type."""

    text: str
    lists: tuple[Mapping[DataType, str], ...]

    def of(self, projection: FeatureViewProjection) -> str:
        """The query for a view of the same shape."""

        def written(found: re.Match[str]) -> str:
            if found[1] is None:
                return projection.view.name
            items, prefix = self.lists[int(found[1])], f"{projection.name}__"
            return ", ".join(
                items[each.type].replace(_FEATURE + each.type.name, each.name).replace(f"{_VIEW}__", prefix)
                for each in projection.columns
            )

        return re.sub(rf'"{_SLOT}(\d+)"|{_VIEW}', written, self.text)


def parts(
    service: FeatureService, *, spine: Table, row: str, join: Join, sql: Callable[[Table], str], stored: Stored
) -> Iterator[Part]:
    """One query per projection of the service. Each query returns the features in the order of the spine's rows.

    `stored`: see `check_tables`.
    """
    templates: dict[Any, _Template | None] = {}
    for projection in service.projections:
        view = projection.view
        schema = pa.schema([(name, _arrow(c)) for name, c in zip(_names(projection), projection.columns, strict=True)])
        template = None
        if view.table is None and not stored.added.get(view.name):
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
    """The query of a view like `like` with one feature of each type; None if the query cannot be made a template."""
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
