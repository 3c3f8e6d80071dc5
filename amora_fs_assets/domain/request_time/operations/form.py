"""What an operation is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amora_fs_assets.domain.types import DataType

_ANY, _LIST = "T", "list<T>"
SCALARS = frozenset({
    DataType.INT64, DataType.FLOAT64, DataType.STRING, DataType.BOOLEAN, DataType.BYTES, DataType.DATE,
    DataType.TIMESTAMP, DataType.DECIMAL, DataType.TIME,
})  # fmt: skip
"""The types that can be compared. A UUID is a text to Ibis."""


@dataclass(frozen=True)
class Form:
    """An operation on arguments of certain types."""

    arguments: tuple[str, ...]
    """The types of the arguments. `T` is any type, the same at each place."""
    result: str
    python: str
    """The Python expression. `{0}` is the first argument, `x` a free variable; see rows.py for its functions."""

    def result_for(self, types: Sequence[DataType]) -> DataType | None:
        """The result's type for arguments of these types; None if the arguments do not fit."""
        if len(self.arguments) != len(types):
            return None
        found: DataType | None = None
        for want, type_ in zip(self.arguments, types, strict=True):
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
    ibis: str
    """What a user writes, such as `a + b`."""
    text: str
    """A formula's text. `{0}` is the first argument."""
    meaning: str
    source: str
    """The function or part of BigQuery's documentation that has the meaning."""
    forms: tuple[Form, ...]
    types: frozenset[DataType] = SCALARS
    """The types that `T` may be."""
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
        """Whether the types that stand for `T` are among the operation's."""
        for want, type_ in zip(form.arguments, types, strict=True):
            if (want == _ANY and type_ not in self.types) or (want == _LIST and type_.item not in self.types):
                return False
        return True


def operation(
    name: str, ibis: str, text: str, meaning: str, source: str, forms: Mapping[str, str], *,
    types: frozenset[DataType] = SCALARS, strict: bool = True, exact: bool = True,
) -> Operation:  # fmt: skip
    """An operation from a table's row; `forms` are Python expressions by signature, such as `int64 int64 -> int64`."""
    made = []
    for signature, python in forms.items():
        *arguments, _, result = (DataType.DECIMAL.value if word == "decimal" else word for word in signature.split())
        made.append(Form(tuple(arguments), result, python))
    return Operation(name, ibis, text, meaning, source, tuple(made), types, strict, exact)


def whole(expression: str) -> str:
    """A whole number; null beyond 64 bits."""
    return f"(x if -9223372036854775808 <= (x := {expression}) <= 9223372036854775807 else None)"


def finite(expression: str, *arguments: str) -> str:
    """A float; null if it is not finite although the arguments are finite."""
    return f"(x if (x := {expression}) - x == 0.0 else overflow(x, {', '.join(arguments)}))"
