"""Feature services: the features of one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amora_fs_assets.domain import arguments
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.fingerprint import content_hash
from amora_fs_assets.domain.names import check_name
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.types import DataType


@dataclass(frozen=True, init=False)
class FeatureService:
    """The features that one model is trained on and served with.

    Args:
        name: Its name.
        features: Views, selections (`view["a", "b"]`) and aliases (`view.alias("x", join_keys={...})`), in order.
        description: The model that uses the service.
        owner: The person or team that is responsible for the service.
        tags: Labels to search by.

    Raises:
        DefinitionError: there are no features, two views or two features have the same name, or one column is a join
            key of two types.

    """

    name: str
    projections: tuple[FeatureViewProjection, ...]
    description: str
    owner: str
    tags: Mapping[str, str] = field(hash=False)

    def __init__(
        self,
        name: str,
        features: Sequence[FeatureView | FeatureViewProjection],
        description: str = "",
        owner: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Take a view as the selection of all its features."""
        check_name("Feature service", name)
        label = f"Feature service '{name}'"
        fix = "Give a list of views and selections: features=[view, other['a', 'b']]."
        parts = arguments.items(label, "features", features, (FeatureView, FeatureViewProjection), fix)
        projections = tuple(part.whole if isinstance(part, FeatureView) else part for part in parts)
        _check_names(label, projections)
        _check_keys(label, projections)
        vars(self).update(
            name=name,
            projections=projections,
            description=arguments.text(label, "description", description),
            owner=arguments.owner_of(label, owner),
            tags=arguments.tags_of(label, tags),
        )

    @classmethod
    def applied(
        cls,
        name: str,
        projections: Sequence[FeatureViewProjection],
        description: str,
        owner: str,
        tags: Mapping[str, str],
    ) -> FeatureService:
        """The service as the registry holds it, without the checks for new services."""
        service = object.__new__(cls)
        vars(service).update(
            name=name, projections=tuple(projections), description=description, owner=owner, tags=dict(tags)
        )
        return service

    @property
    def is_view(self) -> bool:
        """Whether the service is one whole view."""
        view = self.projections[0].view
        return self.name == view.name and self.projections == (view.whole,)

    @property
    def join_keys(self) -> tuple[str, ...]:
        """The join key columns of a request, each once, in the order of first use."""
        return tuple(dict.fromkeys(key for projection in self.projections for key in projection.join_keys))

    @property
    def version(self) -> str:
        """Twelve hex digits: a hash of the features, their types, join keys and ttls."""
        return content_hash(
            [
                [p.name, p.view.name, list(p.join_keys), _seconds(p.view.ttl), [[c.name, c.type] for c in p.columns]]
                for p in self.projections
            ]
        )[:12]


def _seconds(ttl: Any) -> float | None:
    return None if ttl is None else ttl.total_seconds()


def _check_names(service: str, projections: Sequence[FeatureViewProjection]) -> None:
    """Refuse two views or two features with the same name."""
    names = [projection.name for projection in projections]
    if not names:
        raise DefinitionError(f"{service}: it has no features. Add a view to features=[...].")
    for part in names:
        if names.count(part) > 1:
            raise DefinitionError(
                f"{service}: features: '{part}' is listed twice. Select all its features at once, or give one an "
                "alias: view.alias('other_name')."
            )
    columns = {key.lower(): f"join key '{key}'" for projection in projections for key in projection.join_keys}
    for projection in projections:
        for feature in projection.features:
            full = f"{projection.name}__{feature}"
            this = f"feature '{feature}' of '{projection.name}'"
            other = columns.setdefault(full.lower(), this)
            if other != this:
                raise DefinitionError(
                    f"{service}: features: {this} and {other} have the same full name '{full}'. "
                    f"Give '{projection.name}' another alias: view.alias('other_name')."
                )


def _check_keys(service: str, projections: Sequence[FeatureViewProjection]) -> None:
    """Refuse a column that is a join key of two types."""
    known: dict[str, tuple[DataType, FeatureViewProjection]] = {}
    for projection in projections:
        for column, key in zip(projection.join_keys, projection.view.key_columns, strict=True):
            type_, other = known.setdefault(column, (key.type, projection))
            if type_ is not key.type:
                raise DefinitionError(
                    f"{service}: features: column '{column}' is {key.type} for '{projection.name}', whose key is "
                    f"'{key.name}', and {type_} for '{other.name}'. One column has one type: read one of the "
                    f"keys from another column, such as view.alias('name', join_keys={{'{key.name}': 'other_column'}})."
                )
