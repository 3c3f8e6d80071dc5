"""Arithmetic and mathematics."""

from __future__ import annotations

from amora_fs_assets.domain.request_time.operations.form import Operation, finite, operation, whole
from amora_fs_assets.domain.types import DataType

_ORDERED = frozenset({DataType.INT64, DataType.FLOAT64, DataType.DECIMAL, DataType.DATE, DataType.TIMESTAMP})


def _arithmetic(name: str, sign: str, word: str, safe: str, *, decimal: bool) -> Operation:
    forms = {
        "int64 int64 -> int64": whole(f"{{0}} {sign} {{1}}"),
        "float64 float64 -> float64": finite(f"{{0}} {sign} {{1}}", "{0}", "{1}"),
    }
    if decimal:
        forms["decimal decimal -> decimal"] = f"decimal(EXACT.{name}({{0}}, {{1}}))"
    meaning = f"The {word}. Null if finite arguments overflow; infinities and NaN follow IEEE 754."
    return operation(name, f"a {sign} b", f"{{0}} {sign} {{1}}", meaning, safe, forms)


def _math(name: str, ibis: str, meaning: str, source: str, python: str, *, exact: bool = False) -> Operation:
    return operation(name, ibis, f"{name}({{0}})", meaning, source, {"float64 -> float64": python}, exact=exact)


