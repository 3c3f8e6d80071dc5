"""The operations that a formula may use: their types, their meaning, and their Python form.

Each operation has one meaning in DuckDB, BigQuery, Python and Arrow: BigQuery's, with null wherever BigQuery raises an
error. `stores/*/formulas.py` has the form of each operation in an engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from amora_fs_assets.domain.types import DataType

_ANY, _LIST, _MORE = "T", "list<T>", "*"


@dataclass(frozen=True)
class Form:
    """An operation on arguments of certain types."""

    arguments: tuple[str, ...]
    """The types of the arguments. `T` is any type, the same at each place; a final `*` repeats the type before it."""
    result: str
    python: str
    """The Python expression. `{0}` is the first argument, `x` a free variable."""

    def result_for(self, types: Sequence[DataType]) -> DataType | None:
        """The result's type for arguments of these types; None if the arguments do not fit."""
        wanted = list(self.arguments)
        if wanted and wanted[-1] == _MORE:
            wanted[-1:] = [wanted[-2]] * (len(types) - len(wanted) + 1)
        if len(wanted) != len(types):
            return None
        found: DataType | None = None
        for want, type_ in zip(wanted, types, strict=True):
            if want == _ANY or (want == _LIST and type_.is_list):
                item = type_ if want == _ANY else type_.item
                if found is not None and found is not item:
                    return None
                found = item
            elif want != type_.value:
                return None
        return found if self.result == _ANY else DataType(self.result)


@dataclass(frozen=True)
class Operation:
    """An operation, with its forms by the types of the arguments."""

    name: str
    text: str
    """For people. `{0}` is the first argument, `{all}` all arguments."""
    meaning: str
    source: str
    """The part of BigQuery's documentation that has the meaning."""
    forms: tuple[Form, ...]
    types: frozenset[DataType] | None = None
    """The types that `T` may be; None: every type but structs and maps."""
    strict: bool = True
    """Whether the result is null if an argument is null. Otherwise the Python form has the case."""
    exact: bool = True
    """Whether results are equal to the last bit in every engine."""

    def form_for(self, types: Sequence[DataType]) -> tuple[Form, DataType] | None:
        """The form for arguments of these types, with the result's type; None if no form fits."""
        for form in self.forms:
            result = form.result_for(types)
            if result is not None and self._takes(form, types):
                return form, result
        return None

    def _takes(self, form: Form, types: Sequence[DataType]) -> bool:
        if _ANY not in form.arguments and _LIST not in form.arguments:
            return True
        return all(not type_.is_nested and (self.types is None or type_ in self.types) for type_ in types)


_SCALARS = frozenset(type_ for type_ in DataType if not type_.is_list and type_ is not DataType.JSON)


def _forms(by_signature: Mapping[str, str]) -> Iterator[Form]:
    for signature, python in by_signature.items():
        arguments, _, result = signature.partition(" -> ")
        yield Form(tuple(arguments.split()), result, python)


def _whole(expression: str) -> str:
    """A whole number; null beyond 64 bits."""
    return f"(x if -9223372036854775808 <= (x := {expression}) <= 9223372036854775807 else None)"


def _finite(expression: str, arguments: str) -> str:
    """A float; null if it is not finite although the arguments are finite."""
    return f"(x if (x := {expression}) - x == 0.0 else overflow(x, {arguments}))"


OPERATIONS: dict[str, Operation] = {}


def _add(
    name: str, text: str, meaning: str, source: str, forms: Mapping[str, str], *, strict: bool = True,
    types: frozenset[DataType] | None = None,
) -> None:  # fmt: skip
    OPERATIONS[name] = Operation(name, text, meaning, source, tuple(_forms(forms)), types, strict)


_TWO = "{0}, {1}"
for _name, _sign, _word, _safe in (
    ("add", "+", "sum", "SAFE_ADD"),
    ("subtract", "-", "difference", "SAFE_SUBTRACT"),
    ("multiply", "*", "product", "SAFE_MULTIPLY"),
):
    _add(_name, f"{{0}} {_sign} {{1}}",
         f"The {_word}. Null if finite arguments overflow; infinities and NaN follow IEEE 754.", _safe,
         {"int64 int64 -> int64": _whole(f"{{0}} {_sign} {{1}}"),
          "float64 float64 -> float64": _finite(f"{{0}} {_sign} {{1}}", _TWO)})  # fmt: skip
