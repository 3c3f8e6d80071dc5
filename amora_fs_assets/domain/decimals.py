"""Decimals of columns: 29 digits before the point and 9 after it, without rounding."""

from __future__ import annotations

from decimal import Decimal

SCALE = 9
PRECISION = 38


def decimal_of(value: float | Decimal) -> Decimal:
    """The number as a decimal. A float is converted by its shortest text.

    Raises TypeError for a value that is not a number, ValueError or OverflowError for a number that does not fit.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TypeError(f"{value!r} is {type(value).__name__}")
    found = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not found.is_finite():
        raise ValueError(f"{value!r} is not a number")
    if not found:
        return Decimal(0)
    # Without arithmetic, since Python's decimal arithmetic rounds to 28 digits.
    sign, digits, exponent = found.as_tuple()
    end, point = len(digits), int(exponent)
    while digits[end - 1] == 0:
        end, point = end - 1, point + 1
    if point < -SCALE:
        raise ValueError(f"{value} has more than {SCALE} digits after the point")
    if end + point > PRECISION - SCALE:
        raise OverflowError(f"{value} has more than {PRECISION - SCALE} digits before the point")
    return Decimal((sign, digits[:end], point))
