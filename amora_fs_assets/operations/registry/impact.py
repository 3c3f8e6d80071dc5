"""Whom changes hit, what is to be computed again, and which tables and generations come and go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.changes import Change, Effect
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.training_set import TrainingSet

HitKind = Literal["feature view", "feature service", "training set", "online generation"]


@dataclass(frozen=True)
class Affected:
    """Whom a change reaches, who is not changed himself."""

    kind: HitKind
    name: str

    def __str__(self) -> str:
        """As messages name it."""
        return f"{self.kind} '{self.name}'"


@dataclass(frozen=True)
class Scan:
    """What computing would read: bytes by BigQuery's own word, rows of the sources in DuckDB."""

    amount: int | None  # None: unknown, for the reason
    unit: Literal["bytes", "rows"]
    reason: str = ""
    note: str = ""  # why it is more than the interval and its lookback


@dataclass(frozen=True)
class Recompute:
    """An interval of a view that is to be computed, and why."""

    view: str
    interval: Interval
    because: str
    scan: Scan | None = None

    def __str__(self) -> str:
        """As messages name it."""
        return f"feature view '{self.view}' {self.interval}: {self.because}"


@dataclass(frozen=True)
class Infrastructure:
    """A table or a generation online: to be made by the next run, or left behind."""

    what: Literal["table", "generation"]
    name: str
    action: Literal["make", "leave"]


def hits(change: Change, old: Catalogue, new: Catalogue) -> Iterator[Affected]:
    """Whom the change reaches: downstream views, services, training sets, generations online."""
    if change.action == "added" or change.effect is Effect.WORDS:
        yield from _generations(change, old, new)
        return
    views = _views_hit(change, old, new)
    services = {
        service.name
        for catalogue in (old, new)
        for service in catalogue.feature_services.values()
        for part in service.projections
        if part.view.name in views and _touches(part, change)
    }
    if change.kind == "feature service":
        services = {change.name}
    sets = {
        each.name
        for catalogue in (old, new)
        for each in catalogue.training_sets.values()
        if _reads(each, change, services, views)
    }
    yield from (Affected("feature view", name) for name in sorted(views - {change.name}))
    yield from (Affected("feature service", name) for name in sorted(services - {change.name}))
    yield from (Affected("training set", name) for name in sorted(sets - {change.name}))
    yield from _generations(change, old, new)


def _views_hit(change: Change, old: Catalogue, new: Catalogue) -> set[str]:
    """The views whose rows or keys are others: the changed one, and all that read it."""
    names = {change.name} if change.kind == "feature view" else set()
    for catalogue in (old, new):
        for view in catalogue.in_order:
            reads = {source.name for source in view.sources}
            if change.kind == "entity" and change.name in {entity.name for entity in view.entities}:
                names.add(view.name)
            if change.kind == "source" and change.name in reads:
                names.add(view.name)
            if names & reads and change.kind != "entity":
                names.add(view.name)
    return names


def _touches(part: FeatureViewProjection, change: Change) -> bool:
    return change.features is None or part.view.name != change.name or bool(change.features & set(part.features))


def _reads(each: TrainingSet, change: Change, services: set[str], views: set[str]) -> bool:
    if each.service.name in services or {source.name for source in each.sources} & {change.name, *views}:
        return True
    # A view is a service of its own.
    return any(each.service.is_view and part.view.name in views and _touches(part, change)
               for part in each.service.projections)  # fmt: skip


def _generations(change: Change, old: Catalogue, new: Catalogue) -> Iterator[Affected]:
    was, is_ = old.feature_views.get(change.name), new.feature_views.get(change.name)
    if change.kind == "feature view" and was and is_ and _other_generation(was, is_):
        yield Affected("online generation", change.name)


def _other_generation(was: FeatureView, is_: FeatureView) -> bool:
    return was.schema_hash != is_.schema_hash or was.table != is_.table or was.timestamp_field != is_.timestamp_field


def recompute(changes: tuple[Change, ...], old: Catalogue, new: Catalogue, clock: datetime) -> tuple[Recompute, ...]:
    """Every view that is new or whose rows are others now, and those downstream of it, each after what it reads."""
    by_view = {change.name: change for change in changes if change.kind == "feature view"}
    sources = {c.name for c in changes if c.kind == "source" and c.action == "changed" and c.effect is Effect.ROWS}
    found: dict[str, Recompute] = {}
    for view in new.in_order:
        if view.table is not None:
            continue
        whole, change = view.interval(clock), by_view.get(view.name)
        above = [found[source.name] for source in view.sources if source.name in found]
        reads = [source.name for source in view.sources if source.name in sources]
        if view.name not in old.feature_views:
            found[view.name] = Recompute(view.name, whole, "it is new")
        elif change is not None and change.effect is Effect.ROWS:
            found[view.name] = _of_change(view, whole, change)
        elif reads:
            found[view.name] = Recompute(view.name, whole, f"source '{reads[0]}' changed")
        elif above:
            start = min(each.interval.start for each in above)
            since = Interval(min(max(whole.start, start), whole.end), whole.end)
            found[view.name] = Recompute(view.name, since, f"it reads '{above[0].view}'")
    return tuple(each for each in found.values() if not each.interval.empty)


def _of_change(view: FeatureView, whole: Interval, change: Change) -> Recompute:
    reasons = [each for each in change.differences if each.effect is Effect.ROWS]
    interval = whole
    if view.partitions is not None and all(each.since is not None for each in reasons):
        interval = whole.until(max(each.since for each in reasons if each.since is not None))
    return Recompute(view.name, interval, "; ".join(each.what for each in reasons))


def infrastructure(
    changes: tuple[Change, ...], old: Catalogue, new: Catalogue, dataset: str
) -> Iterator[Infrastructure]:
    """Tables and generations that runs will make, and those that they will touch no more."""
    for change in changes:
        if change.kind != "feature view":
            continue
        was, is_ = old.feature_views.get(change.name), new.feature_views.get(change.name)
        if is_ is not None and is_.table is None and (was is None or was.table is not None):
            yield Infrastructure("table", f"{dataset}.{is_.name}", "make")
        if was is not None and was.table is None and (is_ is None or is_.table is not None):
            yield Infrastructure("table", f"{dataset}.{was.name}", "leave")
        other = was is None or is_ is None or _other_generation(was, is_)
        if is_ is not None and other:
            yield Infrastructure("generation", is_.name, "make")
        if was is not None and other:
            yield Infrastructure("generation", was.name, "leave")
