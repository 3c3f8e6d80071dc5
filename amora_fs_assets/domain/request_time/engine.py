"""The forms of operations that are the same in every engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ibis.expr.types import Value

NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$|^(?i:[+-]?inf|[+-]?infinity|nan)$"
WHOLE = "^[+-]?[0-9]+$"

SHARED: Mapping[str, Callable[..., Any]] = {
    "and": lambda one, two: one & two,
    "or": lambda one, two: one | two,
    "not": lambda one: ~one,
    "if": lambda condition, one, two: condition.ifelse(one, two),
    "coalesce": lambda one, two: one.coalesce(two),
    "is_null": lambda one: one.isnull(),
}


def is_float(value: Value) -> bool:
    """Whether the value is a float."""
    return bool(value.type().is_floating())