_add("divide", "{0} / {1}", "The quotient, as a float. Null for a divisor of 0, and if finite arguments overflow.",
     "SAFE_DIVIDE",
     {"float64 float64 -> float64": "(None if {1} == 0.0 else " + _finite("{0} / {1}", _TWO) + ")"})  # fmt: skip
_add("negate", "-{0}", "The number with the other sign. Null for the least whole number.", "SAFE_NEGATE",
     {"int64 -> int64": _whole("-{0}"), "float64 -> float64": "(-{0})"})  # fmt: skip

_COMPARED = "Of floats: false for NaN. Texts are compared by code points; false is less than true."
for _name, _sign in (("equal", "=="), ("less", "<"), ("less_equal", "<=")):
    _add(_name, f"{{0}} {_sign} {{1}}", _COMPARED, "Comparison operators",
         {"T T -> boolean": f"({{0}} {_sign} {{1}})"}, types=_SCALARS)  # fmt: skip
_add("not_equal", "{0} != {1}", "The opposite of ==: true for NaN.", "Comparison operators",
     {"T T -> boolean": "({0} != {1})"}, types=_SCALARS)  # fmt: skip
_add("and", "{0} and {1}", "False if an argument is false; otherwise null if an argument is null.", "Logical operators",
     {"boolean boolean -> boolean":
      "(False if {0} is False or {1} is False else None if {0} is None or {1} is None else True)"},
     strict=False)  # fmt: skip
_add("or", "{0} or {1}", "True if an argument is true; otherwise null if an argument is null.", "Logical operators",
     {"boolean boolean -> boolean":
      "(True if {0} is True or {1} is True else None if {0} is None or {1} is None else False)"},
     strict=False)  # fmt: skip
_add("not", "not {0}", "The opposite.", "Logical operators", {"boolean -> boolean": "(not {0})"})
_add("if", "({1} if {0} else {2})", "The second argument if the first is true, else the third; else also for null.",
     "IF", {"boolean T T -> T": "({1} if {0} else {2})"}, strict=False)  # fmt: skip
_add("coalesce", "coalesce({all})", "The first argument if it is not null, else the second.", "COALESCE",
     {"T T -> T": "({1} if {0} is None else {0})"}, strict=False)  # fmt: skip
_add("is_null", "{0} is null", "Whether the argument is null. NaN is not null.", "IS operators",
     {"T -> boolean": "({0} is None)"}, strict=False)  # fmt: skip

_add("to_float64", "float({0})",
     "The nearest float. Of text: a decimal number, inf, infinity or nan, in any case; null for other text.",
     "SAFE_CAST AS FLOAT64",
     {"int64 -> float64": "float({0})", "string -> float64": "float_of({0})"})  # fmt: skip
_add("to_int64", "int({0})",
     "A whole number. A float is rounded, halves away from zero. Of text: decimal digits with or without a sign. "
     "Null for NaN, other text, and beyond 64 bits.", "SAFE_CAST AS INT64",
     {"float64 -> int64": "int_of_float({0})", "string -> int64": "int_of({0})",
      "boolean -> int64": "int({0})"})  # fmt: skip
_add("to_string", "text({0})", "Digits; `true` and `false`.", "CAST AS STRING",
     {"int64 -> string": "str({0})", "boolean -> string": "('true' if {0} else 'false')"})  # fmt: skip
_add("to_boolean", "bool({0})", "Of a number: whether it is not 0. Of text: true or false, in any case; null for other "
     "text.", "SAFE_CAST AS BOOL",
     {"int64 -> boolean": "({0} != 0)", "string -> boolean": "TRUTHS.get({0}.lower())"})  # fmt: skip

_add("seconds_between", "seconds({0} - {1})", "The whole seconds from the second instant to the first, cut off towards "
     "0.", "TIMESTAMP_DIFF",
     {"timestamp timestamp -> int64":
      "(x // 1000000 if (x := ({0} - {1}) // MICROSECOND) >= 0 else -(-x // 1000000))"})  # fmt: skip
