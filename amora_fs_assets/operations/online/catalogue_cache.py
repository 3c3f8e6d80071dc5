"""The catalogue as a model server knows it: read once, refreshed in the background, with its plans."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from amora_fs_assets.domain.catalogue import Catalogue, Features
from amora_fs_assets.domain.errors import FeatureStoreError, NotFound
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.operations.online.read import OnlineReader

REFRESHED_EVERY = 5.0
"""After this long a request has the catalogue refreshed beside it [s]."""
LOOKED_AT_AFTER = 10.0
"""An older catalogue answers no request before the registry was asked, as after idling [s]."""
SERVED_FOR = 3_600.0
"""For this long after it was read the last catalogue answers while the registry is out of reach [s]."""
UNKNOWN_AFTER = 1.0
"""For how long a name that is not known is not looked for again in the registry [s]."""
_MOST_PLANS = 1_000
Resolve = Callable[[Features, Catalogue], FeatureService]
_log = logging.getLogger(__name__)


class ServedCatalogue:
    """Answers from memory.

    A request that finds the catalogue older than REFRESHED_EVERY has it refreshed in the background, one that finds it
    older than LOOKED_AT_AFTER waits for the registry. While the registry is out of reach the last catalogue answers,
    with a warning in the log; after SERVED_FOR requests raise what the registry raised.
    """

    def __init__(self, registry: Registry, resolve: Resolve) -> None:
        """`resolve` finds the service that is meant by what is asked for."""
        self._registry = registry
        self._resolve = resolve
        self._catalogue: Catalogue | None = None
        self._read_at = -math.inf  # when it was read
        self._asked_at = -math.inf  # when the registry was last asked, be it in vain
        self._plans: dict[object, OnlineReader] = {}
        self._refreshing = threading.Lock()

    def plan(self, features: Features, *, full_feature_names: bool) -> OnlineReader:
        """How to read the features. Raises NotFound errors and InvalidRequest."""
        self._keep_fresh()
        key = _key(features, full_feature_names=full_feature_names)
        plan = self._plans.get(key) if key is not None else None
        return plan or self._made(features, key, full_feature_names=full_feature_names)

    def known(self, features: Features, *, full_feature_names: bool) -> OnlineReader | None:
        """The plan of features that were asked for before; None where making it may wait for the registry."""
        if self._catalogue is None or self._age() > LOOKED_AT_AFTER:
            return None
        self._refresh_if_due()
        return self._plans.get(_key(features, full_feature_names=full_feature_names))

    @property
    def catalogue(self) -> Catalogue:
        """What was applied, LOOKED_AT_AFTER ago at most while the registry can be reached."""
        self._keep_fresh()
        assert self._catalogue is not None, "it was just read"
        return self._catalogue

    def _keep_fresh(self) -> None:
        if self._catalogue is None:
            self.refresh()
        elif self._age() > LOOKED_AT_AFTER:
            with self._refreshing:  # those that come meanwhile wait for the same answer
                if self._age() > LOOKED_AT_AFTER:
                    self._refresh_or_go_on()
        else:
            self._refresh_if_due()

    def _refresh_if_due(self) -> None:
        if self._age() > REFRESHED_EVERY and self._refreshing.acquire(blocking=False):
            threading.Thread(target=self._refresh_beside, daemon=True).start()

    def _age(self) -> float:
        """For how long the registry was not asked [s]."""
        return time.monotonic() - self._asked_at

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
        if known is None or _told_apart(catalogue) != _told_apart(known):
            self._catalogue, self._plans = catalogue, {}
        self._read_at = self._asked_at = time.monotonic()

    def _look_again(self) -> None:
        """What is not known may have been applied a moment ago."""
        if time.monotonic() - self._read_at > UNKNOWN_AFTER:
            self.refresh()

    def _refresh_beside(self) -> None:
        try:
            self._refresh_or_go_on()
        except FeatureStoreError:
            self._asked_at = -math.inf  # the next request asks, and is told
        finally:
            self._refreshing.release()

    def _refresh_or_go_on(self) -> None:
        """Read the registry; out of reach it does not stop the serving of what was read SERVED_FOR ago at most."""
        try:
            self.refresh()
        except FeatureStoreError as error:
            if time.monotonic() - self._read_at > SERVED_FOR:
                raise
            self._asked_at = time.monotonic()
            _log.warning("The catalogue could not be refreshed, the last one goes on serving: %s", error)

    def _made(self, features: Features, key: object, *, full_feature_names: bool) -> OnlineReader:
        try:
            service = self._resolve(features, self.catalogue)
        except NotFound:
            self._look_again()
            service = self._resolve(features, self.catalogue)
        plan = OnlineReader(service, full_feature_names=full_feature_names)
        if key is not None and len(self._plans) < _MOST_PLANS:
            self._plans[key] = plan
        return plan


def _told_apart(catalogue: Catalogue) -> tuple[object, ...]:
    """What makes plans of an earlier catalogue useless."""
    return catalogue.hash, catalogue.without_gate, catalogue.number


def _key(features: Features, *, full_feature_names: bool) -> object:
    """Under which a plan is kept; None for definitions, which are not asked by name."""
    if isinstance(features, str):
        return features, full_feature_names
    if isinstance(features, list | tuple) and all(isinstance(each, str) for each in features):
        return tuple(features), full_feature_names
    return None
