"""Loads and reads of an online store, for its contract."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from amora_fs_assets import FeatureView
from amora_fs_assets.domain.ports.online import NEVER, OnlineStore
from amora_fs_assets_tests.stores.online_rows import batch, hour, request


class OnlineCalls:
    """Calls with the rows and keys of a test."""

    def load(
        self,
        store: OnlineStore,
        view: FeatureView,
        *rows: Sequence[Any],
        published_through: int = 1,
        clock: datetime | None = None,
        new_generation: bool = False,
    ) -> int:
        batches = [batch(view, row) for row in rows]
        return store.load(
            view, batches, published_through=published_through, clock=clock or hour(100), new_generation=new_generation
        )

    def read(self, store: OnlineStore, *wanted: tuple[FeatureView, Sequence[Any]]) -> list[list[Any]]:
        """For each view and its keys what each key has now: its values, or None."""
        answers = []
        for (view, _), rows in zip(wanted, store.read([request(view, keys) for view, keys in wanted]), strict=True):
            columns = [rows.columns[feature.name] for feature in view.features]
            values = [list(row) for row in zip(*columns, strict=True)]
            answers.append(
                [None if time == NEVER else row for time, row in zip(rows.event_timestamps, values, strict=True)]
            )
        return answers

    def values(self, store: OnlineStore, view: FeatureView, *keys: Any) -> list[Any]:
        """What each key of one view has now."""
        return self.read(store, (view, keys))[0]
