"""The catalogue as a model server knows it: read once, refreshed in the background, with its plans."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from amora_fs_assets.domain.catalogue import Catalogue, Features
from amora_fs_assets.domain.errors import FeatureStoreError, NotFound
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports import Registry
from amora_fs_assets.operations.online import OnlinePlan

REFRESHED_EVERY = 5.0  # seconds
UNKNOWN_AFTER = 1.0
"""For how long a name that is not known is not looked for again in the registry [s]."""
_MOST_PLANS = 1_000
Resolve = Callable[[Features, Catalogue], FeatureService]
_log = logging.getLogger(__name__)


class ServedCatalogue:
    """Answers from memory; a request that finds it older than some seconds has it refreshed behind its back."""

    def __init__(self, registry: Registry, resolve: Resolve) -> None:
        """`resolve` finds the service that is meant by what is asked for."""
        self._registry = registry
        self._resolve = resolve
        self._catalogue: Catalogue | None = None
        self._read_at = 0.0
        self._plans: dict[object, OnlinePlan] = {}
        self._refreshing = threading.Lock()

    def plan(self, features: Features, *, full_feature_names: bool) -> OnlinePlan:
        """How to read the features. Raises NotFound errors and InvalidRequest."""
        self._keep_fresh()
        key = _key(features, full_feature_names=full_feature_names)
        plan = self._plans.get(key) if key is not None else None
        return plan or self._made(features, key, full_feature_names=full_feature_names)

    def known(self, features: Features, *, full_feature_names: bool) -> OnlinePlan | None:
        """The plan of features that were asked for before; None where making it may wait for the registry."""
        if self._catalogue is None:
            return None
        self._keep_fresh()
        return self._plans.get(_key(features, full_feature_names=full_feature_names))

    @property
    def catalogue(self) -> Catalogue:
        """What was applied, a few seconds ago at most."""
        self._keep_fresh()
        assert self._catalogue is not None, "it was just read"
        return self._catalogue

    def _keep_fresh(self) -> None:
        if self._catalogue is None:
            self.refresh()
        elif time.monotonic() - self._read_at > REFRESHED_EVERY and self._refreshing.acquire(blocking=False):
            threading.Thread(target=self._refresh_quietly, daemon=True).start()

    def view(self, name: str) -> FeatureView:
        """The feature view of that name. Raises FeatureViewNotFound."""
        try:
            return self.catalogue.feature_view(name)
        except NotFound:
            self._look_again()
            return self.catalogue.feature_view(name)

    def refresh(self) -> None:
        """Read the registry now."""
        catalogue = self._registry.catalogue()
        known = self._catalogue
        if known is None or catalogue.hash != known.hash or catalogue.without_gate != known.without_gate:
            self._catalogue, self._plans = catalogue, {}
        self._read_at = time.monotonic()

    def _look_again(self) -> None:
        """What is not known may have been applied a moment ago."""
        if time.monotonic() - self._read_at > UNKNOWN_AFTER:
            self.refresh()

    def _refresh_quietly(self) -> None:
        """A registry out of reach does not stop the serving of what is known."""
        try:
            self.refresh()
        except FeatureStoreError as error:
            self._read_at = time.monotonic()
            _log.warning("The catalogue could not be refreshed: %s", error)
        finally:
            self._refreshing.release()

    def _made(self, features: Features, key: object, *, full_feature_names: bool) -> OnlinePlan:
        try:
            service = self._resolve(features, self.catalogue)
        except NotFound:
            self._look_again()
            service = self._resolve(features, self.catalogue)
        plan = OnlinePlan(service, full_feature_names=full_feature_names)
        if key is not None and len(self._plans) < _MOST_PLANS:
            self._plans[key] = plan
        return plan


def _key(features: Features, *, full_feature_names: bool) -> object:
    """Under which a plan is kept; None for definitions, which are not asked by name."""
    if isinstance(features, str):
        return features, full_feature_names
    if isinstance(features, list | tuple) and all(isinstance(each, str) for each in features):
        return tuple(features), full_feature_names
    return None
