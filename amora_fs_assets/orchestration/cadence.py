"""What automation keeps up to date, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.orchestration.alerts import Notifier


@dataclass(frozen=True, kw_only=True)
class Automation:
    """What `build_definitions(automation=...)` keeps up to date, and how often. `True` means `Automation()`.

    Slots are aligned to UTC: with `every` 15 minutes the newest rows are computed at 00:00, 00:15 and so on, so that
    the day that has ended and the day that has begun are both computed right after midnight.
    """

    every: timedelta = timedelta(minutes=15)
    """How often the newest rows of a view are computed and loaded online."""
    views: Mapping[str, timedelta] = field(default_factory=dict)
    """The same for single views, by name."""
    whole: timedelta = timedelta(days=1)
    """How often a view without partitions is computed, and a table that somebody else fills is checked and loaded."""
    sources: timedelta | None = timedelta(days=1)
    """How often a source with a loader is loaded; None: only where its table is missing."""
    late: str | None = "30 0 * * *"
    """Cron, in UTC, of the search for rows that changed after they were read, which are computed again; None: never."""
    parity: timedelta | None = timedelta(days=1)
    """How often a load is followed by the parity check; None: never."""
    training_sets: timedelta | None = timedelta(days=1)
    """How often a training set is built, once its views are current up to the start of the slot; None: never."""
    fresh: Mapping[str, timedelta] = field(default_factory=dict)
    """How old the newest row that is served of a view may be, by name; of others their ttl, where they have one."""
    looks: timedelta = timedelta(seconds=30)
    """How long the sensor waits between two looks."""
    budget: int = 100 * 2**30
    """What one run may read to compute a new or changed definition, or changed inputs [bytes; rows in DuckDB]."""
    together: int = 20
    """How many views that are due for the same partitions share a run, at most."""
    longest: timedelta = timedelta(hours=6)
    """A run that takes longer is ended where Dagster monitors runs, and is not waited for anywhere."""
    notify: Notifier | None = None
    """Is called with an Alert for each run that failed, and each check that begins to fail."""

    def __post_init__(self) -> None:
        """Raise DefinitionError for what is no length of time, a budget below zero, and a notifier that is none."""
        lengths = {name: getattr(self, name) for name in ("every", "whole", "looks", "longest")}
        lengths |= {name: each for name in _OPTIONAL if (each := getattr(self, name)) is not None}
        lengths |= {f"{name}[{view!r}]": each for name in _BY_VIEW for view, each in getattr(self, name).items()}
        for name, length in lengths.items():
            if not isinstance(length, timedelta) or length < timedelta(seconds=1):
                raise DefinitionError(f"Automation: {name} is {length!r}. Give a timedelta of one second or more.")
        if type(self.budget) is not int or self.budget < 0:
            raise DefinitionError(f"Automation: budget is {self.budget!r}. Give a whole number of bytes, 0 or more.")
        if type(self.together) is not int or self.together < 1:
            raise DefinitionError(
                f"Automation: together is {self.together!r}. Give a whole number of views, 1 or more."
            )
        if self.notify is not None and not callable(self.notify):
            raise DefinitionError(f"Automation: notify is {self.notify!r}. Give a function of one argument, an Alert.")

    def cadence(self, view: FeatureView) -> timedelta:
        """How often the view is computed, or checked and loaded."""
        return self.views.get(view.name, self.every if view.partitions is not None else self.whole)

    def oldest(self, view: FeatureView) -> timedelta | None:
        """How old the newest row that is served may be; None: nobody says."""
        return self.fresh.get(view.name, view.ttl)

    def check(self, code: Catalogue) -> None:
        """Raise DefinitionError for a view that the code does not define."""
        for name in _BY_VIEW:
            unknown = sorted(set(getattr(self, name)) - set(code.feature_views))
            if unknown:
                raise DefinitionError(f"Automation: {name} names {unknown[0]!r}, and there is no such feature view.")


_OPTIONAL = ("sources", "parity", "training_sets")
_BY_VIEW = ("views", "fresh")
