"""A view's gate: the SQL that is put together of predicates, each compiled once, is the SQL of the whole query."""

from __future__ import annotations

import ibis
import pandera.ibis as pa
import sqlglot
from pandera.api.ibis.types import IbisData

from amora_fs_assets import Entity, FeatureSchema, FeatureView, Field
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.rules.of_view import compiled, rules_of


class Measured(FeatureSchema):
    """Rules that are alike but for a column, a type, or what Python takes for equal."""

    customer: int
    first: int = Field(ge=1, isin=[1, 2])
    second: int = Field(ge=1, isin=[1, 3])
    whole: float = Field(ge=1, nullable=True)
    broken: float = Field(ge=1.5, le=2)
    signed: float = Field(le=2)
    select: str = Field(str_matches='^"t0"', isin=['"', '"t0"."select"'])

    @pa.check("second")
    @classmethod
    def more_than_the_first(cls, data: IbisData) -> ibis.expr.types.Value:
        """A check of the user's, which looks at another column."""
        return data.table[data.key] > data.table["first"]

    @pa.dataframe_check
    @classmethod
    def both(cls, data: IbisData) -> ibis.expr.types.Value:
        """A check of whole rows."""
        return data.table["first"] + data.table["second"] > 2


def test_predicates_that_are_compiled_once_make_up_the_query_that_ibis_compiles_whole() -> None:
    view = FeatureView("measured", Measured, [Entity("customer")], transform=lambda: None, start="2024-01-01")
    rows = ibis.table({column.name: IBIS_TYPES[column.type] for column in view.row_columns}, name="rows")
    whole = rows.select(**{f"keeps_{place}": rule.keeps(rows) for place, rule in enumerate(rules_of(view))})
    expected = sqlglot.parse_one(str(ibis.to_sql(whole, dialect="duckdb")), dialect="duckdb")
    assert sqlglot.parse_one(compiled(view).sql, dialect="duckdb").sql("duckdb") == expected.sql("duckdb")
