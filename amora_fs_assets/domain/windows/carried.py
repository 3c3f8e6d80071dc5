"""The newest value that is not null, as a window function."""

from __future__ import annotations

from typing import Any

import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import SQLGlotCompiler
from ibis.backends.sql.rewrites import LastValue
from ibis.expr.types import Value


class LastNotNull(LastValue):
    """LAST_VALUE(... IGNORE NULLS). Ibis' own `last(include_null=False)` loses its argument in a window function."""


def last_not_null(value: Value) -> Any:
    """The last value of a window frame that is not null; null if there is none. Call `over` on the result."""
    return LastNotNull(value).to_expr()


def _compiled(_compiler: SQLGlotCompiler, _op: LastNotNull, *, arg: sge.Expression) -> sge.Expression:
    return sge.IgnoreNulls(this=sge.LastValue(this=arg))


SQLGlotCompiler.visit_LastNotNull = _compiled
