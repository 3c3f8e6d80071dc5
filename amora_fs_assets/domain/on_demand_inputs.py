"""The inputs of an on-demand view: stored features, the request, and features of other on-demand views.

The formula of another view's feature takes the place of the feature. So a view has stored inputs and request columns
alone, and reads know nothing of views over views.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.request_time.formula import MOST_NESTED, MOST_STEPS, Formula

if TYPE_CHECKING:
    from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView, OnDemandProjection

Part = TypeVar("Part", bound="FeatureViewProjection | OnDemandProjection")
Read = tuple[Part, str] | Column


def names_of(parts: Sequence[Part], request: Iterable[Column]) -> dict[str, Read[Part]]:
    """The feature or request column of each name. Features of one name have the part's name too."""
    features = [(part, feature) for part in parts for feature in part.features]
    times = Counter(feature for _, feature in features)
    found: dict[str, Read[Part]] = {
        feature if times[feature] == 1 else f"{part.name}__{feature}": (part, feature) for part, feature in features
    }
    return found | {column.name: column for column in request}


def merged_parts(label: str, parts: Iterable[FeatureViewProjection]) -> tuple[FeatureViewProjection, ...]:
    """The parts, those of one view as one. Raises DefinitionError if a name means two things."""
    found: dict[str, FeatureViewProjection] = {}
    for part in parts:
        known = found.setdefault(part.name, part)
        if (known.view.name, known.join_keys) != (part.view.name, part.join_keys):
            raise DefinitionError(
                f"{label}: inputs: '{part.name}' is {known.view.name} by {', '.join(known.join_keys)}, and elsewhere "
                f"{part.view.name} by {', '.join(part.join_keys)}. Give one of them another alias."
            )
        found[part.name] = replace(known, features=tuple(dict.fromkeys((*known.features, *part.features))))
    return tuple(found.values())


def merged_request(label: str, columns: Iterable[Column]) -> tuple[Column, ...]:
    """The columns, each once. Raises DefinitionError for one column of two types."""
    found: dict[str, Column] = {}
    for column in columns:
        known = found.setdefault(column.name, column)
        if known.type is not column.type:
            raise DefinitionError(
                f"{label}: request column '{column.name}' is {known.type}, and {column.type} in the request of an "
                "input. Rename one of them."
            )
    return tuple(found.values())


def over_columns(view: OnDemandFeatureView, read: Read[Any]) -> Formula:
    """The formula, over the columns of `view`, of what one of its parameters reads."""
    if not isinstance(read, Column) and not isinstance(read[0], FeatureViewProjection):
        part, feature = read
        inner: Mapping[str, Read[Any]] = part.view.columns
        return substituted(
            part.view.formulas[feature], {name: over_columns(view, each) for name, each in inner.items()}
        )
    name = next(name for name, each in view.columns.items() if _same(each, read))
    return Formula.from_plain([["column", [], name, str(view.types[name])]])


def _same(column: Read[Any], read: Read[Any]) -> bool:
    if isinstance(column, Column) or isinstance(read, Column):
        return isinstance(column, Column) and isinstance(read, Column) and column.name == read.name
    return (column[0].name, column[1]) == (read[0].name, read[1])


def substituted(formula: Formula, by: Mapping[str, Formula]) -> Formula:
    """The formula with formulas in the place of columns. Raises ValueError if it becomes too long or too nested."""
    plain: list[Any] = []
    depths: list[int] = []
    places: dict[str, int] = {}

    def add(step: Sequence[Any], at: Sequence[int]) -> int:
        moved = [step[0], [at[each] for each in step[1]], *step[2:]]
        place = places.setdefault(repr(moved), len(plain))
        if place == len(plain):
            plain.append(moved)
            depths.append(1 + max((depths[each] for each in moved[1]), default=0))
        return place

    here: list[int] = []
    for step in formula.plain:
        if step[0] != "column":
            here.append(add(step, here))
            continue
        inner: list[int] = []
        for each in by[step[2]].plain:
            inner.append(add(each, inner))
        here.append(inner[-1])
    if len(plain) > MOST_STEPS or max(depths) > MOST_NESTED:
        raise ValueError(
            f"with the formulas of its inputs it has more than {MOST_STEPS} steps or is nested more than {MOST_NESTED} "
            "deep. Compute a part in a feature view"
        )
    return Formula(plain[: here[-1] + 1], formula.type)
