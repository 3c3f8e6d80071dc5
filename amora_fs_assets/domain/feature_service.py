"""Feature services: the features of one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from amora_fs_assets.domain import arguments
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.fingerprint import content_hash
from amora_fs_assets.domain.names import check_name
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView, OnDemandProjection, seconds
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.types import DataType

Part = FeatureViewProjection | OnDemandProjection
"""A selection of features of one view."""


@dataclass(frozen=True, init=False)
class FeatureService:
    """The features that one model is trained on and served with.

    Args:
        name: Its name.
        features: Views, selections (`view["a", "b"]`) and aliases (`view.alias("x", join_keys={...})`), in order. The
            features of on-demand feature views come after all stored features.
        description: The model that uses the service.
        owner: The person or team that is responsible for the service.
        tags: Labels to search by.

    Raises:
        DefinitionError: there are no features, two views or two features have the same name, or one column is a join
            key or a request column of two types.

    """

    name: str
    projections: tuple[FeatureViewProjection, ...]
    """The selected stored features."""
    description: str
    owner: str
    tags: Mapping[str, str] = field(hash=False)
    on_demand: tuple[OnDemandProjection, ...] = ()
    """The selected features that are computed at request time."""

    def __init__(
        self,
        name: str,
        features: Sequence[FeatureView | FeatureViewProjection | OnDemandFeatureView | OnDemandProjection],
        description: str = "",
        owner: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Take a view as the selection of all its features."""
        check_name("Feature service", name)
        label = f"Feature service '{name}'"
        fix = "Give a list of views and selections: features=[view, other['a', 'b']]."
        kinds = (FeatureView, FeatureViewProjection, OnDemandFeatureView, OnDemandProjection)
        given = arguments.items(label, "features", features, kinds, fix)
        parts = [part.whole if isinstance(part, FeatureView | OnDemandFeatureView) else part for part in given]
        vars(self).update(
            name=name,
            projections=tuple(part for part in parts if isinstance(part, FeatureViewProjection)),
            on_demand=tuple(part for part in parts if isinstance(part, OnDemandProjection)),
            description=arguments.text(label, "description", description),
            owner=arguments.owner_of(label, owner),
            tags=arguments.tags_of(label, tags),
        )
        _check_names(label, self)
        _check_columns(label, self)

    @classmethod
    def applied(
        cls,
        name: str,
        projections: Sequence[FeatureViewProjection],
        description: str,
        owner: str,
        tags: Mapping[str, str],
        on_demand: Sequence[OnDemandProjection] = (),
    ) -> FeatureService:
        """The service as the registry holds it, without the checks for new services."""
        service = object.__new__(cls)
        vars(service).update(
            name=name,
            projections=tuple(projections),
            description=description,
            owner=owner,
            tags=dict(tags),
            on_demand=tuple(on_demand),
        )
        return service

    @property
    def parts(self) -> tuple[Part, ...]:
        """All selected features: the stored ones, then the on-demand ones."""
        return (*self.projections, *self.on_demand)

    @property
    def is_view(self) -> bool:
        """Whether the service is one whole view."""
        first = self.parts[0]
        return len(self.parts) == 1 and self.name == first.view.name and first == first.view.whole

    @cached_property
    def reads(self) -> tuple[FeatureViewProjection, ...]:
        """The stored features that a read needs: the selected ones, in order, then other inputs of on-demand features.

        Inputs from a selected view with the same join keys are added to the features of this selection.
        """
        found = list(self.projections)
        for part in (part for each in self.on_demand for part in each.inputs):
            place = self._place_of(part, found)
            if place is None:
                found.append(replace(part, name_alias=f"{part.name}__input{len(found)}"))
            else:
                features = dict.fromkeys((*found[place].features, *part.features))
                found[place] = replace(found[place], features=tuple(features))
        return tuple(found)

    def place_in_reads(self, part: FeatureViewProjection) -> int:
        """The place in `reads` of an input of an on-demand feature."""
        place = self._place_of(part, self.reads)
        assert place is not None, "reads have every input"
        return place

    @staticmethod
    def _place_of(part: FeatureViewProjection, reads: Sequence[FeatureViewProjection]) -> int | None:
        same = (i for i, r in enumerate(reads) if r.view.name == part.view.name and r.join_keys == part.join_keys)
        return next(same, None)

    @property
    def views(self) -> dict[str, FeatureView]:
        """The feature views that a read needs, by name."""
        return {part.view.name: part.view for part in self.reads}

    @property
    def join_keys(self) -> tuple[str, ...]:
        """The join key columns of a request, each once, in the order of first use."""
        return tuple(dict.fromkeys(key for projection in self.reads for key in projection.join_keys))

    @property
    def request(self) -> dict[str, DataType]:
        """The types of the columns that a request brings beside the join keys, for on-demand features."""
        return {column.name: column.type for part in self.on_demand for column in part.request}

    @property
    def references(self) -> list[str]:
        """The features as references `"view:feature"`, in order."""
        return [f"{part.name}:{feature}" for part in self.parts for feature in part.features]

    @property
    def version(self) -> str:
        """Twelve hex digits: a hash of the features, their types, join keys, ttls, and expressions."""
        stored: list[Any] = [
            [p.name, p.view.name, list(p.join_keys), seconds(p.view.ttl), [[c.name, c.type] for c in p.columns]]
            for p in self.projections
        ]
        return content_hash([*stored, *(part.identity for part in self.on_demand)])[:12]


def _check_names(label: str, service: FeatureService) -> None:
    """Refuse two views or two features with the same name."""
    names = [part.name for part in service.parts]
    if not names:
        raise DefinitionError(f"{label}: it has no features. Add a view to features=[...].")
    for name in names:
        if names.count(name) > 1:
            raise DefinitionError(
                f"{label}: features: '{name}' is listed twice. Select all its features at once, or give one an "
                "alias: view.alias('other_name')."
            )
    columns = {name.lower(): f"request column '{name}'" for name in service.request}
    columns |= {key.lower(): f"join key '{key}'" for key in service.join_keys}
    for part in service.parts:
        for feature in part.features:
            full = f"{part.name}__{feature}"
            this = f"feature '{feature}' of '{part.name}'"
            other = columns.setdefault(full.lower(), this)
            if other != this:
                raise DefinitionError(
                    f"{label}: features: {this} and {other} have the same full name '{full}'. "
                    f"Give '{part.name}' another alias: view.alias('other_name')."
                )


def _check_columns(label: str, service: FeatureService) -> None:
    """Refuse a column of the request with two types."""
    known: dict[str, tuple[DataType, FeatureViewProjection]] = {}
    for projection in service.reads:
        for column, key in zip(projection.join_keys, projection.view.key_columns, strict=True):
            type_, other = known.setdefault(column, (key.type, projection))
            if type_ is not key.type:
                raise DefinitionError(
                    f"{label}: features: column '{column}' is {key.type} for '{projection.name}', whose key is "
                    f"'{key.name}', and {type_} for '{other.name}'. One column has one type: read one of the "
                    f"keys from another column, such as view.alias('name', join_keys={{'{key.name}': 'other_column'}})."
                )
    types = {name: type_ for name, (type_, _) in known.items()}
    for part in service.on_demand:
        for each in part.request:
            if types.setdefault(each.name, each.type) is not each.type:
                raise DefinitionError(
                    f"{label}: features: request column '{each.name}' is {each.type} for '{part.name}', and "
                    f"{types[each.name]} elsewhere. One column has one type: rename one of them."
                )
