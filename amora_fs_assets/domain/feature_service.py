"""The features of one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.fingerprint import content_hash
from amora_fs_assets.domain.names import check_name
from amora_fs_assets.domain.projection import FeatureViewProjection


@dataclass(frozen=True, init=False)
class FeatureService:
    """The features that one model is trained on and served.

    Args:
        name: Its name.
        features: Views, picks (`view["a", "b"]`) and aliases (`view.alias("x", join_keys={...})`), in order.
        description: What model it serves.
        owner: Who answers for it.
        tags: Words to find it by.

    Raises:
        DefinitionError: no features, or two parts of one name.

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
        """Take whole views as picks of all their features."""
        check_name("Feature service", name)
        projections = tuple(part.whole if isinstance(part, FeatureView) else part for part in features)
        names = [projection.name for projection in projections]
        if not names:
            raise DefinitionError(f"Feature service '{name}': it has no features. Add a view to features=[...].")
        for part in names:
            if names.count(part) > 1:
                raise DefinitionError(
                    f"Feature service '{name}': '{part}' is there twice. Give one an alias: view.alias('other_name')."
                )
        vars(self).update(
            name=name, projections=projections, description=description, owner=owner, tags=dict(tags or {})
        )

    @property
    def is_view(self) -> bool:
        """Whether it is nothing but a view as a service of its own."""
        view = self.projections[0].view
        return self.name == view.name and self.projections == (view.whole,)

    @property
    def join_keys(self) -> tuple[str, ...]:
        """The columns that a request gives, each once, in order of first use."""
        return tuple(dict.fromkeys(key for projection in self.projections for key in projection.join_keys))

    @property
    def version(self) -> str:
        """Twelve hex digits of what a model sees: features, their types, keys and ttls."""
        return content_hash(
            [
                [p.name, p.view.name, list(p.join_keys), _seconds(p.view.ttl), [[c.name, c.type] for c in p.columns]]
                for p in self.projections
            ]
        )[:12]


def _seconds(ttl: Any) -> float | None:
    return None if ttl is None else ttl.total_seconds()
