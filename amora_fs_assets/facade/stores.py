"""The stores of a FeatureStore, opened at the first use, and the catalogue that its reads use."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Self

from amora_fs_assets.domain import callers
from amora_fs_assets.domain.catalogue import Catalogue, Features, package_of
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import OnlineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.records import RunRecord
from amora_fs_assets.facade.exports import Exports
from amora_fs_assets.lazy import Lazy
from amora_fs_assets.operations.online.catalogue_cache import ServedCatalogue
from amora_fs_assets.operations.records.git_commit import commit_of
from amora_fs_assets.settings import Settings, missing_definitions
from amora_fs_assets.stores.open import open_offline_store, open_online_store, open_registry

if TYPE_CHECKING:
    import amora_fs_assets.building as building
    import amora_fs_assets.operations.registry.history as history
    import amora_fs_assets.orchestration.report_run as reporting
    from amora_fs_assets.operations.registry.history import AsOf
else:
    building = Lazy("amora_fs_assets.building")
    history = Lazy("amora_fs_assets.operations.registry.history")
    reporting = Lazy("amora_fs_assets.orchestration.report_run")

_log = logging.getLogger(__name__)


class Stores:
    """The settings, the definitions and the stores of a FeatureStore."""

    def __init__(
        self,
        settings: Settings | None = None,
        definitions: str | ModuleType | Catalogue | None = None,
        as_of: AsOf | None = None,
    ) -> None:
        if not isinstance(settings, Settings | None):
            raise callers.refused("settings", settings, "Settings, or None for the settings of the environment")
        if not isinstance(definitions, str | ModuleType | Catalogue | None):
            raise callers.refused("definitions", definitions, "a package or a module, its name, or a Catalogue")
        if not isinstance(as_of, datetime | str | None):
            raise callers.refused("as_of", as_of, "a time, the id of a run, or the hash of a snapshot")
        self.settings = settings or Settings.from_env()
        self.as_of = as_of
        self._given = definitions
        self._versions: dict[tuple[str, str], FeatureService] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and release the lease on the embedded server. The next read connects again."""
        if "online" in vars(self):
            self.online.close()

    async def close_async(self) -> None:
        """As `close`, including the connections of the running event loop."""
        if "online" in vars(self):
            await self.online.close_async()
        self.close()

    @cached_property
    def registry(self) -> Registry:
        """The registry, in the state of `as_of`. Raises InvalidRequest if the registry has no such state."""
        registry = open_registry(
            self.settings,
            commit=lambda: commit_of(package_of(self._given or self.settings.definitions)),
            listener=self._report_to_dagster if os.environ.get("DAGSTER_HOME") else None,
        )
        if self.as_of is None:
            return registry

        return history.PastRegistry(registry, self.as_of)

    def _report_to_dagster(self, run: RunRecord, name: str) -> None:
        """Report the run to Dagster's UI. If Dagster cannot be reached, log a warning."""
        settings = self.settings
        try:
            where, applied = f"{self.registry.url}/{name}", self.registry.catalogue()
            reporting.report(run, where, applied, self.offline, settings.now, settings.clock())
        except Exception as error:  # noqa: BLE001  (any error of Dagster's storage)
            _log.warning(
                "Run %s was not reported to DAGSTER_HOME=%s: %s", run.run_id, os.environ["DAGSTER_HOME"], error
            )

    @cached_property
    def online(self) -> OnlineStore:
        """The online store."""
        return open_online_store(self.settings)

    @cached_property
    def offline(self) -> OfflineStore:
        """The offline store."""
        return open_offline_store(self.settings)

    @cached_property
    def code(self) -> Catalogue:
        """The definitions in the code. Raises DefinitionError."""
        definitions = self._given or self.settings.definitions or Settings.from_env().definitions
        if isinstance(definitions, Catalogue):
            return definitions
        return building.collect(definitions or missing_definitions())

    @cached_property
    def _served(self) -> ServedCatalogue:
        return ServedCatalogue(self.registry, self._resolve, self._exports)

    @cached_property
    def _exports(self) -> Exports:
        return Exports(self.settings, offline=lambda: self.offline, catalogue=self.registry.catalogue)

    def _catalogue(self, *, cached: bool = False) -> Catalogue:
        """The registry's catalogue, or the one that reads use, a few seconds old at most."""
        return self._served.catalogue if callers.flag("allow_cache", cached) else self.registry.catalogue()

    def _resolve(self, features: Features, catalogue: Catalogue) -> FeatureService:
        """The service for the requested features. `"name@version"` is an old version of a service."""
        name, at, version = features.partition("@") if isinstance(features, str) else ("", "", "")
        if not at:
            return catalogue.resolve(features)
        key = (str(features), catalogue.hash)
        if key not in self._versions:
            self._versions[key] = history.service_version(self.registry, name, version)
        return self._versions[key]

    def _refuse_the_past(self, verb: str) -> None:
        if self.as_of is not None:
            raise InvalidRequest(f"A store as of {self.as_of} is read-only: {verb} without as_of.")
