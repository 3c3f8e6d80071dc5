"""The options of automation: what is kept up to date, and how often."""

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
    """The options of `build_definitions(automation=...)`. `True` means `Automation()`.

    Slots are aligned to UTC: with `every` 15 minutes the newest rows are computed at 00:00, 00:15 and so on. So the day
    that ended is computed to its end right after midnight.
    """

    every: timedelta = timedelta(minutes=15)
    """How often the newest rows of a view are computed and loaded online."""
    views: Mapping[str, timedelta] = field(default_factory=dict)
    """`every` for single views, by name."""
    whole: timedelta = timedelta(days=1)
    """How often a view without partitions is computed, and an external table is checked and loaded."""
    sources: timedelta | None = timedelta(days=1)
    """How often a source with a loader is loaded; None: only if its table is missing."""
    late: str | None = "30 0 * * *"
    """The cron schedule (UTC) of the job that computes intervals again whose source rows changed; None: never."""
    parity: timedelta | None = timedelta(days=1)
    """How often a load is followed by the parity check; None: never."""
    training_sets: timedelta | None = timedelta(days=1)
    """How often a training set is built, as soon as its views are current up to the slot's start; None: never."""
    fresh: Mapping[str, timedelta] = field(default_factory=dict)
    """The greatest age of a view's newest online row, by view; the view's ttl by default."""
    looks: timedelta = timedelta(seconds=30)
    """The interval between two evaluations of the sensor."""
    budget: int = 100 * 2**30
    """The greatest scan of a run for a new or changed definition, or changed inputs [bytes; rows in DuckDB]."""
    together: int = 20
    """The greatest number of views in one run. Views that are due for the same partitions share a run."""
    longest: timedelta = timedelta(hours=6)
    """The greatest duration of a run. Dagster's run monitoring ends a longer run; automation stops waiting for it."""
    notify: Notifier | None = None
    """A function that receives an Alert for each failed run, and for each check that begins to fail."""

    def __post_init__(self) -> None:
        """Check the options. Raises DefinitionError."""
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
        """The greatest age of the newest online row; None: no limit."""
        return self.fresh.get(view.name, view.ttl)

    def check(self, code: Catalogue) -> None:
        """Raise DefinitionError for a view that the code does not define."""
        for name in _BY_VIEW:
            unknown = sorted(set(getattr(self, name)) - set(code.feature_views))
            if unknown:
                raise DefinitionError(f"Automation: {name} names {unknown[0]!r}, but there is no such feature view.")


_OPTIONAL = ("sources", "parity", "training_sets")
_BY_VIEW = ("views", "fresh")