NUMBERS: tuple[Operation, ...] = (
    _arithmetic("add", "+", "sum", "SAFE_ADD", decimal=True),
    _arithmetic("subtract", "-", "difference", "SAFE_SUBTRACT", decimal=True),
    _arithmetic("multiply", "*", "product", "SAFE_MULTIPLY", decimal=False),
    operation("divide", "a / b", "{0} / {1}",
              "The quotient, as a float. Null for a divisor of 0, and if finite arguments overflow.", "SAFE_DIVIDE",
              {"float64 float64 -> float64": f"(None if {{1}} == 0.0 else {finite('{0} / {1}', '{0}', '{1}')})"}),
    operation("floor_divide", "a // b", "{0} // {1}",
              "The quotient of whole numbers, rounded down, as Ibis and Python have it (DIV cuts off). Null for a "
              "divisor of 0. Of floats: floor(a / b).", "DIV",
              {"int64 int64 -> int64": f"(None if {{1}} == 0 else {whole('{0} // {1}')})"}),
    operation("remainder", "a % b", "{0} % {1}",
              "The remainder of whole numbers, with the sign of `a` (Python has the sign of `b`). Null for a divisor "
              "of 0.", "MOD",
              {"int64 int64 -> int64": "(None if {1} == 0 else abs({0}) % abs({1}) if {0} >= 0 else "
               "-(abs({0}) % abs({1})))"}),
    operation("negate", "-a", "-{0}", "The number with the other sign. Null for the least whole number.",
              "SAFE_NEGATE",
              {"int64 -> int64": whole("-{0}"), "float64 -> float64": "(-{0})",
               "decimal -> decimal": "EXACT.minus({0})"}),
    operation("abs", "a.abs()", "abs({0})", "The absolute value. Null for the least whole number.", "ABS",
              {"int64 -> int64": whole("abs({0})"), "float64 -> float64": "abs({0})",
               "decimal -> decimal": "EXACT.abs({0})"}),
    operation("sign", "a.sign()", "sign({0})", "-1, 0 or 1; NaN for NaN.", "SIGN",
              {"int64 -> int64": "(({0} > 0) - ({0} < 0))",
               "float64 -> float64": "(1.0 if {0} > 0.0 else -1.0 if {0} < 0.0 else 0.0 if {0} == 0.0 else {0})"}),
    operation("round", "a.round(n)", "round({0})",
              "A float rounded to `n` digits: a * 10**n, rounded to a whole number, halves away from zero, / 10**n.",
              "ROUND", {"float64 -> float64": "rounded({0})"}),
    operation("floor", "a.floor()", "floor({0})", "The greatest whole number that is not greater. Null beyond 64 bits, "
              "and for NaN.", "FLOOR", {"float64 -> int64": "down({0})"}),
    operation("ceil", "a.ceil()", "ceil({0})", "The least whole number that is not less. Null beyond 64 bits, and for "
              "NaN.", "CEIL", {"float64 -> int64": "up({0})"}),
    operation("greatest", "ibis.greatest(a, b), a.clip(lower, upper)", "greatest({0}, {1})",
              "The greater one; NaN if one is NaN, null if one is null.", "GREATEST",
              {"float64 float64 -> float64": "({0} if {0} != {0} or {0} >= {1} else {1})",
               "T T -> T": "({0} if {0} >= {1} else {1})"}, types=_ORDERED),
    operation("least", "ibis.least(a, b), a.clip(lower, upper)", "least({0}, {1})",
              "The smaller one; NaN if one is NaN, null if one is null.", "LEAST",
              {"float64 float64 -> float64": "({0} if {0} != {0} or {0} <= {1} else {1})",
               "T T -> T": "({0} if {0} <= {1} else {1})"}, types=_ORDERED),
    operation("is_nan", "a.isnan()", "isnan({0})", "Whether it is NaN.", "IS_NAN",
              {"float64 -> boolean": "({0} != {0})"}),
    operation("is_infinite", "a.isinf()", "isinf({0})", "Whether it is infinite.", "IS_INF",
              {"float64 -> boolean": "({0} - {0} != 0.0 and {0} == {0})"}),
    operation("to_float64", 'a.cast("float64")', "float({0})",
              "The nearest float. Of text: a decimal number, inf, infinity or nan, in any case; null for other text.",
              "Conversion functions",
              {"int64 -> float64": "float({0})", "string -> float64": "float_of({0})",
               "decimal -> float64": "float({0})"}),
    operation("to_int64", 'a.cast("int64"), a.round()', "int({0})",
              "A whole number. A fraction is rounded, halves away from zero. Of text: decimal digits with or without a "
              "sign; null for other text. Null for NaN, and beyond 64 bits.", "Conversion functions",
              {"float64 -> int64": "int_of_float({0})", "string -> int64": "int_of({0})",
               "boolean -> int64": "int({0})", "decimal -> int64": "int_of_decimal({0})"}),
    operation("to_decimal", 'a.cast("decimal(38, 9)")', "decimal({0})", "The same number.", "Conversion functions",
              {"int64 -> decimal": "Decimal({0})"}),
    _math("sqrt", "a.sqrt()", "The square root. Null for a negative number.", "SQRT",
          "(sqrt({0}) if {0} >= 0.0 else {0} if {0} != {0} else None)", exact=True),
    _math("exp", "a.exp()", "e to the power of `a`. Null if it overflows.", "EXP",
          "(exp({0}) if {0} < 709.0 else power(exp, {0}))"),
    _math("ln", "a.ln()", "The natural logarithm. Null for 0 and less.", "LN", "(None if {0} <= 0.0 else log({0}))"),
    _math("log10", "a.log10()", "The logarithm to the base 10. Null for 0 and less.", "LOG10",
          "(None if {0} <= 0.0 else log10({0}))"),
    _math("log2", "a.log2()", "The logarithm to the base 2. Null for 0 and less.", "LOG",
          "(None if {0} <= 0.0 else log2({0}))"),
    operation("power", "a ** b", "{0} ** {1}",
              "A float. Null if finite arguments give no finite number, such as (-1) ** 0.5, 0 ** -1, or an overflow.",
              "POW", {"float64 float64 -> float64": "power(pow, {0}, {1})"}, exact=False),
    *(_math(name, f"a.{name}()", "Of an angle in radians. NaN for an infinity.", name.upper(),
            f"({name}({{0}}) if {{0}} - {{0}} == 0.0 else nan)") for name in ("sin", "cos", "tan")),
    *(_math(name, f"a.{name}()", "In radians. Null outside -1 to 1; NaN for an infinity.", name.upper(),
            f"({name}({{0}}) if -1.0 <= {{0}} <= 1.0 else None if {{0}} - {{0}} == 0.0 else nan)")
      for name in ("asin", "acos")),
    _math("atan", "a.atan()", "In radians.", "ATAN", "atan({0})"),
    operation("atan2", "a.atan2(b)", "atan2({0}, {1})", "The angle of the point (b, a), in radians.", "ATAN2",
              {"float64 float64 -> float64": "atan2({0}, {1})"}, exact=False),
)  # fmt: skip
"""`a.degrees()` and `a.radians()` are a product with a constant; `ibis.pi` and `ibis.e` are constants."""
