"""On-demand feature views: features that are computed at request time, from stored features and data of the request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from functools import cached_property
from inspect import getdoc
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain import arguments
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import check_name
from amora_fs_assets.domain.on_demand_expressions import (
    Expressions,
    columns_of_formulas,
    computed_columns,
    formulas_of,
    request_columns,
)
from amora_fs_assets.domain.on_demand_inputs import (
    Read,
    merged_parts,
    merged_request,
    names_of,
    over_columns,
    substituted,
)
from amora_fs_assets.domain.projection import FeatureViewProjection, picked_of
from amora_fs_assets.domain.request_time.formula import Formula
from amora_fs_assets.domain.transforms import checked_function, name_of
from amora_fs_assets.domain.types import DataType

if TYPE_CHECKING:
    from amora_fs_assets.domain.schema import FeatureSchema, SourceSchema


@dataclass(frozen=True, init=False)
class OnDemandFeatureView:
    """Features that follow from stored features, from data of the request, and from the time of the request.

    In a training set the engine computes them in the point-in-time join; `request_time()` is the event_timestamp of the
    entity row. Online they are computed from the rows just read; `request_time()` is the clock. The registry holds the
    expressions as data, so that a model server needs neither the code nor Ibis. Nothing is stored, so no check runs.

    Args:
        name: The view's name.
        schema: The features: names, types and descriptions. Every feature may be null. Without a schema, the names and
            types are those of the expressions.
        inputs: The features that the expressions read: views, selections (`view["a", "b"]`) and aliases with other join
            keys. An absent or too old value is null. The expression of another on-demand view's feature takes the
            place of the feature: the attributes `inputs` and `request` have what that view reads.
        request: The types of the columns that a request brings beside its join keys, such as `{"basket": float}`; or a
            SourceSchema, for columns with descriptions.
        expressions: A function of the inputs and request columns. Each parameter has the name of a feature, or
            `<view or alias>__<feature>` if two inputs have a feature of this name, or of a request column.
        description: What the features are; the schema's docstring by default.
        owner: The person or team that is responsible for the view: an e-mail address, or `team:<name>`.
        tags: Labels to search by.

    Raises:
        DefinitionError: an argument is wrong, or an expression is outside the operations that are equal in every
            engine and online. The message names the view, the feature or argument, and the fix.

    """

    name: str
    inputs: tuple[FeatureViewProjection, ...]
    request: tuple[Column, ...]
    features: tuple[Column, ...]
    formulas: Mapping[str, Formula] = field(hash=False)
    description: str
    owner: str
    tags: Mapping[str, str] = field(hash=False)
    expressions: Expressions | None = field(default=None, compare=False, repr=False)

    def __init__(
        self,
        name: str,
        schema: type[FeatureSchema] | None,
        inputs: Sequence[Input],
        expressions: Expressions,
        *,
        request: Mapping[str, Any] | type[SourceSchema] | None = None,
        description: str = "",
        owner: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Check each argument, and read the expressions."""
        check_name("On-demand feature view", name)
        label = f"On-demand feature view '{name}'"
        fix = "Give a list of views and selections: inputs=[view['a', 'b']]."
        kinds = (FeatureView, FeatureViewProjection, OnDemandFeatureView, OnDemandProjection)
        given = arguments.items(label, "inputs", inputs, kinds, fix)
        parts = [each.whole if isinstance(each, FeatureView | OnDemandFeatureView) else each for each in given]
        own_request = request_columns(label, request)
        schema_class = None if schema is None else arguments.schema(label, schema)
        said = getdoc(expressions) if schema_class is None else schema_class.description_of()
        vars(self).update(
            name=name,
            inputs=merged_parts(label, (each for part in parts for each in _stored(part))),
            request=merged_request(label, (*own_request, *(column for part in parts for column in _request(part)))),
            features=() if schema_class is None else computed_columns(label, schema_class.columns_of(label)),
            description=arguments.text(label, "description", description) or said or "",
            owner=arguments.owner_of(label, owner),
            tags=arguments.tags_of(label, tags),
            expressions=checked_function(label, "function", expressions),
        )
        self._check_names(parts, own_request)
        read = names_of(parts, own_request)
        declared = {column.name: column.type for column in self.features} or None
        types = {name: _type(each) for name, each in read.items()}
        formulas = formulas_of(label, types, declared, expressions)
        for name, formula in formulas_of(label, types, declared, expressions).items():
            if name not in formulas or formula.plain != formulas[name].plain:
                raise DefinitionError(
                    f"{label}: feature '{name}': a second call of the function gives another expression: {formula}. "
                    "For the time of the request write request_time(); compute random values elsewhere."
                )
        vars(self)["formulas"] = self._over_columns(read, formulas)
        if declared is None:
            vars(self)["features"] = columns_of_formulas(label, formulas)

    @classmethod
    def applied(cls, **values: Any) -> OnDemandFeatureView:
        """The view as the registry holds it, without the checks for new views."""
        view = object.__new__(cls)
        vars(view).update(values)
        return view

    def __str__(self) -> str:
        """The view's name in messages."""
        return f"On-demand feature view '{self.name}'"

    @cached_property
    def columns(self) -> dict[str, tuple[FeatureViewProjection, str] | Column]:
        """What each column of the formulas is: the feature of an input, or a column of the request."""
        return names_of(self.inputs, self.request)

    @cached_property
    def types(self) -> dict[str, DataType]:
        """The type of each column of the expressions."""
        return {name: _type(each) for name, each in self.columns.items()}

    @property
    def join_keys(self) -> tuple[str, ...]:
        """The join key columns of a request, each once, in the order of the inputs."""
        return tuple(dict.fromkeys(key for part in self.inputs for key in part.join_keys))

    @property
    def whole(self) -> OnDemandProjection:
        """A selection of all features."""
        return OnDemandProjection(self, tuple(feature.name for feature in self.features))

    def __getitem__(self, names: str | tuple[str, ...]) -> OnDemandProjection:
        """Pick features: `view["a", "b"]`. Raises FeatureNotFound."""
        return self.whole[names]

    def over(self, inputs: Iterable[FeatureViewProjection]) -> OnDemandFeatureView:
        """The view over these states of its inputs. Raises DefinitionError if an input has another type."""
        same = {each.name: getattr(self, each.name) for each in fields(self)}
        view = OnDemandFeatureView.applied(**{**same, "inputs": tuple(inputs)})
        types = view.types
        for name, type_ in self.types.items():
            if types[name] is not type_:
                raise DefinitionError(f"{self} reads '{name}' as {type_}, and the feature is {types[name]} now")
        return view

    def _over_columns(self, read: Mapping[str, Read[Any]], formulas: Mapping[str, Formula]) -> dict[str, Formula]:
        """The formulas over `columns`, from formulas over what the function's parameters read."""
        by = {name: over_columns(self, each) for name, each in read.items()}
        made: dict[str, Formula] = {}
        for name, formula in formulas.items():
            try:
                made[name] = substituted(formula, by)
            except ValueError as error:
                raise DefinitionError(f"{self}: feature '{name}': {error}.") from None
        return made

    def _check_names(self, parts: Sequence[Part], request: Sequence[Column]) -> None:
        """Check the names of the function's parameters, and those of the columns."""
        if not parts and not request:
            raise DefinitionError(f"{self}: it has neither inputs nor request columns. Give one of them.")
        names = [part.name for part in parts]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise DefinitionError(
                f"{self}: inputs: '{twice}' is listed twice. Select all its features at once, or give one an alias: "
                "view.alias('other_name')."
            )
        for features, columns in ((names_of(parts, ()), request), (names_of(self.inputs, ()), self.request)):
            if clash := next((column.name for column in columns if column.name in features), None):
                raise DefinitionError(f"{self}: request column '{clash}' has the name of an input. Rename it.")
        keys = {key: column for part in self.inputs for key, column in _keys(part)}
        for column in self.request:
            if column.name in keys and keys[column.name] is not column.type:
                raise DefinitionError(
                    f"{self}: request column '{column.name}' is {column.type}, and the join key of this name is "
                    f"{keys[column.name]}. Rename the request column."
                )


