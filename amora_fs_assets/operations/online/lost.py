"""Whether the online store lost what was loaded into it: an emptied Redis is no Redis in which entities are missing."""

from __future__ import annotations

import time
from collections.abc import Sequence

from amora_fs_assets.domain.errors import OnlineStateLost
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.online import OnlineRequest, OnlineRows
from amora_fs_assets.domain.ports.registry import Registry

LOOKED_AGAIN = 30.0
"""For how long the registry's word is taken that a view was never loaded, or was loaded [s]."""


class Loads:
    """What the registry knows of loads. It is asked only of views that the online store does not have."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[tuple[str, str], tuple[float, bool]] = {}

    def missed_by(self, requests: Sequence[OnlineRequest], found: Sequence[OnlineRows]) -> list[FeatureView]:
        """The views of which the online store has no generation."""
        if all(rows.loaded for rows in found):
            return []
        return [request.view for request, rows in zip(requests, found, strict=True) if not rows.loaded]

    def refuse_lost(self, views: Sequence[FeatureView]) -> None:
        """Raise OnlineStateLost where one of the views was loaded: then the online store was emptied."""
        for view in views:
            if self._was_loaded(view):
                raise OnlineStateLost(
                    f"{view} was loaded, and the online store has nothing of it any more: Redis was emptied, or "
                    "another Redis is asked. Run `amora-fs materialize-incremental`, which loads all of the view."
                )

    def _was_loaded(self, view: FeatureView) -> bool:
        key = (view.name, view.view_id)
        checked, loaded = self._known.get(key, (0.0, False))
        if key not in self._known or time.monotonic() - checked > LOOKED_AGAIN:
            last = next(self._registry.records(view.name, kind="materialize", status="succeeded", limit=1), None)
            loaded = last is not None and last.details.get("view_id", "") == view.view_id
            self._known[key] = (time.monotonic(), loaded)
        return loaded
