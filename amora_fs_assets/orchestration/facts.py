"""The state of the stores at one look of the automation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from amora_fs_assets.domain.errors import FeatureStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.online import Generation
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.operations.offline.coverage import Coverage, coverages
from amora_fs_assets.orchestration.published import Published
from amora_fs_assets.orchestration.resources import Stores


@dataclass
class Facts:
    """What is published and online. Each part is read once, when it is first asked for."""

    parts: Stores
    log: Published
    messages: list[str] = field(default_factory=list)
    """The lines for the sensor's log, to which the parts of a look add."""
    unreachable: bool = False  # whether the online store does not answer
    _generations: dict[str, Generation | None] = field(default_factory=dict)

    @cached_property
    def clock(self) -> datetime:
        """The instant of the look."""
        return self.parts.settings.clock()

    @cached_property
    def publications(self) -> Sequence[Publication]:
        """All publications, in order."""
        return self.log.of(self.parts.offline)

    @cached_property
    def newest(self) -> int:
        """The sequence of the newest publication; 0 without one."""
        return max((each.sequence for each in self.publications), default=0)

    @cached_property
    def _by_table(self) -> dict[str, list[Publication]]:
        found: dict[str, list[Publication]] = {}
        for each in self.publications:
            found.setdefault(each.table, []).append(each)
        return found

    def published(self, view: FeatureView) -> list[Publication]:
        """The publications of the view's table, in order."""
        return self._by_table.get(table_name(view, self.parts.offline.dataset), [])

    @cached_property
    def coverages(self) -> dict[str, Coverage]:
        """Which intervals of each view are current, by view."""
        return coverages(self.parts.code, self.publications, clock=self.clock, dataset=self.parts.offline.dataset)

    def generation(self, view: FeatureView) -> Generation | None:
        """The view's newest generation. An online store that does not answer is logged once."""
        if view.name not in self._generations and not self.unreachable:
            try:
                self._generations[view.name] = self.parts.online.generation(view)
            except FeatureStoreError as error:
                self.unreachable = True
                self.messages.append(f"The online store does not answer: {error}")
        return self._generations.get(view.name)

    def is_served(self, view: FeatureView, generation: Generation) -> bool:
        """Whether the generation belongs to the applied view, and is not partial."""
        applied = self.parts.applied.feature_view(view.name)
        return (generation.view_id, generation.schema_hash) == (
            applied.view_id,
            applied.schema_hash,
        ) and not generation.partial
