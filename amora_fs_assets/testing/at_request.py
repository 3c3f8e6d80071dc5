"""On-demand feature views on rows of a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from amora_fs_assets.domain.arrow import arrow_type, arrow_values
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.request_time.evaluate import Evaluator
from amora_fs_assets.domain.time import EPOCH, MICROSECOND, utc
from amora_fs_assets.operations.online.entity_keys import checked_request


def evaluate(
    view: OnDemandFeatureView, rows: Sequence[Mapping[str, Any]], at: datetime | str | None = None
) -> pa.Table:
    """The features of each row, as a request at the instant `at` gets them.

    `evaluate(checkout, [{"basket": 40.0, "spend_30d": 80.0}], at="2026-01-02T12:00")`: a row has stored features and
    request columns by name (`view.columns`); a column that it lacks is null. Instants may be texts. `at` may be left
    out if no expression has `request_time()`. Raises InvalidRequest for an unknown column and a value of another type.
    """
    for row in rows:
        for name in row:
            if name not in view.types:
                raise InvalidRequest(f"{view} reads no column '{name}'. Its columns: {', '.join(view.types)}.")
    if at is None and any(formula.uses_request_time for formula in view.formulas.values()):
        raise InvalidRequest(f"{view} uses request_time(). Give the instant: evaluate(..., at='2026-01-02T12:00').")
    instant = EPOCH if at is None else utc(at)
    columns = {
        name: checked_request(name, [row.get(name) for row in rows], type_, json=False)
        for name, type_ in view.types.items()
    }
    found = Evaluator(view.formulas).values(columns, (instant - EPOCH) // MICROSECOND, len(rows))
    types = {feature.name: feature.type for feature in view.features}
    return pa.table(
        {name: pa.array(arrow_values(types[name], values), arrow_type(types[name]))
         for name, (values, _) in found.items()}
    )  # fmt: skip
