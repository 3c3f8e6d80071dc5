"""The part of an online read that comes from one view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import VALID_TO
from amora_fs_assets.domain.ports.online import NEVER, OnlineRows
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.time import MICROSECOND, from_microseconds

Status = Literal["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"]


@dataclass(slots=True)
class ViewAnswer:
    """The part of an answer that comes from one view."""

    view: str
    names: Sequence[str]
    """The names of the view's features in the answer."""
    event_timestamps: Sequence[int]
    """The event_timestamps of the view's rows, in microseconds since 1970; NEVER for a missing row."""
    complete: bool
    """Whether every value is PRESENT."""


@dataclass(slots=True)
class SeenRows:
    """Rows of a view, and by row the reason why it has no values; None if every row counts and no value is null."""

    rows: OnlineRows
    absent: list[Status | None] | None


class Part:
    """The part of a plan that reads one view."""

    def __init__(self, projection: FeatureViewProjection, *, full_feature_names: bool) -> None:
        self.view: FeatureView = projection.view
        self.join_keys = projection.join_keys
        self.features = projection.features
        self.names = [f"{projection.name}__{f}" if full_feature_names else f for f in projection.features]
        self._ttl = None if projection.view.ttl is None else projection.view.ttl // MICROSECOND

    def seen(self, rows: OnlineRows, now: int) -> SeenRows:
        """The rows as a request at `now` [us since 1970] sees them. A row that ended is missing."""
        rows = self._not_ended(rows, now)
        return SeenRows(rows, self._absent(rows, now))

    def answers(
        self, seen: SeenRows, columns: dict[str, list[Any]], statuses: dict[str, list[Status]]
    ) -> list[ViewAnswer]:
        """Add the features' values and statuses to `columns` and `statuses`; describe them.

        A feature that was added after the load is NOT_FOUND, without a time; so are all features of a row that ended.
        """
        rows, times = seen.rows, seen.rows.event_timestamps
        complete = self._answer(seen, columns, statuses)
        if rows.added.isdisjoint(self.features):
            return [ViewAnswer(self.view.name, self.names, times, complete)]
        answers = []
        for added, pairs in groupby(zip(self.features, self.names, strict=True), lambda pair: pair[0] in rows.added):
            names = [name for _, name in pairs]
            if added:
                statuses.update({name: ["NOT_FOUND"] * len(times) for name in names})
            row_times = [NEVER] * len(times) if added else times
            answers.append(ViewAnswer(self.view.name, names, row_times, complete and not added))
        return answers

    def values(self, seen: SeenRows) -> list[list[Any]]:
        """The features' values: null where a row is missing, too old or ended."""
        values, absent = self._stored(seen.rows), seen.absent
        return values if absent is None else [_without(column, absent) for column in values]

    def _answer(self, seen: SeenRows, columns: dict[str, list[Any]], statuses: dict[str, list[Status]]) -> bool:
        """Add the features' values and statuses to `columns` and `statuses`; return whether all are PRESENT."""
        values, absent = self._stored(seen.rows), seen.absent
        if absent is None:
            present: list[Status] = ["PRESENT"]
            count = len(seen.rows.event_timestamps)
            columns.update(zip(self.names, values, strict=True))
            statuses.update([(name, present * count) for name in self.names])
            return True
        for name, column in zip(self.names, values, strict=True):
            columns[name] = _without(column, absent)
            statuses[name] = [
                why or ("NULL_VALUE" if value is None else "PRESENT") for value, why in zip(column, absent, strict=True)
            ]
        return False

    def _not_ended(self, rows: OnlineRows, now: int) -> OnlineRows:
        """The rows, of which those whose valid_to has come are missing."""
        if not self.view.has_valid_to:
            return rows
        clock = from_microseconds(now)
        ended = [end is not None and end <= clock for end in rows.columns[VALID_TO]]
        if not any(ended):
            return rows
        times = [NEVER if over else time for time, over in zip(rows.event_timestamps, ended, strict=True)]
        return replace(rows, event_timestamps=times, complete=False)

    def _stored(self, rows: OnlineRows) -> list[list[Any]]:
        try:
            return [rows.columns[feature] for feature in self.features]
        except KeyError as error:
            raise OnlineStoreError(
                f"{self.view}: feature {error} is in the registry but not online yet. "
                "Compute the view and run `amora-fs materialize-incremental`."
            ) from None

    def _absent(self, rows: OnlineRows, now: int) -> list[Status | None] | None:
        """By row, the reason why it has no values; None if every row counts and no value is null."""
        times = rows.event_timestamps
        oldest = NEVER + 1 if self._ttl is None else now - self._ttl
        if rows.complete and (self._ttl is None or not times or min(times) >= oldest):
            return None
        return [None if time >= oldest else "NOT_FOUND" if time == NEVER else "OUTSIDE_MAX_AGE" for time in times]


def _without(column: list[Any], absent: list[Status | None]) -> list[Any]:
    return [None if why else value for value, why in zip(column, absent, strict=True)]
