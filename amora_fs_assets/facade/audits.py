"""The leak audit: whether views look into the future."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from amora_fs_assets.domain import callers
from amora_fs_assets.domain.errors import InvalidRequest, LeaksFound, OfflineStoreError, SettingsError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.time import Instant
from amora_fs_assets.facade.stores import Stores
from amora_fs_assets.lazy import Lazy

if TYPE_CHECKING:
    import amora_fs_assets.building as building
    from amora_fs_assets.operations.offline.audit import Audit
    from amora_fs_assets.operations.registry.plan import Plan
    from amora_fs_assets.operations.several import Progress
else:
    building = Lazy("amora_fs_assets.building")


_log = logging.getLogger(__name__)


class Audits(Stores):
    """The methods of FeatureStore that test the code's views."""

    def audit(
        self,
        feature_views: Sequence[str] | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
        *,
        instants: int = 5,
        parts: int = 7,
    ) -> Iterator[Audit]:
        """Test the views' transforms for looking into the future; yields the result for each view when it is done.

        For some event_timestamps t of the rows of [start, end) (default: the last two periods with source rows), the
        view is computed from the source rows that were known at t; each row up to t must be the same. `instants` is
        the number of these t. The last `parts` days, or shorter periods of the view, and the time before them are also
        computed each by itself. Rows that differ are computed a second time. Changes nothing. Views of external tables
        are left out. Raises FeatureViewNotFound, InvalidRequest for only one of start and end, TableNotFound,
        SourceMismatch, TransformError.
        """
        callers.whole("instants", instants, least=1)
        callers.whole("parts", parts, least=0)
        if (start is None) != (end is None):
            raise InvalidRequest("audit: give both start and end, or neither, for the last two periods.")
        clock = self.settings.clock()
        for view in self._views_by_name(feature_views):
            if view.table is None:
                if start is not None and end is not None:
                    interval = callers.interval(start, end).until(clock)
                else:
                    interval = building.recent(view, clock, self.offline)
                yield building.audit(view, interval, store=self.offline, instants=instants, parts=parts)

    def refuse_leaks(self, planned: Plan, *, progress: Progress | None = None) -> None:
        """Raise LeaksFound if a view that the plan adds, or whose rows it changes, looks into the future.

        `apply` calls it. The last two periods are audited. Views without source rows, without tables to read, and on
        BigQuery those whose audit would read more than 10 GiB are left out, with a warning in the log. `progress` is
        called when a view begins and when it ends, with its Audit as the result; then nothing is logged.
        """
        views = self._views_by_name([name for name in planned.views_to_audit if name in self.code.feature_views])
        several, clock = building.Several("audit", views, progress), self.settings.clock()
        for view in several.each():
            unread = False
            with several.trying(view):
                try:
                    several.results[view.name] = building.audit_if_quick(view, clock, self.offline)
                except (OfflineStoreError, SettingsError) as error:  # an apply needs the registry alone
                    interval, unread = view.interval(clock), True
                    found = building.Audit(view=view.name, interval=interval, rows=0, skipped=str(error))
                    several.results[view.name] = found
            if (skipped := several.results[view.name].skipped) and progress is None:
                _log.warning("Feature view '%s' was not audited: %s", view.name, skipped)
            if unread:
                break
        findings = [f"{name}: {each}" for name, found in several.results.items() for each in found.findings]
        if findings:
            raise LeaksFound(findings)

    def _views_by_name(self, feature_views: Sequence[str] | None) -> list[FeatureView]:
        """The code's views by name, by default all, in order of dependency."""
        selected = callers.chosen("feature_views", feature_views, self.code.feature_views)
        names = {self.code.feature_view(name).name for name in selected}
        return [view for view in self.code.in_order if view.name in names]
