"""Detects an emptied online store, so that lost data is not reported as missing entities."""

from __future__ import annotations

import time
from collections.abc import Sequence

from amora_fs_assets.domain.errors import OnlineStateLost
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.online import OnlineRequest, OnlineRows
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.records import RunKind

LOOKED_AGAIN = 30.0
"""The time for which the registry's answer whether a view was loaded is cached [s]."""


class Loads:
    """The loads in the registry's records. The registry is read only for views without a generation online."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[tuple[str, str], tuple[float, bool]] = {}

    def missed_by(self, requests: Sequence[OnlineRequest], found: Sequence[OnlineRows]) -> list[FeatureView]:
        """The views without a generation in the online store."""
        if all(rows.loaded for rows in found):
            return []
        return [request.view for request, rows in zip(requests, found, strict=True) if not rows.loaded]

    def refuse_lost(self, views: Sequence[FeatureView]) -> None:
        """Raise OnlineStateLost if one of the views was loaded, since the online store has lost it."""
        for view in views:
            if self._was_loaded(view):
                raise OnlineStateLost(
                    f"{view} was loaded, but the online store no longer has its data: Redis was emptied, or the "
                    "settings name another Redis. Run `amora-fs materialize-incremental`, which loads the whole view."
                )

    def _was_loaded(self, view: FeatureView) -> bool:
        key = (view.name, view.view_id)
        checked, loaded = self._known.get(key, (0.0, False))
        if key not in self._known or time.monotonic() - checked > LOOKED_AGAIN:
            loaded = self._has(view, "materialize") or self._has(view, "push", to_online=True)
            self._known[key] = (time.monotonic(), loaded)
        return loaded

    def _has(self, view: FeatureView, kind: RunKind, **details: bool) -> bool:
        """Whether the last successful run of this kind was for this view, with these details."""
        last = next(self._registry.records(view.name, kind=kind, status="succeeded", limit=1), None)
        if last is None or last.details.get("view_id", "") != view.view_id:
            return False
        return all(last.details.get(name) == value for name, value in details.items())
