"""The impact of changes: affected definitions, intervals to compute again, tables and generations to make or leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.changes import Change, Effect
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.on_demand_view import OnDemandProjection
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.training_set import TrainingSet

HitKind = Literal["feature view", "on-demand feature view", "feature service", "training set", "online generation"]


@dataclass(frozen=True)
class Affected:
    """A definition, or online generation, affected by a change in another definition."""

    kind: HitKind
    name: str

    def __str__(self) -> str:
        """The affected thing in messages."""
        return f"{self.kind} '{self.name}'"


@dataclass(frozen=True)
class Scan:
    """The estimated scan of a computation: bytes from BigQuery's dry run, or rows of the sources in DuckDB."""

    amount: int | None  # None: unknown
    unit: Literal["bytes", "rows"]
    reason: str = ""  # why the amount is unknown
    note: str = ""  # why the scan exceeds the interval and its lookback


@dataclass(frozen=True)
class Recompute:
    """An interval of a view to compute, with the reason."""

    view: str
    interval: Interval
    because: str
    scan: Scan | None = None

    def __str__(self) -> str:
        """The interval and the reason in one line."""
        return f"feature view '{self.view}' {self.interval}: {self.because}"


@dataclass(frozen=True)
class Infrastructure:
    """A table or an online generation that the next run makes, or that is no longer used."""

    what: Literal["table", "generation"]
    name: str
    action: Literal["make", "leave"]


def hits(change: Change, old: Catalogue, new: Catalogue) -> Iterator[Affected]:
    """The downstream views, services, training sets and online generations that the change affects."""
    if change.action == "added" or change.effect is Effect.WORDS:
        yield from _generations(change, old, new)
        return
    views = _views_hit(change, old, new)
    services = {
        service.name
        for catalogue in (old, new)
        for service in catalogue.feature_services.values()
        if _service_hit(service, change, views)
    }
    computed = {
        view.name
        for catalogue in (old, new)
        for view in catalogue.on_demand_feature_views.values()
        if _inputs_hit(view.whole, change, views)
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
    yield from (Affected("on-demand feature view", name) for name in sorted(computed - {change.name}))
    yield from (Affected("feature service", name) for name in sorted(services - {change.name}))
    yield from (Affected("training set", name) for name in sorted(sets - {change.name}))
    yield from _generations(change, old, new)


def _views_hit(change: Change, old: Catalogue, new: Catalogue) -> set[str]:
    """The views whose rows or keys change: the changed view, and all views that read it."""
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


def _service_hit(service: FeatureService, change: Change, views: set[str]) -> bool:
    """Whether the values of the service change: of its stored features, or of features computed from them."""
    if any(part.view.name in views and _touches(part, change) for part in service.projections):
        return True
    return any(
        _inputs_hit(part, change, views)
        or (part.view.name == change.name and (change.features is None or bool(change.features & set(part.features))))
        for part in service.on_demand
    )


def _inputs_hit(part: OnDemandProjection, change: Change, views: set[str]) -> bool:
    return any(each.view.name in views and _touches(each, change) for each in part.inputs)


def _reads(each: TrainingSet, change: Change, services: set[str], views: set[str]) -> bool:
    if each.service.name in services or {source.name for source in each.sources} & {change.name, *views}:
        return True
    # A view is also a service.
    return each.service.is_view and _service_hit(each.service, change, views)


def _generations(change: Change, old: Catalogue, new: Catalogue) -> Iterator[Affected]:
    was, now = old.feature_views.get(change.name), new.feature_views.get(change.name)
    if change.kind == "feature view" and was and now and _other_generation(was, now):
        yield Affected("online generation", change.name)


def _other_generation(was: FeatureView, now: FeatureView) -> bool:
    return was.schema_hash != now.schema_hash or was.table != now.table or was.timestamp_field != now.timestamp_field


def recompute(changes: tuple[Change, ...], old: Catalogue, new: Catalogue, clock: datetime) -> tuple[Recompute, ...]:
    """Every view that is new or whose rows change, and all downstream views, in order of dependency."""
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
    """Tables and generations that runs will make, and those that they will no longer use."""
    for change in changes:
        if change.kind != "feature view":
            continue
        was, now = old.feature_views.get(change.name), new.feature_views.get(change.name)
        if now is not None and now.table is None and (was is None or was.table is not None):
            yield Infrastructure("table", f"{dataset}.{now.name}", "make")
        if was is not None and was.table is None and (now is None or now.table is not None):
            yield Infrastructure("table", f"{dataset}.{was.name}", "leave")
        other = was is None or now is None or _other_generation(was, now)
        if now is not None and other:
            yield Infrastructure("generation", now.name, "make")
        if was is not None and other:
            yield Infrastructure("generation", was.name, "leave")
