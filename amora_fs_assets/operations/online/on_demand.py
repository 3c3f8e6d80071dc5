"""The part of an online read that is computed from rows just read and from data of the request. Imports no Ibis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.on_demand_view import OnDemandProjection
from amora_fs_assets.domain.request_time.evaluate import Evaluator
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.online.entity_keys import Entities
from amora_fs_assets.operations.online.part import Part, SeenRows, Status, ViewAnswer


class OnDemandReader:
    """The plan for the on-demand features of a service: made once, used for every request."""

    def __init__(self, service: FeatureService, parts: Sequence[Part], *, full_feature_names: bool) -> None:
        """`parts` are the parts of the plan for the stored features, whose rows are used again."""
        self._views = [_View(part, full_feature_names=full_feature_names) for part in service.on_demand]
        self.more: list[Part] = []
        """The parts to read beside `parts`."""
        for view in self._views:
            for part in view.inputs:
                view.places.append(self._place_of(part, parts))
        self.features: list[tuple[str, str, DataType]] = [
            (name, f"{view.name}:{column.name}", column.type)
            for view in self._views
            for name, column in zip(view.names, view.columns, strict=True)
        ]
        """Each feature's name in the answer, its reference and its type. Two features may have one name."""

    def _place_of(self, wanted: Part, parts: Sequence[Part]) -> int:
        """The place of the rows of an input in the rows of `parts` and `more`."""
        for place, part in enumerate((*parts, *self.more)):
            if part.view.name == wanted.view.name and part.join_keys == wanted.join_keys:
                return place
        self.more.append(wanted)
        return len(parts) + len(self.more) - 1

    def answers(
        self,
        entities: Entities,
        seen: Sequence[SeenRows],
        now: int,
        columns: dict[str, list[Any]],
        statuses: dict[str, list[Status]],
    ) -> list[ViewAnswer]:
        """Add the features' values and statuses to `columns` and `statuses`; describe them.

        `seen` are the rows of all parts, `now` the time of the request in microseconds since 1970. An absent or too
        old value of an input is null. The values hold at the time of the request.
        """
        return [view.answer(entities, seen, now, columns, statuses) for view in self._views]


class _View:
    """The selected features of one on-demand view."""

    def __init__(self, selected: OnDemandProjection, *, full_feature_names: bool) -> None:
        self.name = selected.name
        self.columns = selected.columns
        self.names = [f"{self.name}__{f}" if full_feature_names else f for f in selected.features]
        self.inputs = [Part(part, full_feature_names=False) for part in selected.inputs]
        self.places: list[int] = []
        used = {
            (each[0].name, each[1]): name
            for name, each in selected.view.columns.items()
            if isinstance(each, tuple) and name in selected.used
        }
        self._inputs = [[used[part.name, f] for f in part.features] for part in selected.inputs]
        self._request = [column.name for column in selected.request]
        self._evaluator = Evaluator(selected.formulas)

    def answer(
        self,
        entities: Entities,
        seen: Sequence[SeenRows],
        now: int,
        columns: dict[str, list[Any]],
        statuses: dict[str, list[Status]],
    ) -> ViewAnswer:
        known: dict[str, Sequence[Any]] = {name: entities.request[name] for name in self._request}
        count = entities.count
        for part, place, names in zip(self.inputs, self.places, self._inputs, strict=True):
            known.update(zip(names, part.values(seen[place]), strict=True))
        values = self._evaluator.values(known, now, count)
        complete = True
        for name, feature in zip(self.names, self.columns, strict=True):
            columns[name], present = values[feature.name]
            complete = complete and present
            statuses[name] = (
                ["PRESENT"] * count if present else ["NULL_VALUE" if v is None else "PRESENT" for v in columns[name]]
            )
        return ViewAnswer(self.name, self.names, [now] * count, complete)
