"""Reads a formula from an Ibis expression."""

from __future__ import annotations

from typing import cast

from ibis.expr.types import Table, TimestampScalar, Value

from amora_fs_assets.domain.errors import DefinitionError, shown
from amora_fs_assets.domain.request_time.formula import Formula
from amora_fs_assets.domain.request_time.reader import Reader
from amora_fs_assets.domain.request_time.rules import REQUEST_TIME, RULES


def request_time() -> TimestampScalar:
    """The instant of the request: in training the spine's event_timestamp, online the clock, in UTC.

    Only for the formulas of on-demand feature views.
    """
    return cast("TimestampScalar", REQUEST_TIME)


def formula_of(label: str, value: Value, table: Table) -> Formula:
    """The formula of a scalar expression over the columns of `table`, an unbound table.

    `label` names the feature in messages. Raises DefinitionError for an operation that formulas cannot have.
    """
    if not isinstance(value, Value):
        raise DefinitionError(f"{label}: {shown(value)} is not an Ibis expression. Return a column or an expression.")
    return Reader(label, table, RULES).formula(value.op())
