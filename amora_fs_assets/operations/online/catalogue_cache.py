"""A cache of the catalogue for model servers, with plans for reading. Refreshed in the background."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import cast

from amora_fs_assets.domain.catalogue import Catalogue, Features
from amora_fs_assets.domain.errors import FeatureStoreError, NotFound
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.operations.online.read import OnlineReader, Writer

REFRESHED_EVERY = 5.0
"""The age at which a request starts a refresh in the background [s]."""
LOOKED_AT_AFTER = 10.0
"""The age at which a request waits for the registry, such as after an idle time [s]."""
SERVED_FOR = 3_600.0
"""The age up to which a catalogue is used while the registry cannot be reached [s]."""
UNKNOWN_AFTER = 1.0
"""The time before the registry is searched again for an unknown name [s]."""
_MOST_PLANS = 1_000
Resolve = Callable[[Features, Catalogue], FeatureService]
_log = logging.getLogger(__name__)


class ServedCatalogue:
    """The catalogue in memory.

    A request starts a refresh in the background if the catalogue is older than REFRESHED_EVERY, and waits for the
    registry if it is older than LOOKED_AT_AFTER. While the registry cannot be reached, requests use the last catalogue
    and log a warning; if it is older than SERVED_FOR, requests raise the registry's error.
    """

    def __init__(self, registry: Registry, resolve: Resolve, writer: Writer | None = None) -> None:
        """`resolve` finds the service for requested features; `writer` is for the responses."""
        self._writer = writer
        self._registry = registry
        self._resolve = resolve
        self._catalogue: Catalogue | None = None
        self._read_at = -math.inf  # when the catalogue was read
        self._asked_at = -math.inf  # when a read of the registry was last tried
        self._plans: dict[object, OnlineReader] = {}
        self._refreshing = threading.Lock()

    def plan(self, features: Features, *, full_feature_names: bool) -> OnlineReader:
        """The plan for reading the features. Raises NotFound errors and InvalidRequest."""
        self._keep_fresh()
        key = _key(features, full_feature_names=full_feature_names)
        plan = self._plans.get(key) if key is not None else None
        return plan or self._make_plan(features, key, full_feature_names=full_feature_names)

    def known(self, features: Features, *, full_feature_names: bool) -> OnlineReader | None:
        """The plan of features that were requested before; None if a plan may need to wait for the registry."""
        if self._catalogue is None or self._age() > LOOKED_AT_AFTER:
            return None
        self._refresh_if_due()
        return self._plans.get(_key(features, full_feature_names=full_feature_names))

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue, at most LOOKED_AT_AFTER old while the registry can be reached."""
        self._keep_fresh()
        assert self._catalogue is not None, "it was just read"
        return self._catalogue

    def _keep_fresh(self) -> None:
        if self._catalogue is None:
            self.refresh()
        elif self._age() > LOOKED_AT_AFTER:
            with self._refreshing:  # concurrent requests wait for the same refresh
                if self._age() > LOOKED_AT_AFTER:
                    self._refresh_or_keep()
        else:
            self._refresh_if_due()

    def _refresh_if_due(self) -> None:
        if self._age() > REFRESHED_EVERY and self._refreshing.acquire(blocking=False):
            threading.Thread(target=self._refresh_in_background, daemon=True).start()

    def _age(self) -> float:
        """The time since the last try to read the registry [s]."""
        return time.monotonic() - self._asked_at

    def view(self, name: str) -> FeatureView:
        """The feature view of the name. Raises FeatureViewNotFound."""
        try:
            return self.catalogue.feature_view(name)
        except NotFound:
            self._look_again()
            return self.catalogue.feature_view(name)

    def refresh(self) -> None:
        """Read the registry now."""
        catalogue = self._registry.catalogue()
        known = self._catalogue
        if known is None or _version_of_plans(catalogue) != _version_of_plans(known):
            self._catalogue, self._plans = catalogue, {}
        self._read_at = self._asked_at = time.monotonic()

    def _look_again(self) -> None:
        """Refresh for an unknown name, which may have been applied a moment ago."""
        if time.monotonic() - self._read_at > UNKNOWN_AFTER:
            self.refresh()

    def _refresh_in_background(self) -> None:
        try:
            self._refresh_or_keep()
        except FeatureStoreError:
            self._asked_at = -math.inf  # the next request reads the registry and gets its error
        finally:
            self._refreshing.release()

    def _refresh_or_keep(self) -> None:
        """Read the registry. On failure keep the last catalogue, if it is at most SERVED_FOR old."""
        try:
            self.refresh()
        except FeatureStoreError as error:
            if time.monotonic() - self._read_at > SERVED_FOR:
                raise
            self._asked_at = time.monotonic()
            _log.warning("The catalogue could not be refreshed. The last one is still used: %s", error)

    def _make_plan(self, features: Features, key: object, *, full_feature_names: bool) -> OnlineReader:
        try:
            service = self._resolve(features, self.catalogue)
        except NotFound:
            self._look_again()
            service = self._resolve(features, self.catalogue)
        references = [] if key is None or isinstance(features, str) else cast("Sequence[str]", features)
        plan = OnlineReader(service, full_feature_names=full_feature_names, references=references, writer=self._writer)
        if key is not None and len(self._plans) < _MOST_PLANS:
            self._plans[key] = plan
        return plan


def _version_of_plans(catalogue: Catalogue) -> tuple[object, ...]:
    """The properties of a catalogue that its plans depend on."""
    return catalogue.hash, catalogue.without_gate, catalogue.number


def _key(features: Features, *, full_feature_names: bool) -> object:
    """The cache key of a plan; None for requests by definition rather than by name."""
    if isinstance(features, str):
        return features, full_feature_names
    if isinstance(features, list | tuple) and all(isinstance(each, str) for each in features):
        return tuple(features), full_feature_names
    return None
