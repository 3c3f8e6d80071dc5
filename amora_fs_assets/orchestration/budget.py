"""The budget of automation: which intervals are too much to compute without being asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.definition import computing_identity
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.offline.coverage import merged, without
from amora_fs_assets.operations.offline.upkeep import LONGEST_WAIT, awaiting, costly, is_due
from amora_fs_assets.operations.registry.impact import Recompute, Scan
from amora_fs_assets.operations.registry.scan_estimate import scans
from amora_fs_assets.orchestration.facts import Facts

_WHY = "automation"


@dataclass
class Budget:
    """Compares the scans of intervals with the greatest scan that automation may request."""

    greatest: int
    """The greatest scan [bytes; rows in DuckDB]."""
    facts: Facts
    views: Callable[[], Iterable[FeatureView]]
    """The views that automation may compute now."""
    verdicts: dict[str, dict[str, tuple[str, str]]]
    """By view and interval: why it is not computed (empty: within the budget), and the time of the estimate."""

    def over(self, view: FeatureView) -> list[Interval]:
        """The intervals whose scan exceeds the budget or is unknown; the reasons are logged.

        A known scan is not estimated again within an hour, since a look happens twice a minute.
        """
        now: dict[str, tuple[str, str]] = {}
        over = []
        for each in self._compared(view):
            verdict = self._verdict(view, each)
            if verdict is None:
                scan = self._estimates.get(
                    Recompute(view.name, each, _WHY), Scan(None, "bytes", "there is no estimate")
                )
                verdict = (self._too_much(view, scan), self.facts.clock.isoformat())
                now |= {_key_of(view, each): verdict} if scan.amount is not None else {}
            else:
                now[_key_of(view, each)] = verdict
            if verdict[0]:
                self.facts.messages.append(f"{view} {each} {verdict[0]}")
                over.append(each)
        self.verdicts[view.name] = now
        return over

    def _verdict(self, view: FeatureView, interval: Interval) -> tuple[str, str] | None:
        """The last verdict on the interval (empty: within the budget) and its time; None if older than an hour."""
        why, at = self.verdicts.get(view.name, {}).get(_key_of(view, interval), ("", ""))
        return (why, at) if at and not is_due(datetime.fromisoformat(at), self.facts.clock, LONGEST_WAIT) else None

    @cached_property
    def _estimates(self) -> dict[Recompute, Scan]:
        """The estimated scans of all intervals without a verdict, in one call: 200 single calls outlast a look."""
        computations = [
            Recompute(view.name, each, _WHY)
            for view in self.views()
            for each in self._compared(view)
            if self._verdict(view, each) is None
        ]
        return scans(computations, self.facts.parts.code, self.facts.parts.offline)

    def _compared(self, view: FeatureView) -> tuple[Interval, ...]:
        """The gaps whose scan must be compared with the budget: `costly` gaps that wait for no view that is read."""
        found = self.facts.coverages[view.name]
        published = bool(self.facts.published(view))
        if view.partitions is None:
            return costly(found, published=published)
        waiting = awaiting(view, self.facts.coverages, self.facts.clock)
        return merged(left for each in costly(found, published=published) for left in without(each, waiting))

    def _too_much(self, view: FeatureView, scan: Scan) -> str:
        """Why automation does not compute an interval with this scan; empty if it does."""
        if scan.amount is None:
            return f"waits: {scan.reason}."
        if scan.amount <= self.greatest:
            return ""
        return (
            f"is not computed by automation: it reads {scan.amount:,} {scan.unit}, but the budget is "
            f"{self.greatest:,}. To compute it anyway: `amora-fs compute --feature-views {view.name}`, or "
            "materialize these partitions."
        )


def _key_of(view: FeatureView, interval: Interval) -> str:
    return f"{computing_identity(view)[:12]} {interval.start.isoformat()}"
