"""The columns and expressions of an on-demand feature view, checked when its module is imported."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain import arguments
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import DefinitionError, shown
from amora_fs_assets.domain.names import RESERVED_COLUMNS
from amora_fs_assets.domain.request_time.formula import Formula
from amora_fs_assets.domain.types import DataType

if TYPE_CHECKING:
    from ibis.expr.types import Table

    from amora_fs_assets.domain.schema import SourceSchema

_NO_NUMBERS = (
    ". The parameters are Ibis columns: write condition.ifelse(a, b) for a Python `if`, & and | for `and` and `or`, "
    "a.ln() for math.log(a)"
)
Expressions = Callable[..., Mapping[str, Any]]
"""A function of Ibis columns that returns one Ibis expression per feature, by name."""


def request_columns(label: str, request: Mapping[str, Any] | type[SourceSchema] | None) -> tuple[Column, ...]:
    """The columns of the request."""
    from amora_fs_assets.domain.schema import SourceSchema

    if request is None or request == {}:
        return ()
    schema: Any = request
    if isinstance(request, Mapping):
        made = {"__annotations__": dict(request), "__module__": __name__}
        schema = type("Request", (SourceSchema,), made)
    elif not inspect.isclass(schema) or not issubclass(schema, SourceSchema):
        raise arguments.wrong(label, "request", request, "Give the types by column, such as {'basket': float}.")
    columns: tuple[Column, ...] = schema.columns_of(label)
    for column in columns:
        if column.name.lower() in RESERVED_COLUMNS:
            raise DefinitionError(
                f"{label}: request column '{column.name}' is the time of a row, which a caller does not choose. "
                "Use request_time()."
            )
        if column.rules:
            raise DefinitionError(f"{label}: request column '{column.name}' has a check, and none runs. Drop it.")
    return tuple(replace(column, nullable=True) for column in columns)


def computed_columns(label: str, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The features of the schema, each nullable."""
    found = [column for column in columns if column.name not in RESERVED_COLUMNS]
    if not found:
        raise DefinitionError(f"{label}: its schema has no feature. Add a column.")
    for column in found:
        if column.rules:
            raise DefinitionError(
                f"{label}: feature '{column.name}' has check {column.rules[0]}. Values that are computed at request "
                "time are not stored, so no check runs. Drop the check, or limit the value in the expression."
            )
    return tuple(replace(column, nullable=True) for column in found)


def _check_parameters(label: str, function: Expressions, columns: Sequence[str]) -> None:
    """Refuse a function whose parameters are not exactly the columns."""
    parameters = inspect.signature(function).parameters
    for name in parameters:
        if name not in columns:
            raise DefinitionError(
                f"{label}: parameter '{name}' is neither an input nor a request column. Columns: {', '.join(columns)}."
            )
    for name in columns:
        if name not in parameters:
            raise DefinitionError(f"{label}: no parameter takes '{name}'. Add the parameter, or drop the column.")


def formulas_of(
    label: str, columns: Mapping[str, DataType], features: Mapping[str, DataType] | None, expressions: Expressions
) -> dict[str, Formula]:
    """The formula of each feature; without `features`, of each expression with the type that the expression has.

    Raises DefinitionError, which names `label`, the feature and the fix.
    """
    import ibis

    from amora_fs_assets.domain.ibis_types import IBIS_TYPES

    _check_parameters(label, expressions, list(columns))
    table = ibis.table({name: IBIS_TYPES[type_] for name, type_ in columns.items()}, name="columns")
    try:
        made: Mapping[Any, Any] = expressions(**{name: table[name] for name in columns})
    except Exception as error:
        hint = _NO_NUMBERS if isinstance(error, TypeError | ValueError) else ""
        raise DefinitionError(f"{label}: its function failed: {type(error).__name__}: {error}{hint}") from error
    if not isinstance(made, Mapping):
        raise DefinitionError(
            f"{label}: its function returns {type(made).__name__}. Return a dict: one expression for each feature."
        )
    if features is None:
        if wrong := next((name for name in made if not isinstance(name, str) or name in RESERVED_COLUMNS), None):
            raise DefinitionError(
                f"{label}: its function returns {shown(wrong)}, which cannot be a feature. Rename it."
            )
        return {name: _formula(f"{label}: feature {shown(name)}", value, None, table) for name, value in made.items()}
    for name in made:
        if name not in features:
            raise DefinitionError(
                f"{label}: its function returns {shown(name)}, which its schema does not have. "
                f"Features: {', '.join(features)}."
            )
    for name in features:
        if name not in made:
            raise DefinitionError(f"{label}: its function does not return feature '{name}'. Add an expression.")
    return {name: _formula(f"{label}: feature '{name}'", made[name], type_, table) for name, type_ in features.items()}


def columns_of_formulas(label: str, formulas: Mapping[str, Formula]) -> tuple[Column, ...]:
    """The features of a view without a schema: the names and types of its expressions."""
    from amora_fs_assets.domain.ibis_types import IBIS_TYPES
    from amora_fs_assets.domain.schema import FeatureSchema

    if not formulas:
        raise DefinitionError(f"{label}: its function returns no expression. Return one for each feature, by name.")
    made = {"__annotations__": {name: IBIS_TYPES[each.type] for name, each in formulas.items()}, "__module__": __name__}
    schema: Any = type("Features", (FeatureSchema,), made)
    return computed_columns(label, schema.columns_of(label))


def _formula(label: str, value: Any, declared: DataType | None, table: Table) -> Formula:
    """The formula of a feature. Integers and nulls get the type of the schema, if there is one."""
    import ibis

    from amora_fs_assets.domain.ibis_types import IBIS_TYPES
    from amora_fs_assets.domain.request_time.from_ibis import formula_of

    if not isinstance(value, ibis.Value):
        try:
            value = ibis.literal(value)
        except Exception as error:  # Ibis raises several types of errors for an object that is no value
            raise DefinitionError(f"{label}: {shown(value)} is neither an expression nor a value.") from error
    if declared is None and value.type().is_null():
        raise DefinitionError(f"{label} is always null. Give the type in a schema, or drop the feature.")
    if declared is not None and (
        value.type().is_null() or (declared is DataType.FLOAT64 and value.type().is_integer())
    ):
        value = value.cast(IBIS_TYPES[declared])
    formula = formula_of(label, value, table)
    if declared is not None and formula.type is not declared:
        raise DefinitionError(
            f"{label} is {declared} in the schema, and its expression is {formula.type}. "
            "Cast the expression, or change the schema."
        )
    return formula
