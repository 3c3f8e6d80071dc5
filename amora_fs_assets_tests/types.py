"""A feature of each common type, for schemas of tests that add their key and more types."""

from __future__ import annotations

from datetime import date

import ibis.expr.datatypes as dt

from amora_fs_assets import FeatureSchema, Field, Timestamp


class CommonTypes(FeatureSchema):
    """Nullable features, by the first letter of the type; `l` begins a list."""

    i: int = Field(nullable=True)
    f: float = Field(nullable=True)
    s: str = Field(nullable=True)
    o: bool = Field(nullable=True)
    b: bytes = Field(nullable=True)
    d: date = Field(nullable=True)
    t: Timestamp = Field(nullable=True)
    p: dt.Decimal(38, 9) = Field(nullable=True)  # type: ignore[valid-type]
    li: list[int] = Field(nullable=True)
    lf: list[float] = Field(nullable=True)
    ls: list[str] = Field(nullable=True)
