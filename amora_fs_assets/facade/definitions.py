"""Reads of the applied definitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from amora_fs_assets.domain import callers
from amora_fs_assets.domain.entity import Entity
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.source import Source
from amora_fs_assets.facade.stores import Stores

_Tagged = TypeVar("_Tagged", Entity, Source, FeatureView, OnDemandFeatureView, FeatureService)


class Definitions(Stores):
    """The methods of FeatureStore that read definitions from the registry.

    `tags` selects the definitions that have all of these tags. With `allow_cache` the catalogue may be the one that
    online reads use, which is a few seconds old at most.
    """

    def list_entities(self, allow_cache: bool = False, tags: Mapping[str, str] | None = None) -> list[Entity]:  # noqa: FBT001, FBT002
        """All applied entities that have these tags."""
        return _tagged(self._catalogue(cached=allow_cache).entities.values(), tags)

    def list_data_sources(self, allow_cache: bool = False, tags: Mapping[str, str] | None = None) -> list[Source]:  # noqa: FBT001, FBT002
        """All applied sources that have these tags."""
        return _tagged(self._catalogue(cached=allow_cache).sources.values(), tags)

    def list_feature_views(self, allow_cache: bool = False, tags: Mapping[str, str] | None = None) -> list[FeatureView]:  # noqa: FBT001, FBT002
        """All applied feature views that have these tags."""
        return _tagged(self._catalogue(cached=allow_cache).feature_views.values(), tags)

    def list_on_demand_feature_views(
        self,
        allow_cache: bool = False,  # noqa: FBT001, FBT002
        tags: Mapping[str, str] | None = None,
    ) -> list[OnDemandFeatureView]:
        """All applied on-demand feature views that have these tags."""
        return _tagged(self._catalogue(cached=allow_cache).on_demand_feature_views.values(), tags)

    def get_on_demand_feature_view(self, name: str, allow_registry_cache: bool = False) -> OnDemandFeatureView:  # noqa: FBT001, FBT002
        """The applied on-demand feature view of the name. Raises FeatureViewNotFound."""
        catalogue = self._catalogue(cached=allow_registry_cache)
        return catalogue.on_demand_feature_view(callers.text("name", name))

    def list_feature_services(
        self,
        tags: Mapping[str, str] | None = None,
        allow_cache: bool = False,  # noqa: FBT001, FBT002
    ) -> list[FeatureService]:
        """All applied feature services that have these tags."""
        return _tagged(self._catalogue(cached=allow_cache).feature_services.values(), tags)

    def get_entity(self, name: str, allow_registry_cache: bool = False) -> Entity:  # noqa: FBT001, FBT002
        """The applied entity of the name. Raises EntityNotFound."""
        return self._catalogue(cached=allow_registry_cache).entity(callers.text("name", name))

    def get_data_source(self, name: str) -> Source:
        """The applied source of the name. Raises SourceNotFound."""
        return self._catalogue().source(callers.text("name", name))

    def get_feature_view(self, name: str, allow_registry_cache: bool = False) -> FeatureView:  # noqa: FBT001, FBT002
        """The applied feature view of the name. Raises FeatureViewNotFound."""
        return self._catalogue(cached=allow_registry_cache).feature_view(callers.text("name", name))

    def get_feature_service(self, name: str, version: str | None = None) -> FeatureService:
        """The applied service of the name, or an old version. Every view is also a service.

        Raises FeatureServiceNotFound.
        """
        callers.text("name", name)
        if version is not None:
            callers.text("version", version)
        return self._resolve(name if version is None else f"{name}@{version}", self.registry.catalogue())


def _tagged(definitions: Iterable[_Tagged], tags: Any) -> list[_Tagged]:
    """The definitions that have all of these tags. Raises InvalidRequest for tags that are no texts by name."""
    wanted = callers.tags("tags", tags)
    return [each for each in definitions if wanted.items() <= each.tags.items()]
