"""Removals of definitions, and the consequences of a new snapshot."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from amora_fs_assets.domain import callers
from amora_fs_assets.domain.errors import OfflineStoreError, SettingsError
from amora_fs_assets.domain.records import Snapshot
from amora_fs_assets.domain.time import wall_clock
from amora_fs_assets.facade.stores import Stores
from amora_fs_assets.lazy import Lazy
from amora_fs_assets.stores.open import open_objects

if TYPE_CHECKING:
    import amora_fs_assets.building as building
else:
    building = Lazy("amora_fs_assets.building")

_log = logging.getLogger(__name__)


class Removal(Stores):
    """The methods of FeatureStore that remove definitions."""

    def delete(self, name: str) -> Snapshot:
        """Remove a definition that no other one uses from the registry, and a view's rows from the online store.

        Tables of the offline store stay. Raises NotFound, InvalidRequest for a definition that others use, and
        RegistryConflict if an apply came first.
        """
        self._refuse_the_past("delete")
        views = self.registry.catalogue().feature_views
        snapshot = building.removal.delete(callers.text("name", name), self.registry, clock=wall_clock())
        for view in views.keys() - self.registry.catalogue().feature_views.keys():
            self.online.remove(view)
        self._use_snapshot()
        return snapshot

    def tables(self) -> list[str]:
        """The present tables that the store wrote for the applied definitions, and its internal tables."""
        return building.removal.tables(self.registry.catalogue(), self.registry, self.offline)

    def teardown(self, *, tables: bool = False) -> None:
        """Remove all applied definitions, and their rows from the online store.

        With `tables`, also drop the tables that the store wrote, but no external table. Earlier states of the registry
        stay readable. Raises RegistryConflict if an apply came first.
        """
        self._refuse_the_past("teardown")
        dropped = self.tables() if callers.flag("tables", tables) else []
        views = list(self.registry.catalogue().feature_views)
        if building.removal.remove_all(self.registry, clock=wall_clock()) is None:
            return
        for view in views:
            self.online.remove(view)
        self._use_snapshot()
        for table in dropped:
            self.offline.discard(table)

    def _use_snapshot(self) -> None:
        """Bring the catalogue in memory, `_applied` and Feast's registry to the new snapshot."""
        self._served.refresh()
        self._sync_applied()
        synced = building.feast_registry.sync(open_objects(self.settings), self.settings)
        if synced in {"behind", "absent"}:
            _log.log(
                logging.WARNING if synced == "behind" else logging.INFO,
                "Feast's registry.db in %s is %s, since Feast is not installed here. %s",
                self.registry.url,
                "outdated" if synced == "behind" else "not written",
                building.feast_registry.HINT,
            )

    def _sync_applied(self) -> None:
        """Write the applied definitions to `_applied` in the offline store. If this fails, publications do it later."""
        try:
            building.applied_table.sync(self.registry, self.offline)
        except (OfflineStoreError, SettingsError) as error:
            _log.warning("The registry was changed, but `_applied` in the offline store was not updated yet: %s", error)
