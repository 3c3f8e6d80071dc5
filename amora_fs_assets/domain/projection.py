"""Selections of a view's features, for services and requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain import arguments
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import DefinitionError, FeatureNotFound, shown
from amora_fs_assets.domain.names import RESERVED_COLUMNS, check_column, check_name

if TYPE_CHECKING:
    from amora_fs_assets.domain.feature_view import FeatureView
    from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView


@dataclass(frozen=True)
class FeatureViewProjection:
    """Some features of a view, optionally under another name and with other join key columns."""

    view: FeatureView
    features: tuple[str, ...]
    name_alias: str | None = None
    join_key_map: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """The alias, or the view's name."""
        return self.name_alias or self.view.name

    @property
    def join_keys(self) -> tuple[str, ...]:
        """The join key columns of a request, in the order of the view's own join keys."""
        return tuple(self.join_key_map.get(key, key) for key in self.view.join_keys)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The selected features as columns, in the order of the selection."""
        known = {feature.name: feature for feature in self.view.features}
        return tuple(known[name] for name in self.features)

    def __getitem__(self, names: str | tuple[str, ...]) -> FeatureViewProjection:
        """Select features. Raises FeatureNotFound, and DefinitionError for an argument that names no features."""
        picked = picked_of(self.view, self.features, names)
        return FeatureViewProjection(self.view, picked, self.name_alias, self.join_key_map)

    def alias(self, name: str, join_keys: Mapping[str, str] | None = None) -> FeatureViewProjection:
        """The same features under another name. Raises DefinitionError for a join key that the view does not have."""
        check_name("Alias", name)
        label = f"Alias '{name}' of {self.view}"
        if join_keys is not None and not isinstance(join_keys, Mapping):
            raise arguments.wrong(label, "join_keys", join_keys, "Give a dict, such as {'airport': 'origin'}.")
        columns = dict(join_keys or {})
        for key, column in columns.items():
            if key not in self.view.join_keys:
                raise DefinitionError(
                    f"{label}: join_keys: the view has no join key {shown(key)}. Its keys: {list(self.view.join_keys)}."
                )
            check_column(f"{label}: join_keys", column)
            if column.lower() in RESERVED_COLUMNS:
                raise DefinitionError(f"{label}: join_keys: '{column}' is the time of a row. Name another column.")
        return FeatureViewProjection(self.view, self.features, name, columns)


def picked_of(view: FeatureView | OnDemandFeatureView, features: tuple[str, ...], names: object) -> tuple[str, ...]:
    """The names of `view[names]`, each one of the features.

    Raises FeatureNotFound, and DefinitionError for an argument that names no features.
    """
    picked: Any = (names,) if isinstance(names, str) else names
    if not isinstance(picked, tuple) or not picked or not all(isinstance(name, str) for name in picked):
        raise DefinitionError(f"{view}: [{shown(names)}] selects no features. Write their names: view['a', 'b'].")
    for name in picked:
        if name not in features:
            raise FeatureNotFound.named(f"{view.name}:{name}", (f"{view.name}:{feature}" for feature in features))
        if picked.count(name) > 1:
            raise DefinitionError(f"{view}: feature '{name}' is selected twice. Name it once.")
    return picked