@dataclass(frozen=True)
class OnDemandProjection:
    """Some features of an on-demand feature view."""

    view: OnDemandFeatureView
    features: tuple[str, ...]

    @property
    def name(self) -> str:
        """The view's name."""
        return self.view.name

    @property
    def columns(self) -> tuple[Column, ...]:
        """The selected features as columns, in the order of the selection."""
        known = {feature.name: feature for feature in self.view.features}
        return tuple(known[name] for name in self.features)

    @property
    def formulas(self) -> dict[str, Formula]:
        """The formulas of the selected features."""
        return {name: self.view.formulas[name] for name in self.features}

    @property
    def used(self) -> frozenset[str]:
        """The columns that the selected features read."""
        return frozenset().union(*(formula.inputs for formula in self.formulas.values()))

    @property
    def request(self) -> tuple[Column, ...]:
        """The request columns that the selected features read."""
        return tuple(column for column in self.view.request if column.name in self.used)

    @property
    def inputs(self) -> tuple[FeatureViewProjection, ...]:
        """The stored features that the selected features read."""
        read = [each for name, each in self.view.columns.items() if name in self.used and isinstance(each, tuple)]
        parts = ((part, [feature for of, feature in read if of is part]) for part in self.view.inputs)
        return tuple(replace(part, features=tuple(features)) for part, features in parts if features)

    @property
    def identity(self) -> list[Any]:
        """Plain data of all that determines the values: the formulas, and the stored feature or type of each column."""
        columns = {
            name: each.type
            if isinstance(each, Column)
            else [each[0].view.name, each[1], self.view.types[name], list(each[0].join_keys), seconds(each[0].view.ttl)]
            for name, each in self.view.columns.items()
            if name in self.used
        }
        return [self.name, {name: formula.plain for name, formula in self.formulas.items()}, columns]

    def __getitem__(self, names: str | tuple[str, ...]) -> OnDemandProjection:
        """Select features. Raises FeatureNotFound, and DefinitionError for an argument that names no features."""
        return OnDemandProjection(self.view, picked_of(self.view, self.features, names))


