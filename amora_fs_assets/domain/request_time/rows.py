"""The functions that the Python forms of operations use. Imports nothing heavy, since online reads use it."""

from __future__ import annotations

import re
from datetime import timedelta
from math import inf, isfinite, nan

MICROSECOND = timedelta(microseconds=1)
TRUTHS = {"true": True, "false": False}
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAMED = {"inf": inf, "+inf": inf, "-inf": -inf, "infinity": inf, "+infinity": inf, "-infinity": -inf, "nan": nan}
_LEAST, _GREATEST = -(2**63), 2**63 - 1


def overflow(result: float, *arguments: float) -> float | None:
    """A result that is not finite: null if all arguments are finite."""
    return None if all(map(isfinite, arguments)) else result


def float_of(text: str) -> float | None:
    """The float that a text writes."""
    return float(text) if _NUMBER.fullmatch(text) else _NAMED.get(text.lower())


def int_of(text: str) -> int | None:
    """The whole number that a text writes."""
    if _WHOLE.fullmatch(text) and len(text.lstrip("+-0")) <= 19:
        value = int(text)
        return value if _LEAST <= value <= _GREATEST else None
    return None


def int_of_float(value: float) -> int | None:
    """The float, rounded to a whole number, halves away from zero."""
    if not -9.3e18 < value < 9.3e18:  # also NaN
        return None
    whole = int(value)
    if abs(value - whole) >= 0.5:
        whole += 1 if value > 0 else -1
    return whole if _LEAST <= whole <= _GREATEST else None