Part = FeatureViewProjection | OnDemandProjection
Input = FeatureView | OnDemandFeatureView | Part
"""What an on-demand view may read."""


def _stored(part: Part) -> tuple[FeatureViewProjection, ...]:
    return (part,) if isinstance(part, FeatureViewProjection) else part.view.inputs


def _request(part: Part) -> tuple[Column, ...]:
    return () if isinstance(part, FeatureViewProjection) else part.view.request


def _type(read: Read[Any]) -> DataType:
    if isinstance(read, Column):
        return read.type
    type_: DataType = read[0][read[1]].columns[0].type
    return type_


def seconds(duration: timedelta | None) -> float | None:
    """A duration in seconds; None for none."""
    return None if duration is None else duration.total_seconds()


def _keys(part: FeatureViewProjection) -> list[tuple[str, DataType]]:
    return [(name, column.type) for name, column in zip(part.join_keys, part.view.key_columns, strict=True)]


def on_demand_feature_view(
    *,
    schema: type[FeatureSchema] | None = None,
    inputs: Sequence[Input] = (),
    request: Mapping[str, Any] | type[SourceSchema] | None = None,
    name: str | None = None,
    description: str = "",
    owner: str = "",
    tags: Mapping[str, str] | None = None,
) -> Callable[[Expressions], OnDemandFeatureView]:
    """Make an on-demand feature view from the decorated function. OnDemandFeatureView documents the arguments.

    Each parameter of the function has the name of an input feature or a request column, and receives an Ibis column.
    The function returns a dict with an Ibis expression for each feature.
    """

    def decorate(expressions: Expressions) -> OnDemandFeatureView:
        return OnDemandFeatureView(
            name_of(expressions, "On-demand feature view") if name is None else name,
            schema,
            inputs,
            expressions,
            request=request,
            description=description,
            owner=owner,
            tags=tags,
        )

    return decorate
